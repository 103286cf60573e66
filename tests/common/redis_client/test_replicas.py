"""What is `replicated` counts only when so many replicas have it as well."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client import Client, call, call_all, call_raw, connect
from saystream.common.script import Script
from tests.clusters import HOST, Node
from tests.common.redis_client.conftest import TIMEOUT_S, again
from tests.timing import MS

SOON_S = 10_000 * MS
REPORT = Script("saystream.common", "report")


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[list[Node]]:
    """A primary, and two replicas that are in step with it; nobody takes over."""
    nodes = [Node(tmp_path) for _ in range(3)]
    primary, *replicas = nodes
    try:
        primary.start()
        for replica in replicas:
            replica.start("--replicaof", HOST, str(primary.port))
        await primary.is_replicated_by(replicas)
        yield nodes
    finally:
        for node in nodes:
            node.close()


@pytest.fixture
async def replicated(nodes: list[Node]) -> AsyncIterator[Client]:
    """A client that wants one replica to have it as well."""
    async with contextlib.aclosing(connect(nodes[0].url, timeout_s=TIMEOUT_S, replicas=1)) as redis:
        yield redis


@contextlib.contextmanager
def frozen(nodes: list[Node]) -> Iterator[None]:
    for node in nodes:
        node.freeze()
    try:
        yield
    finally:
        for node in nodes:
            node.thaw()


async def write_by_wire(redis: Client) -> None:
    wire = await redis.wire("k")
    try:
        await wire.all([("RPUSH", "k", "a"), ("RPUSH", "k", "b")], replicated=True)
    finally:
        await wire.close()


WAYS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "call_raw": lambda redis: call_raw(redis, "RPUSH", "k", "a", replicated=True),
    "call_all": lambda redis: call_all(redis, [("RPUSH", "k", "a")] * 2, replicated=True),
    "wire": write_by_wire,
    "script": lambda redis: REPORT(redis, ("said", "at"), ("worker", "text", 60_000), replicated=True),
}


async def test_a_write_that_no_replica_has_is_not_known_to_last(replicated: Client, nodes: list[Node]) -> None:
    for write in WAYS.values():
        await again(partial(write, replicated), SOON_S)
    with frozen(nodes[1:]):
        for write in WAYS.values():
            with pytest.raises(RedisUnavailable):
                await write(replicated)
        assert await call(replicated, "RPUSH", "other", "needs none") == 1
    for write in WAYS.values():
        await again(partial(write, replicated), SOON_S)


async def test_a_refused_repeat_is_not_known_to_last_either(replicated: Client, nodes: list[Node]) -> None:
    """The entry is there from the first try, whose reply said so little: only replicas make it an acknowledged one."""
    append = [("XADD", "stream", "1-1", "a", "b")]
    with frozen(nodes[1:]):
        for _ in range(2):
            with pytest.raises(RedisUnavailable):
                await call_all(replicated, append, replicated=True)
    [refused] = await again(lambda: call_all(replicated, append, replicated=True), SOON_S)
    assert isinstance(refused, ResponseError)


async def test_one_of_two_replicas_is_enough_for_one(replicated: Client, nodes: list[Node]) -> None:
    with frozen(nodes[1:2]):
        await again(lambda: call_raw(replicated, "SET", "k", "v", replicated=True), SOON_S)


async def test_without_a_number_of_replicas_none_is_waited_for(nodes: list[Node]) -> None:
    with frozen(nodes[1:]):
        async with contextlib.aclosing(connect(nodes[0].url)) as redis:
            for write in WAYS.values():
                await write(redis)
