"""A worker as a whole: what it takes, what it refuses, how it begins and ends."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from saystream.common.errors import InvalidSettings, RedisUnavailable, ShardMismatch
from saystream.common.events import Begin, Splice, Word, Words
from saystream.common.keys import REPORTS
from saystream.common.ledger import Ledger
from saystream.common.redis_client import Client, call, connect
from saystream.common.request import TurnRequest
from saystream.common.settings import load
from saystream.common.states import State
from saystream.compose.standin import TEST_KEY, Behaviour, Fault, Kind, Stats
from saystream.workers import service
from saystream.workers.worker import Worker
from tests.rig import Rig, rig
from tests.timing import MS, eventually


@asynccontextmanager
async def redis_at(url: str) -> AsyncIterator[Client]:
    redis = connect(url)
    yield redis
    await redis.aclose()


async def test_a_turn_without_text_ends_done_with_no_audio(redis_url: str) -> None:
    async with rig(redis_url) as way:
        await way.say("s", "nothing", "")
        await way.say("s", "blank", " \n ")
        heard = await way.hear("s", "nothing", "blank")
        assert [(end.reason, end.samples) for end in heard.ends.values()] == [(State.DONE, 0), (State.DONE, 0)]


async def test_text_goes_in_phrases_and_is_flushed_once_at_the_end(redis_url: str) -> None:
    async with rig(redis_url) as way:
        await way.say("s", "t", "Hello there, my friend. How do you do on this fine day?")
        await way.hear("s", "t")
        [request] = way.standin.stats.requests
        assert request.flushes == 1
        assert request.heard[-1].endswith("<flush>")
        assert all(text == " ".join(text.split()) for text in request.heard)


async def test_a_flush_that_the_producer_asks_for_is_sent_where_it_was_asked(redis_url: str) -> None:
    async with rig(redis_url) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t") as turn:
            await turn.send("Wait a moment ")
            await turn.flush()
            await way.standin.stats.until(lambda stats: any(request.flushes for request in stats.requests))
            await turn.send("here it is.")
        heard = await way.hear("s", "t")
        assert heard.words("t") == "Wait a moment here it is.".split()
        assert way.standin.stats.requests[-1].flushes == 2


async def test_words_are_published_with_their_places_in_text_and_audio(redis_url: str) -> None:
    text = "Hello there, old friend."
    async with rig(redis_url) as way:
        await way.say("s", "t", text)
        heard = await way.hear("s", "t")
    words = [word for event in heard.of("t", Words) for word in event.words]
    assert [text[word.start : word.end] for word in words] == text.split()
    marked = heard.decoded("t").words
    assert [(word.first_sample, word.last_sample) for word in words] == [
        (mark.first_sample, mark.last_sample) for mark in marked
    ]


async def test_the_turn_begins_with_its_format_voice_and_metadata(redis_url: str) -> None:
    async with rig(redis_url) as way:
        await way.say("s", "t", "Hello.", voice="other", metadata={"who": "me"})
        [begin] = (await way.hear("s", "t")).of("t", Begin)
        assert (begin.voice, begin.metadata, begin.format.sample_rate) == ("other", {"who": "me"}, 24_000)


def has_begun(count: int, stats: Stats) -> bool:
    return stats.requests_started >= count


async def test_no_more_turns_are_taken_than_there_are_slots(redis_url: str) -> None:
    async with rig(redis_url, worker={"slots": 2, "lease_s": 5.0}, behaviour=Behaviour(speed=10.0)) as way:
        for number in range(5):
            await way.say(f"s{number}", f"t{number}", "one two three four five six")
        redis = connect(redis_url)
        for begun in range(2, 6):
            await way.standin.stats.until(partial(has_begun, begun))
            assert (await call(redis, "XPENDING", "saystream:{0}:dispatch", "workers"))["pending"] <= 2
        await redis.aclose()
        for number in range(5):
            await way.hear(f"s{number}", f"t{number}")


async def test_a_voice_that_no_worker_knows_fails_the_turn_and_names_those_that_one_does(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_UNKNOWN_S", 50 * MS)
    async with rig(redis_url) as way:
        redis = connect(redis_url)
        await Ledger(redis).open(TurnRequest.check(session="s", turn="t", voice="nobody"))
        await redis.aclose()
        heard = await way.hear("s", "t")
        assert heard.ends["t"].reason is State.FAILED
        assert heard.ends["t"].cause == "voice 'nobody' is none of: default, other"


async def test_a_turn_waits_for_the_worker_that_knows_its_voice_and_is_full(redis_url: str) -> None:
    """As in a deploy that adds a voice: the others have room for it, and leave it alone."""
    async with rig(redis_url, workers=0, worker={"slots": 1, "lease_s": 5.0}) as way, way.speaker() as speaker:
        knows = way.workers[await way.start_worker()]
        async with speaker.turn("busy", turn="busy", voice="default") as busy:
            await busy.send("One two three ")
            await way.standin.stats.until(partial(has_begun, 1))
            only_other = {"other": way.settings.voices["other"]}
            await way.start_worker(voices=only_other, worker=way.settings.worker.model_copy(update={"slots": 9}))
            await way.until_reported()
            await way.say("s", "t", "Four five.", voice="default")
            async with redis_at(redis_url) as redis:
                ledger, messages = Ledger(redis), set[bytes]()

                async def passed_on() -> bool:
                    messages.add(await call(redis, "HGET", "saystream:{0}:turn:t", "message"))
                    return len(messages) > 3

                await eventually(passed_on, 15_000 * MS)
                assert (await ledger.inspect("t")).state is State.READY
                assert knows.report().room == 0
            await busy.send("and no more. ")
        heard = await way.hear("s", "t")
        assert (heard.ends["t"].reason, heard.ends["t"].cursor.attempt) == (State.DONE, 1)


async def test_a_wrong_key_fails_the_turn_with_the_vendors_words_and_without_the_key(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig(redis_url) as good:
        providers = {"gradium": {"url": good.standin.gradium_url, "api_key": "not-the-key"}}
        async with rig(redis_url, providers=providers) as way:
            good.stops[0].set()
            await good.runs[0]
            await way.say("s", "t", "Hello there.")
            heard = await way.hear("s", "t")
    assert heard.ends["t"].reason is State.FAILED
    assert "1008" in heard.ends["t"].cause
    assert "not-the-key" not in heard.ends["t"].cause + caplog.text


async def test_a_worker_whose_vendor_refuses_it_leaves_turns_to_one_that_is_well(redis_url: str) -> None:
    """It would fail them all, and faster than the other can speak them."""
    async with rig(redis_url) as well:
        providers = {"gradium": {"url": well.standin.gradium_url, "api_key": "not-the-key"}}
        async with rig(redis_url, providers=providers) as unwell:
            await unwell.until_breaker("gradium", "open")
            await well.until_reported()
            for number in range(8):
                await well.say(f"s{number}", f"t{number}", "Hello there.")
            for number in range(8):
                heard = await well.hear(f"s{number}", f"t{number}")
                assert heard.ends[f"t{number}"].reason is State.DONE


async def test_a_silent_vendor_is_given_up_in_time(redis_url: str) -> None:
    """Half of the promise that every wait ends: the first stream owes audio for ever, the second one speaks."""
    async with rig(redis_url, behaviour=Behaviour(first_audio_delay_s=60.0)) as way:
        providers = {"gradium": {"url": way.standin.gradium_url, "api_key": TEST_KEY, "first_audio_s": 0.2}}
        async with rig(redis_url, providers=providers) as impatient:
            way.stops[0].set()
            await way.runs[0]
            await impatient.say("s", "t", "Hello there.")
            await way.standin.stats.until(lambda stats: stats.requests_started == 1)
            way.standin.behaviour = Behaviour()
            heard = await impatient.hear("s", "t")
            assert heard.words("t") == ["Hello", "there."]


async def test_a_drain_lets_running_turns_end_and_takes_no_more(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=10.0)) as way:
        await way.say("s", "t", "one two three four five six seven")
        await way.standin.stats.until(lambda stats: stats.requests_started == 1)
        way.stops[0].set()
        await eventually(lambda: way.workers[0].draining)
        await way.say("other", "later", "Not by you.")
        await way.runs[0]
        heard = await way.hear("s", "t")
        assert heard.ends["t"].reason is State.DONE
        assert heard.of("t", Splice) == []
        assert way.standin.stats.requests_started == 1
        redis = connect(redis_url)
        assert await call(redis, "XINFO CONSUMERS", "saystream:{0}:dispatch", "workers") == []
        await redis.aclose()


async def test_leases_are_renewed_while_a_turn_lasts_longer_than_one(redis_url: str) -> None:
    async with rig(redis_url, workers=2, behaviour=Behaviour(speed=4.0)) as way:
        await way.say("s", "t", "one two three four five six seven eight nine ten eleven twelve thirteen")
        heard = await way.hear("s", "t")
        assert heard.ends["t"].cursor.attempt == 1


async def test_settings_that_cannot_work_are_refused_at_the_start(redis_url: str) -> None:
    with pytest.raises(InvalidSettings, match="no voice is configured"):
        Worker(load(redis_url=redis_url))
    voice = {"provider": "acme", "voice_id": "x"}
    with pytest.raises(InvalidSettings, match=r"providers\.acme\.vendor"):
        Worker(load(redis_url=redis_url, providers={"acme": {}}, voices={"v": voice}))
    voice["provider"] = "gradium"
    with pytest.raises(InvalidSettings, match="no Redis is configured"):
        Worker(load(providers={"gradium": {"api_key": "k"}}, voices={"v": voice}))


async def test_a_redis_that_is_not_there_is_an_error_at_the_start() -> None:
    voice = {"provider": "gradium", "voice_id": "x"}
    settings = load(
        redis_url="unix:///nowhere/redis.sock", providers={"gradium": {"api_key": "k"}}, voices={"v": voice}
    )
    with pytest.raises(RedisUnavailable):
        await Worker(settings).run(asyncio.Event())


async def test_another_number_of_shards_is_refused(redis_url: str) -> None:
    async with rig(redis_url) as way:
        worker = Worker(way.settings.model_copy(update={"shards": 4}), redis_url)
        with pytest.raises(ShardMismatch, match=r"1 shards.*with 4"):
            await worker.run(asyncio.Event())


async def test_several_shards_are_served_by_one_worker(redis_url: str) -> None:
    async with rig(redis_url, shards=3, worker={"slots": 2, "lease_s": 0.4}) as way:
        for number in range(6):
            await way.say(f"s{number}", f"t{number}", f"This is {number}.")
        for number in range(6):
            assert (await way.hear(f"s{number}", f"t{number}")).words(f"t{number}") == ["This", "is", f"{number}."]


async def test_logs_hold_no_text_of_users(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "saystream.workers")
    async with rig(redis_url) as way:
        await way.say("s", "t", "Confidential matters.")
        await way.hear("s", "t")
    assert "→ t attempt 1" in caplog.text
    assert "← t done" in caplog.text
    assert "Confidential" not in caplog.text


async def test_an_entry_that_is_no_token_fails_its_turn_and_no_other(redis_url: str) -> None:
    async with rig(redis_url) as way, way.speaker() as speaker:
        redis = connect(redis_url)
        broken, well = speaker.turn("s", turn="broken"), speaker.turn("other", turn="well")
        await broken.open()
        await well.open()
        await call(redis, "XADD", "saystream:{0}:tokens:broken", "1-0", "what", "is this")
        await redis.aclose()
        heard = await way.hear("s", "broken")
        assert heard.ends["broken"].reason is State.FAILED
        assert "token 1-0 is not one" in heard.ends["broken"].cause
        await well.say("Nothing happened here.")
        await well.end()
        assert (await way.hear("other", "well")).words("well") == ["Nothing", "happened", "here."]


async def test_no_more_turns_are_taken_than_connections_carry(redis_url: str) -> None:
    """Waiting happens in Redis, where every worker can help; no turn fails for want of a connection."""
    async with rig(redis_url, workers=0, behaviour=Behaviour(speed=20.0)) as way:
        account = {"url": way.standin.gradium_url, "api_key": TEST_KEY, "max": 1, "connect_timeout_s": 0.1}
        async with rig(redis_url, providers={"gradium": account}) as narrow:
            for number in range(3):
                await narrow.say(f"s{number}", f"t{number}", "one two three four five six")
            for number in range(3):
                heard = await narrow.hear(f"s{number}", f"t{number}")
                assert heard.ends[f"t{number}"].reason is State.DONE


async def test_every_word_has_its_times_when_a_socket_breaks(redis_url: str) -> None:
    text = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while."
    async with rig(redis_url, behaviour=Behaviour(fault=Fault(Kind.CUT, 30), faulty_requests=2)) as way:
        await way.say("s", "t", text)
        heard = await way.hear("s", "t")
        known: dict[int, Word] = {}
        for event in heard.events:
            if isinstance(event, Splice):
                known = {start: word for start, word in known.items() if word.last_sample <= event.offset}
            elif isinstance(event, Words):
                known |= {word.start: word for word in event.words}
        assert [text[word.start : word.end] for _, word in sorted(known.items())] == text.split()


async def test_a_long_text_that_is_there_at_once_does_not_keep_others_waiting(redis_url: str) -> None:
    """300,000 characters in one turn: a short turn beside it is spoken, and nobody's lease is lost."""
    limits = {"turn_chars": 300_000, "ahead_chars": 300_000}
    async with rig(redis_url, behaviour=Behaviour(speed=1.0), limits=limits) as way, way.speaker() as speaker:
        long = speaker.turn("long", turn="long")
        await long.open()
        await long.say("word " * 60_000)
        await way.say("short", "short", "I am short.")
        heard = await asyncio.wait_for(way.hear("short", "short"), 20)
        assert heard.words("short") == ["I", "am", "short."]
        assert heard.ends["short"].cursor.attempt == 1
        await speaker.interrupt("long")


