"""Promise 7: every wait on a network has a time-out, every buffer a limit."""

import asyncio
import time

import pytest

from saystream.common.errors import InvalidToken, RedisUnavailable, SessionBusy
from saystream.common.states import State
from saystream.compose.standin import TEST_KEY, Behaviour
from saystream.producer import Speaker
from tests.proxy import Proxy
from tests.rig import rig
from tests.servers import MakeRedis


async def test_a_redis_that_says_nothing_ends_the_producers_wait(redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, Speaker.connect(proxy.url, patience_s=0.4) as speaker:
        turn = speaker.turn("s")
        await turn.open()
        with proxy.silent():
            began = time.monotonic()
            with pytest.raises(RedisUnavailable):
                await turn.say(["Hello"] * 100_000)  # more than an outbox holds
            assert time.monotonic() - began < 5


async def test_a_worker_outlives_a_redis_that_was_away_for_longer_than_its_lease(make_redis: MakeRedis) -> None:
    """Nothing it holds is published by a lease that may be another's; it takes its turn again when Redis is back."""
    redis = make_redis()
    async with Proxy(redis.url) as proxy, rig(proxy.url, behaviour=Behaviour(speed=5.0)) as way:
        way.url = redis.url
        text = "one two three four five six seven eight nine ten " * 3
        await way.say("s", "t", text)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 10 for request in stats.requests))
        async with proxy.refusing():
            await way.standin.stats.until(lambda stats: stats.requests_aborted == 1)
        heard = await way.hear("s", "t")
        assert heard.words("t") == text.split()
        assert heard.ends["t"].reason is State.DONE


async def test_a_vendor_that_does_not_answer_its_handshake_fails_the_turn_in_time(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(handshake_delay_s=60.0)) as way:
        providers = {"gradium": {"url": way.standin.gradium_url, "api_key": TEST_KEY, "connect_timeout_s": 0.2}}
        async with rig(redis_url, providers=providers, worker={"streams": 2, "lease_s": 5.0}) as impatient:
            way.stops[0].set()
            await way.runs[0]
            await impatient.say("s", "t", "Hello there.")
            heard = await asyncio.wait_for(impatient.hear("s", "t"), 10)
            assert heard.ends["t"].reason is State.FAILED
            assert "cannot connect" in heard.ends["t"].cause


async def test_a_session_takes_no_more_waiting_turns_than_allowed(redis_url: str) -> None:
    async with rig(redis_url, workers=0, limits={"waiting_turns": 2}) as way, way.speaker() as speaker:
        for _ in range(3):
            await speaker.turn("s").open()
        with pytest.raises(SessionBusy, match="2 turns wait already"):
            await speaker.turn("s").open()


async def test_a_token_has_a_largest_size(redis_url: str) -> None:
    async with rig(redis_url, workers=0, limits={"token_bytes": 8}) as way, way.speaker() as speaker:
        turn = speaker.turn("s")
        await turn.open()
        with pytest.raises(InvalidToken, match="10 bytes, and 8 are allowed"):
            await turn.send("nine bytes")
