"""One attempt at one turn: which voice speaks, why, and what it waits for."""

import asyncio
from typing import Any

import pytest

from saystream.common.errors import Action, Scope, VendorError
from saystream.common.events import Splice
from saystream.common.redis_client import call_raw
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind, StandIn
from saystream.producer import Speaker
from saystream.workers import turn as turn_module
from tests.rig import Rig, rig
from tests.timing import MS, eventually
from tests.vendors import FISHAUDIO, GRADIUM, KUGELAUDIO, Row

STORY = "The quick brown fox jumps over the lazy dog, and then it sleeps."


async def put_on_trial(way: Rig, speaker: Speaker) -> None:
    """Have the vendor break one stream, and wait until it may be asked once again."""
    way.standin.behaviour = Behaviour(fault=Fault(Kind.CUT, 0), faulty_requests=1)
    broken = speaker.turn("s1", turn="broken")
    await broken.open()
    await broken.send(STORY)
    await way.until_breaker("gradium", "open")
    await speaker.interrupt("s1")
    await way.until_breaker("gradium", "half-open")


async def test_a_blank_token_behind_a_pause_does_not_end_the_turn(redis_url: str) -> None:
    account = {"options": {"text_gap_s": 100 * MS}}
    async with rig(redis_url, row=KUGELAUDIO, account=account) as way:
        async with way.speaker() as speaker, speaker.turn("s", turn="t") as turn:
            await turn.send("Let me look. ")
            await way.standin.stats.until(lambda stats: stats.requests_completed == 1)
            await asyncio.sleep(50 * MS)
            await turn.send("\n\n")
            await asyncio.sleep(50 * MS)
            await turn.send("It is on its way.")
        heard = await way.hear("s", "t")
        assert heard.words("t") == "Let me look. It is on its way.".split()


@pytest.mark.parametrize("row", [GRADIUM, FISHAUDIO, KUGELAUDIO], ids=str)
async def test_a_text_that_pauses_and_holds_nothing_to_say_is_asked_of_the_vendor_once(
    redis_url: str, row: Row
) -> None:
    limits = {"idle_s": 300 * MS}
    async with rig(redis_url, row=row, limits=limits) as way, way.speaker() as speaker:
        turn = speaker.turn("s", turn="t")
        await turn.open()
        await turn.send("😀 ")
        end = (await way.hear("s", "t")).ends["t"]
        assert (end.reason, end.samples, end.spoken) == (State.DONE, 0, 2)
        assert "no text for 0.3 s" in end.cause
        [account] = way.workers[0].report().pools
        assert account.streams == 1


async def test_a_list_that_begins_a_turn_is_spoken(redis_url: str) -> None:
    async with rig(redis_url, row=FISHAUDIO, voice={"text": {"list_pause_ms": 300}}) as way:
        await way.say("s", "t", "- one\n- two")
        heard = await way.hear("s", "t")
        assert heard.words("t") == ["one.", "two"]


async def test_a_turn_whose_text_is_spoken_needs_no_vendor_to_end(redis_url: str) -> None:
    """Its worker was replaced before its producer ended it, and now the vendor is away."""
    async with rig(redis_url, worker={"lease_s": 400 * MS, "drain_s": 0.0}) as way, way.speaker() as speaker:
        turn = speaker.turn("s", turn="t")
        await turn.open()
        await turn.send("One two three.")
        await turn.flush()
        await way.until_heard("s", "three.")
        await way.until_spoken("s", len("One two three."))
        way.stops[0].set()
        await way.runs[0]
        await turn.end()
        way.standin.behaviour = Behaviour(upgrade_status=503)
        await way.start_worker()
        end = (await way.hear("s", "t")).ends["t"]
        assert (end.reason, end.cause) == (State.DONE, "")


async def test_what_is_left_of_words_that_were_to_be_replaced_together_is_spoken(redis_url: str) -> None:
    """The LLM pauses between them, for longer than the vendor waits, and the worker is replaced."""
    account = {"options": {"text_gap_s": 100 * MS}}
    worker = {"lease_s": 400 * MS, "drain_s": 0.0}
    async with rig(redis_url, row=KUGELAUDIO, account=account, worker=worker) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t", text={"replacements": {"New York": "Gotham"}}) as turn:
            await turn.send("We love New ")
            await way.until_spoken("s", len("We love New"))
            await way.start_worker()
            way.stops[0].set()
            await way.runs[0]
            await turn.send("York a lot.")
        assert (await way.hear("s", "t")).words("t") == ["We", "love", "New", "York", "a", "lot."]


