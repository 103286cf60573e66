"""Dispatch hands each ready turn to one worker, and its pending list is the lease."""

import asyncio
import contextlib

import pytest
from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.ids import TurnId
from saystream.common.keys import GROUP, ShardKeys
from saystream.common.ledger import Ledger, Message, Refusal
from saystream.common.ledger.queue import Queue
from saystream.common.redis_client import Client, call, connect
from saystream.common.states import State
from tests.common.stage import FORMAT, LONG_AGO_MS, Stage, ref
from tests.servers import MakeRedis
from tests.timing import MS, eventually


async def open_many(stage: Stage, turns: int) -> None:
    for number in range(turns):
        await stage.open(f"t{number}", f"s{number}")


async def members(stage: Stage) -> set[str]:
    consumers = await call(stage.redis, "XINFO CONSUMERS", ShardKeys(0).dispatch, GROUP)
    return {consumer["name"].decode() for consumer in consumers}


async def test_a_ready_turn_comes_with_its_session_and_voice(stage: Stage) -> None:
    await stage.open("t", "a:b", voice="Erzähler")
    message = await stage.take()
    assert message == Message(0, next(iter(await stage.dispatched())), ref("t", "a:b"), "Erzähler")


async def test_ready_takes_no_more_than_asked_for_and_nothing_twice(stage: Stage) -> None:
    await open_many(stage, 5)
    taken = [await stage.queue.ready(2, 1), await stage.other.ready(2, 1), await stage.queue.ready(2, 1)]
    assert [len(messages) for messages in taken] == [2, 2, 1]
    turns = [message.ref.turn for messages in taken for message in messages]
    assert turns == [f"t{number}" for number in range(5)]


async def test_a_worker_with_no_free_slot_takes_nothing(stage: Stage) -> None:
    await open_many(stage, 3)
    assert await stage.queue.ready(0, 1) == []
    assert await stage.pending() == {}


async def test_ready_without_waiting_returns_at_once(stage: Stage) -> None:
    async with asyncio.timeout(1000 * MS):
        assert await stage.queue.ready(1, 0) == []


async def test_ready_comes_back_with_nothing_when_nothing_comes(stage: Stage) -> None:
    assert await stage.queue.ready(1, 5) == []


async def test_who_watches_is_woken_by_the_turn_that_is_opened_and_takes_nothing(stage: Stage) -> None:
    watching = [asyncio.create_task(queue.watch(10_000)) for queue in (stage.queue, stage.other)]
    await stage.readers_blocked(2)
    await stage.open("t")
    async with asyncio.timeout(2000 * MS):
        assert await asyncio.gather(*watching) == [True, True]
    assert await stage.pending() == {}


async def test_who_watches_is_told_at_once_of_a_turn_that_is_ready_and_not_of_one_that_was_taken(stage: Stage) -> None:
    await open_many(stage, 2)
    await stage.take()
    async with asyncio.timeout(2000 * MS):
        assert await stage.queue.watch(10_000)
    await stage.take()
    assert not await stage.queue.watch(5)
    assert not await stage.queue.watch(0), "and not for ever"


async def test_who_watches_for_long_sees_what_came_in_between(stage: Stage) -> None:
    for number in range(12):
        assert not await stage.queue.watch(1)
        await stage.open(f"t{number}", f"s{number}")
        async with asyncio.timeout(2000 * MS):
            assert await stage.queue.watch(10_000)
        await stage.take(stage.other)


@pytest.mark.parametrize("gone", ["the stream", "the group"])
async def test_where_there_is_no_group_nobody_watches_in_vain(stage: Stage, gone: str) -> None:
    await stage.open("t")
    if gone == "the stream":
        await call(stage.redis, "DEL", ShardKeys(0).dispatch)
    else:
        await call(stage.redis, "XGROUP DESTROY", ShardKeys(0).dispatch, GROUP)
    with pytest.raises(ResponseError):
        await stage.queue.watch(10_000)


