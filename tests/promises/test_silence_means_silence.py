"""Promise 2: when `interrupt()` has returned, not one more sample of the turn enters the output stream."""

import asyncio
import itertools

import pytest

from saystream.common.errors import TurnInterrupted
from saystream.common.events import Audio, End
from saystream.common.redis_client import call, connect
from saystream.common.states import State
from saystream.compose.standin import Behaviour
from tests.rig import rig

LONG = "one two three four five six seven eight nine ten " * 20


async def test_nothing_is_appended_after_interrupt_has_returned(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=50.0)) as way, way.speaker() as speaker:
        redis = connect(redis_url)
        key = "saystream:{0}:audio:s"
        await way.say("s", "t", LONG)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 10 for request in stats.requests))
        [cut] = await speaker.interrupt("s")
        length = await call(redis, "XLEN", key)
        # The vendor has been cut off as well: when that is through, nothing can be on its way any more.
        await way.standin.stats.until(lambda stats: stats.requests_aborted == 1)
        await asyncio.gather(*(call(redis, "PING") for _ in range(10)))
        assert await call(redis, "XLEN", key) == length
        heard = await way.hear("s", "t")
        end = heard.ends["t"]
        assert end.reason is State.INTERRUPTED
        assert (end.samples, end.spoken) == (cut.samples, cut.spoken)
        assert isinstance(heard.events[-1], End)
        last = heard.of("t", Audio)[-1]
        assert last.offset + last.samples == cut.samples
        await redis.aclose()


async def test_the_cut_tells_how_much_of_the_text_was_published(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=50.0)) as way, way.speaker() as speaker:
        await way.say("s", "t", LONG)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 40 for request in stats.requests))
        [cut] = await speaker.interrupt("s")
        decoded = (await way.hear("s", "t")).decoded("t")
        whole = [word.text for word in decoded.words]
        assert whole[: len(LONG[: cut.spoken].split())] == LONG[: cut.spoken].split()
        assert 0 < cut.spoken < len(LONG)


async def test_the_producer_learns_of_it_at_its_next_token(redis_url: str) -> None:
    async with rig(redis_url) as way, way.speaker() as speaker:
        turn = speaker.turn("s")
        await turn.open()
        await turn.send("Hello ")
        await speaker.interrupt("s")
        with pytest.raises(TurnInterrupted):
            await turn.say(itertools.repeat("and on "))


async def test_a_session_speaks_again_after_an_interrupt(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=50.0)) as way, way.speaker() as speaker:
        await way.say("s", "first", LONG)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 5 for request in stats.requests))
        await speaker.interrupt("s")
        await way.say("s", "second", "And now for something else.")
        heard = await way.hear("s", "first", "second")
        assert heard.words("second") == "And now for something else.".split()


async def test_on_busy_interrupt_is_a_barge_in(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=50.0)) as way:
        await way.say("s", "first", LONG)
        await way.say("s", "waiting", LONG)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 5 for request in stats.requests))
        await way.say("s", "second", "Stop there.", on_busy="interrupt")
        heard = await way.hear("s", "first", "waiting", "second")
        assert [end.reason for end in heard.ends.values()] == [State.INTERRUPTED, State.INTERRUPTED, State.DONE]
        assert heard.words("second") == ["Stop", "there."]
