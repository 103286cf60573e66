"""What Redis knows of a vendor account's places: each step is one script and one round trip, and may be repeated."""

import itertools
import time
from collections.abc import Iterable, Mapping
from typing import Any

from saystream.common.keys import QuotaKeys
from saystream.common.redis_client import Client
from saystream.common.script import Argument, Script, read

_SHARED = (read(__package__, "shared"),)

TAKE = Script(__package__, "take", on=_SHARED)
RENEW = Script(__package__, "renew", on=_SHARED)
GIVE = Script(__package__, "give", on=_SHARED)
REFUSE = Script(__package__, "refuse", on=_SHARED)

#: Every key expires so long after its last change, or after ten leases: later than any worker that is away could still
#: believe to hold something.
_KEEP_MS = 600_000
#: What changes by itself sooner than this is looked at no sooner, however many leases end one after the other.
_SOONEST_S = 0.01


class Book:
    """An account's places, as one worker writes and reads them.

    Every step raises RedisUnavailable if Redis does not answer in time.

    Args:
        redis: for commands that answer at once.
        keys: the account's keys.
        worker: the worker's name, unique for each `Book`; ids of places are ``<number>@<worker>``.
        limit: streams at once.
        lease_s: so long is a place kept, or waited for, without being renewed.

    Attributes:
        held: places that are held, over all workers, as last seen.
        limit: places that there are, as last seen: fewer than the given limit after a refusal.
        next_at: when something changes by itself, on `time.monotonic`'s clock; None if nothing does.
    """

    def __init__(self, redis: Client, keys: QuotaKeys, worker: str, limit: int, lease_s: float) -> None:
        self._redis, self._keys = redis, keys
        self.stream = keys.granted + worker
        self.limit, self.held = limit, 0
        self.next_at: float | None = None
        lease_ms = int(lease_s * 1000)
        self._settings: tuple[Argument, ...] = (limit, lease_ms, max(_KEEP_MS, 10 * lease_ms), keys.granted)
        self._generation: bytes = b""
        self._numbers = itertools.count(1)
        self._answered = 0

    async def take(self, place: str) -> int:
        """Ask for a place; returns its ticket in the line, or 0 if the place is held."""
        return int(await self._step(TAKE, place))

    async def renew(self, held: Iterable[str], waiting: Mapping[str, int]) -> set[str]:
        """Renew what is held, and what waits with its ticket; returns those of the latter that have been granted."""
        held = list(held)
        line = [part for place, ticket in waiting.items() for part in (place, ticket)]
        return {place.decode() for place in await self._step(RENEW, len(held), *held, *line)}

    async def give(self, places: Iterable[str]) -> None:
        """Give places back, or leave the line."""
        await self._step(GIVE, *places)

    async def refuse(self, refusal: str, lowered_s: float) -> None:
        """Lower the limit for a while; ``refusal`` names the occasion."""
        await self._step(REFUSE, int(lowered_s * 1000), keys=(self._keys.refusal(refusal),))

    async def _step(self, script: Script, *own: Argument, keys: tuple[str, ...] = ()) -> Any:
        number = next(self._numbers)
        reply = await script(self._redis, (*self._keys.all, *keys), (self._generation, *self._settings, *own))
        # By our own numbers: Redis's clock may step back, and every answer would look overtaken until it has caught up.
        if number > self._answered:
            self._answered = number
            self._generation, self.held, self.limit, next_ms = reply[:4]
            self.next_at = time.monotonic() + max(next_ms / 1000, _SOONEST_S) if next_ms else None
        return reply[4]
