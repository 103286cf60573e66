"""A turn that cannot start in time ends at once, not when its time to speak would have come."""

import pytest

from saystream.common.errors import TurnEnded
from saystream.common.events import End
from saystream.common.ids import FENCE
from saystream.common.ledger import Outcome, Refusal
from saystream.common.redis_client import call
from saystream.common.states import State
from tests.common.stage import FORMAT, Stage


async def deadlines(stage: Stage) -> list[str]:
    members = await call(stage.redis, "ZRANGE", stage.keys().deadlines, 0, -1)
    return [member.decode() for member in members]


async def too_late(stage: Stage, turn: str, session: str = "s") -> None:
    """Let a turn's deadline have passed."""
    keys = stage.keys(session)
    await call(stage.redis, "HSET", keys.turn(turn), "expires_ms", 1)
    await call(stage.redis, "ZADD", keys.deadlines, 1, f"{session} {turn}")


async def test_one_that_is_ready_ends_and_the_next_one_may_speak(stage: Stage) -> None:
    opened = await stage.open("t", start_within_ms=1)
    await stage.open("next")
    await stage.clock_passes(1)
    assert await stage.ledger.expire_late(0) == 1
    assert [await stage.state(turn) for turn in ("t", "next")] == [State.EXPIRED, State.READY]
    [end] = await stage.output()
    assert isinstance(end, End)
    assert (end.turn, end.reason, end.cause) == ("t", State.EXPIRED, "could not start in time")
    assert (end.cursor.number, end.cursor.attempt) == (opened.number, FENCE)
    assert (await stage.take()).ref.turn == "next"


async def test_its_producer_learns_of_it_at_its_next_token(stage: Stage) -> None:
    await stage.open("t", start_within_ms=60_000)
    await too_late(stage, "t")
    await stage.ledger.expire_late(0)
    with pytest.raises(TurnEnded, match="could not start to speak in time"):
        await stage.append("t", 1, "Hello")


async def test_one_that_waits_ends_at_once_and_the_output_says_so_in_its_order(stage: Stage) -> None:
    claim = await stage.speaking("speaker")
    await stage.open("late", start_within_ms=60_000)
    await stage.open("next")
    await too_late(stage, "late")
    assert await stage.ledger.expire_late(0) == 1
    assert (await stage.state("late"), await stage.seal("late")) == (State.EXPIRED, State.EXPIRED)
    assert [event.turn for event in await stage.output()] == ["speaker"]
    assert await stage.say(claim, 1) is Outcome.APPENDED

    await stage.ledger.finish(claim, 2, State.DONE, 10, 0)
    *_, end = await stage.output()
    assert isinstance(end, End)
    assert (end.turn, end.reason, end.cause) == ("late", State.EXPIRED, "could not start in time")
    assert (await stage.take()).ref.turn == "next"


async def test_one_that_still_has_time_stays(stage: Stage) -> None:
    await stage.open("t", start_within_ms=60_000)
    await stage.open("waiting", start_within_ms=60_000)
    before = await stage.dump()
    assert await stage.ledger.expire_late(0) == 0
    assert await stage.dump() == before


async def test_one_that_has_begun_has_no_deadline_any_more(stage: Stage) -> None:
    claim = await stage.speaking("t", start_within_ms=60_000)
    assert await deadlines(stage) == []
    await too_late(stage, "t")
    assert await stage.ledger.expire_late(0) == 0
    assert await deadlines(stage) == []
    await stage.say(claim, 1)
    await stage.ledger.release(claim)
    assert await stage.ledger.expire_late(0) == 0
    assert (await stage.claim(await stage.take())).attempt == 2


@pytest.mark.parametrize("end", ["interrupt", "claim", "waiting", "forgotten"])
async def test_a_turn_that_has_ended_has_no_deadline_any_more(stage: Stage, end: str) -> None:
    if end == "waiting":
        await stage.open("speaker")
    await stage.open("t", start_within_ms=60_000)
    match end:
        case "interrupt" | "waiting":
            await stage.ledger.interrupt("s", "t")
        case "claim":
            message = await stage.take()
            await too_late(stage, "t")
            assert await stage.ledger.claim(message, "w/1", attempts=3, format=FORMAT) is Refusal.EXPIRED
        case "forgotten":
            await too_late(stage, "t")
            await call(stage.redis, "DEL", stage.keys().turn("t"))
            assert await stage.ledger.expire_late(0) == 0
    assert await deadlines(stage) == []


async def test_a_worker_that_had_it_in_its_hands_is_refused(stage: Stage) -> None:
    await stage.open("t", start_within_ms=60_000)
    message = await stage.take()
    await too_late(stage, "t")
    await stage.ledger.expire_late(0)
    assert (await stage.dispatched(), await stage.pending()) == ({}, {})
    assert await stage.ledger.claim(message, "w/1", attempts=3, format=FORMAT) is Refusal.ENDED


async def test_no_more_are_ended_at_once_than_asked_for_and_the_longest_overdue_come_first(stage: Stage) -> None:
    for number, session in enumerate("abc", 1):
        await stage.open(session, session, start_within_ms=60_000)
        await too_late(stage, session, session)
        await call(stage.redis, "ZADD", stage.keys().deadlines, 10 - number, f"{session} {session}")
    assert await stage.ledger.expire_late(0, count=2) == 2
    assert [await stage.state(turn) for turn in "abc"] == [State.READY, State.EXPIRED, State.EXPIRED]
    assert await stage.ledger.expire_late(0, count=2) == 1
    assert await stage.ledger.expire_late(0, count=2) == 0


async def test_the_turn_that_is_late_in_one_session_leaves_the_others_alone(stage: Stage) -> None:
    await stage.open("t", "a", start_within_ms=60_000)
    await stage.open("u", "b", start_within_ms=60_000)
    await too_late(stage, "t", "a")
    await stage.ledger.expire_late(0)
    assert [await stage.state(turn) for turn in "tu"] == [State.EXPIRED, State.READY]
    assert await deadlines(stage) == ["b u"]


async def test_one_that_cannot_be_ended_keeps_no_other_waiting(stage: Stage) -> None:
    await call(stage.redis, "ZADD", stage.keys().deadlines, 0, "s strange")
    await call(stage.redis, "LPUSH", stage.keys().turn("strange"), "no hash")
    await stage.open("t", start_within_ms=1)
    await stage.clock_passes(1)
    assert await stage.ledger.expire_late(0) == 1
    assert await deadlines(stage) == []
    assert await stage.state("t") is State.EXPIRED