# what Redis refuses costs a turn, never the worker


WRONG = "a key of another kind"


async def is_well(way: Rig, session: str) -> None:
    """The rig's worker speaks a turn, as if nothing had happened."""
    await way.say(session, session, "All is well.")
    assert (await asyncio.wait_for(way.hear(session, session), 5)).words(session) == "All is well.".split()
    assert not way.runs[0].done()


async def test_a_turn_that_cannot_be_passed_on_is_left_to_its_lease(redis_url: str) -> None:
    """The worker has been found unwell just when a turn came, and that turn's keys are not what they should be."""
    async with rig(redis_url) as way, redis_at(redis_url) as redis:
        unwell = iter([False, True])

        async def others() -> bool:
            return next(unwell, False)

        way.workers[0]._unwell = others  # type: ignore[method-assign]
        await way.stop()
        way.stops.clear()
        way.runs.clear()
        await call(redis, "SET", "saystream:{0}:turn:broken", WRONG)
        await call(redis, "XADD", "saystream:{0}:dispatch", "*", "turn", "broken", "session", "s", "voice", "default")
        stop = asyncio.Event()
        way.stops.append(stop)
        way.runs.append(asyncio.create_task(way.workers[0].run(stop)))
        await is_well(way, "well")


async def test_a_roll_that_cannot_be_read_is_an_empty_one(redis_url: str) -> None:
    async with (
        rig(redis_url, account={"breaker_failures": 1, "breaker_s": 200 * MS}) as way,
        redis_at(redis_url) as redis,
    ):
        await way.until_reported()
        await call(redis, "DEL", REPORTS)
        await call(redis, "SET", REPORTS, WRONG)
        way.standin.behaviour = Behaviour(fault=Fault(Kind.CUT, 0), faulty_requests=1)
        await way.say("s", "t", "Hello there.")
        await way.until_breaker("gradium", "open")
        await is_well(way, "well")


