"""Promise 5: a consumer that comes back with its cursor gets every later entry once; a loss is told."""

import asyncio
import itertools

from saystream.common.events import Audio, End
from saystream.common.redis_client import call, connect
from saystream.compose.standin import Behaviour
from saystream.consumer import Event, Gap, listen
from tests.rig import rig

TEXT = "one two three four five six seven eight nine ten"


async def test_consumers_that_come_and_go_hear_the_whole_turn_between_them(redis_url: str) -> None:
    """Each of them takes a few entries of a turn that is being spoken, and hands the cursor on."""
    async with rig(redis_url, behaviour=Behaviour(speed=10.0)) as way:
        await way.say("s", "t", TEXT)
        relay: list[Event] = []
        cursor = "0-0"
        while not (relay and isinstance(relay[-1], End)):
            events = listen(redis_url, "s", start=cursor)
            for _ in range(7):
                relay.append(await anext(events))
                if isinstance(relay[-1], End):
                    break
            await events.aclose()
            cursor = str(relay[-1].cursor)
        whole = await way.hear("s", "t")
        assert relay == whole.events


async def test_listeners_do_not_affect_one_another(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=20.0)) as way:
        hearing = [asyncio.create_task(way.hear("s", "t")) for _ in range(5)]
        gone = asyncio.create_task(way.hear("s", "t"))
        await way.say("s", "t", TEXT)
        gone.cancel()
        heard = await asyncio.gather(*hearing)
        assert all(one.events == heard[0].events for one in heard)
        assert heard[0].words("t") == TEXT.split()


async def test_what_was_trimmed_is_told_and_listening_goes_on(redis_url: str) -> None:
    async with rig(redis_url) as way:
        await way.say("s", "first", TEXT)
        await way.say("s", "second", TEXT)
        whole = await way.hear("s", "first", "second")
        cursor = whole.of("first", Audio)[3].cursor
        kept = whole.ends["first"].cursor  # the end of the newest turn that is trimmed stays
        redis = connect(redis_url)
        await call(redis, "XTRIM", "saystream:{0}:audio:s", "MINID", str(kept))
        await redis.aclose()
        events: list[Event] = []
        async for event in listen(redis_url, "s", start=cursor):
            events.append(event)
            if isinstance(event, End) and event.turn == "second":
                break
        assert isinstance(events[0], Gap)
        assert events[0].after == cursor
        assert events[1:] == list(itertools.dropwhile(lambda event: event.cursor < kept, whole.events))
