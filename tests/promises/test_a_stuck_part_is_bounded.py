"""Promise 7: every wait on a network has a time-out, every buffer a limit."""

import asyncio
import contextlib
import math
import time
from dataclasses import replace
from typing import Any

import pytest

from saystream.common.errors import InvalidToken, RedisUnavailable, SessionBusy, TurnEnded
from saystream.common.events import Audio
from saystream.common.keys import ShardKeys
from saystream.common.redis_client import call_raw, connect
from saystream.common.states import State
from saystream.compose.standin import TEST_KEY, Behaviour
from saystream.producer import Speaker, Turn
from saystream.workers import speech, upkeep
from tests.proxy import Proxy
from tests.rig import LEASE_S, rig
from tests.servers import MakeRedis
from tests.timing import MS, eventually
from tests.vendors import GRADIUM, ROWS, VENDORS, Row

MULTI = next(row for row in ROWS if row.name == "kugelaudio-multi")


async def test_a_redis_that_says_nothing_ends_the_producers_wait(redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, Speaker.connect(proxy.url, patience_s=0.4) as speaker:
        turn = speaker.turn("s")
        await turn.open()
        with proxy.silent():
            began = time.monotonic()
            with pytest.raises(RedisUnavailable):
                await turn.say(["Hello"] * 100_000)  # more than an outbox holds
            assert time.monotonic() - began < 5


async def test_a_redis_that_is_away_for_everybody_costs_no_stream_of_speech(make_redis: MakeRedis) -> None:
    """For several leases nobody can renew anything, and nobody can have taken a turn either: it is spoken on."""
    redis = make_redis()
    text = "one two three four five six seven eight nine ten " * 8
    async with Proxy(redis.url) as proxy, rig(proxy.url, workers=2, behaviour=Behaviour(speed=5.0)) as way:
        way.url = redis.url
        await way.say("s", "t", text)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 10 for request in stats.requests))
        async with proxy.refusing():
            await asyncio.sleep(4 * LEASE_S)
        heard = await way.hear("s", "t")
        assert heard.words("t") == text.split()
        assert heard.ends["t"].reason is State.DONE
        assert way.standin.stats.requests_started == 1


async def test_a_worker_outlives_a_redis_that_stays_away_for_longer(make_redis: MakeRedis) -> None:
    """It does not speak in vain for ever; it takes its turn again when Redis is back."""
    redis = make_redis()
    worker = {"lease_s": LEASE_S / 4}
    text = "one two three four five six seven eight nine ten " * 3
    async with Proxy(redis.url) as proxy, rig(proxy.url, behaviour=Behaviour(speed=2.0), worker=worker) as way:
        way.url = redis.url
        await way.say("s", "t", text)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 10 for request in stats.requests))
        async with proxy.refusing():
            await way.standin.stats.until(lambda stats: stats.requests_aborted == 1)
        heard = await way.hear("s", "t")
        assert heard.words("t") == text.split()
        assert heard.ends["t"].reason is State.DONE


async def test_a_vendor_that_does_not_answer_its_handshake_fails_the_turn_in_time(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(handshake_delay_s=60.0)) as way:
        providers = {"gradium": {"url": way.standin.gradium_url, "api_key": TEST_KEY, "connect_timeout_s": 0.2}}
        async with rig(redis_url, providers=providers, worker={"streams": 2, "lease_s": 5.0}) as impatient:
            way.stops[0].set()
            await way.runs[0]
            await impatient.say("s", "t", "Hello there.")
            heard = await asyncio.wait_for(impatient.hear("s", "t"), 10)
            assert heard.ends["t"].reason is State.FAILED
            assert "cannot connect" in heard.ends["t"].cause


async def test_a_session_takes_no_more_waiting_turns_than_allowed(redis_url: str) -> None:
    async with rig(redis_url, workers=0, limits={"waiting_turns": 2}) as way, way.speaker() as speaker:
        for _ in range(3):
            await speaker.turn("s").open()
        with pytest.raises(SessionBusy, match="2 turns wait already"):
            await speaker.turn("s").open()


