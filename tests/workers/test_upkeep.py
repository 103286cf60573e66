"""What a worker does beside its turns does not wait for what fails."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.ids import TurnRef, session_id, turn_id
from saystream.common.ledger import Bounds, Ledger
from saystream.common.ledger.queue import Queue
from saystream.common.settings import LimitSettings
from saystream.workers import upkeep
from tests.timing import eventually

TURN = TurnRef(session_id("s"), turn_id("t"))


class House:
    """A ledger and two queues, of which one chore fails; which ones were done."""

    bounds = Bounds.of(LimitSettings())

    def __init__(self, broken: str, how: Callable[[], Awaitable[None]]) -> None:
        self._broken, self._how = broken, how
        self.done: list[object] = []

    async def _do(self, chore: str, what: object) -> None:
        if chore == self._broken:
            await self._how()
        self.done.append(what)

    async def announce(self, voices: list[str]) -> None:
        await self._do("announce", voices)

    async def keep(self, turns: list[TurnRef]) -> None:
        await self._do("keep", turns)

    def queue(self, name: str) -> Queue:
        house = self

        class Shard:
            async def forget_the_dead(self, idle_ms: int) -> None:
                await house._do(name, name)

        return cast(Queue, Shard())


async def fails() -> None:
    raise RedisUnavailable


async def is_refused() -> None:
    raise ResponseError("WRONGTYPE")


async def hangs() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("how", [fails, is_refused, hangs])
@pytest.mark.parametrize("broken", ["announce", "keep", "one"])
async def test_each_chore_is_done_though_another_one_fails(broken: str, how: Callable[[], Awaitable[None]]) -> None:
    house = House(broken, how)
    queues = [house.queue("one"), house.queue("other")]
    keeping = asyncio.create_task(upkeep.keep_house(cast(Ledger, house), queues, ["narrator"], lambda: [TURN]))
    chores: dict[str, object] = {"announce": ["narrator"], "keep": [TURN], "one": "one", "other": "other"}
    left = [what for chore, what in chores.items() if chore != broken]
    await eventually(lambda: len(house.done) == len(left))
    assert all(what in house.done for what in left)
    keeping.cancel()
    await asyncio.wait([keeping])
