"""Promise 3: turns of one session come out in the order in which they were opened, never mixed."""

import asyncio

from saystream.common.events import End
from saystream.compose.standin import Behaviour
from tests.rig import rig


async def test_turns_come_out_in_their_order_and_unmixed(redis_url: str) -> None:
    """Two workers, eight turns whose texts arrive in the opposite order of their opening."""
    names = [f"t{number}" for number in range(8)]
    async with rig(redis_url, workers=2, behaviour=Behaviour(speed=100.0)) as way, way.speaker() as speaker:
        turns = [speaker.turn("s", turn=name) for name in names]
        for turn in turns:
            await turn.open()
        for turn in reversed(turns):
            await turn.say(f"I am {turn.id} and nobody else.")
            await turn.end()
        heard = await way.hear("s", *names)
        assert list(heard.ends) == names
        current = iter(names)
        speaking = next(current)
        for event in heard.events:
            assert getattr(event, "turn", None) == speaking
            if isinstance(event, End):
                speaking = next(current, "")
        for name in names:
            assert heard.words(name) == f"I am {name} and nobody else.".split()


async def test_sessions_do_not_wait_for_one_another(redis_url: str) -> None:
    async with rig(redis_url) as way, way.speaker() as speaker:
        async with speaker.turn("slow", turn="slow") as slow:
            await slow.send("I am still ")
            await way.say("quick", "quick", "Done already.")
            await asyncio.wait_for(way.hear("quick", "quick"), 10)
            await slow.send("thinking.")
        assert (await way.hear("slow", "slow")).words("slow") == ["I", "am", "still", "thinking."]
