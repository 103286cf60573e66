"""KugelAudio: JSON frames, audio in base64, tokens as they come, one flush at the end, word times by chunk.

Facts: docs.kugelaudio.com (stream input, turn lifecycle, barge-in, errors, word timestamps) and the source of the
official SDK ``kugelaudio`` 2.7.0.
"""

from saystream.workers.providers.kugelaudio.provider import KEY_VARIABLE, KugelAudio, Mode

__all__ = ["KEY_VARIABLE", "KugelAudio", "Mode"]
