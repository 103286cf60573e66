"""The ledger does what its reference in plain Python does, whatever its actors do, in any order, and however often.

Producers, three workers (with all the claims that they ever had, so that most are zombies), somebody who interrupts,
players and the clock act on a real Redis and on `model.Model`. Any step may be repeated, as after a lost reply. After
each step all that is in Redis is what the model says.

``SAYSTREAM_TEST_MODEL=2000`` tries so many examples, instead of a few.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from saystream.common.errors import SaystreamError
from saystream.common.events import Text, encode_audio, encode_words
from saystream.common.ids import EntryId
from saystream.common.keys import GROUP, ShardKeys
from saystream.common.ledger import Append, Claim, Cut, Ledger, Message, Outcome, Refusal
from saystream.common.ledger.queue import Queue
from saystream.common.redis_client import Client, Command, call, call_all, connect
from saystream.common.request import OnBusy
from saystream.common.states import State
from tests.common.ledger import model
from tests.common.ledger.model import Claimed, Entry, Id, Model
from tests.common.stage import FORMAT, LONG_AGO_MS, ref, request
from tests.servers import flush

EXAMPLES = int(os.environ.get("SAYSTREAM_TEST_MODEL", "60"))
STEPS = 40
SESSIONS, WORKERS = ("a", "b"), ("w0", "w1", "w2")
#: No example lasts for so long; a turn whose time is over has its deadline set to the beginning of time.
AN_HOUR_MS = 3_600_000
LEASE_MS = 30_000
KEYS = ShardKeys(0)

#: Which one of those that there are, counted from the newest.
RECENT = st.integers(0, 5)
AGAIN = st.booleans()
#: How many workers may be lost on a turn; 0: it is not claimed now.
ATTEMPTS = st.sampled_from([2, 3, 0, 1, 2])
#: What a worker publishes: entries of so many samples (0: words), and whether a word ends with them.
Speech = list[tuple[int, bool]]
SPEECH = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=3)
SPEECHES = st.lists(SPEECH, min_size=1, max_size=3)
T = TypeVar("T")


@dataclass
class Attempt:
    """A claim in a worker's hands, and what it has published by it."""

    real: Claim
    message: model.Message
    claim: Claimed
    position: int
    cut: int
    spoken: int
    seq: int = 1


