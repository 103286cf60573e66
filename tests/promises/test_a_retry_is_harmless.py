"""Promise 4: every step can be repeated after a lost reply, with the effect of doing it once."""

from functools import partial

import pytest

from saystream.common.events import Splice
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Stats
from tests.proxy import Proxy
from tests.rig import rig

TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. " * 3


@pytest.mark.parametrize("lost", [b"EVALSHA", b"XADD"])
async def test_a_producer_that_loses_a_reply_says_nothing_twice(redis_url: str, lost: bytes) -> None:
    """The reply to opening, or to an append, is lost after Redis has acted."""
    async with rig(redis_url) as way, Proxy(redis_url) as proxy:
        direct, way.url = way.url, proxy.url
        async with proxy.reply_lost_after(lost):
            await way.say("s", "t", TEXT)
        way.url = direct
        heard = await way.hear("s", "t")
        assert heard.words("t") == TEXT.split()


async def test_a_worker_that_loses_its_connections_publishes_nothing_twice(redis_url: str) -> None:
    """All connections of the worker to Redis are cut, again and again, while it publishes."""
    worker = {"lease_s": 10.0}
    async with Proxy(redis_url) as proxy, rig(proxy.url, behaviour=Behaviour(speed=5.0), worker=worker) as way:
        way.url = redis_url
        await way.say("s", "t", TEXT)
        for count in range(1, 6):
            await way.standin.stats.until(partial(has_sent, 10 * count))
            await proxy.cut()
        heard = await way.hear("s", "t")
        assert heard.words("t") == TEXT.split()
        assert heard.ends["t"].reason is State.DONE
        assert heard.of("t", Splice) == []
        assert heard.ends["t"].cursor.attempt == 1


def has_sent(frames: int, stats: Stats) -> bool:
    return any(request.frames_sent > frames for request in stats.requests)


async def test_interrupting_twice_is_interrupting_once(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=20.0)) as way, way.speaker() as speaker:
        await way.say("s", "t", TEXT)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 5 for request in stats.requests))
        first = await speaker.interrupt("s", "t")
        again = await speaker.interrupt("s", "t")
        assert [(cut.samples, cut.spoken) for cut in first] == [(cut.samples, cut.spoken) for cut in again]
        assert len((await way.hear("s", "t")).ends) == 1
