"""The ledger as a reference in plain Python: what each step does and answers, with no Redis and no clock."""

from dataclasses import dataclass, field
from typing import NamedTuple

from saystream.common.errors import (
    AudioLost,
    Fenced,
    SessionBusy,
    TurnConflict,
    TurnEnded,
    TurnFailed,
    TurnInterrupted,
    UnknownTurn,
)
from saystream.common.ids import FENCE
from saystream.common.ledger import Cut, Outcome, Refusal
from saystream.common.request import OnBusy
from saystream.common.states import FINAL, NEXT, State

WAITING_TURNS = 2
#: So many interrupts of a session are remembered.
ANSWERED = 8
_ENDED: dict[State, type[TurnEnded]] = {State.INTERRUPTED: TurnInterrupted, State.FAILED: TurnFailed}


class Id(NamedTuple):
    """An output entry: attempt ``attempt`` of the session's turn ``number``, counted from 1."""

    number: int
    attempt: int
    seq: int


@dataclass(frozen=True)
class Entry:
    """An output entry: how far the turn has come with it."""

    id: Id
    kind: str
    turn: str
    position: int = 0
    cut: int = 0
    spoken: int = 0
    detail: str = ""  # the reason of an end


@dataclass(eq=False)
class Message:
    """An entry of dispatch; its id is Redis's matter."""

    turn: str
    id: str = ""


@dataclass
class Turn:
    """A turn's record."""

    id: str
    session: str
    number: int
    asked: tuple[str, OnBusy, bool]  # the request: session, on_busy, whether there is a deadline
    state: State
    cuts: tuple[Cut, ...]
    deadline: bool = False  # it has to start in time
    late: bool = False
    attempt: int = 0
    owner: str = ""
    lost: int = 0
    progress: int = 0
    begun: bool = False
    message: Message | None = None
    samples: int = 0
    spoken: int = 0
    played: int | None = None
    heard: int | None = None
    tokens: list[str] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.state in FINAL


