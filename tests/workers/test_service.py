"""Turns of a voice that this worker does not know: they are left to others, and fail only where there are none."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest

from saystream.common.errors import RedisUnavailable
from saystream.common.ledger import Ledger
from saystream.common.redis_client import call, connect
from saystream.common.reports import WorkerReport
from saystream.common.settings import load
from saystream.common.states import State
from saystream.workers import service as module
from saystream.workers.leases import Held
from saystream.workers.others import Others
from saystream.workers.service import Service
from tests.common.stage import LONG_AGO_MS, Stage

KNOWS = WorkerReport(worker="other", slots=1, voices={"narrator": 24_000})
FULL = KNOWS.model_copy(update={"turns": 1})
DOES_NOT = WorkerReport(worker="other", slots=1, voices={"somebody": 24_000})
#: What may be known of the others, and need not mean that there is nobody for a turn.
SOMEBODY: dict[str, tuple[WorkerReport, ...] | None] = {"unknown": None, "with room": (KNOWS,), "full": (FULL,)}


class Roll:
    """The others, as they are said to be."""

    def __init__(self) -> None:
        self.others: tuple[WorkerReport, ...] | None = (DOES_NOT,)

    async def now(self) -> tuple[WorkerReport, ...] | None:
        return self.others


class Room:
    """A worker that knows no voice, with a turn that asks for one."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.roll = stage, Roll()
        nothing = cast(Any, None)
        self.service = Service("first", load(), {}, stage.ledger, cast(Others, self.roll), nothing, nothing)

    async def speak(self) -> str:
        """Take the turn and have it spoken."""
        return await self.service.speak(Held(await self.stage.take()))

    async def nobody_since(self, ms: int) -> None:
        """Let nobody have been known for so long, if that was so."""
        key = self.stage.keys().turn("t")
        if await call(self.stage.redis, "HEXISTS", key, "unspoken_ms"):
            await call(self.stage.redis, "HINCRBY", key, "unspoken_ms", -ms)

    async def is_left(self, times: int = 1) -> None:
        """The turn is passed on, so often, as if it had never been here."""
        for _ in range(times):
            assert "left to others" in await self.speak()
            snapshot = await self.stage.ledger.inspect("t")
            assert (snapshot.state, snapshot.attempt) == (State.READY, 0)
            await self.nobody_since(LONG_AGO_MS)


@asynccontextmanager
async def stage_at(url: str) -> AsyncIterator[Stage]:
    async with aclosing(connect(url)) as redis:
        ledger = Ledger(redis)
        stage = Stage(redis, ledger, ledger.queue(0, redis, "first"), ledger.queue(0, redis, "second"))
        await stage.queue.join()
        yield stage


@pytest.fixture
async def room(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    for pause in ("_ROOM_S", "_NO_ROOM_S"):
        monkeypatch.setattr(module, pause, (0.0, 0.0))
    async with stage_at(redis_url) as stage:
        await stage.open("t", voice="narrator")
        yield Room(stage)


@pytest.mark.parametrize("who", SOMEBODY)
async def test_where_somebody_may_know_the_voice_it_is_left_however_often(room: Room, who: str) -> None:
    room.roll.others = SOMEBODY[who]
    await room.is_left(times=30)


async def test_where_nobody_knows_it_the_turn_fails_after_some_time_and_not_before(room: Room) -> None:
    await room.is_left()
    assert (await room.speak()).startswith("failed")
    snapshot = await room.stage.ledger.inspect("t")
    assert (snapshot.state, snapshot.cause) == (State.FAILED, "voice 'narrator' is none of: ")


@pytest.mark.parametrize("who", SOMEBODY)
async def test_that_time_begins_anew_when_somebody_may_have_been_there(room: Room, who: str) -> None:
    """Redis was away, say: then nobody's report is fresh, and nothing follows from it."""
    await room.is_left()
    room.roll.others = SOMEBODY[who]
    await room.is_left()
    room.roll.others = ()
    await room.is_left()


async def test_a_voice_that_somebody_spoke_of_late_is_waited_for_longer(room: Room) -> None:
    """Its worker is restarted, or its vendor is not well: it is not named in the reports."""
    await room.stage.ledger.announce(["narrator"])
    assert "left to others" in await room.speak()
    await room.nobody_since(round(module._UNKNOWN_S * 1000))
    assert "left to others" in await room.speak()
    await room.nobody_since(round(module._GONE_S * 1000))
    assert "failed" in await room.speak()


async def test_where_it_cannot_be_known_who_spoke_it_it_is_left(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> set[str]:
        raise RedisUnavailable

    monkeypatch.setattr(room.stage.ledger, "voices", away)
    await room.is_left(times=3)


async def test_one_that_is_in_other_hands_by_then_is_let_alone(room: Room) -> None:
    message = await room.stage.take()
    await room.stage.fall_silent(message)
    [taken] = await room.stage.other.abandoned(1000, 1)
    before = await room.stage.dump()
    await room.service.speak(Held(message))
    assert await room.stage.dump() == before
    assert (await room.stage.claim(taken)).attempt == 1


async def test_what_was_not_begun_is_passed_on_as_it_is(room: Room) -> None:
    message = await room.stage.take()
    await room.service.pass_on([message])
    assert await room.stage.output() == []
    assert (await room.stage.claim(await room.stage.take())).attempt == 1
