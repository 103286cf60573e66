"""Workers that share one vendor account, each behind a wire of its own that can be cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from saystream.common.quota import Lease, Quota
from saystream.common.redis_client import Client, connect
from tests.proxy import Proxy
from tests.timing import MS, eventually

LEASE_S = 500 * MS
LOWERED_S = 600 * MS


@dataclass(eq=False)
class Mate:
    """One worker: its quota, and the wire between it and Redis."""

    quota: Quota
    wire: Proxy
    dead: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def killed(self) -> None:
        """Be as good as dead: from now on Redis hears nothing of it."""
        await self.dead.enter_async_context(self.wire.refusing())

    async def waiting(self) -> "asyncio.Task[Lease]":
        """Begin to take a place, and be in the line when this returns."""
        before = self.quota.queued
        task = asyncio.create_task(self.quota.take())
        await eventually(lambda: self.quota.queued == before + 1)
        return task


class Crew:
    """Workers of one account; they leave in the end."""

    def __init__(self, url: str, stack: contextlib.AsyncExitStack) -> None:
        self.url, self._stack = url, stack

    async def hire(self, limit: int, name: str = "w", *, lease_s: float = LEASE_S, account: str = "acme") -> Mate:
        """Have one more worker."""
        wire = await self._stack.enter_async_context(Proxy(self.url))

        def client(block_ms: int) -> Client:
            return connect(wire.url, block_ms=block_ms)

        quota = await self._stack.enter_async_context(Quota(client, account, limit, name, lease_s, LOWERED_S))
        return Mate(quota, wire)


@contextlib.asynccontextmanager
async def with_ears(url: str, limit: int, lease_s: float) -> AsyncIterator[tuple[Mate, Proxy]]:
    """One more worker of the account, which hears of its places over a wire of its own: the second one."""
    async with Proxy(url) as wire, Proxy(url) as ears:

        def client(block_ms: int) -> Client:
            return connect((ears if block_ms else wire).url, block_ms=block_ms)

        async with Quota(client, "acme", limit, "w", lease_s, LOWERED_S) as quota:
            yield Mate(quota, wire), ears


async def still_waiting(task: "asyncio.Task[Lease]", seconds: float = 100 * MS) -> bool:
    """Say whether it is still in line after so long."""
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return not done