async def test_a_token_has_a_largest_size(redis_url: str) -> None:
    async with rig(redis_url, workers=0, limits={"token_bytes": 8}) as way, way.speaker() as speaker:
        turn = speaker.turn("s")
        await turn.open()
        with pytest.raises(InvalidToken, match="10 bytes, and 8 are allowed"):
            await turn.send("nine bytes")


# a producer that stops in mid-turn

IDLE_S = 600 * MS
STORY = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. "


@pytest.mark.parametrize("row", VENDORS, ids=str)
async def test_a_turn_whose_producer_is_stuck_ends_with_what_was_there(redis_url: str, row: Row) -> None:
    """It is done, says why, and the producer learns of it at its next token; the vendor was told once that it ends."""
    async with rig(redis_url, row=row, limits={"idle_s": IDLE_S}) as way, way.speaker() as speaker:
        turn = speaker.turn("s", turn="t")
        await turn.open()
        await turn.send("One two three, and then")
        heard = await way.hear("s", "t")
        assert heard.words("t") == "One two three, and then".split()
        assert heard.ends["t"].reason is State.DONE
        assert heard.ends["t"].cause == f"no text for {IDLE_S:g} s: ended with what was there"
        assert way.standin.stats.requests_started == way.standin.stats.requests_completed == 1
        with pytest.raises(TurnEnded):
            await go_on(turn)


async def go_on(turn: Turn) -> None:
    await turn.send("nothing.")
    await turn.end()  # whatever was not said at once is said here


async def test_a_turn_whose_producer_is_stuck_may_be_interrupted(redis_url: str) -> None:
    limits = {"idle_s": IDLE_S, "on_idle": "interrupt"}
    async with rig(redis_url, limits=limits) as way, way.speaker() as speaker:
        turn = speaker.turn("s", turn="t")
        await turn.open()
        await turn.send("One two three, and then")
        end = (await way.hear("s", "t")).ends["t"]
        assert end.reason is State.INTERRUPTED
        assert end.cause == f"no text for {IDLE_S:g} s"


async def test_a_turn_that_never_gets_any_text_ends(redis_url: str) -> None:
    async with rig(redis_url, limits={"idle_s": IDLE_S}) as way, way.speaker() as speaker:
        await speaker.turn("s", turn="t").open()
        end = (await way.hear("s", "t")).ends["t"]
        assert (end.reason, end.samples) == (State.DONE, 0)


async def test_a_turn_whose_producer_is_stuck_ends_though_redis_has_lost_the_last_of_its_text(redis_url: str) -> None:
    """A failover may lose what the worker has read: then Redis never has the last token that the worker knows of."""
    async with (
        rig(redis_url, behaviour=Behaviour(speed=10.0), limits={"idle_s": IDLE_S}) as way,
        way.speaker() as speaker,
        contextlib.aclosing(connect(redis_url)) as redis,
    ):
        turn = speaker.turn("s", turn="t")
        await turn.open()
        await turn.send("One two. ")
        await way.until_heard("s", "One")
        key = ShardKeys(0).tokens("t")
        earlier = await call_raw(redis, "DUMP", key)
        await turn.send("Three four. ")
        await way.standin.stats.until(lambda stats: "Three" in str(stats.requests[-1].texts))
        await call_raw(redis, "RESTORE", key, 0, earlier, "REPLACE")
        heard = await way.hear("s", "t")
        assert heard.words("t") == ["One", "two.", "Three", "four."]


async def test_a_producer_that_waits_while_its_text_is_spoken_is_not_stuck(redis_url: str) -> None:
    """What is there takes three times the idle limit to speak; then the text goes on."""
    behaviour = Behaviour(speed=1.0, marker_pace=0.3)
    async with rig(redis_url, behaviour=behaviour, limits={"idle_s": IDLE_S}) as way, way.speaker() as speaker:
        turn = speaker.turn("s", turn="t")
        await turn.open()
        began = time.monotonic()
        await turn.send(STORY)
        await turn.flush()
        await way.until_heard("s", "while.")
        assert time.monotonic() - began > 2 * IDLE_S
        await turn.send("It dreams.")
        await turn.end()
        heard = await way.hear("s", "t")
        assert heard.words("t") == [*STORY.split(), "It", "dreams."]
        assert heard.ends["t"].cause == ""


