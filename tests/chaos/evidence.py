"""Evidence: what the processes of one chaos run have seen and done, written down as it happens, read when it is over.

A run's evidence is a folder. Each life of each process writes one file of JSON lines, ``NAME.LIFE.jsonl``, and beside
it ``NAME.LIFE.audio``, to which the lines point for the bytes of audio. Every line is in the file when `Witness.note`
returns, so that a process may be killed at any moment: its last line may be torn then, no other line may.

A line is one record, one of the dataclasses below. Every record has ``at_s``, the time of its writing by
CLOCK_MONOTONIC, which all processes of a machine share. "Before" and "after" in the descriptions are meant strictly: a
record of an intent is written before the call, the record of its outcome after it has returned. Whoever is killed in
between leaves the intent alone, and the checker allows for both.

Who writes what:

========= ==================================================================================================
producer  `Opening`, then `Opened` or `Refused`; `Sending` for each token event; `Acknowledged`; `EndAcknowledged`
          or `TurnLost`. Whoever interrupts: `Interrupting`, then `Interrupted` or `InterruptFailed`
consumer  `Listening` at each start, `Heard` for each event that the listener yields, `Stopped` at the run's end
harness   `Run` first of all; `FaultSet`, `FaultOver`; `Gone` for each process that has ended
harness   at the end, when nothing moves any more, by `final.record`: `FinalTurn`, `FinalEntry`, `FinalKey`, `Pending`,
          `DeadLetter`, `Place`, `VendorStreams`, and last of all `Complete`
========= ==================================================================================================
"""

import mmap
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

import orjson

from saystream.common.audio import AudioFormat
from saystream.common.events import Audio, Begin, End, Splice, Word, Words
from saystream.common.ids import EntryId
from saystream.common.ledger import Cut
from saystream.common.states import State
from saystream.consumer import Event, Gap
from saystream.consumer.events import Unreadable


class FaultKind(StrEnum):
    """What is done to a run. The checker must know what each can explain; a new kind is entered here and there."""

    WORKER_KILLED = "worker killed"  # kill -9; target: the worker process
    WORKER_FROZEN = "worker frozen"  # SIGSTOP, and SIGCONT when it is over
    WORKER_TERMINATED = "worker terminated"  # SIGTERM
    WORKER_CUT_OFF = "worker cut off"  # its connections to Redis: cut, refused, silent or slow, as `detail` says
    PRODUCER_CUT_OFF = "producer cut off"
    PRODUCER_KILLED = "producer killed"
    CONSUMER_CUT_OFF = "consumer cut off"
    CONSUMER_KILLED = "consumer killed"
    REDIS_RESTARTED = "redis restarted"  # it keeps what it has acknowledged
    REDIS_SLOW = "redis slow"  # all of it: paused, or out of memory, or read-only, as `detail` says
    REDIS_FAILED_OVER = "redis failed over"  # to a replica that may lack the last writes
    SCRIPTS_FLUSHED = "scripts flushed"
    VENDOR = "vendor"  # `detail` says which of the stand-in's faults


@dataclass(kw_only=True)
class Record:
    """What all records have: who wrote them, and when.

    Attributes:
        at_s: CLOCK_MONOTONIC, set by `Witness.note`.
        process: the name of the witness, set when it is read.
    """

    at_s: float = 0.0
    process: str = ""


# the run


@dataclass
class Run(Record):
    """The run begins.

    Args:
        seed: that everything was drawn from.
        lease_s: the workers' lease.
        trimming: whether output may be trimmed in this run (short ``output_s`` or few ``output_bytes``); where not, no
            consumer may be told of a gap.
        durable: whether Redis keeps what it has acknowledged, in all faults of this run.
        pace: how fast a live listener plays, in times of real time: with a stand-in that speaks faster, tests do, too.
        late_voices: whose vendor tells of a word later than it sends its audio, so that more than one word may begin
            twice for who listens live, if their stream of speech breaks.
        on_idle: what becomes of a turn whose producer falls silent (`LimitSettings.on_idle`).
    """

    seed: int
    lease_s: float
    trimming: bool = False
    durable: bool = True
    pace: float = 1.0
    late_voices: list[str] = field(default_factory=list)
    on_idle: str = "finish"


