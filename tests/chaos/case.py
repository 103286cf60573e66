"""The case to be judged: evidence put in order, by session and turn."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from saystream.common.events import Audio, Begin, End, OutputEvent, Splice, Words
from saystream.consumer import Event, Gap
from tests.chaos.evidence import (
    Acknowledged,
    EndAcknowledged,
    Evidence,
    FaultKind,
    FaultOver,
    FaultSet,
    FinalTurn,
    Heard,
    Interrupted,
    InterruptFailed,
    Interrupting,
    Listening,
    Opened,
    Opening,
    Record,
    Refused,
    Run,
    Sending,
    Stopped,
    TurnLost,
)

FOREVER_S = float("inf")


class Promise(IntEnum):
    """The promises of the design, by their numbers there."""

    WORDS = 1  # every word once, in order
    SILENCE = 2  # silence means silence
    ORDER = 3  # one turn at a time
    RETRY = 4  # a retry is harmless
    RESUME = 5  # resume anywhere
    NOTHING_WAITS = 6  # nothing waits for a dead worker
    BOUNDED = 7  # a stuck part is bounded


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept."""

    promise: Promise
    session: str
    turn: str
    sentence: str

    def __str__(self) -> str:
        where = " ".join(part for part in (self.session, self.turn) if part)
        return f"promise {self.promise.value} ({self.promise.name.lower()}) [{where}]: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and how long it lasted."""

    kind: FaultKind
    target: str
    detail: str
    at_s: float
    over_s: float

    def __str__(self) -> str:
        return f"{self.kind} {self.target} {self.detail}".strip() + f" at {self.at_s:.3f}"


@dataclass
class Turn:
    """All that is known of one turn.

    Attributes:
        sent: what a producer has handed over, by number: kind and text.
        acknowledged: up to which number a producer was told that it is accepted.
        final: its record in Redis at the end; None if there is none.
    """

    session: str
    id: str
    openings: list[Opening] = field(default_factory=list)
    opened: list[Opened] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    sent: dict[int, tuple[str, str]] = field(default_factory=dict)
    changed: list[int] = field(default_factory=list)  # numbers under which different things were sent
    acknowledged: int = 0
    lost: list[TurnLost] = field(default_factory=list)
    final: FinalTurn | None = None

    @property
    def state(self) -> str:
        return self.final.state if self.final else "not opened"

    @property
    def text(self) -> str:
        """The turn's text as Redis has it: what is to be spoken."""
        return "".join(text for _, kind, text in self.final.tokens if kind == "text") if self.final else ""

    @property
    def number(self) -> int | None:
        if self.final:
            return self.final.number
        return self.opened[0].number if self.opened else None

    @property
    def since_s(self) -> float:
        return min((opening.at_s for opening in self.openings), default=0.0)


@dataclass
class Life:
    """What a consumer has heard between one start and the next."""

    listening: Listening
    heard: list[Heard] = field(default_factory=list)


@dataclass
class Consumer:
    """One consumer of one session, in all its lives."""

    name: str
    steady: bool
    lives: list[Life] = field(default_factory=list)
    stopped: bool = False

    @property
    def heard(self) -> list[Heard]:
        return [heard for life in self.lives for heard in life.heard]

    @property
    def entries(self) -> list[Heard]:
        """What stands in the stream, too: no gaps, and no copies that were made for who joins in the middle."""
        return [heard for life in self.lives for heard in _entries(life)]

    def life_at(self, at_s: float) -> Life:
        """Return the life that was led at a time."""
        return next((life for life in reversed(self.lives) if life.listening.at_s <= at_s), self.lives[0])

    @property
    def from_beginning(self) -> bool:
        return bool(self.lives) and self.lives[0].listening.start == "beginning"


def _entries(life: Life) -> Iterator[Heard]:
    for place, heard in enumerate(life.heard):
        event = heard.event
        if isinstance(event, Gap):
            continue
        if place == 0 and life.listening.start == "live" and isinstance(event, Begin) and event.cursor.seq:
            continue
        yield heard


