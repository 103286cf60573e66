"""Promise 2: when `interrupt()` has returned, not one more sample of the turn enters the output stream."""

import asyncio
import itertools

import pytest

from saystream.common.errors import TurnInterrupted
from saystream.common.events import Audio, End
from saystream.common.redis_client import call, connect
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind
from saystream.consumer import BEGINNING, Listener
from tests.rig import rig

#: In samples.
SECOND = 24_000
LONG = "one two three four five six seven eight nine ten " * 20


async def test_nothing_is_appended_after_interrupt_has_returned(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=50.0)) as way, way.speaker() as speaker:
        redis = connect(redis_url)
        key = "saystream:{0}:audio:s"
        await way.say("s", "t", LONG)
        await way.until_spoken("s", 20)
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


# what was heard


async def play(listener: Listener, turn: str, chars: int) -> tuple[int, int]:
    """Play a turn until so many characters were heard, and hear it a second further; return what was played and heard.

    Further, because what is said of the last word comes a little later than its sound.
    """
    played = 0
    async for event in listener.events():
        if not isinstance(event, Audio) or event.turn != turn:
            continue
        if not played and await listener.played(turn, event.offset + event.samples) >= chars:
            played = event.offset + event.samples
        elif played and event.offset > played + SECOND:
            return played, await listener.played(turn, played)
    raise AssertionError("it has ended")


async def test_the_cut_tells_what_was_heard_in_the_producers_own_text(redis_url: str) -> None:
    text = "**One**, two & three: " + LONG  # what is sent to the vendor is another text
    async with (
        rig(redis_url, behaviour=Behaviour(speed=50.0)) as way,
        way.speaker() as speaker,
        Listener(redis_url, "s", BEGINNING) as listener,
    ):
        await way.say("s", "t", text)
        played, heard = await play(listener, "t", 60)
        await way.until_spoken("s", 300)  # it is published faster than it is played
        [cut] = await speaker.interrupt("s")
        assert (cut.played, cut.heard) == (played, heard)
        assert cut.heard is not None
        assert 60 <= cut.heard < 300 <= cut.spoken
        decoded = (await way.hear("s", "t")).decoded("t")
        in_the_player = [word.text for word in decoded.words if word.last_sample <= played]
        assert text[: cut.heard].split()[-1] == in_the_player[-1]
        assert text[cut.heard] == " "  # a whole word


async def test_what_the_player_says_after_the_cut_still_counts(redis_url: str) -> None:
    """Its buffer was not empty."""
    async with (
        rig(redis_url, behaviour=Behaviour(speed=50.0)) as way,
        way.speaker() as speaker,
        Listener(redis_url, "s", BEGINNING) as listener,
    ):
        await way.say("s", "t", LONG)
        _, heard = await play(listener, "t", 20)
        await way.until_spoken("s", 100)
        [cut] = await speaker.interrupt("s")
        assert cut.heard == heard
        async for event in listener.events(until_turn="t"):
            assert event
        last = await listener.played("t", cut.samples)
        assert last == cut.spoken > heard
        told = await speaker.heard("s", "t")
        assert (told.heard, told.played, told.state) == (last, cut.samples, State.INTERRUPTED)
        await listener.played("t", 10)  # late, and smaller
        assert await speaker.heard("s", "t") == told


async def test_where_nobody_says_what_is_played_the_cut_does_not_pretend_to_know(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=50.0)) as way, way.speaker() as speaker:
        await way.say("s", "t", LONG)
        await way.until_spoken("s", 20)
        [cut] = await speaker.interrupt("s")
        assert (cut.heard, cut.played) == (None, None)
        told = await speaker.heard("s", "t")
        assert (told.heard, told.played, told.spoken, told.samples) == (None, None, cut.spoken, cut.samples)


async def test_a_turn_that_was_taken_over_is_heard_by_the_words_of_who_went_on(redis_url: str) -> None:
    """The vendor's socket breaks in mid-word: the word is spoken again, and heard once it is whole."""
    behaviour = Behaviour(speed=50.0, fault=Fault(Kind.CUT, after_frames=12), faulty_requests=1)
    async with (
        rig(redis_url, behaviour=behaviour) as way,
        way.speaker() as speaker,
        Listener(redis_url, "s", BEGINNING) as listener,
    ):
        text = " ".join(LONG.split()[:20])
        await way.say("s", "t", text)
        reports = [
            await listener.played("t", event.offset + event.samples)
            async for event in listener.events(until_turn="t")
            if isinstance(event, Audio)
        ]
        assert await listener.played("t", 10**9) == len(text)
        assert (await speaker.heard("s", "t")).heard == len(text)
        assert all(heard == 0 or heard == len(text) or text[heard] == " " for heard in reports)