@dataclass
class FaultSet(Record):
    """A fault begins; written after it was caused (the signal is sent, the proxy is told).

    Args:
        fault: number of the fault in this run.
        target: name of the process, vendor or server that it hits; "" for all.
    """

    fault: int
    kind: FaultKind
    target: str = ""
    detail: str = ""


@dataclass
class FaultOver(Record):
    """A fault that lasts is over: SIGCONT, the proxy lets pass, Redis is back."""

    fault: int


@dataclass
class Gone(Record):
    """A process has ended and was waited for. ``code`` is its exit status, negative for a signal."""

    name: str
    code: int


# producers


@dataclass
class Opening(Record):
    """A turn is about to be opened, or opened again by a producer that came back (same id, same request)."""

    session: str
    turn: str
    request: dict[str, Any]


@dataclass
class Opened(Record):
    """`Turn.open` has returned. ``cuts`` are the turns that were interrupted for it: from now on they are silent."""

    session: str
    turn: str
    number: int
    state: str
    cuts: list[Cut] = field(default_factory=list)


@dataclass
class Refused(Record):
    """`Turn.open` has raised. ``error`` is the class's name. NotAcknowledged: perhaps it is open."""

    session: str
    turn: str
    error: str
    message: str = ""


@dataclass
class Sending(Record):
    """A token event is about to be handed to `Turn.send`, `flush` or `end`.

    Args:
        number: of the token event in its turn, from 1: the id that it has in Redis. A producer that comes back sends
            the same under the same numbers.
        kind: ``text``, ``flush`` or ``end``.
        text: in full; "" for `flush` and `end`.
    """

    turn: str
    number: int
    kind: str
    text: str = ""


@dataclass
class Acknowledged(Record):
    """The producer has been told that all token events up to ``number`` are accepted. Optional."""

    turn: str
    number: int


@dataclass
class EndAcknowledged(Record):
    """`Turn.end` has returned: all token events up to ``number``, which is the `end`, are accepted."""

    turn: str
    number: int


@dataclass
class TurnLost(Record):
    """`send`, `flush` or `end` has raised: the producer writes no more to this turn. ``error`` is the class's name."""

    turn: str
    error: str
    message: str = ""


@dataclass
class Interrupting(Record):
    """An interrupt is about to be called: ``turn`` or, if that is "", all of the session.

    Args:
        call: number of the call, unique in this process.
    """

    call: int
    session: str
    turn: str = ""
    waiting_only: bool = False


@dataclass
class Interrupted(Record):
    """The interrupt ``call`` has returned, with these cuts."""

    call: int
    session: str
    cuts: list[Cut] = field(default_factory=list)


@dataclass
class InterruptFailed(Record):
    """The interrupt ``call`` has raised: it may have acted or not."""

    call: int
    session: str
    error: str
    message: str = ""


# consumers


@dataclass
class Listening(Record):
    """A consumer starts to listen.

    Args:
        consumer: its name, the same in all its lives.
        start: ``beginning``, ``live``, or the cursor that it resumes from: that of the last `Heard` that it wrote.
        steady: it is never killed nor cut off, so that it may serve as the measure of others.
    """

    consumer: str
    session: str
    start: str
    steady: bool = False


@dataclass
class Heard(Record):
    """A consumer was handed an event; written before it is counted as dealt with (before its cursor is used)."""

    consumer: str
    session: str
    event: Event


@dataclass
class Stopped(Record):
    """A consumer stops because the run is over: the harness says that every turn has ended, and the consumer was then
    quiet for as long as an entry may take to arrive. It must have heard all that there is."""

    consumer: str
    session: str


# the end of the run: what Redis and the stand-ins hold when nothing moves any more


