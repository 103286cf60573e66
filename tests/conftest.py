"""Fixtures for all tests: a real Redis, emptied before each of them, and servers that a test may break."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis
from hypothesis import settings

from saystream.compose.redis_server import PrivateRedis
from tests.clusters import Cluster, Sentinels
from tests.servers import MakeRedis, RedisSource, flush
from tests.servers import redis_source as run_redis_source

# A slow machine is no failure. What `make test` tries is the same in every run; `make search` tries what never was.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("same")

# The run's server, or why there is none.
SERVER = pytest.StashKey[RedisSource | Exception]()
CLEANUP = pytest.StashKey[contextlib.ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CLEANUP] = contextlib.ExitStack()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[CLEANUP].close()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Most tests wait more than they compute. Each process has a Redis of its own, unless one was given."""
    given = os.environ.get("SAYSTREAM_TEST_REDIS", "docker")
    return 6 if given == "docker" else 0


def pytest_report_header(config: pytest.Config) -> str:
    server = _server(config)
    state = f"none: {server}" if isinstance(server, Exception) else str(server)
    return f"redis: {state}; redis-py {redis.__version__}"


def _server(config: pytest.Config) -> RedisSource | Exception:
    """Start the server at the first question; give everyone the same answer, a failure too."""
    if SERVER not in config.stash:
        try:
            config.stash[SERVER] = config.stash[CLEANUP].enter_context(run_redis_source())
        except Exception as error:
            config.stash[SERVER] = error
    return config.stash[SERVER]


@pytest.fixture(scope="session")
def redis_source(pytestconfig: pytest.Config) -> RedisSource:
    """The Redis of this run. A test that needs one fails where there is none: nothing is skipped in silence."""
    server = _server(pytestconfig)
    if isinstance(server, Exception):
        raise server
    return server


@pytest.fixture
def redis_url(redis_source: RedisSource) -> str:
    """The URL of an empty database. Key names are fixed, so it is one database, and tests of one run take turns."""
    flush(redis_source.url)
    return redis_source.url


@pytest.fixture
def make_redis() -> Iterator[MakeRedis]:
    """Start servers of the test's own; they end with the test."""
    with contextlib.ExitStack() as servers:

        def make(**options: Any) -> PrivateRedis:
            return servers.enter_context(PrivateRedis(**options))

        yield make


@pytest.fixture
async def sentinels() -> AsyncIterator[Sentinels]:
    """A primary with its replicas and sentinels, to be broken."""
    with Sentinels() as servers:
        await servers.start()
        yield servers


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """A cluster to be broken."""
    with Cluster() as servers:
        await servers.start()
        yield servers
