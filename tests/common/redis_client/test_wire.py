"""A wire is one connection: what it has said is known, and once it is broken it stays so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import RedisError, ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client import Client, Wire, call, connect
from tests.proxy import Proxy
from tests.servers import MakeRedis
from tests.timing import MS, eventually

TIMEOUT_S = 300 * MS


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def wire(proxy: Proxy) -> AsyncIterator[Wire]:
    """A wire that can be cut."""
    async with contextlib.aclosing(connect(proxy.url, timeout_s=TIMEOUT_S)) as redis:
        wire = await redis.wire("k")
        yield wire
        await wire.close()


async def test_commands_are_carried_out_in_their_order(wire: Wire) -> None:
    assert await wire.all([("RPUSH", "k", "a")]) == [1]
    assert await wire.all([("RPUSH", "k", "b"), ("RPUSH", "k", "c")]) == [2, 3]
    assert await wire.all([("LRANGE", "k", 0, -1)]) == [[b"a", b"b", b"c"]]
    assert await wire.all([]) == []


async def test_a_refused_command_does_no_harm_to_the_wire(wire: Wire) -> None:
    await wire.all([("SET", "k", "text")])
    [refused, length] = await wire.all([("LPUSH", "k", "a"), ("STRLEN", "k")])
    assert (type(refused), length) == (ResponseError, 4)
    with pytest.raises(ResponseError):
        await wire.all([("GET", "k"), ("NO-COMMAND", "k")])
    assert await wire.all([("GET", "k")]) == [b"text"]


async def test_all_its_commands_take_one_connection(wire: Wire, client: Client) -> None:
    [one], [other] = await wire.all([("CLIENT", "ID")]), await wire.all([("CLIENT", "ID")])
    assert one == other != await call(client, "CLIENT ID")


async def test_a_broken_wire_stays_broken(wire: Wire, client: Client) -> None:
    [own] = await wire.all([("CLIENT", "ID")])
    await call(client, "CLIENT KILL", "ID", own)
    for _ in range(2):
        with pytest.raises(RedisUnavailable):
            await wire.all([("RPUSH", "k", "a")])
    assert wire.closed
    assert repr(wire).endswith("[closed]>")
    assert not await call(client, "EXISTS", "k")


async def test_a_wire_without_an_answer_is_closed(wire: Wire, proxy: Proxy, client: Client) -> None:
    with proxy.replies_delayed(10 * TIMEOUT_S), pytest.raises(RedisUnavailable):
        await wire.all([("RPUSH", "k", "a")])
    assert wire.closed
    assert await call(client, "LLEN", "k") == 1


async def test_a_server_that_talks_nonsense_is_not_connected_to_again() -> None:
    connections, over = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while data := await reader.read(65536):
            writer.write(b"+OK\r\n" * data.count(b"CLIENT") or b"nonsense\r\n")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with contextlib.aclosing(connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as redis:
        wire = await redis.wire("k")
        for error in (RedisError, RedisUnavailable):
            with pytest.raises(error):
                await wire.all([("PING",)])
        await over.wait()
    server.close()
    assert (wire.closed, connections) == (True, 1)


async def test_a_cancelled_call_closes_the_wire(wire: Wire, proxy: Proxy, client: Client) -> None:
    with proxy.replies_delayed(10 * TIMEOUT_S):
        task = asyncio.create_task(wire.all([("RPUSH", "k", "a")]))
        await eventually(lambda: call(client, "EXISTS", "k"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert wire.closed


async def test_a_server_that_takes_no_writes_any_more_closes_the_wire(make_redis: MakeRedis) -> None:
    async with contextlib.aclosing(connect(make_redis().url)) as redis:
        wire = await redis.wire("k")
        await call(redis, "REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(RedisUnavailable):
            await wire.all([("RPUSH", "k", "a")])
        assert wire.closed


async def test_no_wire_is_made_to_a_server_that_is_not_there() -> None:
    async with contextlib.aclosing(connect("redis://127.0.0.1:1")) as redis:
        with pytest.raises(RedisUnavailable):
            await redis.wire("k")
