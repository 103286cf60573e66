"""Promises 1 and 6 in a deploy: a worker that is told to stop hands its turns over, and nobody hears more of it."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from saystream.common.events import Audio, End, Splice
from saystream.common.ledger import Ledger
from saystream.common.redis_client import call, connect
from saystream.common.reports import Reports
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind, Stats
from tests.edge import LiveEdge
from tests.rig import LEASE_S, Heard, Rig, rig
from tests.timing import MS, eventually

log = logging.getLogger(__name__)

STORY = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. " * 2
#: So long that whoever waits for the end of a lease fails the test.
LONG_LEASE = {"lease_s": 30.0}


def speaks(stats: Stats) -> bool:
    return any(request.frames_sent > 10 for request in stats.requests)


async def listen(way: Rig, session: str) -> tuple[Heard, float]:
    """Listen to a session's one turn to its end; return what was heard, and the longest silence."""
    heard, edge = Heard(), LiveEdge()
    async with aclosing(way.listening(session)) as events:
        async for event in events:
            heard.events.append(event)
            edge.hear(event)
            if isinstance(event, End):
                heard.ends[event.turn] = event
                break
    return heard, edge.longest_s


async def test_a_rolling_restart_under_running_turns_costs_no_word_and_no_time(
    redis_url: str, record_property: Callable[[str, object], None]
) -> None:
    """Three workers are replaced, one after the other; every turn is spoken on, and nobody waits for its end."""
    behaviour = Behaviour(speed=1.0, marker_pace=0.4)
    async with rig(redis_url, workers=3, behaviour=behaviour, worker=LONG_LEASE) as way:
        await way.until_reported()
        names = [f"s{number}" for number in range(6)]
        listening = [asyncio.create_task(listen(way, name)) for name in names]
        for name in names:
            await way.say(name, name, STORY)
        await way.standin.stats.until(lambda stats: stats.requests_started == len(names))
        stopped_s = []
        for old in range(3):
            await way.start_worker()
            await way.until_reported_by(3)
            began = time.monotonic()
            way.stops[old].set()
            await way.runs[old]
            stopped_s.append(time.monotonic() - began)
        way.standin.behaviour = replace(way.standin.behaviour, speed=math.inf)
        silences = []
        for name, (heard, silence_s) in zip(names, await asyncio.gather(*listening), strict=True):
            assert heard.ends[name].reason is State.DONE
            assert heard.words(name) == STORY.split()
            silences.append(silence_s)
        assert way.standin.stats.requests_started > len(names), "nothing was handed over"
        record_property("stopped after, s", [round(seconds, 2) for seconds in stopped_s])
        record_property("silence at the live edge, s", [round(seconds, 2) for seconds in silences])
        log.info("stopped after %s s, silences %s s", stopped_s, silences)
        assert max(stopped_s) < 2000 * MS
        assert max(silences) < 2000 * MS  # many parts share this one process; in truth it is some milliseconds


async def test_a_turn_is_handed_over_at_the_end_of_a_word(redis_url: str) -> None:
    """No word begins twice, where the vendor tells when its words end."""
    async with rig(redis_url, behaviour=Behaviour(speed=4.0), worker=LONG_LEASE) as way:
        await way.say("s", "t", STORY)
        await way.standin.stats.until(speaks)
        await way.start_worker()
        await way.until_reported()
        way.stops[0].set()
        await way.runs[0]
        way.standin.behaviour = Behaviour()
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        [splice] = heard.of("t", Splice)
        published = [audio.offset + audio.samples for audio in heard.of("t", Audio) if audio.cursor < splice.cursor]
        assert splice.offset == max(published)


async def test_where_nobody_else_is_a_worker_speaks_on_until_somebody_comes(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=4.0), worker=LONG_LEASE) as way:
        await way.say("s", "t", STORY)
        await way.standin.stats.until(speaks)
        way.stops[0].set()
        await eventually(lambda: way.workers[0].draining)
        await way.until_heard("s", "sleeps")
        assert way.standin.stats.requests_started == 1
        await way.start_worker()
        await asyncio.wait_for(way.runs[0], 2000 * MS)
        way.standin.behaviour = Behaviour()
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].cursor.attempt == 2


async def test_where_all_are_told_to_stop_each_speaks_to_the_end(redis_url: str) -> None:
    async with rig(redis_url, workers=2, behaviour=Behaviour(speed=10.0), worker=LONG_LEASE) as way:
        await way.until_reported()
        await way.say("s", "t", STORY)
        await way.standin.stats.until(speaks)
        await way.stop()
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].cursor.attempt == 1


async def test_a_turn_that_has_failed_is_ended_and_not_handed_over(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker would only fail it again."""
    ending, finish = asyncio.Event(), Ledger.finish

    async def slowly(*end: Any) -> None:
        ending.set()
        await asyncio.sleep(600 * MS)
        await finish(*end)

    monkeypatch.setattr(Ledger, "finish", slowly)
    fault = Behaviour(fault=Fault(Kind.CUT))
    async with rig(redis_url, behaviour=fault, worker={"lease_s": 30.0, "streams": 1}) as way:
        await way.start_worker()
        await way.until_reported()
        await way.say("s", "t", STORY)
        await ending.wait()
        for place in (0, 1):
            if way.workers[place]._held:
                way.stops[place].set()
        end = (await way.hear("s", "t")).ends["t"]
        assert (end.reason, end.cursor.attempt) == (State.FAILED, 1)


async def test_a_worker_that_is_told_twice_gives_back_at_once(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=1.0), worker=LONG_LEASE) as way:
        await way.say("s", "t", STORY)
        await way.standin.stats.until(speaks)
        way.stops[0].set()
        await eventually(lambda: way.workers[0].draining)
        way.runs[0].cancel()
        await asyncio.wait([way.runs[0]], timeout=2000 * MS)
        assert way.runs[0].cancelled()
        way.standin.behaviour = Behaviour()
        await way.start_worker()
        heard = await asyncio.wait_for(way.hear("s", "t"), 5000 * MS)
        assert heard.words("t") == STORY.split()


async def test_a_worker_that_drains_says_so_at_once_and_is_gone_from_the_roll_in_the_end(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=4.0)) as way:
        await way.until_reported()
        await way.say("s", "t", STORY)
        await way.standin.stats.until(speaks)
        redis = connect(redis_url)
        way.stops[0].set()

        async def drains() -> bool:
            roll = await Reports(redis).read()
            return [report.draining for report in roll.workers] == [True] and roll.beside("somebody else") == ()

        await eventually(drains, 500 * MS)
        await way.runs[0]
        assert (await Reports(redis).read()).workers == ()
        await redis.aclose()


async def test_turns_go_only_to_workers_that_know_their_voice(redis_url: str) -> None:
    """A deploy that adds a voice: workers that do not know it leave its turns to those that do."""
    async with rig(redis_url, worker={"lease_s": LEASE_S}) as way:
        await way.start_worker(voices=way.settings.voices | {"new": way.settings.voices["default"]})
        await way.until_reported()
        for number in range(6):
            await way.say(f"s{number}", f"t{number}", "I am new here.", voice="new")
        for number in range(6):
            heard = await way.hear(f"s{number}", f"t{number}")
            assert heard.ends[f"t{number}"].reason is State.DONE, heard.ends[f"t{number}"].cause
            assert heard.words(f"t{number}") == "I am new here.".split()
        redis = connect(redis_url)
        assert (await call(redis, "XPENDING", "saystream:{0}:dispatch", "workers"))["pending"] == 0
        await redis.aclose()
