"""How a worker comes by its turns: those that are ready, and those whose workers are lost; no more than its slots."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from redis.exceptions import ResponseError

from saystream.common.backoff import DICE
from saystream.common.errors import RedisUnavailable
from saystream.common.ledger import Message
from saystream.common.ledger.queue import Queue
from saystream.workers.slots import Slots

log = logging.getLogger(__name__)

#: How long a worker leaves turns to others, whose vendors are well, before it looks again.
_UNWELL_S = 0.5
#: How long it waits where Redis does not answer.
_PAUSE_S = (0.1, 0.5)


class Dispatch:
    """Takes turns of one shard.

    Args:
        queue: the shard's.
        slots: of the worker; each turn that is taken has one reserved.
        share: how many turns are asked for at once.
        lease_s: how long a lease is.
        unwell: tells whether turns are better left to others.
        take: is given each turn.
        pass_on: is given turns that are to be left to others.
    """

    def __init__(
        self,
        queue: Queue,
        slots: Slots,
        share: int,
        lease_s: float,
        unwell: Callable[[], Awaitable[bool]],
        take: Callable[[Message], None],
        pass_on: Callable[[Sequence[Message]], Awaitable[None]],
    ) -> None:
        self._queue, self._slots, self._share, self._lease_s = queue, slots, share, lease_s
        self._unwell, self._take_turn, self._pass_on = unwell, take, pass_on
        self._look_at = 0.0  # when to look for turns whose workers are lost

    async def run(self) -> None:
        """Take turns until cancelled."""
        while True:
            if await self._unwell():
                await asyncio.sleep(_UNWELL_S)
                continue
            free = await self._slots.reserve(self._share)
            taken = 0
            try:
                messages = await self._next(free)
                if messages and await self._unwell():  # they came just when our vendor was found unwell
                    await self._pass_on(messages)
                    messages = []
                for message in messages:
                    self._take_turn(message)
                    taken += 1
            finally:
                self._slots.give_back(free - taken)

    async def _next(self, count: int) -> list[Message]:
        """Return up to ``count`` turns; waits for one for half a lease at most."""
        asked_at = time.monotonic()
        try:
            messages = await self._read(count)
        except (RedisUnavailable, ResponseError) as error:
            log.warning("! cannot take turns, trying again: %s", error)
            if "NOGROUP" in str(error):
                with contextlib.suppress(RedisUnavailable, ResponseError):
                    await self._queue.join()  # Redis came back without it
            self._owners_first()
            await asyncio.sleep(DICE.uniform(*_PAUSE_S))
            return []
        if time.monotonic() - asked_at < self._lease_s:
            return messages
        self._owners_first()
        if messages:  # their leases may have ended on the way
            log.warning("! %d turns came too late and are left to others", len(messages))
        return []

    def _owners_first(self) -> None:
        """Where Redis was away for everybody, or this process, all leases look as if they had ended."""
        self._look_at = time.monotonic() + self._lease_s

    async def _read(self, count: int) -> list[Message]:
        """Look for turns whose workers are lost, every half lease, and for those that are ready in between."""
        if time.monotonic() >= self._look_at:
            if messages := await self._queue.abandoned(int(self._lease_s * 1000), count):
                return messages
            self._look_at = time.monotonic() + self._lease_s / 2 * DICE.uniform(0.8, 1.0)
        return await self._queue.ready(count, max(10, int(self._lease_s * 500)))
