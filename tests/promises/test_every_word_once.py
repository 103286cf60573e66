"""Promise 1: the recording of a finished turn holds each word of its text exactly once and in order."""

import asyncio
import itertools
import random
import signal
import unicodedata
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saystream.common.events import Splice
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind
from saystream.workers.providers import gradium
from saystream.workers.providers.base import StreamKey, VendorEvent
from tests.rig import Rig, rig
from tests.timing import eventually
from tests.vendors import GRADIUM, VENDORS, Row

# Words of any script, with marks; no blanks inside, no tags, no control characters: those are the text filters' matter.
WORDS = st.lists(
    st.text(st.characters(categories=["L", "N", "Po"], exclude_characters="<>"), min_size=1, max_size=12), max_size=30
)
STORY = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. " * 4
NUMBERS = itertools.count()
#: Every character is text: the filters have tests of their own.
AS_IT_IS = {"markdown": False, "entities": False, "emoji": "keep", "addresses": False, "tags": "speak"}


async def test_a_hundred_random_texts_are_spoken_word_by_word(redis_url: str) -> None:
    async with rig(redis_url, voice={"text": AS_IT_IS}) as way:
        loop = asyncio.get_running_loop()

        @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
        @given(words=WORDS, seed=st.integers(0, 2**32 - 1))
        def every_word_is_heard(words: list[str], seed: int) -> None:
            asyncio.run_coroutine_threadsafe(speak_and_compare(way, words, seed), loop).result(30)

        await asyncio.to_thread(every_word_is_heard)


async def speak_and_compare(way: Rig, words: list[str], seed: int) -> None:
    number, text = next(NUMBERS), " ".join(words)
    await way.say(f"s{number}", f"t{number}", cut_anywhere(text, random.Random(seed)))
    heard = await way.hear(f"s{number}", f"t{number}")
    # Between letters of a script without blanks, a phrase may have ended, and the vendor puts a blank between phrases.
    assert "".join(heard.words(f"t{number}")) == unicodedata.normalize("NFC", "".join(words))
    assert heard.ends[f"t{number}"].reason is State.DONE
    if words:
        assert way.standin.stats.requests[-1].flushes == 1


def cut_anywhere(text: str, dice: random.Random) -> list[str]:
    places = sorted(dice.choices(range(len(text) + 1), k=dice.randrange(len(text) + 1)))
    return [text[start:end] for start, end in itertools.pairwise([0, *places, len(text)])]


async def test_two_workers_serve_ten_sessions_at_once(redis_url: str) -> None:
    async with rig(redis_url, workers=2, behaviour=Behaviour(speed=20.0)) as way:

        async def session(name: str) -> None:
            for turn in range(3):
                await way.say(name, f"{name}-{turn}", f"This is turn {turn} of session {name}, and it is a short one.")
            heard = await way.hear(name, *(f"{name}-{turn}" for turn in range(3)))
            for turn in range(3):
                expected = f"This is turn {turn} of session {name}, and it is a short one."
                assert heard.words(f"{name}-{turn}") == expected.split()

        await asyncio.gather(*(session(f"s{number}") for number in range(10)))


async def test_a_worker_killed_in_mid_word_costs_no_word(redis_url: str) -> None:
    """`kill -9` of the worker: another one goes on at the first word that was not wholly published."""
    async with rig(redis_url, workers=0, behaviour=Behaviour(speed=5.0)) as way, way.worker_process() as process:
        await way.say("s", "t", STORY)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 20 for request in stats.requests))
        process.send_signal(signal.SIGKILL)
        await way.start_worker()
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].reason is State.DONE
        assert len(heard.of("t", Splice)) == 1


async def test_a_vendor_socket_that_breaks_costs_no_word(redis_url: str) -> None:
    behaviour = Behaviour(fault=Fault(Kind.CUT, 30), faulty_requests=2)
    async with rig(redis_url, behaviour=behaviour) as way:
        await way.say("s", "t", STORY)
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert len(heard.of("t", Splice)) == 2