async def test_a_dispatch_that_cannot_be_read_is_asked_again(redis_url: str) -> None:
    async with rig(redis_url) as way, redis_at(redis_url) as redis:
        await call(redis, "DEL", "saystream:{0}:dispatch")
        await call(redis, "SET", "saystream:{0}:dispatch", WRONG)
        await asyncio.sleep(300 * MS)
        await call(redis, "DEL", "saystream:{0}:dispatch")
        await is_well(way, "well")


@pytest.mark.parametrize("broken", ["saystream:{0}:dispatch", REPORTS])
async def test_a_drain_speaks_on_whatever_redis_refuses(redis_url: str, broken: str) -> None:
    """It cannot tell what was handed out to it, or whether others are there: its turns end as they would."""
    async with (
        rig(redis_url, behaviour=Behaviour(speed=4.0), worker={"lease_s": 5.0}) as way,
        redis_at(redis_url) as redis,
    ):
        await way.say("s", "t", "one two three four five six seven")
        await way.standin.stats.until(lambda stats: stats.requests_started == 1)
        kept = await call(redis, "DUMP", broken)
        await call(redis, "DEL", broken)
        await call(redis, "SET", broken, WRONG)
        way.stops[0].set()
        await eventually(lambda: way.workers[0].draining)
        await asyncio.sleep(300 * MS)
        assert not way.runs[0].done()
        await call(redis, "RESTORE", broken, 0, kept, "REPLACE")
        await way.runs[0]
        assert (await way.hear("s", "t")).ends["t"].cursor.attempt == 1
