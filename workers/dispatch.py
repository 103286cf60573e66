"""How a worker comes by its turns: those that are ready, and those whose workers are lost; no more than its slots."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from redis.exceptions import ResponseError

from saystream.common.backoff import DICE
from saystream.common.errors import RedisUnavailable
from saystream.common.ledger import Message
from saystream.common.ledger.queue import Queue
from saystream.common.outage import Outage
from saystream.workers.slots import Slots

T = TypeVar("T")

log = logging.getLogger(__name__)

#: How long a worker leaves turns to others, whose vendors are well, before it looks again.
_UNWELL_S = 0.5
#: How long it waits where Redis does not answer.
_PAUSE_S = (0.1, 0.5)


class Dispatch:
    """Takes turns of one shard.

    What Redis gives out is ours, so slots are reserved before it is asked. The loop of an only shard keeps them while
    it waits for a turn: Redis then wakes one worker for each turn. Where there are more shards, they would keep the
    slots from each other, and a shard that hangs from all of them; so their loops only watch, and reserve slots when
    something has come.

    Args:
        queue: the shard's.
        slots: of the worker; each turn that is taken has one reserved.
        shards: how many there are, each with a loop that takes from the same slots.
        lease_s: how long a lease is.
        unwell: tells whether turns are better left to others.
        take: is given each turn.
        pass_on: is given turns that are to be left to others.
        outage: tells that turns cannot be taken, once for all shards of the worker.
    """

    def __init__(
        self,
        queue: Queue,
        slots: Slots,
        shards: int,
        lease_s: float,
        unwell: Callable[[], Awaitable[bool]],
        take: Callable[[Message], None],
        pass_on: Callable[[Sequence[Message]], Awaitable[None]],
        outage: Outage,
    ) -> None:
        self._queue, self._slots, self._lease_s = queue, slots, lease_s
        self._alone, self._share = shards == 1, max(1, slots.count // shards)
        self._unwell, self._take_turn, self._pass_on = unwell, take, pass_on
        self._outage = outage
        self._look_at = 0.0  # when to look for turns whose workers are lost

    async def run(self) -> None:
        """Take turns until cancelled."""
        while True:
            await self._slots.free()
            if await self._unwell():
                await asyncio.sleep(_UNWELL_S)
                continue
            try:
                await self._once()
                self._outage.succeeded(self)
            except (RedisUnavailable, ResponseError) as error:
                self._outage.failed(self, "! cannot take turns, trying again: %s", error)
                if isinstance(error, ResponseError):
                    with contextlib.suppress(RedisUnavailable, ResponseError):
                        await self._queue.join()  # Redis came back without the group
                self._owners_first()
                await asyncio.sleep(DICE.uniform(*_PAUSE_S))

    async def _once(self) -> None:
        """Look for turns whose workers are lost, every half lease, and for those that are ready in between."""
        lease_ms = int(self._lease_s * 1000)
        block_ms = max(10, lease_ms // 2)
        if time.monotonic() >= self._look_at:
            lost = await self._ask(self._queue.any_abandoned(lease_ms))
            if lost and await self._take(lambda count: self._queue.abandoned(lease_ms, count)):
                return  # there may be more
            if lost is not None and time.monotonic() >= self._look_at:  # else an answer has come late meanwhile
                self._look_at = time.monotonic() + self._lease_s / 2 * DICE.uniform(0.8, 1.0)
        if self._alone:
            await self._take(lambda count: self._queue.ready(count, block_ms))
        elif await self._ask(self._queue.watch(block_ms)):
            await self._take(lambda count: self._queue.ready(count, 0))

    async def _take(self, ask: Callable[[int], Awaitable[list[Message]]]) -> bool:
        """Ask for as many turns as there are slots, up to our share; tells whether any have come."""
        reserved = await self._slots.reserve(self._share)
        taken = 0
        try:
            messages = await self._ask(ask(reserved)) or []
            if messages and await self._unwell():  # they came just when our vendor was found unwell
                await self._pass_on(messages)
                return True
            for message in messages:
                self._take_turn(message)
                taken += 1
        finally:
            self._slots.give_back(reserved - taken)
        return taken > 0

    async def _ask(self, question: Awaitable[T]) -> T | None:
        """Return Redis's answer; None if it took a lease, for then the leases of what it brings may have ended."""
        asked_at = time.monotonic()
        answer = await question
        if time.monotonic() - asked_at < self._lease_s:
            return answer
        self._owners_first()
        if answer:
            log.warning("! an answer came too late: the turns that it is about are left to others")
        return None

    def _owners_first(self) -> None:
        """Where Redis was away for everybody, or this process, all leases look as if they had ended."""
        self._look_at = time.monotonic() + self._lease_s
