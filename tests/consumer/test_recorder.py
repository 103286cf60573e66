"""Recording: a file that holds what was said, once and in order, however it ends."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.errors import InvalidId, InvalidInput, RedisUnavailable, ShardMismatch
from saystream.common.events import Audio, Begin, End, Word
from saystream.common.ids import EntryId
from saystream.common.redis_client import call
from saystream.common.states import State
from saystream.consumer import CannotRecord, Recorder, record
from tests.consumer.studio import CHUNK, FORMAT, SESSION, Studio, heard, read_wav, studio_at, tone
from tests.servers import MakeRedis
from tests.timing import eventually

OLD = b"precious"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recording.wav"


@pytest.fixture
def old(path: Path) -> Path:
    """The file, with something in it that was there before."""
    path.write_bytes(OLD)
    return path


def untouched(path: Path) -> bool:
    return path.read_bytes() == OLD


async def test_a_turn_is_recorded_until_it_ends(studio: Studio, path: Path) -> None:
    speech = await studio.begin("a")
    recording = asyncio.create_task(record(studio.url, SESSION, path, turn="a"))
    await speech.audio(1)
    await speech.words(Word("hello", 0, 5, 0, 99))
    await speech.audio(2)
    await speech.finish()
    result = await recording
    assert read_wav(path) == (FORMAT, [1, 2])
    assert (result.path, result.samples, result.seconds, result.whole) == (path, 200, 200 / 24_000, True)
    assert result.words == (Word("hello", 0, 5, 0, 99),)
    (turn,) = result.turns
    assert (turn.turn, turn.reason, turn.first_sample, turn.samples, turn.spoken) == ("a", State.DONE, 0, 200, 10)


async def test_a_turn_is_recorded_without_those_around_it(studio: Studio, path: Path) -> None:
    for turn, value in (("a", 1), ("b", 2), ("c", 3)):
        await studio.say(turn, [value])
    result = await record(studio.url, SESSION, path, turn="b")
    assert read_wav(path)[1] == [2]
    assert [turn.turn for turn in result.turns] == ["b"]


async def test_what_was_lost_before_a_turn_does_not_make_it_less_whole(studio: Studio, path: Path) -> None:
    for turn, value in (("a", 1), ("b", 2)):
        await studio.say(turn, [value])
    await studio.trim((await studio.entries())[2])
    assert (await record(studio.url, SESSION, path, turn="b")).whole


async def test_the_turns_of_a_session_follow_one_another(studio: Studio, path: Path) -> None:
    await studio.say("a", [1, 2])
    await studio.say("b", [3])
    await studio.say("c", [4])
    result = await record(studio.url, SESSION, path, turns=2)
    assert read_wav(path)[1] == [1, 2, 3]
    assert [(turn.turn, turn.first_sample, turn.samples) for turn in result.turns] == [("a", 0, 200), ("b", 200, 100)]


async def test_a_session_is_recorded_until_it_is_quiet(studio: Studio, path: Path) -> None:
    await studio.say("a", [1])
    speech = await studio.begin("b")
    await speech.audio(2)
    result = await record(studio.url, SESSION, path, idle_s=0.001)
    assert read_wav(path)[1] == [1, 2]
    assert [turn.reason for turn in result.turns] == [State.DONE, None]


async def test_a_splice_replaces_what_lies_past_it(studio: Studio, path: Path) -> None:
    await studio.say("before", [7])
    first = await studio.begin("a")
    for value in (1, 2, 3):
        await first.audio(value)
    await first.splice(CHUNK, 5)
    await first.audio(4)
    second = await studio.claim(taken_over=True)
    await second.audio(5)
    await second.finish()
    result = await record(studio.url, SESSION, path, turns=2)
    assert read_wav(path)[1] == [7, 1, 4, 5]
    assert result.whole


async def test_a_turn_that_ends_behind_a_splice_is_as_long_as_the_splice_left_it(studio: Studio, path: Path) -> None:
    speech = await studio.begin("a")
    for value in (1, 2, 3):
        await speech.audio(value)
    await speech.splice(CHUNK, 5)
    await speech.finish(State.FAILED, "the vendor is down")
    (turn,) = (await record(studio.url, SESSION, path, turn="a")).turns
    assert (turn.reason, turn.cause, turn.samples) == (State.FAILED, "the vendor is down", CHUNK)
    assert read_wav(path)[1] == [1]


async def test_an_interrupted_turn_keeps_what_was_published(studio: Studio, path: Path) -> None:
    speech = await studio.begin("a")
    await speech.audio(1)
    await studio.open("waiting")
    await studio.ledger.interrupt(SESSION)
    await studio.say("b", [2])
    result = await record(studio.url, SESSION, path, turns=3)
    assert read_wav(path)[1] == [1, 2]
    assert [(turn.turn, turn.reason, turn.samples) for turn in result.turns] == [
        ("a", State.INTERRUPTED, 100),
        ("waiting", State.INTERRUPTED, 0),
        ("b", State.DONE, 100),
    ]
    assert result.whole


async def test_a_recording_says_what_it_lost(studio: Studio, path: Path) -> None:
    await studio.say("trimmed", [1])
    await studio.say("a", [2])
    await studio.trim((await studio.entries())[2])
    speech = await studio.begin("b")
    await speech.audio(3)
    lost = await speech.audio(4)
    await speech.audio(5)
    await speech.raw({"type": "hologram", "turn": "b", "offset": 0, "spoken": 0, "cut": 0})
    await speech.finish()
    await call(studio.redis, "XDEL", studio.keys.audio(SESSION), str(lost))
    result = await record(studio.url, SESSION, path, turns=3)
    assert read_wav(path)[1] == [2, 3, 0, 5]
    assert [turn.holes for turn in result.turns] == [((0, 100),), (), ((100, 200),)]
    assert [turn.samples for turn in result.turns] == [0, 100, 300]
    assert (len(result.gaps), len(result.unreadable), result.whole) == (2, 1, False)


async def test_a_recording_from_a_cursor_has_silence_for_what_was_before(studio: Studio, path: Path) -> None:
    speech = await studio.begin("a")
    await speech.audio(1)
    await speech.audio(2)
    begin = (await studio.entries())[0]
    events = await heard(studio)
    with Recorder(path) as recorder:
        for event in (events[0], events[2]):
            recorder.add(event)
        assert recorder.turns[0].holes == ((0, CHUNK),)
    assert read_wav(path)[1] == [0, 2]
    assert events[0].cursor == begin


async def test_turns_of_another_format_do_not_go_into_the_same_file(studio: Studio, path: Path) -> None:
    await studio.say("a", [1])
    speech = await studio.begin("b", format=AudioFormat(sample_rate=8000))
    await speech.finish()
    with pytest.raises(CannotRecord, match="is pcm_s16le/24000/1, and turn b is pcm_s16le/8000/1"):
        await record(studio.url, SESSION, path, turns=2)
    assert read_wav(path) == (FORMAT, [1])
    assert (await record(studio.url, SESSION, path, turn="b")).format == AudioFormat(sample_rate=8000)


async def test_a_recording_that_is_cancelled_leaves_a_valid_file(studio: Studio, path: Path) -> None:
    speech = await studio.begin("a")
    recording = asyncio.create_task(record(studio.url, SESSION, path, turn="a"))
    await speech.audio(1)
    await speech.audio(2)
    await eventually(lambda: path.exists())
    await studio.blocked_readers(1)
    recording.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recording
    assert read_wav(path)[1] == [1, 2]


async def test_a_recording_that_loses_redis_for_good_leaves_a_valid_file(make_redis: MakeRedis, path: Path) -> None:
    server = make_redis()
    async with studio_at(server.url) as studio:
        await studio.say("a", [1, 2])
        recording = asyncio.create_task(record(server.url, SESSION, path, turns=2, patience_s=0.1))
        await studio.blocked_readers(1)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(RedisUnavailable):
            await recording
    assert read_wav(path)[1] == [1, 2]


async def test_a_recording_during_which_the_connection_breaks_is_whole(studio: Studio, path: Path) -> None:
    speech = await studio.begin("a")
    await speech.audio(1)
    recording = asyncio.create_task(record(studio.url, SESSION, path, turn="a"))
    await studio.blocked_readers(1)
    await call(studio.redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await speech.audio(2)
    await speech.finish()
    assert (await recording).whole
    assert read_wav(path)[1] == [1, 2]


async def test_a_recorder_takes_no_event_twice(studio: Studio, path: Path) -> None:
    await studio.say("a", [1, 2])
    await studio.say("b", [3])
    events = await heard(studio)
    with Recorder(path) as recorder:
        for place, event in enumerate(events):
            recorder.add(event)
            for earlier in events[: place + 1]:
                recorder.add(earlier)
        assert (recorder.samples, recorder.seconds) == (300, 300 / 24_000)
        assert [turn.turn for turn in recorder.turns] == ["a", "b"]
        assert repr(recorder) == "<Recorder [recording.wav: 2 turns, 0.01 s]>"
    assert read_wav(path)[1] == [1, 2, 3]


def test_more_than_a_file_can_hold_is_refused_and_what_is_there_stays(path: Path) -> None:
    with Recorder(path) as recorder:
        recorder.add(Begin(EntryId(9, 0), "a", FORMAT, "default", {}))
        recorder.add(Audio(EntryId(9, 1), "a", 0, CHUNK, 0, 0, tone(1)))
        with pytest.raises(CannotRecord, match="4 GiB"):
            recorder.add(Audio(EntryId(9, 2), "a", 1 << 40, CHUNK, 0, 0, tone(2)))
    assert read_wav(path)[1] == [1]


def test_a_turn_whose_begin_was_not_heard_takes_nothing_of_the_file(path: Path) -> None:
    with Recorder(path) as recorder:
        recorder.add(Audio(EntryId(9, 1), "a", 0, CHUNK, 0, 0, tone(1)))
        recorder.add(End(EntryId(9, 2), "a", State.DONE, CHUNK, 0, ""))
        assert [(turn.samples, turn.holes) for turn in recorder.turns] == [(0, ((0, CHUNK),))]
    assert read_wav(path)[1] == []


@pytest.mark.parametrize(
    "wrong",
    [{}, {"turns": 0}, {"turns": "1"}, {"turn": "no turn"}, {"idle_s": "1"}, {"turns": 1, "shards": 0}],
    ids=str,
)
def test_what_cannot_be_recorded_does_not_touch_the_file(old: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        asyncio.run(record("redis://localhost", SESSION, old, **wrong))
    with pytest.raises(InvalidId):
        asyncio.run(record("redis://localhost", "no session", old, turns=1))
    assert untouched(old)


async def test_a_recording_that_fails_before_it_has_heard_anything_does_not_touch_the_file(
    studio: Studio, old: Path
) -> None:
    await studio.ledger.greet()
    with pytest.raises(ShardMismatch):
        await record(studio.url, SESSION, old, turns=1, shards=8)
    with pytest.raises(RedisUnavailable):
        await record(f"unix://{old.parent}/nothing.sock", SESSION, old, turns=1, patience_s=0.01)
    assert untouched(old)


async def test_a_recording_of_nothing_is_an_empty_file(studio: Studio, old: Path) -> None:
    assert (await record(studio.url, SESSION, old, idle_s=0.001)).samples == 0
    assert read_wav(old) == (FORMAT, [])


async def test_the_same_turn_in_a_sessions_next_life_is_another_turn_of_the_recording(
    studio: Studio, path: Path
) -> None:
    await studio.pretend_age(1000)
    recording = asyncio.create_task(record(studio.url, SESSION, path, turns=2))
    await studio.say("a", [1, 2])
    await eventually(lambda: path.exists())
    await studio.blocked_readers(1)
    await studio.expire()
    await call(studio.redis, "DEL", studio.keys.turn("a"), studio.keys.tokens("a"))
    await studio.say("a", [3])
    result = await recording
    assert read_wav(path)[1] == [1, 2, 3]
    assert [(turn.turn, turn.first_sample, turn.samples) for turn in result.turns] == [("a", 0, 200), ("a", 200, 100)]
    assert result.whole
