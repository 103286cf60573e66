"""KugelAudio's side of its three text-to-speech sockets, without the sockets.

After docs.kugelaudio.com and the vendor's Python SDK 2.7.0. Where these are silent the stand-in decides, and says so
with the word "here".
"""

from collections.abc import Callable, Mapping
from typing import Final

from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.kugelaudio.multi import Multi
from saystream.compose.standin.kugelaudio.one_shot import OneShot
from saystream.compose.standin.kugelaudio.socket import LATE
from saystream.compose.standin.kugelaudio.stream import Stream
from saystream.compose.standin.orders import Vendor

ONE_SHOT_PATH = "/ws/tts"
STREAM_PATH = "/ws/tts/stream"
MULTI_PATH = "/ws/tts/multi"

PATHS: Final[Mapping[str, Callable[[Behaviour], Vendor]]] = {
    ONE_SHOT_PATH: OneShot,
    STREAM_PATH: Stream,
    MULTI_PATH: Multi,
}
"""The rules to be spoken at each path."""

__all__ = ["LATE", "MULTI_PATH", "ONE_SHOT_PATH", "PATHS", "STREAM_PATH", "Multi", "OneShot", "Stream"]
