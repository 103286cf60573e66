"""A client of servers that stand in for one another, and patience with them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client import Client, connect
from tests.clusters import Sentinels
from tests.timing import MS

T = TypeVar("T")
#: Shorter than the time that a failover takes, so that calls fail meanwhile and are made again.
TIMEOUT_S = 500 * MS


async def again(step: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Take a step again and again, as long as Redis is not available, and at most for so long."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await step()
            except RedisUnavailable:
                await asyncio.sleep(20 * MS)


@pytest.fixture
async def watched(sentinels: Sentinels) -> AsyncIterator[Client]:
    """A client of a primary with its replicas and sentinels."""
    async with contextlib.aclosing(connect(sentinels.url, timeout_s=TIMEOUT_S)) as redis:
        yield redis
