"""A client of a cluster goes to the server that has the slot, wherever that moves."""

import asyncio
import contextlib
from functools import partial

import pytest
from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client import Client, call, call_all, call_raw, connect
from saystream.common.redis_client.cluster import Range, read
from saystream.common.redis_client.slots import SLOTS, slot_of_key
from saystream.common.script import Script
from tests.clusters import HOST, Cluster, keys_in
from tests.common.redis_client.conftest import TIMEOUT_S, again
from tests.timing import MS, eventually

SOON_S = 10_000 * MS
#: A key in each third of the slots: at its beginning, in its middle and at its end.
KEYS = keys_in([0, 2700, 5460, 5461, 8000, 10921, 10922, 13000, 16383])


# where commands go


async def test_each_command_reaches_the_server_of_its_slot(whole: Cluster, clustered: Client) -> None:
    for key in KEYS:
        await call(clustered, "SET", key, key)
    assert [await call(clustered, "GET", key) for key in KEYS] == [key.encode() for key in KEYS]
    for number, master in enumerate(await whole.masters()):
        assert sorted(await master.ask("KEYS", "*")) == sorted(key.encode() for key in KEYS[3 * number :][:3])


async def test_replies_of_several_slots_come_in_the_order_of_the_commands(clustered: Client) -> None:
    replies = await call_all(clustered, [("INCRBY", key, number) for number, key in enumerate(KEYS * 2)])
    assert replies == [*range(9), *(2 * number + 9 for number in range(9))]


async def test_each_slot_has_a_transaction_of_its_own(clustered: Client) -> None:
    first, second = KEYS[0], KEYS[-1]
    commands = [("SET", first, "a"), ("NO-COMMAND", first), ("SET", second, "b")]
    with pytest.raises(ResponseError, match="unknown command"):
        await call_all(clustered, commands)
    assert [await call(clustered, "GET", key) for key in (first, second)] == [None, b"b"]
    replies = await call_all(clustered, [("LPUSH", second, "x"), ("GET", second)])
    assert (type(replies[0]), replies[1]) == (ResponseError, b"b")


async def test_a_script_runs_where_its_keys_are_known_or_not(whole: Cluster, clustered: Client) -> None:
    for master in await whole.masters():
        await master.ask("SCRIPT", "FLUSH")
    script = Script("saystream.common", "report")
    for key in ("{a}", "{b}", "{c}", "{d}"):
        for _ in range(2):
            await script(clustered, (key + "said", key + "at"), ("worker", "text", 60_000))
        assert await call(clustered, "HGETALL", key + "said") == {b"worker": b"text"}


async def test_a_command_without_a_key_is_answered_by_some_server(clustered: Client) -> None:
    assert (await call(clustered, "INFO", "server"))["redis_mode"] == "cluster"


async def test_keys_of_different_slots_in_one_command_are_the_callers_own_error(clustered: Client) -> None:
    with pytest.raises(ResponseError):
        await call(clustered, "DEL", KEYS[0], KEYS[-1])


async def test_one_member_is_enough_to_find_all_others(whole: Cluster) -> None:
    replica = whole.nodes[-1]
    async with contextlib.aclosing(connect(f"redis+cluster://{HOST}:1,{HOST}:{replica.port}")) as redis:
        assert await call_all(redis, [("GET", key) for key in KEYS]) == [None] * len(KEYS)


async def test_a_member_that_is_taken_for_a_single_server_says_what_to_do(whole: Cluster) -> None:
    async with contextlib.aclosing(connect(whole.nodes[0].url)) as redis:
        with pytest.raises(RedisUnavailable, match=r"connect by redis\+cluster://"):
            await call(redis, "GET", KEYS[-1])


async def test_no_member_that_answers_is_no_redis() -> None:
    async with contextlib.aclosing(connect(f"redis+cluster://{HOST}:1,{HOST}:2")) as redis:
        for key in KEYS:
            with pytest.raises(RedisUnavailable):
                await call(redis, "GET", key)
        with pytest.raises(RedisUnavailable):
            await redis.wire(KEYS[0])


def test_the_table_of_slots_is_read_and_a_server_without_a_host_is_where_it_was_asked() -> None:
    reply = [[0, 9, [b"h", 1, b"id"], [b"", 2, b"id", []]], [10, SLOTS - 1, [None, 3, b"id"]]]
    assert list(read(reply, "asked")) == [
        Range(0, 9, ("h", 1), (("asked", 2),)),
        Range(10, SLOTS - 1, ("asked", 3), ()),
    ]


def test_a_server_without_a_name_in_a_cluster_of_names_is_found_by_its_address() -> None:
    unnamed = [b"?", 1, b"id", [b"hostname", b"", b"ip", b"10.0.0.1"]]
    reply = [[0, 9, unnamed, [b"?", 2, b"id", []]], [10, SLOTS - 1, [b"?", 3, b"id"]]]
    assert list(read(reply, "asked")) == [
        Range(0, 9, ("10.0.0.1", 1), (("asked", 2),)),
        Range(10, SLOTS - 1, ("asked", 3), ()),
    ]


# slots that move