# a turn that is too long


async def test_a_turn_whose_audio_gets_too_long_fails(redis_url: str) -> None:
    async with rig(redis_url, limits={"turn_s": 2.0}) as way:
        await way.say("s", "t", STORY)
        await way.say("s", "next", "Hi.")
        heard = await way.hear("s", "t", "next")
        assert heard.ends["t"].reason is State.FAILED
        assert heard.ends["t"].cause == "the audio gets longer than limits.turn_s = 2 allows"
        assert 0 < heard.ends["t"].samples <= 2 * 24_000
        assert heard.words("next") == ["Hi."]


async def test_what_a_vendor_sends_in_one_piece_is_published_in_small_ones(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "_MOST_BYTES", 1000)
    async with rig(redis_url) as way:
        await way.say("s", "t", STORY)
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert max(len(audio.data) for audio in heard.of("t", Audio)) <= 1000


# a worker that is cut off


@pytest.mark.parametrize("row", [GRADIUM, MULTI], ids=str)
async def test_a_worker_that_stays_cut_off_lets_go_of_everything(redis_url: str, row: Row) -> None:
    """Its calls to Redis hang; the vendor is told all the same, and the place in its quota is there again."""
    lease_s = LEASE_S / 4
    account, worker = {"limit": 1}, {"lease_s": lease_s}
    behaviour = Behaviour(speed=2.0)
    async with (
        Proxy(redis_url) as proxy,
        rig(proxy.url, row=row, account=account, worker=worker, behaviour=behaviour) as way,
    ):
        way.url = redis_url
        await way.say("s", "t", STORY)
        stats = way.standin.stats
        await stats.until(lambda stats: any(request.frames_sent > 3 for request in stats.requests))
        with proxy.silent():
            began = time.monotonic()
            await eventually(lambda: stats.requests[0].outcome != "active")
            assert time.monotonic() - began < 12 * lease_s + 500 * MS
            assert stats.requests[0].outcome != "completed"
            assert "[turns: 0 running" in repr(way.workers[0])
        way.standin.behaviour = replace(way.standin.behaviour, speed=math.inf)
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].reason is State.DONE


async def test_a_drain_without_redis_ends_in_time(redis_url: str) -> None:
    """Whatever a worker would tell others when it goes costs it a moment, and not the time of a call."""
    settings: dict[str, Any] = {"worker": {"drain_s": 1.0, "lease_s": 2.0}, "redis_timeout_s": 10.0}
    behaviour, account = Behaviour(speed=1.0), {"limit": 1}
    async with Proxy(redis_url) as proxy, rig(proxy.url, behaviour=behaviour, account=account, **settings) as way:
        await way.say("s", "t", STORY * 4)
        await way.standin.stats.until(lambda stats: any(request.frames_sent > 3 for request in stats.requests))
        with proxy.silent():
            began = time.monotonic()
            way.stops[0].set()
            await way.runs[0]
            took_s = time.monotonic() - began
    assert took_s < 1.0 + 6 * upkeep.LAST_WORD_S + 2000 * MS


async def test_a_producer_that_outruns_the_vendor_is_slowed(redis_url: str) -> None:
    """What is sent and not spoken stays within its bound, and in the end all of it is said."""
    limits = {"ahead_chars": 100}
    text = "one two three four five six seven eight nine ten " * 8
    async with rig(redis_url, behaviour=Behaviour(speed=20.0), limits=limits) as way, way.speaker() as speaker:
        most = sent = 0
        async with speaker.turn("s", turn="t") as turn:
            for word in text.split():
                await turn.send(word + " ")
                sent += len(word) + 1
                most = max(most, sent - (await speaker.heard("s", "t")).spoken)
        heard = await way.hear("s", "t")
    assert most <= 100 + len("seven ")
    assert heard.words("t") == text.split()