async def test_a_turn_that_waits_for_a_vendor_for_too_long_expires(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=1.0), account={"limit": 1}) as way, way.speaker() as speaker:
        await way.say("s1", "t1", STORY)
        await way.until_spoken("s1", 3)
        await way.say("s2", "t2", STORY, start_within_ms=300)
        end = (await way.hear("s2", "t2")).ends["t2"]
        assert (end.reason, end.samples, end.cause) == (State.EXPIRED, 0, "no vendor was free in time")
        await speaker.interrupt("s1")


async def test_a_turn_whose_text_comes_late_does_not_expire(redis_url: str) -> None:
    async with rig(redis_url) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t", start_within_ms=200) as turn:
            await asyncio.sleep(400 * MS)  # the LLM thinks: this is the thing under test
            await turn.send(STORY)
        assert (await way.hear("s", "t")).ends["t"].reason is State.DONE


async def test_a_turn_whose_text_comes_late_does_not_expire_while_its_vendor_is_on_trial(redis_url: str) -> None:
    async with rig(redis_url, account={"breaker_failures": 1, "breaker_s": 100 * MS}) as way, way.speaker() as speaker:
        await put_on_trial(way, speaker)
        async with speaker.turn("s", turn="t", start_within_ms=100) as turn:
            await asyncio.sleep(300 * MS)  # the LLM thinks: this is the thing under test
            await turn.send(STORY)
        assert (await way.hear("s", "t")).ends["t"].reason is State.DONE


@pytest.mark.parametrize("ticks", range(6))
async def test_a_vendor_that_fails_just_when_a_turn_is_given_back_does_not_keep_it(redis_url: str, ticks: int) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=2.0)) as way, way.speaker() as speaker:
        await way.say("s", "t", STORY * 4)
        await way.until_spoken("s", 10)
        [held] = way.workers[0]._held
        [stream] = [
            stream
            for account in way.workers[0]._accounts.values()
            for pool in account.pools
            for connection in pool._connections
            for stream in connection._streams.values()
        ]
        error = VendorError("gradium", "broke", scope=Scope.SOCKET, action=Action.RECONNECT)
        stream.fail(error)
        for _ in range(ticks):
            await asyncio.sleep(0)
        assert held.task
        held.task.cancel()
        done, _ = await asyncio.wait([held.task], timeout=5000 * MS)
        assert done
        await speaker.interrupt("s")


async def test_turns_outlast_a_slow_probe_of_a_vendor_that_is_well(redis_url: str) -> None:
    """More tries than a turn has would be over long before the probe has spoken."""
    settings = {"breaker_failures": 2, "breaker_s": 200 * MS, "first_audio_s": 5.0}
    async with rig(redis_url, account=settings, worker={"streams": 2}) as way:
        way.standin.behaviour = Behaviour(fault=Fault(Kind.CUT, 0), faulty_requests=2, first_audio_delay_s=1000 * MS)
        await way.say("s0", "t0", STORY)
        await way.until_breaker("gradium", "open")
        for number in range(1, 6):
            await way.say(f"s{number}", f"t{number}", STORY)
        for number in range(1, 6):
            heard = await way.hear(f"s{number}", f"t{number}")
            assert heard.ends[f"t{number}"].reason is State.DONE, heard.ends[f"t{number}"].cause
            assert heard.of(f"t{number}", Splice) == [], "nobody else has spoken, and nothing was replaced"


async def test_a_turn_with_nothing_to_say_does_not_hold_the_probe(redis_url: str) -> None:
    async with rig(redis_url, account={"breaker_failures": 1, "breaker_s": 100 * MS}) as way, way.speaker() as speaker:
        await put_on_trial(way, speaker)
        silent = speaker.turn("s2", turn="silent")
        await silent.open()
        await asyncio.sleep(50 * MS)
        await way.say("s3", "third", STORY)
        async with asyncio.timeout(2000 * MS):
            assert (await way.hear("s3", "third")).words("third") == STORY.split()
        await silent.send("Hello.")
        await silent.end()
        assert (await way.hear("s2", "silent")).words("silent") == ["Hello."]


async def test_a_bad_key_is_told_before_there_is_any_text(redis_url: str) -> None:
    async with rig(redis_url, account={"api_key": "wrong", "breaker_s": 60.0}) as way, way.speaker() as speaker:
        await way.until_breaker("gradium", "open")
        turn = speaker.turn("s", turn="t")
        await turn.open()
        end = (await way.hear("s", "t")).ends["t"]
        assert end.reason is State.FAILED


# hedges