async def test_a_slot_can_be_used_while_it_moves(whole: Cluster, clustered: Client) -> None:
    here, there, new = (f"{{moving}}{name}" for name in ("here", "there", "new"))
    slot = slot_of_key(here)
    source = await whole.master_of(slot)
    target = next(master for master in await whole.masters() if master is not source)
    await call_all(clustered, [("RPUSH", key, "old") for key in (here, there)])
    wire = await clustered.wire(here)
    async with whole.moving(slot, target) as move:
        await move.keys(there)
        assert await call(clustered, "LLEN", here) == 1
        assert await call(clustered, "RPUSH", there, "asked") == 2  # ASK
        assert await call_all(clustered, [("RPUSH", there, "more"), ("LLEN", there)]) == [3, 3]
        assert await wire.all([("RPUSH", there, "by wire"), ("LLEN", there)]) == [4, 4]
        assert await wire.all([("RPUSH", here, "by wire")]) == [2]
        assert await call(clustered, "RPUSH", new, "born there") == 1
        with pytest.raises(RedisUnavailable):  # half of it is here, half there: nobody can do it now
            await call_all(clustered, [("RPUSH", here, "no"), ("RPUSH", there, "no")])
        # A read that is blocked here is sent on when the slot has gone.
        reading = asyncio.create_task(call_raw(clustered, "BLPOP", here + ":later", 5))
        await asyncio.sleep(0)
    # MOVED, once: the client goes on by itself, a wire ends.
    assert await call_all(clustered, [("LLEN", key) for key in (here, there, new)]) == [2, 4, 1]
    with pytest.raises(RedisUnavailable):
        await wire.all([("RPUSH", here, "no")])
    assert wire.closed
    await call(clustered, "RPUSH", here + ":later", "came")
    assert await reading == [(here + ":later").encode(), b"came"]
    assert await target.ask("LRANGE", here, 0, -1) == [b"old", b"by wire"]
    wire = await clustered.wire(here)
    assert await wire.all([("LLEN", here)]) == [2]
    await wire.close()


async def test_where_the_next_server_knows_nothing_of_a_move_nobody_can_do_it_now(
    whole: Cluster, clustered: Client
) -> None:
    """As after a move that was given up on one side, or a failover of the server that the slot was moving to."""
    key = "{given up}"
    slot = slot_of_key(key)
    source = await whole.master_of(slot)
    target = next(master for master in await whole.masters() if master is not source)
    wire = await clustered.wire(key)
    async with whole.moving(slot, target):
        await target.ask("CLUSTER", "SETSLOT", slot, "STABLE")
        with pytest.raises(RedisUnavailable):
            await call(clustered, "RPUSH", key, "no")
        with pytest.raises(RedisUnavailable):
            await wire.all([("RPUSH", key, "no")])
        assert wire.closed
        await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", await source.ask("CLUSTER", "MYID"))
    assert await again(lambda: call(clustered, "RPUSH", key, "yes"), SOON_S) == 1


async def test_nothing_is_lost_or_doubled_while_a_slot_moves_under_load(whole: Cluster, clustered: Client) -> None:
    lists = [f"{{load}}{number}" for number in range(20)]
    slot = slot_of_key(lists[0])
    source = await whole.master_of(slot)
    target = next(master for master in await whole.masters() if master is not source)
    pushed: list[int] = []
    over = asyncio.Event()

    async def push() -> None:
        number = 0
        while not over.is_set():
            key = lists[number % len(lists)]
            await again(partial(call, clustered, "RPUSH", key, number), SOON_S)
            pushed.append(number)
            number += 1

    async def pushed_more(count: int) -> None:
        target = len(pushed) + count
        await eventually(lambda: len(pushed) >= target)

    pushing = asyncio.create_task(push())
    await pushed_more(100)
    async with whole.moving(slot, target) as move:
        for key in lists:
            await move.keys(key)
            await pushed_more(5)
    await pushed_more(100)
    over.set()
    await pushing
    found = [int(value) for key in lists for value in await target.ask("LRANGE", key, 0, -1)]
    assert sorted(found) == pushed


# servers that fail


async def test_while_one_master_fails_over_the_others_go_on(cluster: Cluster) -> None:
    first, other = KEYS[0], KEYS[-1]
    async with contextlib.aclosing(connect(cluster.url, timeout_s=TIMEOUT_S)) as redis:
        await call_all(redis, [("SET", first, "kept"), ("SET", other, 0)])
        former, [replica] = cluster.nodes[0], await cluster.replicas_of(cluster.nodes[0])
        await redis.run([("WAIT", 1, 1000)], slot=slot_of_key(first))
        wire, undisturbed = await redis.wire(first), await redis.wire(other)
        former.kill()
        with pytest.raises(RedisUnavailable):
            await wire.all([("SET", first, "lost")])
        finding = asyncio.create_task(again(lambda: call(redis, "GET", first), SOON_S))
        count = 0
        while not finding.done():
            count += 1
            assert await call(redis, "INCR", other) == count
            assert await undisturbed.all([("GET", other)]) == [b"%d" % count]
        assert await finding == b"kept"
        assert count > 10
        assert await call_all(redis, [("SET", first, "new"), ("GET", other)]) == [b"OK", b"%d" % count]
        assert await replica.ask("GET", first) == b"new"
        wire = await redis.wire(first)
        assert await wire.all([("GET", first)]) == [b"new"]
        await wire.close()
        await undisturbed.close()


async def test_a_frozen_master_is_not_written_to_when_it_comes_back(cluster: Cluster) -> None:
    key = KEYS[0]
    async with contextlib.aclosing(connect(cluster.url, timeout_s=TIMEOUT_S)) as redis:
        await call(redis, "SET", key, "before")
        wire = await redis.wire(key)
        former = cluster.nodes[0]
        former.freeze()
        try:
            new = await cluster.failed_over(former, slot_of_key(key))
            await again(lambda: call(redis, "SET", key, "after"), SOON_S)
        finally:
            former.thaw()
        with pytest.raises(RedisUnavailable):
            await wire.all([("SET", key, "by the old wire")])
        assert await again(lambda: call(redis, "GET", key), SOON_S) == await new.ask("GET", key) == b"after"
