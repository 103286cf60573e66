"""Releasing gives a turn back, and any worker may go on with it at once."""

import asyncio

import pytest

from saystream.common.errors import Fenced
from saystream.common.events import Splice
from saystream.common.ledger import Outcome, Refusal
from saystream.common.redis_client import call
from saystream.common.states import State
from tests.common.stage import FORMAT, Stage
from tests.timing import MS


async def test_a_worker_that_waits_is_woken_at_once(stage: Stage) -> None:
    claim = await stage.speaking("t")
    waiting = asyncio.create_task(stage.other.ready(1, 10_000))
    await stage.readers_blocked(1)
    await stage.ledger.release(claim)
    async with asyncio.timeout(2000 * MS):
        [message] = await waiting
    assert message.ref == claim.ref
    assert message.id != claim.message.id


async def test_the_turn_is_ready_with_one_message_that_nobody_holds(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.release(claim)
    assert await stage.state("t") is State.READY
    assert list((await stage.dispatched()).values()) == ["t"]
    assert await stage.pending() == {}


async def test_the_next_attempt_goes_on_where_this_one_came_to(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.say(first, 1, samples=100, spoken=5)
    await stage.ledger.release(first)
    second = await stage.claim(await stage.take())
    assert (second.attempt, second.cut, second.spoken) == (2, 100, 5)
    assert (await stage.output())[-1] == Splice(second.entry(0), "t", 100, 5, "another worker goes on", "default")
    assert await stage.say(first, 2) is Outcome.FENCED


async def test_it_does_not_count_as_a_worker_that_was_lost(stage: Stage) -> None:
    await stage.open("t")
    for _ in range(5):
        claim = await stage.claim(await stage.take(), attempts=1)
        await stage.ledger.release(claim)
    lost = await stage.claim(await stage.take(), attempts=1)
    assert await stage.ledger.claim(lost.message, "next", attempts=1, format=FORMAT) is Refusal.EXHAUSTED


async def test_the_turn_keeps_its_place_before_those_that_wait(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.open("next")
    await stage.ledger.release(claim)
    assert list((await stage.dispatched()).values()) == ["t"]
    assert (await stage.open("later")).state is State.WAITING


async def test_a_released_turn_that_has_started_does_not_expire(stage: Stage) -> None:
    claim = await stage.speaking("t", start_within_ms=60_000)
    await stage.say(claim, 1)
    await call(stage.redis, "HSET", stage.keys().turn("t"), "expires_ms", 1)
    await stage.ledger.release(claim)
    assert (await stage.claim(await stage.take())).attempt == 2


async def test_repeating_it_changes_nothing(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.release(claim)
    before = await stage.dump()
    await stage.ledger.release(claim)
    assert await stage.dump() == before


async def test_repeating_it_when_the_message_is_in_other_hands_changes_nothing(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.release(claim)
    await stage.take(stage.other)
    before = await stage.dump()
    await stage.ledger.release(claim)
    assert await stage.dump() == before


async def test_an_old_attempt_is_fenced_and_changes_nothing(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.claim(first.message)
    before = await stage.dump()
    with pytest.raises(Fenced, match="turn t"):
        await stage.ledger.release(first)
    assert await stage.dump() == before


@pytest.mark.parametrize("ended", ["done", "interrupted", "gone"])
async def test_a_turn_that_has_ended_is_fenced_and_changes_nothing(stage: Stage, ended: str) -> None:
    claim = await stage.speaking("t")
    match ended:
        case "done":
            await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
        case "interrupted":
            await stage.ledger.interrupt("s")
        case "gone":
            await call(stage.redis, "DEL", stage.keys().turn("t"))
    before = await stage.dump()
    with pytest.raises(Fenced):
        await stage.ledger.release(claim)
    assert await stage.dump() == before
