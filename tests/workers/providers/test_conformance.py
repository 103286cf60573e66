"""What every vendor's provider must do: the same claims for all of them, on the whole way from tokens to a recording.

A vendor's row stands in ``tests/vendors.py``. Whatever goes wrong, there are two good ends: the recording has every
word once and in order, or the turn ends ``failed`` with the vendor's cause. Never a hang, never a silent cut.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from saystream.common.events import Audio, Begin, Splice
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind
from saystream.compose.standin.stats import RequestLog
from tests.rig import Rig, rig
from tests.timing import MS
from tests.vendors import FISHAUDIO, ROWS, VENDORS, Row

TEXT = "One answer of some length, so that there is a middle to break. It has two sentences, and ends with this word."
#: Fast enough not to make the tests long, slow enough that a fault comes while text and audio are under way.
BRISK: dict[str, Any] = {"speed": 20.0}
#: A turn that cannot be spoken has failed by then, with room for a slow machine.
DEADLINE_S = 15.0


@pytest.fixture(params=ROWS, ids=str)
def row(request: pytest.FixtureRequest) -> Row:
    chosen: Row = request.param
    return chosen


def of_our_turns(way: Rig) -> list[RequestLog]:
    return list(way.standin.stats.requests)


# All is well


async def test_a_text_is_spoken_word_by_word_in_one_stream(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row) as way:
        await way.say("s", "t", TEXT)
        heard = await way.hear("s", "t")
        assert heard.words("t") == TEXT.split()
        assert heard.ends["t"].reason is State.DONE
        assert heard.ends["t"].spoken == len(TEXT)
        assert heard.of("t", Splice) == []
        assert len(of_our_turns(way)) == 1


async def test_text_is_flushed_once_at_the_end_and_not_before(redis_url: str, row: Row) -> None:
    """Fish Audio has a word of its own for the end: there, nothing is flushed."""
    async with rig(redis_url, row=row) as way:
        await way.say("s", "t", TEXT)
        await way.hear("s", "t")
        (request,) = of_our_turns(way)
        assert request.flushes == (0 if row.vendor == FISHAUDIO.vendor else 1)
        assert request.end_of_stream_s is not None


async def test_each_word_stands_where_it_is_heard(redis_url: str, row: Row) -> None:
    """Word times are on the turn's clock, whatever the vendor counts from; and they point into the producer's text."""
    async with rig(redis_url, row=row) as way:
        if not row.word_times:
            pytest.skip("this vendor does not say when a word is spoken")
        await way.say("s", "t", TEXT)
        heard = await way.hear("s", "t")
        told = [word for words in heard.of("t", object) if hasattr(words, "words") for word in words.words]
        assert [TEXT[word.start : word.end] for word in told] == TEXT.split()
        for word, marked in zip(told, heard.decoded("t").words, strict=True):
            assert abs(word.first_sample - marked.first_sample) <= 24
            assert abs(word.last_sample - marked.last_sample) <= 24


async def test_what_the_producer_flushes_is_spoken_without_more_text(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row) as way, way.speaker() as speaker:
        first, rest = TEXT.split(". ")
        async with speaker.turn("s", turn="t") as turn:
            await turn.send(first + ". ")
            await turn.flush()
            await way.until_heard("s", f"{first.split()[-1]}.")
            await turn.send(rest)
        heard = await way.hear("s", "t")
        assert heard.words("t") == TEXT.split()
        assert heard.of("t", Splice) == []


async def test_a_flush_with_nothing_behind_it_does_no_harm(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t") as turn:
            await turn.flush()
            await turn.send(TEXT)
            await turn.flush()
            await turn.flush()
        heard = await way.hear("s", "t")
        assert heard.words("t") == TEXT.split()
        assert heard.ends["t"].reason is State.DONE


@pytest.mark.parametrize("text", ["", " ", "\n \n", "…", "?!"])
async def test_a_text_without_words_ends_well(redis_url: str, row: Row, text: str) -> None:
    async with rig(redis_url, row=row) as way:
        await way.say("s", "t", [text] if text else [])
        heard = await way.hear("s", "t")
        assert heard.ends["t"].reason is State.DONE


async def test_turns_follow_one_another_as_the_vendor_allows(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row) as way:
        for number in range(5):
            await way.say("s", f"t{number}", f"Turn {number}: {TEXT}")
        heard = await way.hear("s", *(f"t{number}" for number in range(5)))
        for number in range(5):
            assert heard.words(f"t{number}") == f"Turn {number}: {TEXT}".split()
        reused = row.name not in ("gradium-single", "fishaudio-closing")
        assert (way.standin.stats.connections_opened <= 3) is reused


async def test_turns_at_once_do_not_mix(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row, behaviour=Behaviour(**BRISK)) as way:

        async def session(name: str) -> None:
            await way.say(name, name, f"Session {name}: {TEXT}")
            assert (await way.hear(name, name)).words(name) == f"Session {name}: {TEXT}".split()

        await asyncio.gather(*(session(f"s{number}") for number in range(6)))


async def test_an_interrupted_turn_ends_at_the_vendor_and_the_next_one_is_spoken(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row, behaviour=Behaviour(speed=2.0)) as way, way.speaker() as speaker:
        await way.say("s", "t", TEXT * 3)
        await way.until_heard("s", "answer")
        await speaker.interrupt("s")
        await way.standin.stats.until(
            lambda stats: stats.requests[0].outcome != "active" or row.name == "gradium-multiplexed"
        )
        way.standin.behaviour = Behaviour(**row.behaviour)
        await way.say("s", "next", "And now something else.")
        heard = await way.hear("s", "t", "next")
        assert heard.ends["t"].reason is State.INTERRUPTED
        assert heard.words("next") == "And now something else.".split()


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
async def test_a_rate_that_the_vendor_does_not_offer_is_converted(redis_url: str, row: Row, rate: int) -> None:
    async with rig(redis_url, row=row, voice={"sample_rate": rate}) as way:
        await way.say("s", "t", TEXT)
        heard = await way.hear("s", "t")
        (begin,) = heard.of("t", Begin)
        assert begin.format.sample_rate == rate
        assert heard.words("t") == TEXT.split()


# Something goes wrong

#: How each kind of fault is set, and what the cause of a turn that it ends must say.
FAULTS: dict[Kind, tuple[dict[str, Any], str]] = {
    Kind.CLOSE: ({"code": 1011, "message": "going down"}, "going down"),
    Kind.CUT: ({}, "broke"),
    Kind.RESET: ({}, "broke"),
    Kind.SILENCE: ({}, "overdue"),
    Kind.STALL: ({}, "overdue"),
    Kind.ERROR: ({"message": "the engine has failed"}, "the engine has failed|reason"),
    Kind.MALFORMED: ({}, "not of the protocol"),
    Kind.NO_AUDIO: ({}, "no audio"),
    Kind.NO_END: ({}, "overdue"),
    Kind.LIMIT: ({}, "(?i)concurren|rate limit|too many"),
    Kind.UNKNOWN_VOICE: ({}, "(?i)voice|embedding|reference"),
}
LASTING = [Kind.UNKNOWN_VOICE]


def fault(row: Row, kind: Kind, after_frames: int) -> Fault:
    given, _ = FAULTS[kind]
    if kind is Kind.ERROR:
        given = {**given, "code": row.broken_code}
    return Fault(kind, after_frames, **given)


@pytest.mark.parametrize("after_frames", [0, 6])
@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind not in LASTING], ids=str)
async def test_a_fault_costs_no_word(redis_url: str, row: Row, kind: Kind, after_frames: int) -> None:
    behaviour = Behaviour(**BRISK, fault=fault(row, kind, after_frames), faulty_requests=1)
    async with rig(redis_url, row=row, behaviour=behaviour) as way:
        await way.say("s", "t", TEXT)
        heard = await way.hear("s", "t")
        assert (heard.ends["t"].reason, heard.ends["t"].cause) == (State.DONE, "")
        assert heard.words("t") == TEXT.split()
        assert heard.ends["t"].spoken == len(TEXT)
        if row.word_times:
            assert [TEXT[start:end] for start, end in heard.told("t")] == TEXT.split()


@pytest.mark.parametrize("kind", list(FAULTS), ids=str)
async def test_a_fault_that_stays_ends_the_turn_with_the_vendors_cause(redis_url: str, row: Row, kind: Kind) -> None:
    behaviour = Behaviour(**BRISK, fault=fault(row, kind, 0))
    worker = {"lease_s": 400 * MS, "streams": 2}
    async with rig(redis_url, row=row, behaviour=behaviour, worker=worker) as way:
        began = time.monotonic()
        await way.say("s", "t", TEXT)
        heard = await way.hear("s", "t")
        assert time.monotonic() - began < DEADLINE_S
        if kind is Kind.NO_END and heard.ends["t"].reason is State.DONE:
            # Each word's time was told and its audio came: nothing is missing but the vendor's goodbye.
            assert heard.words("t") == TEXT.split()
            return
        assert heard.ends["t"].reason is State.FAILED
        assert re.search(FAULTS[kind][1], heard.ends["t"].cause)
        assert heard.ends["t"].cause.startswith(f"{row.vendor}: ")


async def test_a_missing_tail_is_spoken(redis_url: str, row: Row) -> None:
    """Where the vendor tells which words it speaks, it is noticed that the last ones are not among them."""
    behaviour = Behaviour(**BRISK, fault=Fault(Kind.NO_TAIL, 20), faulty_requests=1)
    async with rig(redis_url, row=row, behaviour=behaviour) as way:
        if not row.word_times:
            pytest.skip("this vendor does not say which words it has spoken")
        await way.say("s", "t", TEXT)
        heard = await way.hear("s", "t")
        assert heard.ends["t"].reason is State.DONE
        assert heard.words("t") == TEXT.split()
        assert [splice.cause for splice in heard.of("t", Splice)] == [f"{row.vendor}: the last words are missing"]


async def test_a_tail_that_breaks_off_anywhere_is_spoken(redis_url: str, row: Row) -> None:
    """Also where the last word was reported, and its audio came in part."""
    async with rig(redis_url, row=row, behaviour=Behaviour(**BRISK)) as way:
        if not row.word_times or row.vendor == "fishaudio":
            pytest.skip("this vendor does not say how much of a word should have been there")
        for frames in range(1, 12):
            way.standin.behaviour = replace(way.standin.behaviour, fault=Fault(Kind.NO_TAIL, frames), faulty_requests=1)
            await way.say("s", f"t{frames}", "Hello unbelievably!")
            heard = await way.hear("s", f"t{frames}")
            assert heard.ends[f"t{frames}"].reason is State.DONE
            assert heard.words(f"t{frames}") == ["Hello", "unbelievably!"], f"behind {frames} frames"


async def test_a_part_of_the_turn_that_is_answered_with_silence_is_spoken(redis_url: str, row: Row) -> None:
    """Where a flush ends something for the vendor, that may be silent by itself, and the rest be well."""
    behaviour = Behaviour(**BRISK, fault=Fault(Kind.NO_AUDIO), faulty_requests=1)
    async with rig(redis_url, row=row, behaviour=behaviour) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t") as turn:
            await turn.send("One two three four five six. ")
            await turn.flush()
            await turn.send("Seven eight nine.")
        heard = await way.hear("s", "t")
        assert heard.ends["t"].reason is State.DONE
        assert heard.words("t") == "One two three four five six. Seven eight nine.".split()


async def test_audio_that_drips_in_odd_pieces_is_put_together(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row, behaviour=Behaviour(drip_bytes=333)) as way:
        await way.say("s", "t", TEXT)
        assert (await way.hear("s", "t")).words("t") == TEXT.split()


async def test_a_slow_handshake_is_waited_for(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row, behaviour=Behaviour(handshake_delay_s=200 * MS)) as way:
        await way.say("s", "t", TEXT)
        assert (await way.hear("s", "t")).words("t") == TEXT.split()


async def test_a_vendor_that_is_late_within_its_time_is_waited_for(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row, behaviour=Behaviour(first_audio_delay_s=300 * MS)) as way:
        await way.say("s", "t", TEXT)
        heard = await way.hear("s", "t")
        assert heard.words("t") == TEXT.split()
        assert len(of_our_turns(way)) == 1


async def test_a_revoked_key_ends_the_turn_with_the_vendors_words_and_without_the_key(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row, account={"min": 0}) as way:
        way.standin.behaviour = Behaviour(api_keys=frozenset({"another"}), **row.behaviour)
        await way.say("s", "t", TEXT)
        end = (await way.hear("s", "t")).ends["t"]
        assert end.reason is State.FAILED
        assert end.cause.startswith(f"{row.vendor}: ")
        assert re.search("(?i)key|unauthori[sz]ed|forbidden", end.cause)
        assert "test-key" not in end.cause


async def test_a_vendor_in_a_rolling_deploy_costs_no_word(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row, behaviour=Behaviour(draining=True), account={"min": 0}) as way:
        await way.say("s", "t", TEXT)
        await way.standin.stats.until(lambda stats: stats.connections_opened > 0)
        way.standin.behaviour = Behaviour(**row.behaviour)
        heard = await way.hear("s", "t")
        assert heard.words("t") == TEXT.split()


async def test_more_turns_than_the_account_allows_are_spoken_one_after_another(redis_url: str, row: Row) -> None:
    """With the limit in the settings, the vendor never has to refuse one."""
    async with rig(redis_url, row=row, behaviour=Behaviour(most_streams=2), account={"limit": 2}) as way:
        names = [f"s{number}" for number in range(6)]
        await asyncio.gather(*(way.say(name, name, TEXT) for name in names))
        for name in names:
            assert (await way.hear(name, name)).words(name) == TEXT.split()
        assert way.standin.stats.requests_failed == 0


async def test_a_word_in_whose_middle_the_llm_pauses_is_one_word(redis_url: str, row: Row) -> None:
    """Its beginning has been spoken when the stream of speech ends; the next one speaks it again, as a whole."""
    if not row.gap or not row.word_times:
        pytest.skip("this vendor waits for the rest, or does not tell where a word begins")
    account = {"options": {**row.options, "text_gap_s": 300 * MS}}
    async with rig(redis_url, row=row, account=account) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t") as turn:
            await turn.send("One two unbe")
            await way.until_spoken("s", len("One two unbe"))
            await way.standin.stats.until(lambda stats: stats.requests_completed == 1)
            await turn.send("lievable three.")
        heard = await way.hear("s", "t")
        assert heard.words("t") == "One two unbelievable three.".split()


async def test_a_pause_of_the_llm_costs_no_word(redis_url: str, row: Row) -> None:
    """Also where the vendor would end the turn: it goes on in another stream of speech, on one clock, and says so."""
    behaviour = Behaviour(idle_turn_s=600 * MS)
    options = {**row.options, **({"text_gap_s": 300 * MS} if row.gap else {})}
    async with rig(redis_url, row=row, behaviour=behaviour, account={"options": options}) as way:
        first, rest = TEXT.split(". ")

        async def tokens() -> AsyncIterator[str]:
            yield first + ". "
            await asyncio.sleep(1000 * MS)  # the tool call of an LLM: this is the thing under test
            yield rest

        async with way.speaker() as speaker, speaker.turn("s", turn="t") as turn:
            async for token in tokens():
                await turn.send(token)
        heard = await way.hear("s", "t")
        assert heard.words("t") == TEXT.split()
        gap = "text_gap_s" in options
        assert [splice.cause for splice in heard.of("t", Splice)] == (["the text had paused"] if gap else [])
        assert all(splice.offset == _end_before(heard.events, splice) for splice in heard.of("t", Splice))


def _end_before(events: list[Any], splice: Splice) -> int:
    """Return the position at which a splice stands."""
    audio = [event for event in events[: events.index(splice)] if isinstance(event, Audio)]
    return audio[-1].offset + audio[-1].samples


async def test_two_hundred_turns_through_eight_connections_leave_nothing_behind(redis_url: str) -> None:
    for row in VENDORS:
        async with rig(redis_url, row=row, account={"max": 8}, worker={"lease_s": 2.0}) as way:
            names = [f"{row}-{number}" for number in range(200)]
            async with way.speaker() as speaker:
                await asyncio.gather(*(speaker.say(name, "Four words of text.", turn=name) for name in names))
            for name in names:
                heard = await way.hear(name, name)
                assert heard.words(name) == "Four words of text.".split()
            (pool,) = way.workers[0].reports()
            assert (pool.active, pool.parting, pool.waiting, pool.failures) == (0, 0, 0, 0)
            assert way.standin.stats.connections_open <= 8
            await way.stop()
            await way.standin.stats.until(lambda stats: stats.connections_open == 0)
