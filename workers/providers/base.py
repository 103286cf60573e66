"""What a provider is: a vendor's wire protocol as plain objects that are fed and asked, and what the vendor can do.

Nothing here reads, writes or waits; `saystream.workers.connection` does that for all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from re import Pattern
from typing import Any, NamedTuple

from saystream.common.audio import AudioFormat
from saystream.common.errors import VendorError
from saystream.common.settings import ProviderSettings, VoiceSettings
from saystream.workers.text.lowering import NO_TAGS, TagRule
from saystream.workers.text.phraser import PhraseRule

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


class OpenWord(WordTime):
    """A word of which the vendor has not told where it ends: not before ``end_s``, nor behind the next word's start."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class WordTimes:
    """When words are spoken; before or after the audio that they describe."""

    stream: StreamKey
    words: tuple[WordTime, ...]


@dataclass(frozen=True, slots=True)
class ChunkStarted:
    """The vendor has begun to speak a piece of the text that it formed itself: audio is due."""

    stream: StreamKey
    text: str


@dataclass(frozen=True, slots=True)
class ChunkSpoken:
    """All audio of such a piece has come; in seconds from the stream's first sample.

    Serves where there are no words; ``text`` is empty where words are reported, or are still to come. ``silent`` is the
    text of a piece of which no audio came.
    """

    stream: StreamKey
    text: str
    start_s: float
    end_s: float
    silent: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """All audio of the stream has come. A stream without this has failed, however it ended."""

    stream: StreamKey


@dataclass(frozen=True, slots=True)
class Released:
    """The vendor has done with a stream that was cancelled: its place on the connection is free again."""

    stream: StreamKey


@dataclass(frozen=True, slots=True)
class Failed:
    """A stream, or with ``stream=None`` everything on the connection, has failed."""

    stream: StreamKey | None
    error: VendorError


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that an operator may want to know: a warning, what a turn has cost. Holds no text of users."""

    text: str


VendorEvent = Started | AudioData | WordTimes | ChunkStarted | ChunkSpoken | Finished | Released | Failed | Warned


# What a vendor can do.


class Cancel(StrEnum):
    """How a stream is cancelled."""

    CLOSE = "close"  # by closing the connection
    ABANDON = "abandon"  # what comes of it is dropped until the vendor is done with it; the connection stays
    ACKNOWLEDGED = "acknowledged"  # the vendor stops and says so at once; the connection stays


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the worker adapts to.

    Args:
        phrases: how the client forms phrases; None where the vendor does and tokens pass as they come.
        streams: streams of speech on one connection at once.
        turns: streams on one connection, one after the other; 0 means any number.
        cancel: how a stream is cancelled.
        word_times: whether the vendor reports when it speaks each word.
        sample_rates: what can be asked for; other rates are converted.
        holds_chars: how much text the vendor may keep to itself until more comes, or a flush; None: all of it.
        text_gap_s: a stream that gets no text for so long has to be finished, or the vendor cuts it in two.
        keep_alive_s: how often a stream that gets no text needs a sign of life.
        settle_s: a connection may be closed by the vendor so long after a stream has ended, and is not given to
            another before.
        unspoken: what of the text is never spoken as words: tags and cues.
        tags: which of our tags have a tag of the vendor's own.
    """

    phrases: PhraseRule | None
    streams: int
    turns: int
    cancel: Cancel
    word_times: bool
    sample_rates: frozenset[int]
    holds_chars: int | None = None
    text_gap_s: float | None = None
    keep_alive_s: float | None = None
    settle_s: float = 0.0
    unspoken: Pattern[str] | None = None
    tags: TagRule = NO_TAGS

    def nearest_rate(self, wanted: int) -> int:
        """Return the sample rate to ask for: the wanted one, else the lowest above it, else the highest."""
        above = [rate for rate in self.sample_rates if rate >= wanted]
        return min(above) if above else max(self.sample_rates)


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

    def without_key(self, text: str) -> str:
        """Return a text in which no header's key stands."""
        for name, value in self.headers.items():
            if name.lower() == "authorization" or name.lower().endswith("key"):
                text = text.replace(value.removeprefix("Bearer "), "…")
        return text


class Protocol(ABC):
    """One connection's rules. Each verb returns the frames to send; `receive` returns what a frame means.

    What a verb alone has brought about, with nothing to wait for from the vendor, `pending` returns: it is to be asked
    after each verb. Text may come in any pieces; an empty or blank one is harmless.
    """

    def prepare(self, spec: StreamSpec) -> list[Frame]:
        """Say what a warm connection can say before its first turn, which will probably be like ``spec``."""
        return []

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

    def keep_alive(self, stream: StreamKey) -> list[Frame]:
        """Keep a stream open that waits for text."""
        return []

    @abstractmethod
    def cancel(self, stream: StreamKey) -> list[Frame]:
        """Abandon a stream, where the connection can stay; of it nothing more is reported but `Released`."""

    def pending(self) -> list[VendorEvent]:
        """Return what has happened since the last call without a frame of the vendor: a stream that had nothing open
        there when it was finished or cancelled has ended at once."""
        return []

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

    def binding(self, spec: StreamSpec) -> str:
        """Return what of a stream is bound to its connection, such as the model: others need another connection."""
        return ""

    @abstractmethod
    def handshake(self, binding: str) -> Handshake:
        """Say where and how to connect for streams of a binding."""

    @abstractmethod
    def refused(self, status: int, body: str) -> VendorError:
        """Say what an HTTP status instead of a WebSocket means."""

    @abstractmethod
    def protocol(self) -> Protocol:
        """Make the rules of a new connection."""

    @abstractmethod
    def check(self, name: str, voice: VoiceSettings) -> None:
        """Check a voice's settings; raises InvalidSettings."""