class World:
    """The Redis that all examples use, one after the other."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self.url, self._runner = url, runner
        self.redis: Client = connect(url)
        bounds = replace(Ledger(self.redis).bounds, waiting_turns=model.WAITING_TURNS)
        self.ledger = Ledger(self.redis, bounds=bounds)
        self.queues = {name: Queue(self.redis, self.redis, KEYS, name) for name in WORKERS}

    def do(self, step: Awaitable[T]) -> T:
        """Take a step."""

        async def taken() -> T:
            return await step

        return self._runner.run(taken())

    def empty(self) -> None:
        """Begin anew."""
        flush(self.url)
        self.do(self.queues["w0"].join())


class LedgerMachine(RuleBasedStateMachine):
    """Everybody who takes steps."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.model = world, Model()
        self.world.empty()
        self.taken: list[tuple[model.Message, Message]] = []
        self.attempts: list[Attempt] = []
        self.before_first: dict[str, int] = {}  # of each session: the number before its first turn's
        self.calls = 0

    # producers

    @rule(
        at=RECENT,
        session=st.sampled_from(SESSIONS),
        on_busy=st.sampled_from(["queue", "queue", "refuse", "interrupt"]),
        deadline=st.booleans(),
        which=st.sampled_from(["new", "new", "new", "known", "other"]),
        again=AGAIN,
    )
    def open(self, at: int, session: str, on_busy: OnBusy, deadline: bool, which: str, again: bool) -> None:
        """Open a new turn; or a known one again, by the same request or by another one."""
        turn = f"t{len(self.model.turns)}"
        if self.model.turns and which != "new":
            turn = self.turn(at).id
            if which == "known":
                session, on_busy, deadline = self.turn(at).asked
        asked = request(turn, session, on_busy=on_busy, start_within_ms=AN_HOUR_MS if deadline else 0)

        async def step() -> tuple[int, State, tuple[Cut, ...]]:
            opened = await self.world.ledger.open(asked)
            number = opened.number - self.before_first.setdefault(session, opened.number - 1)
            return number, opened.state, self.numbered(session, opened.cuts)

        self.same(
            f"{turn} of {session} is opened ({on_busy}{', with a deadline' if deadline else ''})",
            lambda: self.model.open(session, turn, on_busy, deadline=deadline),
            step,
            again,
        )

    @precondition(lambda self: self.model.turns)
    @rule(at=RECENT, count=st.integers(1, 3), back=st.sampled_from([0, 0, 0, 1, 2]), again=AGAIN)
    def append(self, at: int, count: int, back: int, again: bool) -> None:
        """Append the next tokens; with ``back``, some of them for the second time."""
        turn = self.turn(at)
        first = max(1, len(turn.tokens) + 1 - back)
        texts = [f"{number} " for number in range(first, first + count)]
        events = [Text(text) for text in texts]
        self.same(
            f"tokens {first} to {first + count - 1} are appended to {turn.id}",
            lambda: self.model.append(turn.id, first, texts),
            lambda: self.world.ledger.append(ref(turn.id, turn.session), first, events),
            again,
        )

    @precondition(lambda self: self.model.turns)
    @rule(at=RECENT, elsewhere=st.sampled_from([False, False, False, True]), again=AGAIN)
    def interrupt(self, at: int, elsewhere: bool, again: bool) -> None:
        """Interrupt a turn; ``elsewhere``: in a session that it does not belong to."""
        turn = self.turn(at)
        session = SESSIONS[elsewhere ^ SESSIONS.index(turn.session)]

        async def step() -> tuple[Cut, ...]:
            return self.numbered(session, await self.world.ledger.interrupt(session, turn.id))

        what = f"{turn.id} of {session} is interrupted"
        self.same(what, lambda: self.model.interrupt(session, turn.id), step, again)

    @precondition(lambda self: self.attempts)
    @rule(
        session=st.sampled_from(SESSIONS),
        back=st.sampled_from([0, 0, 1, 2, 9]),
        waiting_only=st.sampled_from([True, True, False]),
        again=AGAIN,
    )
    def interrupt_session(self, session: str, back: int, waiting_only: bool, again: bool) -> None:
        """Interrupt a session; with ``back``, by a call that was made earlier."""
        self.calls += not back
        call_id = f"call {max(1, self.calls - back)}"

        async def step() -> tuple[Cut, ...]:
            cuts = await self.world.ledger.interrupt(session, waiting_only=waiting_only, call_id=call_id)
            return self.numbered(session, cuts)

        self.same(
            f"{'what waits in ' if waiting_only else ''}{session} is interrupted by {call_id}",
            lambda: self.model.interrupt_session(session, call_id, waiting_only=waiting_only),
            step,
            again,
        )

    @precondition(lambda self: self.attempts)
    @rule(at=RECENT, sample=st.integers(0, 20), heard=st.integers(0, 10), again=AGAIN)
    def play(self, at: int, sample: int, heard: int, again: bool) -> None:
        turn = self.turn(at)
        self.same(
            f"{turn.id} is played up to sample {sample}, character {heard}",
            lambda: self.model.played(turn.session, turn.id, sample, heard),
            lambda: self.world.ledger.played(ref(turn.id, turn.session), sample, heard),
            again,
        )

    # workers

    @precondition(lambda self: len(self.model.dispatch) > len(self.model.held))
    @rule(worker=st.sampled_from(WORKERS), attempts=ATTEMPTS, entries=SPEECH)
    def take(self, worker: str, attempts: int, entries: Speech) -> None:
        """Take what is ready; and claim it and speak at once, or (0 attempts) perhaps some time later."""
        expected = self.model.take(worker)
        messages = self.world.do(self.world.queues[worker].ready(1, 0))
        note(f"{worker} takes {expected.turn if expected else 'nothing'}")
        assert [message.ref.turn for message in messages] == ([expected.turn] if expected else [])
        if expected:
            self.taken.append((expected, messages[0]))
            self._speak(worker, attempts, entries)

    @precondition(lambda self: self.model.held)
    @rule(
        at=RECENT, worker=st.sampled_from(WORKERS), attempts=ATTEMPTS, speech=st.lists(SPEECH, min_size=1, max_size=3)
    )
    def take_over(self, at: int, worker: str, attempts: int, speech: list[Speech]) -> None:
        """Let a lease run out, and a worker look for such; it goes on as in `take`. Perhaps again, and again."""
        message = list(self.model.held)[-1 - at % len(self.model.held)]
        for entries in speech:
            if message in self.model.held:
                self._take_over(message, worker, attempts, entries)

    def _take_over(self, message: model.Message, worker: str, attempts: int, entries: Speech) -> None:
        owner = self.model.held[message]
        note(f"{worker} takes {message.turn} from {owner}, who is late")
        late = ("XCLAIM", KEYS.dispatch, GROUP, owner, 0, message.id, "IDLE", LONG_AGO_MS, "JUSTID")
        self.world.do(call(self.world.redis, *late, parse_justid=True))
        [taken] = self.world.do(self.world.queues[worker].abandoned(LEASE_MS, 5))
        assert taken.id == message.id
        self.model.held[message] = worker
        self.taken.append((message, taken))
        self._speak(worker, attempts, entries)

    def _speak(self, worker: str, attempts: int, entries: Speech) -> None:
        known = len(self.attempts)
        if attempts:
            self.claim(at=0, worker=worker, attempts=attempts, again=False)
        if len(self.attempts) > known:
            self.publish(at=0, entries=entries, again=False)

    @precondition(lambda self: self.taken)
    @rule(at=RECENT, worker=st.sampled_from(WORKERS), attempts=st.integers(1, 3), again=AGAIN)
    def claim(self, at: int, worker: str, attempts: int, again: bool) -> None:
        """Claim what somebody has taken at some time."""
        message, real = self.taken[-1 - at % len(self.taken)]
        self.calls += 1
        self._claim(message, real, f"{worker}/{self.calls}", attempts, again)

    @precondition(lambda self: self.attempts)
    @rule(at=RECENT)
    def claim_again(self, at: int) -> None:
        """Repeat a claim much later."""
        attempt = self.attempt(at)
        self._claim(attempt.message, attempt.real.message, attempt.claim.owner, 3, again=False)

    def _claim(self, message: model.Message, real: Message, owner: str, attempts: int, again: bool) -> None:
        claims: list[Claim] = []

        async def step() -> Claimed | Refusal:
            claim = await self.world.ledger.claim(real, owner, attempts=attempts, format=FORMAT)
            if isinstance(claim, Refusal):
                return claim
            claims.append(claim)
            number = claim.number - self.before_first[claim.ref.session]
            in_time = None if claim.start_within_ms_left is None else claim.start_within_ms_left > 0
            return Claimed(claim.ref.turn, claim.owner, number, claim.attempt, claim.cut, claim.spoken, in_time)

        what = f"{owner} claims {message.turn}, after {attempts} lost workers at most"
        claimed = self.same(what, lambda: self.model.claim(message, owner, attempts), step, again)
        known = any((claim.turn, claim.attempt) == _attempt_of(claimed) for claim in self._claims())
        if isinstance(claimed, Claimed) and not known:
            self.attempts.append(Attempt(claims[0], message, claimed, claimed.cut, claimed.cut, claimed.spoken))

    @precondition(lambda self: self.attempts)
    @rule(at=RECENT, entries=SPEECH, again=AGAIN)
    def publish(self, at: int, entries: Speech, again: bool) -> None:
        """Publish audio of so many samples, or words (no samples), with which a word ends or not."""
        for samples, whole in entries:
            self._publish(self.attempt(at), samples, whole, again)

    def _publish(self, attempt: Attempt, samples: int, whole: bool, again: bool) -> None:
        claim, offset = attempt.claim, attempt.position
        attempt.position += samples
        if whole:
            attempt.cut, attempt.spoken = attempt.position, attempt.spoken + 2
        if samples:
            fields = encode_audio(claim.turn, offset, samples, attempt.spoken, attempt.cut, bytes(2 * samples))
        else:
            fields = encode_words(claim.turn, offset, attempt.spoken, attempt.cut, ())
        append = Append(KEYS.audio(attempt.real.ref.session), attempt.real.entry(attempt.seq), fields)
        entry, kind = Id(claim.number, claim.attempt, attempt.seq), "audio" if samples else "words"
        expected = Entry(entry, kind, claim.turn, attempt.position, attempt.cut, attempt.spoken)
        attempt.seq += 1

        async def step() -> Outcome:
            [outcome] = await self.world.ledger.publish([append])
            return outcome

        what = f"{claim.owner} publishes {kind} {entry.seq} of attempt {entry.attempt} at {claim.turn}"
        self.same(what, lambda: self.model.publish(claim, expected), step, again)

    @precondition(lambda self: self.attempts)
    @rule(
        at=RECENT,
        reason=st.sampled_from([State.DONE, State.DONE, State.FAILED, State.EXPIRED]),
        lost=st.sampled_from([0, 0, 0, 1]),
        again=AGAIN,
    )
    def finish(self, at: int, reason: State, lost: int, again: bool) -> None:
        """End a turn; ``lost`` entries before its end are not in the output, and the worker thinks that they are."""
        attempt = self.attempt(at)
        claim, given = attempt.claim, (attempt.seq + lost, reason, attempt.position, attempt.spoken)
        self.same(
            f"{claim.owner} ends attempt {claim.attempt} at {claim.turn} as {reason}",
            lambda: self.model.finish(claim, *given),
            lambda: self.world.ledger.finish(attempt.real, *given, "so it is"),
            again,
        )

    @precondition(lambda self: self.attempts)
    @rule(at=RECENT, again=AGAIN)
    def release(self, at: int, again: bool) -> None:
        attempt = self.attempt(at)
        self.same(
            f"{attempt.claim.owner} gives {attempt.claim.turn} back",
            lambda: self.model.release(attempt.claim),
            lambda: self.world.ledger.release(attempt.real),
            again,
        )

    @precondition(lambda self: self.taken)
    @rule(at=RECENT, worker=st.sampled_from(WORKERS), again=AGAIN)
    def pass_on(self, at: int, worker: str, again: bool) -> None:
        """Leave to others what somebody has taken at some time."""
        message, real = self.taken[-1 - at % len(self.taken)]

        async def step() -> None:
            assert await self.world.ledger.pass_on(real, worker)

        self.same(f"{worker} passes {message.turn} on", lambda: self.model.pass_on(message, worker), step, again)

    # the clock

    @precondition(lambda self: self.timed())
    @rule(at=RECENT)
    def time_passes(self, at: int) -> None:
        """Let the time be over in which a turn had to begin, perhaps long after it has begun."""
        turn = self.timed()[-1 - at % len(self.timed())]
        note(f"the time of {turn.id} is over")
        turn.late = True
        commands: list[Command] = [
            ("HSET", KEYS.turn(turn.id), "expires_ms", 1),
            ("ZADD", KEYS.deadlines, "XX", 1, f"{turn.session} {turn.id}"),
        ]
        self.world.do(call_all(self.world.redis, commands))

    def timed(self) -> list[model.Turn]:
        return [turn for turn in self.model.turns.values() if turn.deadline and not turn.late]

    @precondition(lambda self: any(self.model.turns[turn].late for turn in self.model.deadlines))
    @rule()
    def expire_late(self) -> None:
        ended = self.model.expire_late()
        note(f"somebody looks for turns that are late, and ends {ended}")
        assert self.world.do(self.world.ledger.expire_late(0)) == ended
        assert self.world.do(self.world.ledger.expire_late(0)) == 0

    # comparing

    def same(self, what: str, expected: Callable[[], T], step: Callable[[], Awaitable[T]], again: bool) -> T | None:
        """Take a step here and there, perhaps twice; both must answer the same. Returns the first answer."""
        answers = []
        for times in range(1 + again):
            answer, refused = _answer(expected)
            note(f"{what}{' again' if times else ''}: {refused or answer}")
            try:
                found, error = self.world.do(step()), ""
            except SaystreamError as raised:
                found, error = None, type(raised).__name__
            assert (found, error) == (answer, refused)
            answers.append(answer)
        return answers[0]

    def turn(self, at: int) -> model.Turn:
        return list(self.model.turns.values())[-1 - at % len(self.model.turns)]

    def attempt(self, at: int) -> Attempt:
        return self.attempts[-1 - at % len(self.attempts)]

    def _claims(self) -> list[Claimed]:
        return [attempt.claim for attempt in self.attempts]

    def numbered(self, session: str, cuts: tuple[Cut, ...]) -> tuple[Cut, ...]:
        """Count turns from 1."""
        return tuple(replace(cut, number=cut.number - self.before_first[session]) for cut in cuts)

    @invariant()
    def redis_holds_what_the_model_holds(self) -> None:
        self.world.do(self._compare())

    async def _compare(self) -> None:
        expected, sessions, turns = self.model, self.model.sessions, self.model.turns
        commands: list[Command] = [
            ("XRANGE", KEYS.dispatch, "-", "+"),
            ("XRANGE", KEYS.dead, "-", "+"),
            ("ZRANGE", KEYS.deadlines, 0, -1),
            ("XPENDING", KEYS.dispatch, GROUP, "-", "+", 1000),
        ]
        for name in sessions:
            commands += [("HMGET", KEYS.session(name), "speaking", "turns"), ("LRANGE", KEYS.waiting(name), 0, -1)]
            commands += [("XRANGE", KEYS.audio(name), "-", "+")]
        for turn in turns:
            commands += [("HGETALL", KEYS.turn(turn)), ("XRANGE", KEYS.tokens(turn), "-", "+")]
        found = iter(await call_all(self.world.redis, commands))  # at one moment
        self._compare_shared(expected, next(found), next(found), next(found), next(found))
        for name, session in sessions.items():
            self._compare_session(name, session, next(found), next(found), next(found))
        for one in turns.values():
            self._compare_turn(one, _fields(next(found)), next(found))

    def _compare_shared(self, expected: Model, dispatch: Any, dead: Any, late: Any, pending: Any) -> None:
        assert [_fields(flat)["turn"] for _, flat in dispatch] == [message.turn for message in expected.dispatch]
        for (entry_id, _), message in zip(dispatch, expected.dispatch, strict=True):
            message.id = message.id or entry_id.decode()
            assert message.id == entry_id.decode()
        held = {message.decode(): worker.decode() for message, worker, *_ in pending}
        assert held == {message.id: worker for message, worker in expected.held.items()}
        assert [_fields(flat)["turn"] for _, flat in dead] == expected.dead
        assert {member.decode().split(" ")[1] for member in late} == expected.deadlines

    def _compare_session(self, name: str, session: model.Session, record: Any, waiting: Any, output: Any) -> None:
        speaking, turns = record
        assert (speaking or b"").decode() == session.speaking
        assert int(turns) - self.before_first[name] == session.turns
        assert [turn.decode() for turn in waiting] == session.waiting
        assert [self._entry(name, entry_id, _fields(flat)) for entry_id, flat in output] == session.output

    def _entry(self, session: str, entry_id: bytes, fields: dict[str, str]) -> Entry:
        entry, kind, spoken = EntryId.parse(entry_id), fields["type"], int(fields.get("spoken", 0))
        at = Id(entry.number - self.before_first[session], entry.attempt, entry.seq)
        position = int(fields.get("offset", 0)) + int(fields.get("samples", 0))
        return Entry(at, kind, fields["turn"], position, int(fields.get("cut", 0)), spoken, fields.get("reason", ""))

    def _compare_turn(self, turn: model.Turn, found: dict[str, str], tokens: Any) -> None:
        assert (found["state"], int(found["attempt"]), found["owner"]) == (turn.state, turn.attempt, turn.owner)
        assert (int(found["lost"]), int(found["progress"])) == (turn.lost, turn.progress)
        assert (int(found["samples"]), int(found["spoken"])) == (turn.samples, turn.spoken)
        assert found["message"] == (turn.message.id if turn.message else "")
        assert int(found["number"]) - self.before_first[turn.session] == turn.number
        assert (found.get("played"), found.get("heard")) == (_text(turn.played), _text(turn.heard))
        entries = [(entry_id.decode(), _fields(flat)) for entry_id, flat in tokens]
        seal = [entries.pop()[1]] if turn.ended else []
        assert seal == ([{"seal": turn.state}] if turn.ended else [])
        assert entries == [(f"{number}-0", {"text": text}) for number, text in enumerate(turn.tokens, 1)]


def _answer(step: Callable[[], T]) -> tuple[T | None, str]:
    try:
        return step(), ""
    except SaystreamError as error:
        return None, type(error).__name__


def _attempt_of(claimed: Claimed | Refusal | None) -> tuple[str, int] | None:
    return (claimed.turn, claimed.attempt) if isinstance(claimed, Claimed) else None


def _fields(flat: Any) -> dict[str, str]:
    """Read a hash or an entry's fields, in whatever shape redis-py gives them."""
    pairs = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
    return {name.decode(): value.decode(errors="replace") for name, value in pairs}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def test_the_ledger_does_what_the_model_does(redis_url: str) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    phases = [phase for phase in Phase if phase is not Phase.explain]  # it takes long, and says nothing of Redis
    chosen = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=checks, phases=phases)
    with asyncio.Runner() as runner:
        world = World(runner, redis_url)
        try:
            run_state_machine_as_test(partial(LedgerMachine, world), settings=chosen)  # type: ignore[arg-type]
        finally:
            world.do(world.redis.aclose())
