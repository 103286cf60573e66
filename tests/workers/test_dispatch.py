"""How a worker comes by its turns."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import cast

import pytest

from saystream.common.errors import RedisUnavailable
from saystream.common.ids import TurnRef, session_id, turn_id
from saystream.common.ledger import Message
from saystream.common.ledger.queue import Queue
from saystream.common.outage import Outage
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
        lost: turns of lost workers.
        come: set when a turn is there for those that watch; who asks for it may find that another was faster.
        hangs: whether nothing is ever answered.
        asked: how often anything was.
    """

    def __init__(self, *answers: tuple[float, list[Message] | Exception]) -> None:
        self.answers = list(answers)
        self.answered_at = 0.0
        self.looked_at: list[float] = []
        self.lost: list[Message] = []
        self.come = asyncio.Event()
        self.hangs, self.asked = False, 0

    async def _ask(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()

    async def any_abandoned(self, lease_ms: int) -> bool:
        self.looked_at.append(time.monotonic())
        await self._ask()
        return bool(self.lost)

    async def abandoned(self, lease_ms: int, count: int) -> list[Message]:
        await self._ask()
        found, self.lost = self.lost[:count], self.lost[count:]
        return found

    async def watch(self, block_ms: int) -> bool:
        await self._ask()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(block_ms / 1000):
                await self.come.wait()
        return self.come.is_set()

    async def ready(self, count: int, block_ms: int) -> list[Message]:
        await self._ask()
        self.come.clear()
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
    """A worker with some slots, and what it has done with turns."""

    def __init__(self, *shards: Shard, slots: int = 2) -> None:
        self.slots = Slots(slots)
        self.taken: list[Message] = []
        self.passed_on: list[Message] = []
        self.well = [True]
        self.outage = Outage(logging.getLogger("saystream.test"), "turns are taken again")
        self._loops = [
            Dispatch(
                cast(Queue, shard),
                self.slots,
                len(shards),
                LEASE_S,
                self._unwell,
                self.taken.append,
                self._pass_on,
                self.outage,
            )
            for shard in shards
        ]

    async def __aenter__(self) -> "Taker":
        self._tasks = [asyncio.create_task(loop.run()) for loop in self._loops]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

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


async def test_of_an_absence_a_log_tells_the_beginning_and_the_end_once_for_all_shards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "saystream")
    shards = [Shard(*[(0.0, RedisUnavailable())] * 2, (0.0, [TURN])) for _ in range(3)]
    taker = Taker(*shards, slots=3)

    def all_have_come() -> bool:
        for shard in shards:
            shard.come.set()
        return len(taker.taken) == 3

    async with taker:
        await eventually(all_have_come)
        await eventually(lambda: "taken again" in caplog.text)
    assert caplog.messages == ["! cannot take turns, trying again: Redis does not answer.", "= turns are taken again"]


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


# several shards, and fewer free slots


async def test_a_shard_that_waits_keeps_no_slot_from_one_that_has_a_turn() -> None:
    idle, busy = [Shard() for _ in range(5)], Shard((0.0, [TURN]))
    async with Taker(*idle, busy, slots=1) as taker:
        await eventually(lambda: all(shard.asked > 2 for shard in (*idle, busy)))
        assert await taker.slots.reserve(1) == 1, "while they wait"
        taker.slots.give_back()
        busy.come.set()
        await eventually(lambda: taker.taken == [TURN])


async def test_shards_that_hang_keep_no_slot_from_those_that_are_well() -> None:
    """One server of a cluster is frozen, and its answers time out only after seconds."""
    hanging, busy = [Shard() for _ in range(5)], Shard((0.0, [TURN]))
    for shard in hanging:
        shard.hangs = True
    async with Taker(*hanging, busy, slots=1) as taker:
        await eventually(lambda: all(shard.asked for shard in hanging))
        busy.come.set()
        await eventually(lambda: taker.taken == [TURN])


def has_taken(taker: Taker, count: int) -> bool:
    return len(taker.taken) == count


async def test_a_lost_workers_turn_is_found_in_each_shard_though_there_are_few_slots() -> None:
    shards = [Shard() for _ in range(5)]
    for shard in shards:
        shard.lost = [TURN]
    async with Taker(*shards, slots=2) as taker:
        for count in (2, 3, 4, 5):
            await eventually(partial(has_taken, taker, count))
            taker.slots.give_back()
    assert taker.taken == [TURN] * 5


async def test_where_another_worker_was_faster_nothing_is_taken_and_no_slot_is_lost() -> None:
    shards = Shard((0.0, []), (0.0, [TURN])), Shard()
    async with Taker(*shards, slots=1) as taker:
        for _ in range(2):
            shards[0].come.set()
            await eventually(lambda: not shards[0].come.is_set())
        await eventually(lambda: taker.taken == [TURN])


@pytest.mark.parametrize("shards", [1, 2])
async def test_a_worker_that_is_full_asks_for_nothing(shards: int) -> None:
    asked = [Shard() for _ in range(shards)]
    taker = Taker(*asked)
    assert await taker.slots.reserve(2) == 2
    async with taker:
        for _ in range(10):
            await asyncio.sleep(0)
        assert [shard.asked for shard in asked] == [0] * shards
        taker.slots.give_back()
        await eventually(lambda: all(shard.asked for shard in asked))


async def test_an_only_shard_keeps_its_slots_while_it_waits_so_that_one_worker_is_woken_for_each_turn() -> None:
    shard = Shard((0.0, []), (0.0, [TURN]))
    async with Taker(shard) as taker:
        await eventually(lambda: taker.taken == [TURN])
        assert not shard.come.is_set(), "nobody watched"
