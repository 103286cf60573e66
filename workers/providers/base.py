"""What a provider is: a vendor's wire protocol as plain objects that are fed and asked, and what the vendor can do.

Nothing here reads, writes or waits; `saystream.workers.connection` does that for all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from saystream.common.audio import AudioFormat
from saystream.common.errors import VendorError
from saystream.common.settings import ProviderSettings, VoiceSettings
from saystream.workers.text.phrases import PhraseRule

Frame = str | bytes
#: Names a stream of speech on its connection; the vendor's own id where it multiplexes.
StreamKey = str


# What a vendor says, told in our words.


@dataclass(frozen=True, slots=True)
class Started:
    """The vendor has accepted the stream and will answer at ``sample_rate``."""

    stream: StreamKey
    sample_rate: int


@dataclass(frozen=True, slots=True)
class AudioData:
    """Raw audio in the stream's format; a chunk may end within a sample."""

    stream: StreamKey
    data: bytes


class WordTime(NamedTuple):
    """A word as the vendor spells it, in seconds from the stream's first sample."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class WordTimes:
    """When words are spoken; before or after the audio that they describe."""

    stream: StreamKey
    words: tuple[WordTime, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """All audio of the stream has come. A stream without this has failed, however it ended."""

    stream: StreamKey


@dataclass(frozen=True, slots=True)
class Failed:
    """A stream, or with ``stream=None`` everything on the connection, has failed."""

    stream: StreamKey | None
    error: VendorError


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that an operator may want to know."""

    text: str


VendorEvent = Started | AudioData | WordTimes | Finished | Failed | Warned


# What a vendor can do.


class Cancel(StrEnum):
    """How a stream is cancelled."""

    CLOSE = "close"  # by closing the connection
    ABANDON = "abandon"  # the rest of it is dropped as it comes; the connection stays


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the worker adapts to.

    Args:
        phrases: how the client forms phrases; None where the vendor does and tokens pass as they come.
        streams: streams of speech on one connection at once.
        turns: streams on one connection, one after the other; 0 means any number.
        cancel: how a stream is cancelled.
    """

    phrases: PhraseRule | None
    streams: int
    turns: int
    cancel: Cancel


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What a turn asks of the vendor."""

    voice_id: str
    format: AudioFormat
    model: str | None = None
    language: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Handshake:
    """Where and how to connect. Headers hold the key and stay out of logs."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


class Protocol(ABC):
    """One connection's rules. Each verb returns the frames to send; `receive` returns what a frame means."""

    @abstractmethod
    def open(self, spec: StreamSpec) -> tuple[StreamKey, list[Frame]]:
        """Start a stream of speech."""

    @abstractmethod
    def text(self, stream: StreamKey, text: str) -> list[Frame]:
        """Give a stream text: a phrase where the client forms them, else whatever has come."""

    @abstractmethod
    def flush(self, stream: StreamKey, text: str) -> list[Frame]:
        """Give a stream text, which may be empty, and have all that it has been given spoken now; it goes on."""

    @abstractmethod
    def finish(self, stream: StreamKey, text: str) -> list[Frame]:
        """Give a stream its last text, which may be empty: the one flush at the end, and whatever ends the stream."""

    @abstractmethod
    def cancel(self, stream: StreamKey) -> list[Frame]:
        """Abandon a stream, where the connection can stay; nothing more of it is reported."""

    @abstractmethod
    def receive(self, frame: Frame) -> list[VendorEvent]:
        """Read a frame. What is not understood is a `Failed` for the connection, never an exception."""

    @abstractmethod
    def closed(self, code: int | None, reason: str) -> VendorError:
        """Say what it means that the vendor closed the connection, or that it broke (``code=None``)."""


class Provider(ABC):
    """One account with a vendor.

    Raises:
        InvalidSettings: no key, or an option that the vendor does not have.
    """

    vendor: str
    capabilities: Capabilities

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name, self.settings = name, settings

    @abstractmethod
    def handshake(self) -> Handshake:
        """Say where and how to connect."""

    @abstractmethod
    def refused(self, status: int, body: str) -> VendorError:
        """Say what an HTTP status instead of a WebSocket means."""

    @abstractmethod
    def protocol(self) -> Protocol:
        """Make the rules of a new connection."""

    @abstractmethod
    def check(self, name: str, voice: VoiceSettings) -> None:
        """Check a voice's settings; raises InvalidSettings."""
