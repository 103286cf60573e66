"""Whatever order steps come in, and though each is repeated: what must always hold, holds."""

import random
from collections.abc import Awaitable, Callable
from itertools import groupby

import pytest

from saystream.common.errors import TurnError
from saystream.common.events import End
from saystream.common.ids import EntryId
from saystream.common.keys import ShardKeys
from saystream.common.ledger import Claim, Message, Opened
from saystream.common.redis_client import call
from saystream.common.request import OnBusy
from saystream.common.states import FINAL, State
from tests.common.stage import FORMAT, LONG_AGO_MS, Stage, ref

SESSIONS = ("a", "b")
STEPS = 80
#: So little that turns are trimmed again and again.
BOUNDS = {"output_bytes": 300, "held_ms": 0, "held_bytes": 4000, "ready_turns": 4}
ON_BUSY: list[OnBusy] = ["queue", "queue", "queue", "interrupt", "refuse"]


class Walk:
    """A random walk over the ledger's steps, by workers and producers that are late, wrong and repeat themselves."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage, self.random = stage, random.Random(seed)
        self.turns: list[tuple[str, str]] = []  # turn, session
        self.numbers: dict[str, int] = {}
        self.messages: list[Message] = []
        self.claims: list[Claim] = []
        self.seqs: dict[EntryId, int] = {}  # by the attempt's first entry

    async def twice(self, step: Callable[[], Awaitable[object]]) -> object:
        """Take a step, and again as after a lost reply; the repeat changes nothing."""
        answers: list[object] = []
        for _ in range(2):
            try:
                answers.append(await step())
            except TurnError as refusal:
                answers.append(refusal)
            if len(answers) == 1:
                before = await self.stage.dump()
        assert await self.stage.dump() == before
        return answers[0]

    async def open(self) -> None:
        turn, session = f"t{len(self.turns)}", self.random.choice(SESSIONS)
        on_busy = self.random.choice(ON_BUSY)
        start_within_ms = self.random.choice((0, 0, 3_600_000))
        answer = await self.twice(
            lambda: self.stage.open(turn, session, on_busy, BOUNDS, start_within_ms=start_within_ms)
        )
        if isinstance(answer, Opened):
            self.turns.append((turn, session))
            self.numbers[turn] = answer.number

    async def take(self) -> None:
        self.messages += await self.random.choice((self.stage.queue, self.stage.other)).ready(1, 1)

    async def take_over(self) -> None:
        if pending := await self.stage.pending():
            chosen = self.random.choice(list(pending))
            message = next(message for message in self.messages if message.id == chosen)
            await self.stage.fall_silent(message, worker=pending[message.id])
            self.messages += await self.stage.other.abandoned(LONG_AGO_MS, 1)

    async def claim(self) -> None:
        if self.messages:
            message = self.random.choice(self.messages[-3:])
            owner = f"w/{self.random.random()}"
            answer = await self.twice(
                lambda: self.stage.ledger.claim(message, owner, attempts=3, format=FORMAT),
            )
            if isinstance(answer, Claim):
                self.claims.append(answer)

    async def say(self) -> None:
        if self.claims:
            claim = self.random.choice(self.claims[-3:])
            seq = self.seqs[claim.entry(0)] = self.seqs.get(claim.entry(0), 0) + 1
            await self.twice(lambda: self.stage.say(claim, seq, offset=claim.cut + seq * 10, spoken=claim.spoken + seq))

    async def finish(self) -> None:
        if self.claims:
            claim = self.random.choice(self.claims[-3:])
            reason = self.random.choice((State.DONE, State.DONE, State.FAILED))
            seq = self.seqs.get(claim.entry(0), 0) + 1
            await self.twice(lambda: self.stage.ledger.finish(claim, seq, reason, 7, 7))

    async def release(self) -> None:
        if self.claims:
            claim = self.random.choice(self.claims[-3:])
            await self.twice(lambda: self.stage.ledger.release(claim))

    async def append(self) -> None:
        if self.turns:
            turn, session = self.random.choice(self.turns[-6:])
            number = len(await self.stage.tokens(turn, session)) + 1
            await self.twice(lambda: self.stage.append(turn, number, "word ", session=session))

    async def interrupt(self) -> None:
        if self.turns:
            turn, session = self.random.choice(self.turns[-6:])
            await self.twice(lambda: self.stage.ledger.interrupt(session, turn))

    async def interrupt_session(self) -> None:
        session, waiting_only = self.random.choice(SESSIONS), self.random.random() < 0.5
        call_id = f"call {self.random.random()}"
        await self.twice(lambda: self.stage.ledger.interrupt(session, waiting_only=waiting_only, call_id=call_id))

    async def played(self) -> None:
        if self.turns:
            turn, session = self.random.choice(self.turns[-6:])
            sample, heard = self.random.randrange(100), self.random.randrange(20)
            await self.twice(lambda: self.stage.ledger.played(ref(turn, session), sample, heard))
            seen = await self.stage.ledger.heard(ref(turn, session))
            assert (seen.played or 0) <= seen.samples
            assert (seen.heard or 0) <= seen.spoken

    async def report_cursor(self) -> None:
        session = self.random.choice(SESSIONS)
        for entry in (await self.stage.output(session))[:1]:
            await self.stage.ledger.report_cursor(session, "phone", entry.cursor)

    async def expire(self) -> None:
        deadlines = self.stage.keys().deadlines
        waiting = await call(self.stage.redis, "ZRANGE", deadlines, 0, -1)
        if waiting:
            late = self.random.choice(waiting).decode()
            turn = late.split(" ")[1]
            assert await self.stage.state(turn) in (State.WAITING, State.READY), "only who has not begun has a deadline"
            await call(self.stage.redis, "HSET", self.stage.keys().turn(turn), "expires_ms", 1)
            await call(self.stage.redis, "ZADD", deadlines, 1, late)
            await self.twice(lambda: self.stage.ledger.expire_late(0))
            assert await self.stage.state(turn) is State.EXPIRED

    async def go(self, steps: int) -> None:
        weights: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.open, 8), (self.take, 8), (self.claim, 8), (self.say, 8), (self.finish, 6), (self.release, 2),
            (self.append, 3), (self.interrupt, 1), (self.interrupt_session, 1), (self.take_over, 2),
            (self.played, 2), (self.report_cursor, 1), (self.expire, 1),
        ]  # fmt: skip
        steps_to_choose, how_often = zip(*weights, strict=True)
        for step in self.random.choices(steps_to_choose, how_often, k=steps):
            await step()
            await self.check()

    async def check(self) -> None:
        states = {turn: await self.stage.state(turn) for turn, _ in self.turns}
        for session in SESSIONS:
            await self.check_session(session, {turn: states[turn] for turn, where in self.turns if where == session})
        speaking = sorted(turn for turn, state in states.items() if state in (State.READY, State.SPEAKING))
        dispatched = await self.stage.dispatched()
        assert sorted(dispatched.values()) == speaking
        assert set(await self.stage.pending()) <= set(dispatched)

    async def check_session(self, session: str, states: dict[str, State]) -> None:
        keys = ShardKeys(0)
        speaking = await call(self.stage.redis, "HGET", keys.session(session), "speaking")
        busy = [turn for turn, state in states.items() if state in (State.READY, State.SPEAKING)]
        assert busy == ([speaking.decode()] if speaking else []), "one turn at a time"
        waiting = [turn for turn, state in states.items() if state is State.WAITING]
        if waiting:
            assert busy, "somebody waits for nobody"
            assert list(states).index(busy[0]) < list(states).index(waiting[0]), "in the order of opening"

        output = await self.stage.output(session)
        spoken = [turn for turn, _ in groupby(event.turn for event in output)]
        assert spoken == [turn for turn in states if turn in spoken], "in order, and never mixed"
        ends = [event for event in output if isinstance(event, End)]
        assert len({end.turn for end in ends}) == len(ends), "one end for each turn"
        for end in ends:
            assert states[end.turn] is end.reason
        if output:
            first = output[0].cursor
            assert isinstance(output[0], End) or first.seq == 0, "trimmed by whole turns"
        for turn, state in states.items():
            sealed = await self.stage.seal(turn, session)
            assert sealed is (state if state in FINAL else None)
            trimmed = bool(output) and self.numbers[turn] < first.number
            if state in FINAL and (not busy or list(states).index(turn) < list(states).index(busy[0])) and not trimmed:
                assert any(end.turn == turn for end in ends), "an ended turn that nothing speaks before has its end"

    async def end(self) -> None:
        for session in SESSIONS:
            await self.stage.ledger.interrupt(session)
        await self.check()
        assert (await self.stage.dispatched(), await self.stage.pending()) == ({}, {})
        assert {await self.stage.state(turn) for turn, _ in self.turns} <= FINAL


@pytest.mark.parametrize("seed", range(6))
async def test_a_walk_keeps_order_silence_and_the_books(stage: Stage, seed: int) -> None:
    walk = Walk(stage, seed)
    await walk.go(STEPS)
    await walk.end()
