"""Turns a request's frames into audio messages' worth of bytes, which may be told to be tiny."""

from collections.abc import Iterator

from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.frames import Frame
from saystream.compose.standin.orders import Sound
from saystream.compose.standin.sound import SpokenWord


class Packer:
    """Encodes frames, the format's header before the first sample.

    Args:
        most_bytes: what one message holds at most; an odd number cuts samples in two. None leaves frames whole.
    """

    def __init__(self, audio_format: AudioFormat, most_bytes: int | None = None) -> None:
        self.format = audio_format
        self.most_bytes = most_bytes
        self._header = audio_format.header()

    def pack(self, frame: Frame) -> Iterator[Sound]:
        """Yield what each message of a frame holds."""
        header, self._header = (self._header, b"") if len(frame.samples) else (b"", self._header)
        data = header + self.format.encode(frame.samples)
        step = self.most_bytes or max(len(data), 1)
        waiting = list(frame.words)
        first = frame.first_sample
        for at in range(0, max(len(data), 1), step):
            end = min(at + step, len(data))
            # A sample belongs to the message that holds its last byte.
            last = frame.first_sample + max(end - len(header), 0) // self.format.sample_bytes
            begun = len(waiting) if end == len(data) else _begun(waiting, last)
            yield Sound(data[at:end], first, last, tuple(waiting[:begun]))
            del waiting[:begun]
            first = last


def _begun(words: list[SpokenWord], sample: int) -> int:
    """How many of the leading words begin before a sample."""
    count = 0
    while count < len(words) and words[count].first_sample < sample:
        count += 1
    return count
