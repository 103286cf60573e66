"""A client of a primary that sentinels watch finds the new one after a failover, and writes to no other."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from saystream.common.errors import InvalidInput, RedisUnavailable
from saystream.common.redis_client import Client, Wire, call, call_all, call_raw, connect
from saystream.common.redis_client.sentinel import STALE_S, Opinion, read
from tests.clusters import HOST, NAME, Node, Sentinels
from tests.common.redis_client.conftest import TIMEOUT_S, again
from tests.timing import MS, eventually

SOON_S = 10_000 * MS


async def test_a_killed_primary_is_followed_by_the_next_one(sentinels: Sentinels, watched: Client) -> None:
    await call(watched, "SET", "k", "kept")
    await eventually(lambda: _has_all(sentinels, "k"))
    (await sentinels.primary()).kill()
    assert await again(lambda: call(watched, "GET", "k"), SOON_S) == b"kept"
    assert await again(lambda: call_all(watched, [("SET", "k", "new"), ("GET", "k")]), SOON_S) == [b"OK", b"new"]


async def test_a_deposed_primary_that_comes_back_is_not_written_to(sentinels: Sentinels, watched: Client) -> None:
    former = await sentinels.primary()
    await call(watched, "SET", "k", "before")
    wire = await watched.wire("k")
    await wire.all([("GET", "k")])
    former.freeze()
    try:
        _, new = await asyncio.gather(asyncio.sleep(STALE_S), sentinels.failed_over(former))
    finally:
        former.thaw()
    # The client has slept through it: its connections are open, and this server still believes to be the primary.
    await eventually(lambda: former.says("PING"))
    await again(lambda: call(watched, "SET", "k", "after"), SOON_S)
    with pytest.raises(RedisUnavailable):
        await wire.all([("SET", "k", "by the old wire")])
    assert (await former.ask("GET", "k"), await new.ask("GET", "k")) == (b"before", b"after")


async def test_a_busy_client_learns_of_another_primary_from_the_sentinels(
    sentinels: Sentinels, watched: Client
) -> None:
    """Not every old primary breaks off; one that is told of its successor late would take writes that get lost."""
    former = await sentinels.primary()
    wire = await watched.wire("k")
    await sentinels.sentinels[0].ask("SENTINEL", "FAILOVER", NAME)
    new = await sentinels.failed_over(former)

    async def refused() -> bool:
        try:
            await wire.all([("PING",)])
        except RedisUnavailable:
            return True
        return False

    await eventually(refused, SOON_S)
    wire = await again(lambda: watched.wire("k"), SOON_S)
    [server] = await wire.all([("INFO", "server")])
    assert f"tcp_port:{new.port}".encode() in server
    await wire.close()


async def test_a_wire_ends_with_its_primary_and_the_next_one_reaches_the_new(
    sentinels: Sentinels, watched: Client
) -> None:
    former = await sentinels.primary()
    wire = await watched.wire("k")
    former.kill()
    with pytest.raises(RedisUnavailable):
        await wire.all([("RPUSH", "k", "a")])
    assert wire.closed
    wire = await again(lambda: _wire_that_writes(watched), SOON_S)
    new = await sentinels.failed_over(former)
    assert await new.ask("LRANGE", "k", 0, -1) == [b"b"]
    await wire.close()


async def test_a_blocked_read_survives(sentinels: Sentinels, watched: Client) -> None:
    async with contextlib.aclosing(connect(sentinels.url, timeout_s=TIMEOUT_S, block_ms=5000)) as blocking:

        async def read_one() -> bytes:
            reply = await call_raw(blocking, "XREAD", "BLOCK", 5000, "STREAMS", "k", "0")
            return bytes(reply[0][1][0][0])

        reading = asyncio.create_task(again(read_one, SOON_S))
        await eventually(lambda: _blocked(sentinels))
        (await sentinels.primary()).kill()
        await again(lambda: call(watched, "XADD", "k", "1-1", "a", "b"), SOON_S)
        assert await reading == b"1-1"


async def test_sentinels_that_are_gone_or_frozen_do_not_keep_the_others_from_answering(sentinels: Sentinels) -> None:
    gone, frozen, _ = sentinels.sentinels
    frozen.freeze()
    try:
        async with contextlib.aclosing(connect(sentinels.url, timeout_s=2000 * MS)) as redis:
            began = time.monotonic()
            assert await call(redis, "PING")
            gone.kill()
        async with contextlib.aclosing(connect(sentinels.url, timeout_s=2000 * MS)) as redis:
            assert await call(redis, "PING")
        assert time.monotonic() - began < 2.0
    finally:
        frozen.thaw()


async def test_a_primary_goes_on_serving_without_sentinels(sentinels: Sentinels, watched: Client) -> None:
    assert await call(watched, "SET", "k", 0)
    for sentinel in sentinels.sentinels:
        sentinel.kill()
    for number in range(5):
        assert await call(watched, "SET", "k", number)


async def test_an_unknown_name_is_said(sentinels: Sentinels) -> None:
    async with contextlib.aclosing(connect(sentinels.url.replace(NAME, "other"))) as redis:
        with pytest.raises(RedisUnavailable, match="no sentinel knows a primary 'other'"):
            await call(redis, "PING")


async def test_a_database_that_the_primary_has_not_is_said(sentinels: Sentinels) -> None:
    async with contextlib.aclosing(connect(f"{sentinels.url}/77")) as redis:
        with pytest.raises(InvalidInput, match=r"cannot be used: DB index .* database 77"):
            await call(redis, "GET", "k")


async def test_the_primary_and_the_sentinels_have_passwords_of_their_own(tmp_path: Path) -> None:
    primary = Node(tmp_path, ["--requirepass", "p/w"])
    monitor = f"sentinel monitor {NAME} {HOST} {primary.port} 1\nsentinel auth-pass {NAME} p/w\n"
    sentinel = Node(tmp_path, sentinel=f"requirepass s@w\n{monitor}")
    try:
        primary.start()
        sentinel.start()
        url = f"redis+sentinel://:p%2Fw@{HOST}:{sentinel.port}/{NAME}"
        async with contextlib.aclosing(connect(f"{url}?sentinel_password=s%40w", timeout_s=TIMEOUT_S)) as redis:
            assert await again(lambda: call(redis, "SET", "k", "v"), SOON_S)
        async with contextlib.aclosing(connect(url, timeout_s=TIMEOUT_S)) as redis:
            with pytest.raises(RedisUnavailable, match=r"no sentinel knows a primary .*Authentication required"):
                await call(redis, "PING")
    finally:
        primary.close()
        sentinel.close()


def test_a_later_epoch_counts_more_than_being_up() -> None:
    old, new, down = Opinion(1, True, ("h", 1)), Opinion(2, False, ("h", 2)), Opinion(1, False, ("h", 1))
    assert max(old, new, down) == new
    assert max(old, down) == old


@pytest.mark.parametrize(
    ("port", "flags", "opinion"),
    [
        (1, b"master", Opinion(7, True, ("h", 1))),
        (1, b"s_down,master", Opinion(7, False, ("h", 1))),
        (2, b"o_down,master", Opinion(7, True, ("h", 2))),  # the next one has been chosen already
    ],
)
def test_what_a_sentinel_says_is_understood(port: int, flags: bytes, opinion: Opinion) -> None:
    master = [b"name", b"m", b"ip", b"h", b"port", b"1", b"flags", flags, b"config-epoch", b"7"]
    assert read([b"h", b"%d" % port], master) == opinion
    assert read(None, Exception("No such master")) is None


async def _has_all(sentinels: Sentinels, key: str) -> bool:
    return all([await node.says("EXISTS", key) for node in sentinels.servers])


async def _blocked(sentinels: Sentinels) -> bool:
    return (await (await sentinels.primary()).info("clients")).get("blocked_clients") == 1


async def _wire_that_writes(redis: Client) -> Wire:
    wire = await redis.wire("k")
    await wire.all([("RPUSH", "k", "b")])
    return wire
