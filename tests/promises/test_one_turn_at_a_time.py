"""Promise 3: turns of one session come out in the order in which they were opened, never mixed."""

import asyncio
from contextlib import aclosing
from functools import partial

import pytest

from saystream.common.errors import SessionBusy
from saystream.common.events import Begin, End
from saystream.common.ledger import Ledger
from saystream.common.redis_client import connect
from saystream.common.states import State
from saystream.compose.standin import Behaviour
from tests.rig import Rig, rig
from tests.timing import eventually

#: At this speed it speaks for about three seconds.
LONG = "one two three four five six seven eight nine ten " * 20
FAST = Behaviour(speed=50.0)


async def has_ended(way: Rig, turn: str) -> bool:
    async with aclosing(connect(way.url)) as redis:
        return bool((await Ledger(redis, shards=way.settings.shards).inspect(turn)).ended_ms)


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


# a busy session


async def test_a_turn_of_a_busy_session_waits_for_those_before_it(redis_url: str) -> None:
    async with rig(redis_url, behaviour=FAST) as way, way.speaker() as speaker:
        await way.say("s", "first", LONG)
        async with speaker.turn("s", turn="second", on_busy="queue") as second:
            await second.send("Now me.")
        assert second.opened.state is State.WAITING
        heard = await way.hear("s", "first", "second")
        assert [end.reason for end in heard.ends.values()] == [State.DONE, State.DONE]
        assert heard.words("first") == LONG.split()


async def test_a_turn_that_would_have_to_wait_can_be_refused(redis_url: str) -> None:
    async with rig(redis_url, behaviour=FAST) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="first") as first:
            await first.send("Wait ")
            await way.standin.stats.until(lambda stats: stats.requests_started == 1)
            with pytest.raises(SessionBusy, match="session s is speaking turn first"):
                await speaker.say("s", "No.", turn="second", on_busy="refuse")
        await way.hear("s", "first")
        await speaker.say("s", "Yes.", turn="third", on_busy="refuse")
        heard = await way.hear("s", "third")
        assert list(heard.ends) == ["first", "third"]  # what was refused has left no trace


async def test_a_turn_interrupts_all_before_it_and_says_where(redis_url: str) -> None:
    async with rig(redis_url, behaviour=FAST) as way, way.speaker() as speaker:
        await way.say("s", "first", LONG)
        await way.say("s", "waiting", LONG)
        await way.until_spoken("s", 10)
        async with speaker.turn("s", turn="second", on_busy="interrupt") as second:
            await second.send("Stop there.")
        [first, waiting] = second.opened.cuts
        heard = await way.hear("s", "first", "waiting", "second")
        assert [end.reason for end in heard.ends.values()] == [State.INTERRUPTED, State.INTERRUPTED, State.DONE]
        assert (first.turn, first.samples, first.spoken) == (
            "first", heard.ends["first"].samples, heard.ends["first"].spoken,
        )  # fmt: skip
        assert first.spoken >= 10
        assert (waiting.turn, waiting.samples, waiting.spoken) == ("waiting", 0, 0)
        assert heard.words("second") == ["Stop", "there."]


async def test_no_more_turns_wait_in_a_session_than_may(redis_url: str) -> None:
    async with rig(redis_url, behaviour=FAST, limits={"waiting_turns": 2}) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="first") as first:
            await first.send("I am ")
            for turn in ("second", "third"):
                await speaker.say("s", f"I am {turn}.", turn=turn)
            with pytest.raises(SessionBusy, match="2 turns wait already in session s"):
                await speaker.say("s", "No.", turn="too-many")
            await speaker.interrupt("s", "second")  # makes room
            await speaker.say("s", "I am fourth.", turn="fourth")
            await first.send("first.")
        heard = await way.hear("s", "first", "second", "third", "fourth")
        assert [heard.words(turn) for turn in ("first", "third", "fourth")] == [
            ["I", "am", "first."], ["I", "am", "third."], ["I", "am", "fourth."],
        ]  # fmt: skip


async def test_one_waiting_turn_is_interrupted_and_the_others_come_in_their_order(redis_url: str) -> None:
    async with rig(redis_url, behaviour=FAST) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="first") as first:
            await first.send("I am ")
            for turn in ("second", "third"):
                await speaker.say("s", f"I am {turn}.", turn=turn)
            [cut] = await speaker.interrupt("s", "second")
            assert (cut.turn, cut.samples, cut.spoken, cut.heard) == ("second", 0, 0, None)
            await first.send("first.")
        heard = await way.hear("s", "first", "second", "third")
        assert list(heard.ends) == ["first", "second", "third"]
        assert [end.reason for end in heard.ends.values()] == [State.DONE, State.INTERRUPTED, State.DONE]
        assert heard.of("second", Begin) == []


async def test_all_that_waits_is_interrupted_and_what_speaks_goes_on(redis_url: str) -> None:
    async with rig(redis_url, behaviour=FAST) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="first") as first:
            await first.send("I go ")
            for turn in ("second", "third"):
                await speaker.say("s", "Never said.", turn=turn)
            cuts = await speaker.interrupt("s", waiting_only=True)
            assert [cut.turn for cut in cuts] == ["second", "third"]
            assert await speaker.interrupt("s", waiting_only=True) == ()
            await speaker.say("s", "I come later.", turn="fourth")
            await first.send("on.")
        heard = await way.hear("s", "first", "second", "third", "fourth")
        assert list(heard.ends) == ["first", "second", "third", "fourth"]
        assert [heard.words(turn) for turn in ("first", "fourth")] == [["I", "go", "on."], ["I", "come", "later."]]


async def test_a_turn_that_no_worker_has_taken_is_interrupted_and_the_next_one_speaks(redis_url: str) -> None:
    async with rig(redis_url, workers=0) as way, way.speaker() as speaker:
        for turn in ("first", "second"):
            await speaker.say("s", f"I am {turn}.", turn=turn)
        [cut] = await speaker.interrupt("s", "first")
        assert (cut.samples, cut.spoken, cut.state) == (0, 0, State.INTERRUPTED)
        await way.start_worker()
        heard = await way.hear("s", "first", "second")
        assert [end.reason for end in heard.ends.values()] == [State.INTERRUPTED, State.DONE]
        assert heard.words("second") == ["I", "am", "second."]
        assert len(way.standin.stats.requests) == 1


# deadlines


async def test_a_turn_that_could_not_start_in_time_expires_while_another_one_still_speaks(redis_url: str) -> None:
    async with rig(redis_url, behaviour=FAST) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="first") as first:
            await first.send("I am still ")
            await speaker.say("s", "Too late.", turn="late", start_within_ms=50)
            await speaker.say("s", "I can wait.", turn="patient", start_within_ms=60_000)
            await eventually(partial(has_ended, way, "late"))
            assert not await has_ended(way, "first")
            await first.send("speaking.")
        heard = await way.hear("s", "first", "late", "patient")
        assert [end.reason for end in heard.ends.values()] == [State.DONE, State.EXPIRED, State.DONE]
        assert heard.words("first") == ["I", "am", "still", "speaking."]


async def test_a_turn_that_has_begun_in_time_is_spoken_however_long_it_takes(redis_url: str) -> None:
    async with rig(redis_url, behaviour=FAST) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t", start_within_ms=1_000) as turn:
            await turn.send("In time ")
            await way.standin.stats.until(lambda stats: stats.requests_started == 1)
            opened_s = asyncio.get_running_loop().time()
            await eventually(lambda: asyncio.get_running_loop().time() > opened_s + 1.2)
            await turn.send("and on.")
        assert (await way.hear("s", "t")).words("t") == ["In", "time", "and", "on."]
