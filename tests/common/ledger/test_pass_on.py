"""Passing on leaves a turn to others that was handed out and not claimed, as if it had never been here."""

import asyncio

import pytest

from saystream.common.ledger import Refusal
from saystream.common.redis_client import call
from saystream.common.states import State
from tests.common.stage import FORMAT, Stage
from tests.timing import MS

#: Longer than any test.
LONG_MS = 3_600_000


async def test_a_worker_that_waits_is_woken_at_once(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    waiting = asyncio.create_task(stage.other.ready(1, 10_000))
    await stage.readers_blocked(1)
    assert await stage.ledger.pass_on(message, "first")
    async with asyncio.timeout(2000 * MS):
        [passed_on] = await waiting
    assert passed_on.ref == message.ref
    assert list((await stage.dispatched()).values()) == ["t"]


async def test_no_attempt_is_used_up_however_often_and_nothing_is_published(stage: Stage) -> None:
    await stage.open("t")
    for _ in range(5):
        await stage.ledger.pass_on(await stage.take(), "first")
    assert await stage.output() == []
    claim = await stage.claim(await stage.take(), attempts=1)
    assert claim.attempt == 1


async def test_its_deadline_holds(stage: Stage) -> None:
    await stage.open("t", start_within_ms=1)
    await stage.ledger.pass_on(await stage.take(), "first")
    await stage.clock_passes(1)
    assert await stage.ledger.expire_late(0) == 1


async def test_one_whose_worker_was_lost_still_counts_that(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.fall_silent(claim.message)
    [message] = await stage.other.abandoned(1000, 1)
    await stage.ledger.pass_on(message, "second")
    refused = await stage.ledger.claim(await stage.take(), "w/2", attempts=1, format=FORMAT)
    assert refused is Refusal.EXHAUSTED


@pytest.mark.parametrize("why", ["in other hands", "passed on", "ended"])
async def test_what_is_not_ours_any_more_is_let_alone(stage: Stage, why: str) -> None:
    await stage.open("t")
    message = await stage.take()
    match why:
        case "in other hands":
            await stage.fall_silent(message)
            await stage.other.abandoned(1000, 1)
        case "passed on":
            await stage.ledger.pass_on(message, "first")
        case "ended":
            await stage.ledger.interrupt("s")
    before = await stage.dump()
    for nobody_ms in (None, 0, LONG_MS):
        assert await stage.ledger.pass_on(message, "first", nobody_ms=nobody_ms)
    assert await stage.dump() == before


async def test_a_turn_that_is_gone_leaves_nothing_behind_and_lets_the_next_one_speak(stage: Stage) -> None:
    await stage.open("t")
    await stage.open("next")
    message = await stage.take()
    await call(stage.redis, "DEL", stage.keys().turn("t"))
    assert await stage.ledger.pass_on(message, "first")
    assert (await stage.take()).ref.turn == "next"
    assert len(await stage.dispatched()) == 1


async def test_it_is_not_passed_on_when_for_long_enough_nobody_was_there(stage: Stage) -> None:
    await stage.open("t")
    assert await stage.ledger.pass_on(await stage.take(), "first", nobody_ms=LONG_MS)
    await stage.clock_passes(5)
    message = await stage.take()
    before = await stage.dump()
    assert not await stage.ledger.pass_on(message, "first", nobody_ms=5)
    assert await stage.dump() == before
    assert (await stage.claim(message)).attempt == 1


async def test_the_time_begins_anew_when_somebody_was_there_meanwhile(stage: Stage) -> None:
    await stage.open("t")
    await stage.ledger.pass_on(await stage.take(), "first", nobody_ms=LONG_MS)
    await stage.clock_passes(50)
    await stage.ledger.pass_on(await stage.take(), "first")
    assert await stage.ledger.pass_on(await stage.take(), "first", nobody_ms=50), "the first time that nobody is there"
    assert await stage.state("t") is State.READY


async def test_the_time_begins_anew_when_somebody_has_claimed_it_meanwhile(stage: Stage) -> None:
    await stage.open("t")
    await stage.ledger.pass_on(await stage.take(), "first", nobody_ms=LONG_MS)
    await stage.clock_passes(50)
    await stage.ledger.release(await stage.claim(await stage.take()))
    assert await stage.ledger.pass_on(await stage.take(), "first", nobody_ms=50)
