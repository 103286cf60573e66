"""Recording one turn, or the turns of a session one behind the other, as a WAV file."""

from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from saystream.common.audio import AudioFormat
from saystream.common.errors import InvalidInput
from saystream.common.events import Begin, End, Word
from saystream.common.ids import EntryId
from saystream.common.states import State
from saystream.consumer.arguments import whole
from saystream.consumer.assembler import Assembler, Put, Range
from saystream.consumer.events import Event, Gap, Unreadable
from saystream.consumer.listener import listen
from saystream.consumer.place import BEGINNING, Start
from saystream.consumer.wav import WavFile


class CannotRecord(InvalidInput):
    """This cannot go into the same file."""


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """A turn in a recording.

    Args:
        turn: its id.
        reason: how it ended; None if that was not heard.
        cause: why it ended so, where that is known.
        first_sample: where it begins in the file.
        samples: how much of the file it takes.
        spoken: how much of its text that is, in characters.
        words: the words in it; their samples count from the turn's beginning.
        holes: (first sample, end), from the turn's beginning, of what was not heard; silence in the file. A turn whose
            `Begin` was not heard is one hole and takes nothing of the file: its format is not known.
    """

    turn: str
    reason: State | None
    cause: str
    first_sample: int
    samples: int
    spoken: int
    words: tuple[Word, ...]
    holes: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """What a recording holds, in the order of the file.

    ``gaps`` and ``unreadable`` are what was lost on the way and what could not be understood: with neither of them, and
    no holes in its turns, the recording is whole.
    """

    path: Path
    format: AudioFormat
    samples: int
    turns: tuple[RecordedTurn, ...]
    gaps: tuple[Gap, ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.format.seconds(self.samples)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all turns; their samples count from the beginning of their turn."""
        return tuple(word for turn in self.turns for word in turn.words)

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be missing."""
        return not (self.gaps or self.unreadable or any(turn.holes for turn in self.turns))


class Recorder:
    """A WAV file that takes a listener's events; a context manager, because the file is completed at its end.

    Audio goes to the file as it comes and is not held in memory; what is held is the list of turns and words. A turn
    begins where the file ends at that time. Writing blocks briefly: see `WavFile`.

    Args:
        path: the file; one that is there already is replaced when recording begins.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file: WavFile | None = None
        self._begun: list[tuple[int, Assembler]] = []  # a turn's first sample in the file, and its state
        self._number = 0  # of the last of them
        self._gaps: list[Gap] = []
        self._unreadable: list[Unreadable] = []
        self._cursor: EntryId | None = None

    def __repr__(self) -> str:
        return f"<Recorder [{self.path.name}: {len(self._begun)} turns, {self.seconds:.2f} s]>"

    def __enter__(self) -> Self:
        self._file = WavFile(self.path, AudioFormat())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._wav.close()

    @property
    def samples(self) -> int:
        """How many samples are in the file."""
        return self._wav.samples

    @property
    def seconds(self) -> float:
        """How long the recording lasts by now."""
        return self._file.format.seconds(self._file.samples) if self._file else 0.0

    @property
    def turns(self) -> tuple[RecordedTurn, ...]:
        """The turns by now, in their order."""
        return tuple(_describe(base, turn) for base, turn in self._begun)

    @property
    def result(self) -> Recording:
        """What the recording holds by now."""
        wav = self._wav
        return Recording(self.path, wav.format, wav.samples, self.turns, tuple(self._gaps), tuple(self._unreadable))

    def add(self, event: Event) -> None:
        """Take a listener's next event; one that was taken before changes nothing.

        Raises:
            CannotRecord: a turn's format differs from that of the file, or the file would be too long. What is in the
                file stays.
            InvalidInput: audio contradicts its turn's format.
            OSError: the file cannot be written.
        """
        rewinds = isinstance(event, Gap) and event.rewinds
        if self._cursor is not None and event.cursor <= self._cursor and not rewinds:
            return
        match event:
            case Gap():
                self._gaps.append(event)
                if self._begun:
                    self._begun[-1][1].add(event)
            case Unreadable():
                self._unreadable.append(event)
            case _:
                if isinstance(event, Begin):
                    self._adopt(event)
                base, turn = self._current(event.turn, event.cursor.number)
                edit = turn.add(event)
                if edit is not None and turn.format is not None:
                    self._write(base + edit.offset, edit.data if isinstance(edit, Put) else None)
        self._cursor = event.cursor

    @property
    def _wav(self) -> WavFile:
        assert self._file is not None, "use it as a context manager"
        return self._file

    def _adopt(self, begin: Begin) -> None:
        """Give the file the format of its first turn, and refuse another one later."""
        wav = self._wav
        if wav.samples and begin.format != wav.format:
            raise CannotRecord(
                f"{self.path} is {wav.format}, and turn {begin.turn} is {begin.format}: record it to a file of its own"
            )
        wav.become(begin.format)

    def _current(self, turn: str, number: int) -> tuple[int, Assembler]:
        """Return a turn's state; the same id with another number is another turn: the session came back in between."""
        if not self._begun or (self._begun[-1][1].turn, self._number) != (turn, number):
            self._begun.append((self._wav.samples, Assembler(turn)))
            self._number = number
        return self._begun[-1]

    def _write(self, sample: int, data: bytes | None) -> None:
        if data is None:
            self._wav.truncate(sample)
            return
        try:
            self._wav.write(sample, data)
        except InvalidInput as error:
            raise CannotRecord(str(error)) from error


def _describe(base: int, turn: Assembler) -> RecordedTurn:
    samples, holes = turn.samples, turn.holes
    if turn.format is None:
        samples, holes = 0, ((0, turn.samples),) if turn.samples else ()
    return RecordedTurn(turn.turn, turn.reason, turn.cause, base, samples, turn.spoken, turn.words, holes)


async def record(
    url: str | None,
    session: str,
    path: Path | str,
    *,
    turn: str | None = None,
    turns: int | None = None,
    idle_s: float | None = None,
    start: Start | EntryId | str = BEGINNING,
    shards: int | None = None,
    patience_s: float = 30.0,
    timeout_s: float = 5.0,
) -> Recording:
    """Record what is said in a session until the first of the given ends; the file can be played however it ends.

    Args:
        url: where Redis is; None asks the settings, as `Listener` does.
        session: the session's id.
        path: the file. One that is there is replaced when the first event has come, or when the recording ends without
            any; until then it is not touched, whatever goes wrong.
        turn: record this turn alone, until it has ended.
        turns: until so many turns have ended, 1 or more.
        idle_s: until nothing has come for so many seconds, even if a turn has not ended.
        start: `BEGINNING`, `LIVE` or a cursor. Of a turn that began before, the missing part is silence.
        shards: how many there are; None means 1, or with the settings' URL the settings' number.
        patience_s: for how many seconds Redis may be away.
        timeout_s: how long Redis may take to answer, in seconds.

    Raises:
        InvalidInput: none of the three ends is given, or an argument is not possible.
        CannotRecord: a turn's format is not that of the turns before it.
        RedisUnavailable: Redis was away for longer than ``patience_s``.
        ShardMismatch: this Redis is used with another number of shards.
    """
    if turn is None and turns is None and idle_s is None:
        raise InvalidInput("a recording needs an end: give turn, turns or idle_s")
    most = None if turns is None else whole("turns", turns, 1)
    events = listen(
        url, session, start, until_turn=turn, idle_s=idle_s, shards=shards, patience_s=patience_s, timeout_s=timeout_s
    )
    ended = 0
    async with aclosing(events):
        event = await anext(events, None)  # what is wrong shows now at the latest, and the old file is still there
        with Recorder(path) as recorder:
            while event is not None:
                # Another turn, or something lost before this one, is no part of this recording.
                if turn is None or getattr(event, "turn", turn if recorder.turns else None) == turn:
                    recorder.add(event)
                    ended += isinstance(event, End)
                    if ended == most:
                        break
                event = await anext(events, None)
            return recorder.result