def racing(slow: StandIn, fast: StandIn, quick: Row = FISHAUDIO, **fallback: Any) -> dict[str, Any]:
    """Return settings of a voice whose hedge overtakes it."""
    return {
        "providers": {"late": GRADIUM.provider(slow), "quick": quick.provider(fast)},
        "voices": {
            "default": {
                "provider": "late",
                "voice_id": "marker",
                "hedge_ms": 50 * MS * 1000,
                "hedge_voice": "quick",
                **fallback,
            },
            "quick": {"provider": "quick", "voice_id": "marker"},
        },
    }


async def test_a_hedge_with_a_bad_key_does_not_end_the_turn(redis_url: str) -> None:
    stalls = Behaviour(fault=Fault(Kind.STALL, 0), faulty_requests=1)
    async with StandIn(engine="marker", behaviour=stalls) as slow, StandIn(engine="marker") as fast:
        settings = racing(slow, fast)
        settings["providers"]["quick"]["api_key"] = "wrong"
        # The key is found out in the race, not before: nothing is connected to until then.
        settings["providers"]["quick"]["min"] = 0
        async with rig(redis_url, **settings) as way:
            await way.say("s", "t", STORY)
            heard = await way.hear("s", "t")
            assert heard.ends["t"].reason is State.DONE
            assert heard.words("t") == STORY.split()
            assert "gradium" in heard.of("t", Splice)[0].cause


async def test_a_hedge_that_has_won_keeps_the_turn_after_a_pause_of_the_text(redis_url: str) -> None:
    async with (
        StandIn(engine="marker", behaviour=Behaviour(first_audio_delay_s=300 * MS)) as slow,
        StandIn(engine="marker") as fast,
    ):
        settings = racing(slow, fast, KUGELAUDIO)
        settings["providers"]["quick"]["options"] = {"text_gap_s": 200 * MS}
        async with rig(redis_url, **settings) as way:
            async with way.speaker() as speaker, speaker.turn("s", turn="t") as turn:
                await turn.send("One two three. ")
                await turn.flush()
                await way.until_heard("s", "three.")
                await asyncio.sleep(400 * MS)  # the gap, and the end of the stream
                slow.behaviour = Behaviour()
                await turn.send("Four five six.")
            heard = await way.hear("s", "t")
            assert heard.words("t") == "One two three. Four five six.".split()
            told = [(splice.voice, splice.cause) for splice in heard.of("t", Splice)]
            assert told == [("quick", "default was late"), ("quick", "the text had paused")]


async def test_the_error_of_a_hedge_that_has_won_is_told_with_its_own_voice(redis_url: str) -> None:
    cut_short = Behaviour(speed=20, fault=Fault(Kind.NO_TAIL, 1))
    async with (
        StandIn(engine="marker", behaviour=Behaviour(first_audio_delay_s=300 * MS)) as slow,
        StandIn(engine="marker", behaviour=cut_short) as fast,
        rig(redis_url, worker={"streams": 2}, **racing(slow, fast, fallback=["quick"])) as way,
    ):
        await way.say("s", "t", "Extraordinarily long words.")
        end = (await way.hear("s", "t")).ends["t"]
        assert end.reason is State.FAILED
        assert end.cause == "voice 'quick': fishaudio: the last words are missing"


async def test_a_turn_that_waits_for_a_connection_is_hedged(redis_url: str) -> None:
    async with StandIn(engine="marker") as slow, StandIn(engine="marker") as fast:
        settings = racing(slow, fast)
        settings["providers"]["late"] |= {"limit": 1, "max": 1, "first_audio_s": 10.0}
        async with rig(redis_url, **settings) as way, way.speaker() as speaker:
            busy = speaker.turn("busy", turn="busy")
            await busy.open()
            await slow.stats.until(lambda stats: stats.requests_started == 1)
            await way.say("s", "t", STORY)
            async with asyncio.timeout(2000 * MS):
                heard = await way.hear("s", "t")
            assert [(splice.voice, splice.cause) for splice in heard.of("t", Splice)] == [("quick", "default was late")]
            await busy.end()


async def test_text_that_comes_while_it_is_asked_for_is_no_pause(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker reads it before Redis has answered that there is no more."""
    asked = 0

    async def ask(*question: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            await turn.send("Four five. ")
            await turn.end()
            [held] = way.workers[0]._held
            await eventually(lambda: held.attempt and held.attempt._text.ended)
        return await call_raw(*question)

    monkeypatch.setattr(turn_module, "call_raw", ask)
    limits = {"idle_s": 300 * MS, "on_idle": "interrupt"}
    async with rig(redis_url, limits=limits) as way, way.speaker() as speaker:
        turn = speaker.turn("s", turn="t")
        await turn.open()
        await turn.send("One two three. ")
        heard = await way.hear("s", "t")
        assert asked
        assert heard.ends["t"].reason is State.DONE
        assert heard.words("t") == "One two three. Four five.".split()