async def test_a_server_that_is_a_primary_no_more_is_not_watched(
    make_redis: MakeRedis,
) -> None:
    """Nothing would come: turns are opened elsewhere now."""
    replica = make_redis()
    async with (
        contextlib.aclosing(connect(replica.url)) as redis,
        contextlib.aclosing(connect(replica.url, block_ms=1000)) as blocking,
    ):
        queue = Ledger(redis).queue(0, blocking, "first")
        await queue.join()
        assert not await queue.watch(1)
        await call(redis, "REPLICAOF", "127.0.0.1", 1)
        with contextlib.suppress(RedisUnavailable):
            for _ in range(10):
                await queue.watch(1)
            pytest.fail("it still waits")


async def test_a_turn_whose_lease_has_ended_is_seen_before_it_is_taken(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    assert not await stage.other.any_abandoned(30_000)
    await stage.fall_silent(message)
    assert await stage.other.any_abandoned(30_000)
    assert list((await stage.pending()).values()) == ["first"]


async def test_ready_is_woken_by_the_turn_that_is_opened(stage: Stage) -> None:
    waiting = asyncio.create_task(stage.queue.ready(1, 10_000))
    await stage.readers_blocked(1)
    await stage.open("t")
    async with asyncio.timeout(2000 * MS):
        assert [message.ref.turn for message in await waiting] == ["t"]


async def test_a_turn_opened_before_the_first_worker_joined_is_handed_out(client: Client, blocking: Client) -> None:
    ledger = Ledger(client)
    stage = Stage(client, ledger, ledger.queue(0, blocking, "first"), ledger.queue(0, blocking, "second"))
    await stage.open("t")
    await stage.queue.join()
    assert (await stage.take()).ref.turn == TurnId("t")


async def test_joining_again_is_harmless(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    await stage.other.join()
    assert await stage.pending() == {message.id: "first"}


async def test_a_turn_is_abandoned_when_its_lease_has_not_been_renewed_for_so_long(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    assert await stage.other.abandoned(LONG_AGO_MS, 10) == []

    async def abandoned() -> list[Message]:
        return await stage.other.abandoned(20, 10)

    assert await eventually(abandoned) == [message]
    assert await stage.pending() == {message.id: "second"}


async def test_a_turn_that_was_taken_over_has_a_new_lease(stage: Stage) -> None:
    await stage.open("t")
    await stage.fall_silent(await stage.take())
    assert len(await stage.other.abandoned(LONG_AGO_MS, 10)) == 1
    assert await stage.queue.abandoned(LONG_AGO_MS, 10) == []


async def test_abandoned_takes_no_more_than_asked_for(stage: Stage) -> None:
    await open_many(stage, 3)
    for message in await stage.queue.ready(3, 1):
        await stage.fall_silent(message)
    assert await stage.other.abandoned(LONG_AGO_MS, 0) == []
    assert len(await stage.other.abandoned(LONG_AGO_MS, 2)) == 2
    assert len(await stage.other.abandoned(LONG_AGO_MS, 2)) == 1


async def test_an_abandoned_turn_is_found_behind_any_number_that_are_not(stage: Stage) -> None:
    # XAUTOCLAIM looks at ten messages for each that is asked for, from where it is told to begin.
    await open_many(stage, 40)
    messages = await stage.queue.ready(40, 1)
    await stage.fall_silent(messages[-1])
    assert await stage.other.abandoned(LONG_AGO_MS, 1) == [messages[-1]]


async def test_an_abandoned_turn_that_has_ended_is_not_handed_out(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.fall_silent(claim.message)
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    assert await stage.other.abandoned(LONG_AGO_MS, 10) == []


@pytest.mark.parametrize("fields", [("turn", "x", "new", "field"), ("session", b"\xff", "turn", "x", "voice", "v")])
async def test_what_is_no_turn_is_thrown_away_and_the_others_are_handed_out(
    stage: Stage, fields: tuple[str | bytes, ...]
) -> None:
    await call(stage.redis, "XADD", ShardKeys(0).dispatch, "1-0", *fields)
    await open_many(stage, 1)
    [message] = await stage.queue.ready(5, 1)
    assert set(await stage.pending()) == set(await stage.dispatched()) == {message.id}


async def test_a_message_whose_entry_was_deleted_is_not_handed_out(stage: Stage) -> None:
    await open_many(stage, 2)
    lost, kept = await stage.queue.ready(2, 1)
    for message in (lost, kept):
        await stage.fall_silent(message)
    await call(stage.redis, "XDEL", ShardKeys(0).dispatch, lost.id)
    assert await stage.other.abandoned(LONG_AGO_MS, 10) == [kept]


async def test_renewing_keeps_others_from_taking_over(stage: Stage) -> None:
    await open_many(stage, 3)
    messages = await stage.queue.ready(3, 1)
    for message in messages:
        await stage.fall_silent(message)
    renewed = await stage.queue.renew(message.id for message in messages[:2])
    assert renewed == {message.id for message in messages[:2]}
    assert await stage.other.abandoned(LONG_AGO_MS, 10) == [messages[2]]


async def test_renewing_takes_nothing_back_that_another_worker_has(stage: Stage) -> None:
    await open_many(stage, 2)
    lost, kept = await stage.queue.ready(2, 1)
    await stage.fall_silent(lost)
    assert await stage.other.abandoned(LONG_AGO_MS, 10) == [lost]
    assert await stage.queue.renew([lost.id, kept.id]) == {kept.id}
    assert (await stage.pending())[lost.id] != (await stage.pending())[kept.id]


async def test_more_leases_than_a_script_can_put_on_its_stack_are_renewed(stage: Stage) -> None:
    await open_many(stage, 2500)
    ids = {message.id for message in await stage.queue.ready(2500, 1)}
    assert await stage.queue.renew(ids) == ids


async def test_renewing_tells_which_turns_have_ended(stage: Stage) -> None:
    claims = [await stage.speaking(f"t{number}", f"s{number}") for number in range(3)]
    await stage.ledger.finish(claims[0], 1, State.DONE, 0, 0)
    await stage.ledger.interrupt("s1")
    assert await stage.queue.renew(claim.message.id for claim in claims) == {claims[2].message.id}


async def test_renewing_brings_no_ended_turn_back(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    assert await stage.queue.renew([claim.message.id]) == set()
    assert await stage.pending() == {}


async def test_a_worker_can_ask_what_is_in_its_hands(stage: Stage) -> None:
    # after a lost reply it does not know, and Redis does
    await open_many(stage, 3)
    messages = await stage.queue.ready(2, 1)
    assert await stage.queue.handed_out() == messages
    assert await stage.other.handed_out() == []


async def test_what_has_ended_is_in_nobodys_hands(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    assert await stage.queue.handed_out() == []


async def test_renewing_nothing_is_nothing(stage: Stage) -> None:
    assert await stage.queue.renew([]) == set()


async def work_a_turn_off(stage: Stage, turn: str, queue: Queue) -> None:
    """Let a worker be known to the group and hold nothing."""
    await stage.open(turn, turn)
    claim = await stage.claim(await stage.take(queue))
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)


async def test_a_worker_that_leaves_is_no_longer_in_the_group(stage: Stage) -> None:
    await work_a_turn_off(stage, "t", stage.queue)
    assert await members(stage) == {"first"}
    await stage.queue.leave()
    await stage.queue.leave()
    assert await members(stage) == set()


async def test_a_worker_that_holds_a_turn_does_not_leave_and_the_turn_is_not_lost(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    await stage.queue.leave()
    assert await stage.pending() == {message.id: "first"}
    await stage.fall_silent(message)
    assert await stage.other.abandoned(LONG_AGO_MS, 1) == [message]


async def test_the_dead_are_forgotten_and_those_that_hold_a_turn_or_were_heard_of_are_not(stage: Stage) -> None:
    await work_a_turn_off(stage, "t", stage.other)
    await stage.open("u")
    await stage.take(stage.queue)
    await stage.other.forget_the_dead(LONG_AGO_MS)
    assert await members(stage) == {"first", "second"}
    await stage.clock_passes(2)
    await stage.queue.forget_the_dead(1)
    assert await members(stage) == {"first"}


async def test_a_turn_whose_worker_died_is_claimed_by_the_next(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.fall_silent(first.message)
    [message] = await stage.other.abandoned(LONG_AGO_MS, 1)
    assert (await stage.claim(message)).attempt == 2


async def test_a_worker_that_was_late_gets_its_turn_refused_when_the_other_has_ended_it(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.fall_silent(first.message)
    [message] = await stage.other.abandoned(LONG_AGO_MS, 1)
    await stage.ledger.finish(await stage.claim(message), 1, State.DONE, 0, 0)
    assert await stage.ledger.claim(first.message, "first/late", attempts=3, format=FORMAT) is Refusal.ENDED
