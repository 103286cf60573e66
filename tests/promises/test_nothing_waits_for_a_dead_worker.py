"""Promise 6: a turn whose worker died is taken over; one that fails on every attempt ends visibly, with its cause."""

import asyncio
import signal
import time
from functools import partial

from saystream.common.redis_client import call, connect
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind, Stats
from tests.rig import LEASE_S, rig
from tests.timing import MS


async def test_a_dead_workers_turn_is_taken_over_within_two_leases(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=5.0)) as way:
        way.stops[0].set()
        await way.runs[0]
        async with way.worker_process() as process:
            await way.say("s", "t", "one two three four five six seven eight nine ten " * 3)
            await way.standin.stats.until(lambda stats: any(request.frames_sent > 10 for request in stats.requests))
            await way.start_worker()
            begun = way.standin.stats.requests_started
            process.send_signal(signal.SIGKILL)
            killed_at = time.monotonic()
            await way.standin.stats.until(lambda stats: stats.requests_started > begun)
            assert time.monotonic() - killed_at < 2 * LEASE_S + 500 * MS  # what a loaded machine takes to get there
            await way.hear("s", "t")


async def test_a_turn_that_the_vendor_refuses_ends_failed_with_its_words(redis_url: str) -> None:
    fault = Fault(Kind.ERROR, code=1011, message="Embeddings not found for nobody")
    async with rig(redis_url, behaviour=Behaviour(fault=fault)) as way:
        await way.say("s", "t", "Hello there.")
        await way.say("s", "next", "")
        heard = await way.hear("s", "t", "next")
        assert heard.ends["t"].reason is State.FAILED
        assert "Embeddings not found for nobody" in heard.ends["t"].cause
        assert heard.ends["next"].reason is State.DONE
        redis = connect(redis_url)
        [(_, buried)] = await call(redis, "XRANGE", "saystream:{0}:dead", "-", "+")
        assert buried[b"turn"] == b"t"
        assert b"Embeddings" in buried[b"cause"]
        await redis.aclose()


async def test_a_turn_that_fails_on_every_stream_ends_failed(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(fault=Fault(Kind.CUT))) as way:
        await way.say("s", "t", "Hello there.")
        heard = await way.hear("s", "t")
        assert heard.ends["t"].reason is State.FAILED
        assert way.standin.stats.requests_started == way.settings.worker.streams


def has_started(count: int, stats: Stats) -> bool:
    return stats.requests_started >= count


async def test_a_turn_that_kills_its_workers_is_given_up(redis_url: str) -> None:
    """Poison: after as many lost workers as allowed the turn fails, and the session goes on."""
    worker = {"lease_s": LEASE_S, "attempts": 2}
    async with rig(redis_url, workers=0, behaviour=Behaviour(speed=1.0), worker=worker) as way:
        await way.say("s", "poison", "word " * 200)
        for attempt in (1, 2):
            async with way.worker_process() as process:
                await way.standin.stats.until(partial(has_started, attempt))
                process.send_signal(signal.SIGKILL)
        await way.start_worker()
        heard = await asyncio.wait_for(way.hear("s", "poison"), 20)
        assert heard.ends["poison"].reason is State.FAILED
        assert "2 workers were lost" in heard.ends["poison"].cause
