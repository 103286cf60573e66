"""One turn's audio put together: write it at its offset; at a splice, drop what lies past it."""

from dataclasses import dataclass

from saystream.common.audio import AudioFormat
from saystream.common.errors import InvalidInput
from saystream.common.events import Audio, Begin, End, Splice, Word, Words
from saystream.common.ids import EntryId
from saystream.common.states import State
from saystream.consumer.events import Event, Gap

#: What `TurnAudio` holds at most, in bytes: an hour and a half of 24 kHz mono.
MOST_BYTES = 256 << 20

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Put:
    """Write ``data`` at sample ``offset``, which is the end of what is there, or past it: between them lies a hole."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """Drop everything from sample ``offset`` on (a player: what of it has not been played)."""

    offset: int


class Assembler:
    """The rule, without the audio: takes the events of one turn and says what to do with its samples.

    An event that was taken before, or stands before one that was taken, changes nothing.

    Args:
        turn: the turn's id.
        format: its format, for who goes on in the middle of a turn; else its `Begin` says it.

    Attributes:
        samples: the end of what is there, holes included.
        spoken: how much of the turn's text is spoken with it, in characters.
        words: the words in it, in order.
        holes: (first sample, end) of what never came.
        reason: how the turn ended; None while it goes on.
        cause: why it ended so, where that is known.
    """

    def __init__(self, turn: str, format: AudioFormat | None = None) -> None:
        self.turn, self.format = turn, format
        self.samples = self.spoken = 0
        self.words: tuple[Word, ...] = ()
        self.holes: tuple[Range, ...] = ()
        self.reason: State | None = None
        self.cause = ""
        self._cursor: EntryId | None = None

    def __repr__(self) -> str:
        state = self.reason or "goes on"
        return f"<Assembler [turn {self.turn}: {self.samples} samples, {len(self.holes)} holes, {state}]>"

    def add(self, event: Event) -> Put | Drop | None:
        """Take an event; returns what to do with the samples, if anything. Other turns' events do nothing.

        Raises:
            InvalidInput: the event contradicts itself or the format; it has changed nothing.
        """
        if isinstance(event, Gap) and event.rewinds and self._cursor is not None and event.cursor < self._cursor:
            self._cursor, self.reason, self.cause = event.cursor, None, ""  # an end that was heard is none any more
        if getattr(event, "turn", None) != self.turn or (self._cursor is not None and event.cursor <= self._cursor):
            return None
        self._check(event)
        edit = self._apply(event)
        self._cursor = event.cursor
        return edit

    def _apply(self, event: Event) -> Put | Drop | None:
        match event:
            case Begin():
                self.format = event.format
                self.words, self.spoken = (), 0
                return self._drop(0)
            case Audio():
                return self._audio(event)
            case Words():
                self.words, self.spoken = self.words + event.words, event.spoken
            case Splice():
                self.spoken = event.spoken
                # The next attempt speaks again, and reports again, the words that `spoken` does not cover.
                self.words = tuple(word for word in self.words if word.end <= event.spoken)
                return self._drop(event.offset)
            case End():
                self.spoken, self.reason, self.cause = event.spoken, event.reason, event.cause
                self.words = tuple(word for word in self.words if word.first_sample < event.samples)
                return self._extend(event.samples, b"") if event.samples > self.samples else self._drop(event.samples)
        return None

    def _audio(self, event: Audio) -> Put | None:
        self.spoken = event.spoken
        known = max(0, self.samples - event.offset)  # so much of it is there already
        if known >= event.samples:
            return None
        edit = self._extend(event.offset + known, event.data[known * (len(event.data) // event.samples) :])
        self.samples = event.offset + event.samples
        return edit

    def _extend(self, offset: int, data: bytes) -> Put:
        if offset > self.samples:
            self.holes = (*self.holes, (self.samples, offset))
            self.samples = offset
        return Put(offset, data)

    def _check(self, event: Event) -> None:
        """Refuse what contradicts itself, before it changes anything."""
        if getattr(event, "offset", 0) < 0 or getattr(event, "samples", 0) < 0:
            raise InvalidInput(f"entry {event.cursor}: samples are counted from 0 upwards")
        if not isinstance(event, Audio):
            return
        size = len(event.data)
        if self.format is not None and size != event.samples * self.format.sample_bytes:
            raise InvalidInput(f"entry {event.cursor}: {size} bytes are not {event.samples} samples of {self.format}")
        if size % event.samples if event.samples else size:
            raise InvalidInput(f"entry {event.cursor}: {size} bytes are not {event.samples} samples")

    def _drop(self, offset: int) -> Drop | None:
        if offset >= self.samples:
            return None
        self.samples = offset
        self.holes = tuple((first, min(end, offset)) for first, end in self.holes if first < offset)
        return Drop(offset)


class TurnAudio:
    """One turn's audio in memory. Holes are silent.

    Args:
        turn: the turn's id.
        format: its format, for who goes on in the middle of a turn; else its `Begin` says it.
        most_bytes: the limit of what is held.
    """

    def __init__(self, turn: str, format: AudioFormat | None = None, *, most_bytes: int = MOST_BYTES) -> None:
        self.assembler = Assembler(turn, format)
        self._most_bytes = most_bytes
        self._data = bytearray()

    @property
    def data(self) -> bytes:
        """The audio, from the turn's first sample on."""
        return bytes(self._data)

    def add(self, event: Event) -> None:
        """Take an event.

        Raises:
            InvalidInput: the event contradicts itself, or the format; or audio came before the turn's format was known;
                or the audio is longer than ``most_bytes``.
        """
        edit = self.assembler.add(event)
        if edit is None:
            return
        if self.assembler.format is None:
            raise InvalidInput(f"turn {self.assembler.turn}: its format is not known, its beginning was not heard")
        size = edit.offset * self.assembler.format.sample_bytes
        if isinstance(edit, Drop):
            del self._data[size:]
            return
        if size + len(edit.data) > self._most_bytes:
            raise InvalidInput(f"turn {self.assembler.turn}: its audio is longer than {self._most_bytes} bytes")
        self._data.extend(bytes(size - len(self._data)))
        self._data.extend(edit.data)
