"""Fish Audio's side of its live text-to-speech sockets, without the socket."""

from collections.abc import Callable, Mapping
from typing import Final

from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.fishaudio.rules import FishAudio
from saystream.compose.standin.orders import Vendor

LIVE = "/v1/tts/live"
WITH_TIMESTAMP = "/v1/tts/live/with-timestamp"

PATHS: Final[Mapping[str, Callable[[Behaviour], Vendor]]] = {
    LIVE: lambda behaviour: FishAudio(behaviour, timestamps=False),
    WITH_TIMESTAMP: lambda behaviour: FishAudio(behaviour, timestamps=True),
}
"""The rules to be spoken at each of the vendor's paths."""

__all__ = ["LIVE", "PATHS", "WITH_TIMESTAMP", "FishAudio"]
