"""What a vendor's rules tell the shell to do, and what the shell may ask of them.

A vendor is one file with a class like `Vendor`: it is fed what a socket receives and what became of its orders, and
answers with further orders. It reads no clock and touches no socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType, Protocol, TypeAlias, runtime_checkable

from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.sound import SpokenWord

Key = NewType("Key", int)
"""Names one request on its socket; never used twice on it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the upgrade with an HTTP status instead of a WebSocket."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; where the vendor's messages are text, the bytes hold UTF-8."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Send no more, say goodbye with this code."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Begin:
    """Find the voice and get ready to speak; the answer is `accepted`, `failed`, `unknown_voice` or `over_limit`."""

    key: Key
    request_id: str
    voice: str
    format: AudioFormat
    frame_ms: int
    """Audio in one message."""
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
class Mark:
    """When all before it has been sent, with nothing held back: tell `reached`."""

    key: Key
    label: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Tell `woke` after so many seconds; replaces an earlier one of the same label. None: do not, after all."""

    label: str
    after_s: float | None


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


Order: TypeAlias = Send | Close | Begin | Note | Speak | Mark | Wake | Flush | Finish | Abandon


@dataclass(frozen=True, slots=True)
class Sound:
    """One audio message's worth: encoded samples, and the words that begin in them.

    ``data`` may be empty (words without sound), and where faults ask for it a message may end within a sample.
    """

    data: bytes
    first_sample: int
    """Of the request, as is `last_sample` (exclusive)."""
    last_sample: int
    words: tuple[SpokenWord, ...]


class Vendor(Protocol):
    """One socket's side of a vendor's protocol."""

    binary: bool
    """Its messages are binary, not text."""

    def upgrading(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Refuse | None:
        """A client asks for the upgrade; header names are lower case. None lets it in."""

    def connected(self) -> list[Order]:
        """The upgrade is done."""

    def received(self, message: str | bytes) -> list[Order]:
        """The client has sent a message: text as str, binary as bytes."""

    def accepted(self, key: Key) -> list[Order]:
        """The request can be spoken."""

    def failed(self, key: Key, code: int, message: str) -> list[Order]:
        """The request cannot be spoken, or not to its end, for a reason with one of the vendor's own codes."""

    def unknown_voice(self, key: Key, voice: str) -> list[Order]:
        """The vendor is to say, in its own words, that it has no such voice."""

    def over_limit(self, key: Key) -> list[Order]:
        """The vendor is to say, in its own words, that too many streams of speech are open at once."""

    def broken(self, key: Key, why: str) -> list[Order]:
        """The vendor is to say, in its own words, that its engine has failed at the request."""

    def sound(self, key: Key, sound: Sound) -> list[bytes]:
        """The messages for one piece of the request's audio, in order."""

    def reached(self, key: Key, label: str, sample: int) -> list[Order]:
        """All that stood before a `Mark` has been sent, up to this sample of the request."""

    def woke(self, label: str) -> list[Order]:
        """The time of a `Wake` has come."""

    def finished(self, key: Key) -> list[Order]:
        """All of the request has been sent."""


@runtime_checkable
class Greeting(Protocol):
    """A vendor whose answer to an upgrade has headers of its own."""

    handshake_headers: Mapping[str, str]