@dataclass
class FinalTurn(Record):
    """A turn's record as `Ledger.inspect` reads it, and its token stream as it is in Redis.

    Args:
        ended_s: when it ended by Redis's clock, in terms of `at_s`; to some milliseconds. 0 if it has not.
        tokens: ``[id, kind, text]`` of each entry; the kind of what seals it is ``seal``, its text the state.
    """

    session: str
    turn: str
    number: int
    state: str
    attempt: int
    owner: str
    cause: str
    samples: int
    spoken: int
    ended_s: float
    tokens: list[list[str]]


@dataclass
class FinalEntry(Record):
    """One entry of a session's output stream, as it is in Redis; in the stream's order."""

    session: str
    event: Event


@dataclass
class FinalKey(Record):
    """A key of Redis. ``ttl_ms`` is -1 where it never expires; ``length`` is that of what it holds."""

    name: str
    type: str
    ttl_ms: int
    length: int


@dataclass
class Pending(Record):
    """A message that a worker still holds, or that nobody has taken (``worker`` is "")."""

    shard: int
    message: str
    worker: str
    turn: str


@dataclass
class DeadLetter(Record):
    """An entry of `dead`."""

    shard: int
    id: str
    turn: str
    cause: str


@dataclass
class Place(Record):
    """A place in a vendor account's quota that is still held, or waited for (``waiting``)."""

    account: str
    place: str
    waiting: bool = False


@dataclass
class VendorStreams(Record):
    """How many streams of speech a stand-in still has open."""

    vendor: str
    open: int


@dataclass
class Complete(Record):
    """All of the final state is written: evidence without this is that of a run that was broken off."""


RECORDS: dict[str, type[Record]] = {
    kind.__name__: kind
    for kind in (
        *(Run, FaultSet, FaultOver, Gone),
        *(Opening, Opened, Refused, Sending, Acknowledged, EndAcknowledged, TurnLost),
        *(Interrupting, Interrupted, InterruptFailed),
        *(Listening, Heard, Stopped),
        *(FinalTurn, FinalEntry, FinalKey, Pending, DeadLetter, Place, VendorStreams, Complete),
    )
}
_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Begin, Audio, Words, Splice, End, Gap, Unreadable)}


R = TypeVar("R", bound="Record")


