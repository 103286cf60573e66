"""A ledger on an empty Redis, with two workers at its dispatch stream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from saystream.common.ledger import Ledger
from saystream.common.redis_client import Client, connect
from tests.clusters import Cluster
from tests.common.stage import Stage

BLOCK_MS = 10_000


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Client]:
    """A client for commands that answer at once."""
    async with contextlib.aclosing(connect(redis_url)) as redis:
        yield redis


@pytest.fixture
async def blocking(redis_url: str) -> AsyncIterator[Client]:
    """A client for commands that wait."""
    async with contextlib.aclosing(connect(redis_url, block_ms=BLOCK_MS)) as redis:
        yield redis


@pytest.fixture
async def stage(client: Client, blocking: Client) -> Stage:
    ledger = Ledger(client)
    stage = Stage(client, ledger, ledger.queue(0, blocking, "first"), ledger.queue(0, blocking, "second"))
    await stage.queue.join()
    return stage


@pytest.fixture(scope="module")
def whole() -> Iterator[Cluster]:
    """A cluster that nobody breaks, for all tests of a file."""
    with Cluster() as servers:
        asyncio.run(servers.start())
        yield servers


@pytest.fixture
async def clustered(whole: Cluster) -> AsyncIterator[Client]:
    """A client of the whole cluster, which is empty."""
    for master in await whole.masters():
        await master.ask("FLUSHALL")
    async with contextlib.aclosing(connect(whole.url)) as redis:
        yield redis