@dataclass
class Session:
    """One session: its turns by id, in the order of their numbers; its consumers; its output as it is in Redis."""

    id: str
    turns: dict[str, Turn] = field(default_factory=dict)
    consumers: dict[str, Consumer] = field(default_factory=dict)
    output: list[Event] = field(default_factory=list)
    interrupting: list[Interrupting] = field(default_factory=list)
    interrupted: list[Interrupted] = field(default_factory=list)
    interrupts_failed: list[InterruptFailed] = field(default_factory=list)

    def lines(self) -> Iterator[tuple[str, list[Event]]]:
        """Yield each view of the session's output from its beginning: Redis's, then those of consumers, with gaps."""
        yield "Redis", self.output
        for consumer in self.consumers.values():
            if consumer.from_beginning:
                yield f"consumer {consumer.name}", [heard.event for heard in consumer.heard]


@dataclass
class Case:
    """What all of the run has in common; sessions are made one at a time, because of their audio."""

    evidence: Evidence
    run: Run
    faults: list[Fault]

    @classmethod
    def of(cls, evidence: Evidence) -> "Case":
        [run] = evidence.of(Run)
        over = {record.fault: record.at_s for record in evidence.of(FaultOver)}
        faults = [
            Fault(fault.kind, fault.target, fault.detail, fault.at_s, over.get(fault.fault, _lasts(fault)))
            for fault in evidence.of(FaultSet)
        ]
        return cls(evidence, run, faults)

    def sessions(self) -> Iterator[Session]:
        light = _by_session(self.evidence)
        for name in self.evidence.sessions:
            session = Session(name, output=self.evidence.output(name))
            for record in light.get(name, ()):
                _enter(session, record)
            for heard in self.evidence.heard(name):
                session.consumers[heard.consumer].life_at(heard.at_s).heard.append(heard)
            session.turns = dict(sorted(session.turns.items(), key=lambda item: item[1].number or 0))
            yield session

    def any_fault(self, since_s: float, until_s: float, *kinds: FaultKind) -> bool:
        """Tell whether a fault (of some kinds) was there at some time in between."""
        return any(
            fault.at_s <= until_s and fault.over_s >= since_s
            for fault in self.faults
            if not kinds or fault.kind in kinds
        )


#: What lasts for as long as nobody says that it is over. The others are moments.
_LASTING = frozenset(
    {
        FaultKind.WORKER_FROZEN,
        FaultKind.WORKER_CUT_OFF,
        FaultKind.PRODUCER_CUT_OFF,
        FaultKind.CONSUMER_CUT_OFF,
        FaultKind.REDIS_SLOW,
        FaultKind.VENDOR,
    }
)


def _lasts(fault: FaultSet) -> float:
    return FOREVER_S if fault.kind in _LASTING else fault.at_s


def _by_session(evidence: Evidence) -> dict[str, list[Record]]:
    session_of = {record.turn: record.session for record in evidence.of(Opening)}
    light: dict[str, list[Record]] = {}
    for record in evidence.of(Record):
        session = getattr(record, "session", "") or session_of.get(getattr(record, "turn", ""), "")
        light.setdefault(session, []).append(record)
    return light


def _enter(session: Session, record: Record) -> None:
    match record:
        case Interrupting():
            session.interrupting.append(record)
        case Interrupted():
            session.interrupted.append(record)
        case InterruptFailed():
            session.interrupts_failed.append(record)
        case Listening():
            consumer = session.consumers.setdefault(record.consumer, Consumer(record.consumer, record.steady))
            consumer.lives.append(Life(record))
        case Stopped():
            session.consumers[record.consumer].stopped = True
        case _ if turn := getattr(record, "turn", ""):
            _enter_turn(session.turns.setdefault(turn, Turn(session.id, turn)), record)


def _enter_turn(turn: Turn, record: Record) -> None:
    match record:
        case Opening():
            turn.openings.append(record)
        case Opened():
            turn.opened.append(record)
        case Refused():
            turn.refused.append(record)
        case Sending(number=number, kind=kind, text=text):
            if turn.sent.setdefault(number, (kind, text)) != (kind, text):
                turn.changed.append(number)
        case Acknowledged(number=number) | EndAcknowledged(number=number):
            turn.acknowledged = max(turn.acknowledged, number)
        case TurnLost():
            turn.lost.append(record)
        case FinalTurn():
            turn.final = record


def of_turn(line: list[Event], turn: str) -> list[OutputEvent]:
    """Return a turn's entries in a line."""
    return [event for event in line if isinstance(event, Begin | Audio | Words | Splice | End) and event.turn == turn]
