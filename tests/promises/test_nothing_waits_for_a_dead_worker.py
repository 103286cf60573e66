"""Promise 6: a turn whose worker died is taken over; one that fails on every attempt ends visibly, with its cause."""

import asyncio
import logging
import math
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from dataclasses import replace
from functools import partial

import pytest

from saystream.common.events import Audio, Splice
from saystream.common.redis_client import call, connect
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind, Stats
from tests.edge import LiveEdge
from tests.proxy import Proxy
from tests.rig import LEASE_S, Heard, rig
from tests.timing import MS
from tests.vendors import GRADIUM, ROWS, Row

log = logging.getLogger(__name__)

NO_WORDS = next(row for row in ROWS if row.name == "kugelaudio-no-words")
FIRST = "The quick brown fox jumps over the lazy dog. "
STORY = FIRST + "Then it sleeps for a while, and dreams of a thousand geese that have never heard of it. "
#: The default of the settings, and what a loaded machine takes beside it.
FULL_LEASE_S = 1000 * MS
LOAD_S = 500 * MS


@pytest.mark.parametrize("row", [GRADIUM, NO_WORDS], ids=str)
@pytest.mark.parametrize("fault", ["killed", "frozen", "cut off", "drained"])
async def test_a_lost_workers_turn_goes_on_at_the_word_within_two_leases(
    redis_url: str, fault: str, row: Row, record_property: Callable[[str, object], None]
) -> None:
    """At a lease of one second, and a vendor that speaks in real time: measured at a listener at the live edge."""
    behaviour = Behaviour(speed=1.0, marker_pace=0.5)
    async with (
        Proxy(redis_url) as proxy,
        rig(redis_url, workers=0, row=row, behaviour=behaviour, worker={"lease_s": FULL_LEASE_S}) as way,
        way.worker_process(proxy.url) as process,
    ):
        await way.say("s", "t", STORY)
        heard, edge, at, faults = Heard(), LiveEdge(), math.inf, ExitStack()
        async with aclosing(way.listening("s")) as events:
            async for event in events:
                heard.events.append(event)
                edge.hear(event)
                if isinstance(event, Audio) and at == math.inf and has_heard(heard, "sleeps"):
                    await way.start_worker()
                    await way.until_reported()
                    # The rest need not take long.
                    way.standin.behaviour = replace(way.standin.behaviour, speed=math.inf)
                    happen(fault, process, faults, proxy)
                    at = time.monotonic()
                elif isinstance(event, Audio) and event.cursor.attempt == 2:
                    taken_s = time.monotonic() - at
                    break
        record_property("taken over after, s", round(taken_s, 2))
        record_property("silence at the live edge, s", round(edge.longest_s, 2))
        log.info("%s, %s: taken over after %.2f s, %.2f s of silence", fault, row, taken_s, edge.longest_s)
        assert edge.longest_s < 2 * FULL_LEASE_S + LOAD_S
        if fault == "drained":
            assert taken_s < FULL_LEASE_S + LOAD_S
            assert await asyncio.to_thread(process.wait, 10) == 0
            record_property("stopped after, s", round(time.monotonic() - at, 2))
        if fault == "frozen":
            process.send_signal(signal.SIGCONT)
        faults.close()
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        [splice] = heard.of("t", Splice)
        before = Heard([event for event in heard.events if event.cursor < splice.cursor])
        whole = [word.text for word in before.decoded("t").words]
        goes_on_behind = STORY[: splice.spoken].split()
        assert goes_on_behind == whole[: len(goes_on_behind)]
        # The last word's times may have been on their way. Where the vendor tells of none, it is the phrase's.
        assert len(goes_on_behind) >= (len(whole) - 1 if row.word_times else len(FIRST.split()))


def has_heard(heard: Heard, word: str) -> bool:
    return word in [spoken.text for spoken in heard.decoded("t").words]


def happen(fault: str, process: subprocess.Popen[str], faults: ExitStack, proxy: Proxy) -> None:
    match fault:
        case "killed":
            process.send_signal(signal.SIGKILL)
        case "frozen":
            process.send_signal(signal.SIGSTOP)
        case "cut off":
            faults.enter_context(proxy.silent())
        case "drained":
            process.send_signal(signal.SIGTERM)


async def test_a_turn_that_the_vendor_refuses_ends_failed_with_its_words(redis_url: str) -> None:
    fault = Fault(Kind.ERROR, code=1011, message="Embeddings not found for nobody")
    async with rig(redis_url, behaviour=Behaviour(fault=fault, faulty_requests=1)) as way:
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
