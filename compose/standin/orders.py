"""What a vendor's rules tell the shell to do, and what the shell may ask of them.

A vendor is one file with a class like `Vendor`: it is fed what a socket receives and what became of its orders, and
answers with further orders. It reads no clock and touches no socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType, Protocol, TypeAlias

from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.frames import Frame

Key = NewType("Key", int)
"""Names one request on its socket; never used twice on it."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message: bytes hold UTF-8 text."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Send no more, say goodbye with this code."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Begin:
    """Find the voice and get ready to speak; the answer is `accepted`, `failed` or `unknown_voice`."""

    key: Key
    request_id: str
    voice: str
    format: AudioFormat
    setup: Mapping[str, Any] = field(hash=False)
    """The client's message, for the record."""


@dataclass(frozen=True, slots=True)
class Note:
    """The client has sent this text: for the record, nothing to do."""

    key: Key
    text: str
    flushes: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence that the text asks for."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Speak:
    """Speak these, behind what is already being spoken."""

    key: Key
    items: tuple[str | Pause, ...]


@dataclass(frozen=True, slots=True)
class Flush:
    """Hold nothing back of what was to be spoken so far."""

    key: Key


@dataclass(frozen=True, slots=True)
class Finish:
    """No more text comes; when all is spoken, tell `finished`."""

    key: Key


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop speaking this request now."""

    key: Key


Order: TypeAlias = Send | Close | Begin | Note | Speak | Flush | Finish | Abandon


class Vendor(Protocol):
    """One socket's side of a vendor's protocol."""

    def connected(self, headers: Mapping[str, str], query: Mapping[str, str]) -> list[Order]:
        """The upgrade is done; header names are lower case."""

    def received(self, message: str | bytes) -> list[Order]:
        """The client has sent a message: text as str, binary as bytes."""

    def accepted(self, key: Key) -> list[Order]:
        """The request can be spoken."""

    def failed(self, key: Key, code: int, message: str) -> list[Order]:
        """The request cannot be spoken, or not to its end."""

    def unknown_voice(self, key: Key, voice: str) -> list[Order]:
        """The vendor is to say, in its own words, that it has no such voice."""

    def frame(self, key: Key, frame: Frame) -> list[bytes]:
        """The messages for one frame of the request, in order; the last one is its audio, if it has any."""

    def finished(self, key: Key) -> list[Order]:
        """All of the request has been sent."""