@pytest.mark.parametrize("row", VENDORS, ids=str)
async def test_a_socket_that_breaks_within_rewritten_text_costs_no_word_and_says_none_twice(
    redis_url: str, row: Row
) -> None:
    text = "Look at https://foo.org/x or ask ann@site.org for the GIF of <spell>A B</spell> now."
    voice = {"text": {"replacements": {"GIF": "moving picture"}}}
    async with rig(redis_url, row=row, voice=voice, account={"breaker_failures": 1000}) as way:
        await way.say("s", "t", text)
        expected = (await way.hear("s", "t")).words("t")
        assert " ".join(expected).startswith("Look at foo dot org slash x or ask ann at site dot org for the moving")
        for frames in range(2, 60, 4):
            way.standin.behaviour = Behaviour(fault=Fault(Kind.CUT, frames), faulty_requests=1, **row.behaviour)
            await way.say(f"s{frames}", f"t{frames}", text)
            assert (await way.hear(f"s{frames}", f"t{frames}")).words(f"t{frames}") == expected


async def test_a_socket_that_breaks_costs_no_word_where_the_vendor_does_not_tell_their_ends(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_ends(stream: StreamKey, message: Mapping[str, Any]) -> list[VendorEvent]:
        return told(stream, {name: value for name, value in message.items() if name != "stop_s"})

    told = gradium._words
    monkeypatch.setattr(gradium, "_words", without_ends)
    text = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while."
    async with rig(redis_url, row=GRADIUM, account={"breaker_failures": 1000}) as way:
        for frames in (0, 5, 9, 14, 22, 30):
            way.standin.behaviour = Behaviour(fault=Fault(Kind.CUT, frames), faulty_requests=1)
            await way.say(f"s{frames}", f"t{frames}", text)
            heard = await way.hear(f"s{frames}", f"t{frames}")
            assert heard.words(f"t{frames}") == text.split()
            assert [text[start:end] for start, end in heard.told(f"t{frames}")] == text.split()


async def test_a_sign_behind_a_flush_is_said_though_the_socket_breaks_in_front_of_it(redis_url: str) -> None:
    async with rig(redis_url, row=GRADIUM, account={"breaker_failures": 1000}) as way:
        for frames in (3, 4, 5, 6):
            way.standin.behaviour = Behaviour(fault=Fault(Kind.CUT, frames), faulty_requests=1)
            async with way.speaker() as speaker, speaker.turn(f"s{frames}", turn=f"t{frames}") as turn:
                await turn.send("Now ")
                await turn.flush()
                await turn.send("-5 degrees.")
            assert (await way.hear(f"s{frames}", f"t{frames}")).words(f"t{frames}") == ["Now", "-5", "degrees."]


async def test_a_frozen_worker_that_wakes_up_says_nothing_more(redis_url: str) -> None:
    """SIGSTOP past the lease: the turn is taken over; the sleeper is fenced when it goes on."""
    async with rig(redis_url, workers=0, behaviour=Behaviour(speed=5.0)) as way, way.worker_process() as process:
        await way.say("s", "t", STORY)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 20 for request in stats.requests))
        process.send_signal(signal.SIGSTOP)
        second = await way.start_worker()
        await eventually(lambda: "1 running" in repr(way.workers[second]))
        process.send_signal(signal.SIGCONT)
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()


async def test_a_drained_worker_hands_its_turn_on(redis_url: str) -> None:
    """A worker that stops before its turn has ended gives it back, and another goes on at once, without the lease."""
    worker = {"lease_s": 30.0, "drain_s": 0.0}
    async with rig(redis_url, behaviour=Behaviour(speed=5.0), worker=worker) as way:
        await way.say("s", "t", STORY)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 20 for request in stats.requests))
        await way.start_worker()
        way.stops[0].set()
        await way.runs[0]
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].cursor.attempt == 2
