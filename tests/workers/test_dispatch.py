"""How a worker comes by its turns."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import cast

from saystream.common.errors import RedisUnavailable
from saystream.common.ids import TurnRef, session_id, turn_id
from saystream.common.ledger import Message
from saystream.common.ledger.queue import Queue
from saystream.workers.dispatch import Dispatch
from saystream.workers.slots import Slots
from tests.timing import MS, eventually

LEASE_S = 100 * MS
TURN = Message(0, "1-0", TurnRef(session_id("s"), turn_id("t")), "narrator")


class Shard:
    """A dispatch stream that answers as it is told.

    Attributes:
        answers: to questions for ready turns, each with the seconds that it takes.
        answered_at: when it last did, on the monotonic clock.
        looked_at: when lost workers' turns were looked for.
    """

    def __init__(self, *answers: tuple[float, list[Message] | Exception]) -> None:
        self.answers = list(answers)
        self.answered_at = 0.0
        self.looked_at: list[float] = []

    async def abandoned(self, lease_ms: int, count: int) -> list[Message]:
        self.looked_at.append(time.monotonic())
        return []

    async def ready(self, count: int, block_ms: int) -> list[Message]:
        if not self.answers:
            await asyncio.sleep(block_ms / 1000)
            return []
        after_s, answer = self.answers.pop(0)
        await asyncio.sleep(after_s)
        self.answered_at = time.monotonic()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Taker:
    """A worker with two slots, and what it has done with turns."""

    def __init__(self, shard: Shard) -> None:
        self.slots = Slots(2)
        self.taken: list[Message] = []
        self.passed_on: list[Message] = []
        self.well = [True]
        self._dispatch = Dispatch(
            cast(Queue, shard), self.slots, 2, LEASE_S, self._unwell, self.taken.append, self._pass_on
        )

    async def __aenter__(self) -> "Taker":
        self._task = asyncio.create_task(self._dispatch.run())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _unwell(self) -> bool:
        return not (self.well.pop(0) if len(self.well) > 1 else self.well[0])

    async def _pass_on(self, messages: Sequence[Message]) -> None:
        self.passed_on += messages


async def test_a_turn_that_was_long_on_its_way_is_left_to_others() -> None:
    """Its lease may have ended before it came: somebody else may speak it by now."""
    shard = Shard((1.5 * LEASE_S, [TURN]), (0.0, [TURN]))
    async with Taker(shard) as taker:
        await eventually(lambda: taker.taken)
        assert taker.taken == [TURN], "only the one that came in time"
        assert shard.answers == []
        assert await taker.slots.reserve(2) == 1


async def test_lost_workers_turns_are_looked_for_every_half_lease() -> None:
    shard = Shard()
    async with Taker(shard):
        await eventually(lambda: len(shard.looked_at) > 5)
    gaps_s = [after - before for before, after in itertools.pairwise(shard.looked_at)]
    assert 0.4 * LEASE_S <= min(gaps_s) <= 0.6 * LEASE_S


async def test_a_server_that_is_away_is_asked_again_and_holds_no_slots() -> None:
    async with Taker(Shard((0.0, RedisUnavailable()), (0.0, [TURN]))) as taker:
        await eventually(lambda: taker.taken)
    assert await taker.slots.reserve(2) == 1


async def test_turns_that_come_when_the_vendor_is_found_unwell_are_passed_on() -> None:
    taker = Taker(Shard((0.0, [TURN])))
    taker.well = [True, False, True]
    async with taker:
        await eventually(lambda: taker.passed_on)
    assert taker.taken == []


async def test_after_an_answer_that_was_long_on_its_way_lost_workers_turns_are_looked_for_a_lease_later() -> None:
    """This process was frozen, or Redis was: all leases look as if they had ended, and their owners come first."""
    shard = Shard((1.5 * LEASE_S, []))
    async with Taker(shard):
        await eventually(lambda: shard.looked_at and shard.looked_at[-1] > shard.answered_at > 0)
    next_at = next(at for at in shard.looked_at if at > shard.answered_at)
    assert next_at - shard.answered_at >= LEASE_S