class Witness:
    """Writes what one process sees, into a file of its own. A context manager.

    Args:
        folder: the run's evidence.
        name: the process's name; each life of it gets a file of its own.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        life = 1
        while True:
            try:
                self._lines = (folder / f"{name}.{life}.jsonl").open("xb", buffering=0)
                break
            except FileExistsError:
                life += 1
        self._audio = (folder / f"{name}.{life}.audio").open("xb", buffering=0)
        self._audio_bytes = 0
        self.name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lines.close()
        self._audio.close()

    def note(self, record: Record) -> None:
        """Write a record, with the present time."""
        record.at_s = time.monotonic()
        values = {item.name: self._plain(getattr(record, item.name)) for item in fields(record)}
        del values["process"]
        line = orjson.dumps({"record": type(record).__name__, **values}, option=orjson.OPT_APPEND_NEWLINE)
        self._lines.write(line)

    def _plain(self, value: object) -> Any:
        match value:
            case bytes():
                first, size = self._audio_bytes, len(value)
                self._audio.write(value)
                self._audio_bytes += size
                return {"bytes": [first, size]}
            case EntryId() | AudioFormat():
                return str(value)
            case Cut():
                return {item.name: self._plain(getattr(value, item.name)) for item in fields(value)}
            case _ if type(value).__name__ in _EVENTS:
                plain = {item.name: self._plain(getattr(value, item.name)) for item in fields(value)}  # type: ignore[arg-type]
                return {"event": type(value).__name__, **plain}
            case list() | tuple():
                return [self._plain(item) for item in value]
            case _:
                return value


_FAULT_KINDS = frozenset(FaultKind)


class _Source:
    """The two files of one process's life."""

    def __init__(self, path: Path) -> None:
        self._path, self._audio_path = path, path.with_suffix(".audio")
        self._process = path.name.rsplit(".", 2)[0]
        self._audio: mmap.mmap | None = None

    def lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Yield the lines, as they are and read, without a torn last one."""
        with self._path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.endswith(b"\n"):
                    return
                try:
                    yield raw, orjson.loads(raw)
                except ValueError as error:
                    raise ValueError(f"{self._path.name}, line {number}: {error}") from error

    def record(self, line: Mapping[str, Any]) -> Any:
        """Make a record of a line."""
        values = {name: self._value(name, value) for name, value in line.items() if name != "record"}
        record = RECORDS[line["record"]](**values)
        record.process = self._process
        return record

    def _value(self, name: str, value: Any) -> Any:
        match name, value:
            case "event", dict():
                plain: dict[str, Any] = value
                kind = _EVENTS[plain["event"]]
                return kind(**{key: self._value(key, item) for key, item in plain.items() if key != "event"})
            case _, {"bytes": [int(first), int(size)]}:
                return self._bytes(first, size)
            case "cursor" | "after" | "before", str():
                return EntryId.parse(value)
            case "format", str():
                return AudioFormat.parse(value)
            case "reason", str():
                return State(value)
            case "words", list():
                return tuple(Word(*word) for word in value)
            case "cuts", list():
                return [Cut(**{**cut, "state": State(cut["state"])}) for cut in value]
            case "kind", str() if value in _FAULT_KINDS:
                return FaultKind(value)
            case _:
                return value

    def _bytes(self, first: int, size: int) -> bytes:
        if size == 0:
            return b""
        if self._audio is None:
            with self._audio_path.open("rb") as file:
                self._audio = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._audio[first : first + size]


class Evidence:
    """The evidence of one run, read. Output events, with their audio, are read when they are asked for.

    Raises:
        ValueError: a line other than a file's last one is torn.
    """

    _HEAVY: ClassVar = frozenset({Heard.__name__, FinalEntry.__name__})

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._light: list[Record] = []
        # By session: when, whose, what, and the line, unread: read, all of them would take gigabytes.
        self._heavy: dict[str, list[tuple[float, _Source, str, bytes]]] = {}
        for path in sorted(folder.glob("*.jsonl")):
            self._read(_Source(path))
        self._light.sort(key=lambda record: record.at_s)
        for lines in self._heavy.values():
            lines.sort(key=lambda line: line[0])

    def __repr__(self) -> str:
        heavy = sum(map(len, self._heavy.values()))
        return f"<Evidence [{self.folder.name}: {len(self._light)} records, {heavy} output events]>"

    def of(self, kind: type[R]) -> list[R]:
        """Return all records of one kind, by time; not `Heard` and `FinalEntry`."""
        return [record for record in self._light if isinstance(record, kind)]

    @property
    def sessions(self) -> list[str]:
        """The sessions that anything is known of."""
        known = {getattr(record, "session", "") for record in self._light} | set(self._heavy)
        return sorted(known - {""})

    def heard(self, session: str) -> Iterator[Heard]:
        """Yield what all consumers have heard of a session, by time, with its audio."""
        yield from self._of_session(session, Heard)

    def output(self, session: str) -> list[Event]:
        """Return a session's output stream as it is in Redis at the end, with its audio."""
        return [record.event for record in self._of_session(session, FinalEntry)]

    def _of_session(self, session: str, kind: type[R]) -> Iterator[R]:
        for _, source, name, raw in self._heavy.get(session, ()):
            if name == kind.__name__:
                yield source.record(orjson.loads(raw))

    def _read(self, source: _Source) -> None:
        for raw, line in source.lines():
            if (name := line["record"]) in self._HEAVY:
                self._heavy.setdefault(line["session"], []).append((line["at_s"], source, name, raw))
            else:
                self._light.append(source.record(line))
