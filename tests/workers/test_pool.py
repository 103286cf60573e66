"""The pool and its connections, against the stand-in vendor."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.errors import Action, VendorError
from saystream.common.settings import ProviderSettings
from saystream.compose.standin import TEST_KEY, Behaviour, StandIn
from saystream.workers.connection import Stream
from saystream.workers.pool import Pool
from saystream.workers.providers.base import AudioData, Finished, StreamSpec, VendorEvent, WordTimes
from saystream.workers.providers.gradium import Gradium
from tests.timing import eventually

SPEC = StreamSpec("marker", AudioFormat())


@asynccontextmanager
async def pool_at(standin: StandIn, **settings: Any) -> AsyncIterator[Pool]:
    account = ProviderSettings.model_validate({"url": standin.gradium_url, "api_key": TEST_KEY, **settings})
    async with Pool(Gradium("gradium", account)) as pool:
        yield pool


async def all_of(stream: Stream) -> list[VendorEvent]:
    events: list[VendorEvent] = []
    while not (events and isinstance(events[-1], Finished)):
        events += await stream.events(5.0)
    return events


async def speak(pool: Pool, text: str) -> list[VendorEvent]:
    stream = await pool.stream(SPEC)
    await stream.finish(text)
    return await all_of(stream)


async def test_a_stream_brings_words_and_audio_and_its_end() -> None:
    async with StandIn(engine="marker") as standin, pool_at(standin) as pool:
        events = await speak(pool, "Hello there.")
        words = [word.text for event in events if isinstance(event, WordTimes) for word in event.words]
        assert words == ["Hello", "there."]
        assert any(isinstance(event, AudioData) for event in events)


async def test_warm_connections_are_there_before_the_first_turn() -> None:
    async with StandIn(engine="marker") as standin, pool_at(standin, warm=3) as pool:
        await pool.warmed()
        assert standin.stats.connections_open == 3
        assert repr(pool) == "<Pool gradium [connections: 0 active, 3 idle, 0 opening | turns waiting: 0]>"


async def test_turns_one_after_the_other_share_a_connection() -> None:
    async with StandIn(engine="marker") as standin, pool_at(standin) as pool:
        await pool.warmed()
        for _ in range(3):
            await speak(pool, "Once more.")
        assert {request.connection for request in standin.stats.requests} == {1}


async def test_no_more_connections_are_opened_than_allowed_and_turns_wait_their_turn() -> None:
    async with StandIn(engine="marker") as standin, pool_at(standin, warm=1, max=2) as pool:
        await asyncio.gather(*(speak(pool, f"Number {number}.") for number in range(20)))
        assert standin.stats.connections_opened == 2
        assert standin.stats.requests_completed == 20


async def test_single_use_connections_are_replaced() -> None:
    async with StandIn(engine="marker") as standin, pool_at(standin, options={"mode": "single"}) as pool:
        for _ in range(3):
            await speak(pool, "Once more.")
        assert len({request.connection for request in standin.stats.requests}) == 3


async def test_multiplexed_turns_share_one_connection_at_once() -> None:
    options = {"mode": "multiplexed", "streams": 8}
    async with StandIn(engine="marker") as standin, pool_at(standin, options=options, max=1) as pool:
        streams = [await pool.stream(SPEC) for _ in range(8)]
        for number, stream in enumerate(streams):
            await stream.finish(f"word{number}")
        for number, events in enumerate(await asyncio.gather(*(all_of(stream) for stream in streams))):
            assert [word.text for event in events if isinstance(event, WordTimes) for word in event.words] == [
                f"word{number}"
            ]
        assert standin.stats.connections_opened == 1


async def test_an_abandoned_multiplexed_turn_leaves_the_others_alone() -> None:
    options = {"mode": "multiplexed", "streams": 8}
    behaviour = Behaviour(speed=20.0)
    async with (
        StandIn(behaviour=behaviour, engine="marker") as standin,
        pool_at(standin, options=options, max=1) as pool,
    ):
        one, other = await pool.stream(SPEC), await pool.stream(SPEC)
        await one.text("this will not be heard to its end " * 10)
        await other.finish("but this will")
        one.cancel()
        words = [word.text for event in await all_of(other) if isinstance(event, WordTimes) for word in event.words]
        assert words == ["but", "this", "will"]


async def test_cancelling_closes_the_connection_and_a_spare_takes_its_place() -> None:
    async with StandIn(engine="marker") as standin, pool_at(standin) as pool:
        stream = await pool.stream(SPEC)
        await stream.text("never mind this text")
        stream.cancel()
        await standin.stats.until(lambda stats: stats.requests_aborted == 1 and stats.connections_open == 1)
        assert [event for event in await speak(pool, "Go on.") if isinstance(event, Finished)]


async def test_an_idle_connection_that_dies_is_noticed_and_replaced() -> None:
    async with StandIn(engine="marker") as standin, pool_at(standin, warm=2) as pool:
        await pool.warmed()
        await standin.drop_connections()
        await standin.stats.until(lambda stats: stats.connections_opened == 4)
        await pool.warmed()
        await speak(pool, "Still here.")


async def test_idle_and_old_connections_are_replaced_before_the_vendor_closes_them() -> None:
    for limit in ("max_idle_s", "max_age_s"):
        async with StandIn(engine="marker") as standin, pool_at(standin, **{limit: 0.05}) as pool:
            await standin.stats.until(lambda stats: stats.connections_opened >= 3)
            assert standin.stats.connections_open <= 2
            await speak(pool, "Hello.")


async def test_a_connection_in_use_is_never_retired() -> None:
    behaviour = Behaviour(speed=2.0)
    async with StandIn(behaviour=behaviour, engine="marker") as standin, pool_at(standin, max_age_s=0.01) as pool:
        await speak(pool, "This takes longer than the connection may live.")
        assert standin.stats.requests_aborted == 0


async def test_a_refused_key_fails_the_waiting_turn_with_the_vendors_words() -> None:
    async with StandIn(engine="marker") as standin, pool_at(standin, api_key="wrong", max=1) as pool:
        with pytest.raises(VendorError) as caught:
            await speak(pool, "Hello.")
        assert caught.value.action is Action.FIX_CONFIGURATION
        assert "wrong" not in str(caught.value)


async def test_a_vendor_that_is_not_there_fails_the_turn_in_time_and_says_so() -> None:
    async with StandIn(engine="marker") as standin:
        nowhere = standin.port
    url = f"ws://127.0.0.1:{nowhere}/api/speech/tts"
    account = ProviderSettings.model_validate({"url": url, "api_key": TEST_KEY})
    async with Pool(Gradium("gradium", account)) as pool:
        with pytest.raises(VendorError, match="cannot connect to ws://127"):
            await pool.stream(SPEC, timeout_s=0.2)


async def test_a_turn_that_gives_up_waiting_leaves_the_place_to_the_next() -> None:
    async with StandIn(engine="marker") as standin, pool_at(standin, max=1) as pool:
        busy = await pool.stream(SPEC)
        waiting = asyncio.create_task(pool.stream(SPEC))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await busy.finish("first")
        await all_of(busy)
        await speak(pool, "second")
        assert standin.stats.connections_opened == 1


async def test_leaving_the_pool_closes_every_connection_and_leaves_no_task() -> None:
    async with StandIn(engine="marker") as standin:
        async with pool_at(standin, warm=3) as pool:
            await pool.warmed()
            await pool.stream(SPEC)
        await standin.stats.until(lambda stats: stats.connections_open == 0)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not any("reader" in name for name in names)


async def test_a_refusal_is_forgotten_when_the_vendor_is_well_again() -> None:
    """With no warm connection, too, the next turn tries anew, once the pause after the refusal is over."""
    strict = Behaviour(api_keys=frozenset({"other"}))
    async with StandIn(behaviour=strict, engine="marker") as standin, pool_at(standin, warm=0, max=1) as pool:
        with pytest.raises(VendorError):
            await speak(pool, "Hello.")
        standin.behaviour = Behaviour()

        async def speaks() -> bool:
            with contextlib.suppress(VendorError):
                return bool(await speak(pool, "Hello."))
            return False

        assert await eventually(speaks)


@pytest.mark.parametrize("url", ["http://example.com/x?key=SECRET", "ws://user:SECRET@127.0.0.1:99999/"])
async def test_a_url_that_is_none_is_a_matter_of_configuration_and_shows_no_secret(url: str) -> None:
    account = ProviderSettings.model_validate({"url": url, "api_key": TEST_KEY})
    async with Pool(Gradium("gradium", account)) as pool:
        with pytest.raises(VendorError, match="cannot connect") as caught:
            await pool.stream(SPEC, timeout_s=1.0)
        assert caught.value.action is Action.FIX_CONFIGURATION
        assert "SECRET" not in str(caught.value)
        assert "0 opening" in repr(pool)