@dataclass
class Session:
    """A session's line."""

    speaking: str = ""
    waiting: list[str] = field(default_factory=list)
    turns: int = 0
    output: list[Entry] = field(default_factory=list)
    answered: dict[str, tuple[Cut, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Claimed:
    """What a claim gives."""

    turn: str
    owner: str
    number: int
    attempt: int
    cut: int
    spoken: int
    in_time: bool | None  # None: there is no deadline any more


@dataclass
class Model:
    """All sessions, and what the workers share."""

    sessions: dict[str, Session] = field(default_factory=dict)
    turns: dict[str, Turn] = field(default_factory=dict)
    dispatch: list[Message] = field(default_factory=list)
    held: dict[Message, str] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    deadlines: set[str] = field(default_factory=set)

    # producers

    def open(self, session: str, turn: str, on_busy: OnBusy, *, deadline: bool) -> tuple[int, State, tuple[Cut, ...]]:
        if known := self.turns.get(turn):
            if known.asked != (session, on_busy, deadline):
                raise TurnConflict(turn)
            return known.number, known.state, known.cuts
        line = self.sessions.get(session, Session())
        cuts: tuple[Cut, ...] = ()
        if line.speaking and on_busy == "refuse":
            raise SessionBusy(turn)
        if line.speaking and on_busy == "interrupt":
            cuts = self._interrupt_session(line, waiting_only=False)
        elif line.speaking and sum(self.turns[one].state is State.WAITING for one in line.waiting) >= WAITING_TURNS:
            raise SessionBusy(turn)
        self.sessions[session] = line
        line.turns += 1
        asked, state = (session, on_busy, deadline), State.WAITING if line.speaking else State.READY
        opened = Turn(turn, session, line.turns, asked, state, cuts, deadline)
        self.turns[turn] = opened
        if deadline:
            self.deadlines.add(turn)
        if line.speaking:
            line.waiting.append(turn)
        else:
            line.speaking = turn
            self._dispatch(opened)
        return opened.number, opened.state, cuts

    def append(self, turn: str, first: int, texts: list[str]) -> None:
        tokens = self.turns[turn].tokens
        if self.turns[turn].ended and tokens[first - 1 : first - 1 + len(texts)] != texts:
            raise _ENDED.get(self.turns[turn].state, TurnEnded)(turn)
        tokens[first - 1 : first - 1 + len(texts)] = texts

    def interrupt(self, session: str, turn: str) -> tuple[Cut, ...]:
        one = self.turns.get(turn)
        if one is None or one.session != session:
            raise UnknownTurn(turn)
        if one.ended:
            return (self._cut(one),)
        waited = one.state is State.WAITING
        self._end_early(one, State.INTERRUPTED)
        if not waited:
            self._advance(self.sessions[session])
        return (self._cut(one),)

    def interrupt_session(self, session: str, call: str, *, waiting_only: bool) -> tuple[Cut, ...]:
        line = self.sessions.get(session)
        if line is None:
            return ()
        if call not in line.answered:
            line.answered[call] = self._interrupt_session(line, waiting_only=waiting_only)
            for old in list(line.answered)[:-ANSWERED]:
                del line.answered[old]
        return line.answered[call]

    def played(self, session: str, turn: str, sample: int, heard: int) -> None:
        one = self.turns.get(turn)
        if one is None or one.session != session:
            raise UnknownTurn(turn)
        one.played, one.heard = max(sample, one.played or 0), max(heard, one.heard or 0)

    # workers

    def take(self, worker: str) -> Message | None:
        for message in self.dispatch:
            if message not in self.held:
                self.held[message] = worker
                return message
        return None

    def claim(self, message: Message, owner: str, attempts: int) -> Claimed | Refusal:
        turn = self.turns[message.turn]
        line = self.sessions[turn.session]
        if turn.ended or turn.message is not message:
            self._acknowledge(message)
            return Refusal.ENDED
        _, cut, spoken, last_attempt = self._published(turn)
        if turn.state is State.SPEAKING and turn.owner == owner:
            return Claimed(turn.id, owner, turn.number, turn.attempt, cut, spoken, self._in_time(turn))
        speaker, claimer = (name.split("/")[0] for name in (turn.owner, owner))
        if turn.state is State.SPEAKING and self.held.get(message) == speaker != claimer:
            return Refusal.ELSEWHERE
        if self._is_late(turn):
            self._cut_off(turn, State.EXPIRED)
            self._advance(line)
            return Refusal.EXPIRED
        lost = turn.lost
        if turn.state is State.SPEAKING:
            lost = 1 if cut > turn.progress else lost + 1
        if lost >= attempts:
            self._cut_off(turn, State.FAILED)
            self.dead.append(turn.id)
            self._advance(line)
            return Refusal.EXHAUSTED
        turn.attempt = max(turn.attempt, last_attempt) + 1
        entry = Id(turn.number, turn.attempt, 0)
        if turn.begun:
            line.output.append(Entry(entry, "splice", turn.id, cut, cut, spoken))
        else:
            line.output.append(Entry(entry, "begin", turn.id))
        self._set(turn, State.SPEAKING)
        turn.lost, turn.progress, turn.owner, turn.begun = lost, cut, owner, True
        self.deadlines.discard(turn.id)
        return Claimed(turn.id, owner, turn.number, turn.attempt, cut, spoken, self._in_time(turn))

    def publish(self, claim: Claimed, entry: Entry) -> Outcome:
        output = self.sessions[self.turns[claim.turn].session].output
        if entry.id > output[-1].id:
            output.append(entry)
            return Outcome.APPENDED
        return Outcome.REPEATED if any(one.id == entry.id for one in output) else Outcome.FENCED

    def finish(self, claim: Claimed, seq: int, reason: State, samples: int, spoken: int) -> None:
        turn = self.turns[claim.turn]
        line = self.sessions[turn.session]
        if (turn.attempt, turn.owner) != (claim.attempt, claim.owner):
            raise Fenced(turn.id)
        if turn.ended:
            if turn.state is not reason:
                raise Fenced(turn.id)
            return
        if turn.state is not State.SPEAKING:
            raise Fenced(turn.id)
        if line.output[-1].id != Id(turn.number, turn.attempt, seq - 1):
            raise AudioLost(turn.id)
        line.output.append(Entry(Id(turn.number, turn.attempt, seq), "end", turn.id, samples, 0, spoken, reason))
        self._close(turn, reason, samples, spoken)
        if reason is State.FAILED:
            self.dead.append(turn.id)
        self._advance(line)

    def release(self, claim: Claimed) -> None:
        turn = self.turns[claim.turn]
        if (turn.attempt, turn.owner) != (claim.attempt, claim.owner) or turn.ended:
            raise Fenced(turn.id)
        if turn.state is State.READY:
            return
        self._set(turn, State.READY)
        self._acknowledge(turn.message)
        self._dispatch(turn)

    def pass_on(self, message: Message, worker: str) -> None:
        turn = self.turns[message.turn]
        if self.held.get(message) != worker:
            return
        self._acknowledge(message)
        if turn.message is message and not turn.ended:
            self._dispatch(turn)

    def expire_late(self) -> int:
        ended = 0
        late = sorted((self.turns[one].session, one) for one in self.deadlines if self.turns[one].late)
        for session, one in late:
            turn = self.turns[one]
            if turn.ended or turn.attempt:
                self.deadlines.discard(one)
                continue
            waited = turn.state is State.WAITING
            self._end_early(turn, State.EXPIRED)
            if not waited:
                self._advance(self.sessions[session])
            ended += 1
        return ended

    # what the steps have in common

    def _published(self, turn: Turn) -> tuple[int, int, int, int]:
        output = self.sessions[turn.session].output
        if not output or output[-1].id.number != turn.number:
            return 0, 0, 0, 0
        last = output[-1]
        return last.position, last.cut, last.spoken, last.id.attempt

    def _is_late(self, turn: Turn) -> bool:
        return turn.late and not turn.attempt

    def _in_time(self, turn: Turn) -> bool | None:
        return not turn.late if turn.deadline and turn.attempt == 1 else None

    def _set(self, turn: Turn, state: State) -> None:
        assert state in NEXT[turn.state], f"{turn.id} cannot go from {turn.state} to {state}"
        turn.state = state

    def _dispatch(self, turn: Turn) -> None:
        turn.message = Message(turn.id)
        self.dispatch.append(turn.message)

    def _acknowledge(self, message: Message | None) -> None:
        if message in self.dispatch:
            self.dispatch.remove(message)
            self.held.pop(message, None)

    def _close(self, turn: Turn, reason: State, samples: int, spoken: int) -> None:
        self._set(turn, reason)
        turn.samples, turn.spoken = samples, spoken
        self._acknowledge(turn.message)
        turn.message = None
        self.deadlines.discard(turn.id)

    def _cut_off(self, turn: Turn, reason: State) -> None:
        position, _, spoken, _ = self._published(turn)
        fence = Id(turn.number, FENCE, 0)
        self.sessions[turn.session].output.append(Entry(fence, "end", turn.id, position, 0, spoken, reason))
        self._close(turn, reason, position, spoken)

    def _end_early(self, turn: Turn, reason: State) -> None:
        if turn.state is State.WAITING:
            self._close(turn, reason, 0, 0)
        else:
            self._cut_off(turn, reason)

    def _cut(self, turn: Turn) -> Cut:
        played = None if turn.played is None else min(turn.samples, turn.played)
        heard = None if turn.heard is None else min(turn.spoken, turn.heard)
        return Cut(turn.id, turn.number, turn.samples, turn.spoken, turn.state, played, heard)

    def _advance(self, line: Session) -> None:
        line.speaking = ""
        while line.waiting:
            turn = self.turns[line.waiting.pop(0)]
            if turn.ended:
                fence = Id(turn.number, FENCE, 0)
                line.output.append(Entry(fence, "end", turn.id, 0, 0, 0, turn.state))
            elif self._is_late(turn):
                self._cut_off(turn, State.EXPIRED)
            else:
                line.speaking = turn.id
                self._set(turn, State.READY)
                self._dispatch(turn)
                return

    def _interrupt_session(self, line: Session, *, waiting_only: bool) -> tuple[Cut, ...]:
        cuts = []
        for one in [*([line.speaking] if line.speaking and not waiting_only else []), *line.waiting]:
            if not self.turns[one].ended:
                self._end_early(self.turns[one], State.INTERRUPTED)
                cuts.append(self._cut(self.turns[one]))
        if not waiting_only:
            self._advance(line)
        return tuple(cuts)
