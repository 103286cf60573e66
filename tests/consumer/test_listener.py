"""Listening: from anywhere, each entry once, and every loss is told."""

import asyncio
import os
import signal
from contextlib import aclosing
from pathlib import Path

import pytest

from saystream.common.errors import InvalidId, InvalidInput, RedisUnavailable, ShardMismatch
from saystream.common.events import Audio, Begin, End, Word
from saystream.common.ids import FENCE, EntryId
from saystream.common.redis_client import call
from saystream.common.states import State
from saystream.compose.redis_server import PrivateRedis
from saystream.consumer import BEGINNING, LIVE, Event, Gap, Listener, Recorder, Start, Unreadable, listen, listener
from tests.consumer.studio import SESSION, Studio, heard, kinds, read_wav, studio_at
from tests.servers import MakeRedis
from tests.timing import MS, eventually

# from the beginning


async def test_beginning_hears_everything_in_order(studio: Studio) -> None:
    await studio.say("a", [1, 2])
    await studio.say("b", [3])
    assert kinds(await heard(studio)) == "begin a, audio 1, audio 2, end a, begin b, audio 3, end b"


async def test_events_say_all_that_was_published(studio: Studio) -> None:
    speech = await studio.begin("a", metadata={"scene": "7"})
    await speech.audio(1)
    await speech.words(Word("hello", 0, 5, 0, 99))
    await speech.splice(50, 3)
    await speech.finish(State.FAILED, "the vendor is down")
    begin, audio, words, splice, end = await heard(studio)
    assert isinstance(begin, Begin)
    assert begin.metadata == {"scene": "7"}
    assert isinstance(audio, Audio)
    assert (audio.offset, audio.samples, audio.spoken, audio.cut) == (0, 100, 5, 100)
    assert getattr(words, "words", None) == (Word("hello", 0, 5, 0, 99),)
    assert getattr(splice, "offset", None) == 50
    assert isinstance(end, End)
    assert (end.reason, end.cause, end.samples) == (State.FAILED, "the vendor is down", 50)


async def test_more_entries_than_one_reply_holds_come_all(studio: Studio) -> None:
    await studio.say("a", range(1, 201))
    events = await heard(studio)
    assert [event.cursor for event in events] == await studio.entries()
    assert len(events) == 202


@pytest.mark.parametrize("start", [BEGINNING, LIVE, "0-0"])
async def test_a_session_that_does_not_exist_yet_is_waited_for(studio: Studio, start: str) -> None:
    listening = asyncio.create_task(heard(studio, start, idle_s=60, until_turn="a"))
    await studio.blocked_readers(1)
    await studio.say("a", [1])
    assert kinds(await listening) == "begin a, audio 1, end a"


async def test_a_cluster_session_is_found_in_its_shard(redis_url: str) -> None:
    async with studio_at(redis_url, shards=5) as studio:
        assert studio.keys.shard != 0
        await studio.say("a", [1])
        assert kinds(await heard(studio)) == "begin a, audio 1, end a"


@pytest.mark.parametrize("start", [BEGINNING, LIVE])
async def test_a_listener_with_another_number_of_shards_is_told(studio: Studio, start: Start) -> None:
    await studio.ledger.greet()
    with pytest.raises(ShardMismatch, match="used with 1 shards"):
        await anext(listen(studio.url, SESSION, start, shards=8))

    async def only_ours() -> bool:
        return len(await call(studio.redis, "CLIENT LIST")) == 1

    await eventually(only_ours)


@pytest.mark.parametrize("start", [BEGINNING, LIVE])
async def test_a_listener_with_another_number_of_shards_is_told_even_if_it_was_there_first(
    studio: Studio, start: Start
) -> None:
    listening = asyncio.ensure_future(anext(listen(studio.url, SESSION, start, shards=8, block_ms=50)))
    await studio.blocked_readers(1)
    await studio.ledger.greet()
    with pytest.raises(ShardMismatch, match="used with 1 shards"):
        await asyncio.wait_for(listening, 5000 * MS)


# from now on


async def test_live_is_from_the_moment_when_the_listener_is_entered(studio: Studio) -> None:
    await studio.say("a", [1])
    async with Listener(studio.url, SESSION, LIVE) as listener:
        await studio.say("b", [2])
        events = [event async for event in listener.events(until_turn="b", idle_s=60)]
    assert kinds(events) == "begin b, audio 2, end b"


async def test_live_in_a_session_that_does_not_exist_yet_is_from_entering_too(studio: Studio) -> None:
    async with Listener(studio.url, SESSION, LIVE) as listener:
        await studio.say("a", [1])
        events = [event async for event in listener.events(until_turn="a", idle_s=60)]
    assert kinds(events) == "begin a, audio 1, end a"


async def test_who_enters_in_the_middle_of_a_turn_gets_its_begin_once_and_what_was_said_since(studio: Studio) -> None:
    speech = await studio.begin("a")
    live = await speech.audio(1)
    async with Listener(studio.url, SESSION, LIVE) as listener:
        assert listener.cursor is None, "who went on from the live point would never get the begin"
        await speech.audio(2)
        await speech.finish()
        async for event in listener.events():
            assert (kinds([event]), event.cursor) == ("begin a", live)
            break
        events = [event async for event in listener.events(until_turn="a", idle_s=60)]
    assert kinds(events) == "audio 2, end a"


async def test_what_is_trimmed_between_entering_and_the_first_event_is_told(studio: Studio) -> None:
    speech = await studio.begin("a")
    await speech.audio(1)
    async with Listener(studio.url, SESSION, LIVE) as listener:
        await speech.audio(2)
        await studio.trim(await speech.audio(3))
        await speech.finish()
        events = [event async for event in listener.events(until_turn="a", idle_s=60)]
    assert kinds(events) == "begin a, gap, audio 3, end a"


async def test_a_listener_that_is_entered_while_redis_is_away_is_live_from_when_it_comes_back(
    make_redis: MakeRedis, tmp_path: Path
) -> None:
    server, wire = make_redis(), Wire(tmp_path / "redis.sock")
    async with studio_at(server.url) as studio, Listener(wire.url, SESSION, LIVE) as listener:
        await studio.say("a", [1])
        await wire.lead_to(server)
        listening = asyncio.create_task(until(listener, "b"))
        await studio.blocked_readers(1)
        await studio.say("b", [2])
        assert kinds(await listening) == "begin b, audio 2, end b"


async def until(listener: Listener, turn: str) -> list[Event]:
    return [event async for event in listener.events(until_turn=turn)]


async def test_live_hears_what_comes_and_nothing_of_what_was(studio: Studio) -> None:
    await studio.say("a", [1])
    listening = asyncio.create_task(heard(studio, LIVE, idle_s=60, until_turn="b"))
    await studio.blocked_readers(1)
    await studio.say("b", [2])
    assert kinds(await listening) == "begin b, audio 2, end b"


async def test_live_in_the_middle_of_a_turn_gets_its_begin_and_then_what_is_new(studio: Studio) -> None:
    speech = await studio.begin("a", metadata={"scene": "7"})
    await speech.audio(1)
    live = await speech.audio(2)
    listening = asyncio.create_task(heard(studio, LIVE, idle_s=60, until_turn="a"))
    await studio.blocked_readers(1)
    await speech.audio(3)
    await speech.finish()
    events = await listening
    assert kinds(events) == "begin a, audio 3, end a"
    begin = events[0]
    assert isinstance(begin, Begin)
    assert (begin.metadata, begin.cursor) == ({"scene": "7"}, live)
    assert kinds(await heard(studio, begin.cursor)) == "audio 3, end a"


@pytest.mark.parametrize("claimed", [True, False])
async def test_live_at_the_very_beginning_of_a_turn_misses_nothing_of_it(studio: Studio, claimed: bool) -> None:
    await studio.open("a")
    speech = await studio.claim() if claimed else None
    listening = asyncio.create_task(heard(studio, LIVE, idle_s=60, until_turn="a"))
    await studio.blocked_readers(1)
    speech = speech or await studio.claim()
    await speech.audio(1)
    await speech.finish()
    assert kinds(await listening) == "begin a, audio 1, end a"


async def test_live_before_a_turn_that_is_interrupted_unspoken_hears_its_end(studio: Studio) -> None:
    await studio.open("a")
    listening = asyncio.create_task(heard(studio, LIVE, idle_s=60, until_turn="a"))
    await studio.blocked_readers(1)
    await studio.ledger.interrupt(SESSION)
    assert kinds(await listening) == "end a"


async def test_live_after_a_takeover_gets_the_first_attempts_begin(studio: Studio) -> None:
    first = await studio.begin("a")
    await first.audio(1)
    second = await studio.claim(taken_over=True)
    live = await second.audio(2)
    events = await heard(studio, LIVE)
    assert (kinds(events), events[0].cursor) == ("begin a", live)


async def test_live_in_a_turn_whose_beginning_is_gone_is_told_so(studio: Studio) -> None:
    speech = await studio.begin("a")
    live = await speech.audio(1)
    await studio.trim(live)
    assert await heard(studio, LIVE) == [Gap(live, None, EntryId(live.major, live.seq + 1))]


# resuming


async def history(studio: Studio) -> None:
    """Say a little of all that there is: turns done, taken over, spliced, failed, interrupted, never spoken."""
    await studio.say("done", [1, 2, 3])
    lost = await studio.begin("taken-over")
    await lost.audio(1)
    await lost.words(Word("hello", 0, 5, 0, 99))
    speech = await studio.claim(taken_over=True)
    await speech.audio(2)
    await speech.splice(100, 5)
    await speech.audio(3)
    await speech.finish()
    speech = await studio.begin("interrupted")
    await speech.audio(4)
    await studio.open("interrupted-while-waiting")
    await studio.ledger.interrupt(SESSION)
    speech = await studio.begin("failed")
    await speech.finish(State.FAILED, "no voice")
    await studio.say("last", [5])


async def test_every_cursor_leads_to_exactly_the_later_entries(studio: Studio) -> None:
    await history(studio)
    whole = await heard(studio)
    assert not [event for event in whole if isinstance(event, Gap | Unreadable)]
    assert len(whole) > 20
    for place, event in enumerate(whole[:-1]):
        for cursor in (event.cursor, str(event.cursor)):
            assert await heard(studio, cursor, until_turn="last", idle_s=60) == whole[place + 1 :]
    assert await heard(studio, whole[-1].cursor) == []


async def test_breaking_off_and_resuming_anywhere_repeats_and_loses_nothing(studio: Studio) -> None:
    await history(studio)
    whole = await heard(studio)
    events: list[Event] = []
    while len(events) < len(whole):
        async with aclosing(listen(studio.url, SESSION, events[-1].cursor if events else BEGINNING)) as stream:
            events += [await anext(stream) for _ in range(min(3, len(whole) - len(events)))]
    assert events == whole


async def test_listeners_do_not_affect_each_other(studio: Studio) -> None:
    await studio.say("a", [1, 2])
    slow = listen(studio.url, SESSION, BEGINNING)
    await anext(slow)
    listening = [asyncio.create_task(heard(studio, BEGINNING, idle_s=60, until_turn="b")) for _ in range(3)]
    listening.append(asyncio.create_task(heard(studio, LIVE, idle_s=60, until_turn="b")))
    await studio.blocked_readers(4)
    await studio.say("b", [3])
    everything = "begin a, audio 1, audio 2, end a, begin b, audio 3, end b"
    assert [kinds(events) for events in await asyncio.gather(*listening)] == [
        everything, everything, everything, "begin b, audio 3, end b",
    ]  # fmt: skip
    async with aclosing(slow):
        assert kinds([await anext(slow) for _ in range(6)]) == everything.removeprefix("begin a, ")


async def test_turns_that_were_interrupted_while_they_waited_end_in_their_order(studio: Studio) -> None:
    first = await studio.begin("a")
    for turn in ("b", "c", "d"):
        await studio.open(turn)
    await studio.ledger.interrupt(SESSION, "c")
    await studio.ledger.interrupt(SESSION, "b")
    await first.audio(1)
    await first.finish()
    await (await studio.claim()).finish()
    assert kinds(await heard(studio)) == "begin a, audio 1, end a, end b, end c, begin d, end d"


# gaps


async def test_a_trimmed_cursor_is_told_of_its_gap_and_hears_what_is_left(studio: Studio) -> None:
    await studio.say("a", [1, 2])
    await studio.say("b", [3])
    await studio.say("c", [4])
    before = await heard(studio)
    kept = next(event.cursor for event in before if isinstance(event, End) and event.turn == "b")
    await studio.trim(kept)
    for event in before[: before.index(next(e for e in before if e.cursor == kept)) - 1]:
        gap, *rest = await heard(studio, event.cursor)
        assert isinstance(gap, Gap)
        assert (gap.after, gap.before) == (event.cursor, kept)
        assert kinds(rest) == "end b, begin c, audio 4, end c"


async def test_there_is_no_gap_at_the_boundary_of_trimming(studio: Studio) -> None:
    await studio.say("a", [1, 2])
    await studio.say("b", [3])
    before = await heard(studio)
    end_of_a = before[3].cursor
    await studio.trim(end_of_a)
    assert kinds(await heard(studio, before[2].cursor)) == "end a, begin b, audio 3, end b"
    assert kinds(await heard(studio, end_of_a)) == "begin b, audio 3, end b"


async def test_a_boundary_at_the_end_of_an_interrupted_turn_is_exact_too(studio: Studio) -> None:
    speech = await studio.begin("a")
    last = await speech.audio(1)
    await studio.ledger.interrupt(SESSION)
    await studio.say("b", [2])
    fence = EntryId.of(last.number, FENCE, 0)
    await studio.trim(fence)
    assert kinds(await heard(studio, fence)) == "begin b, audio 2, end b"
    assert kinds(await heard(studio, last)) == "gap, end a, begin b, audio 2, end b"


async def test_beginning_is_told_when_the_first_entry_is_not_the_sessions_first(studio: Studio) -> None:
    await studio.say("a", [1])
    await studio.say("b", [2])
    kept = (await studio.entries())[2]
    await studio.trim(kept)
    gap, *rest = await heard(studio)
    assert isinstance(gap, Gap)
    assert (gap.after, gap.before) == (None, kept)
    assert kinds(rest) == "end a, begin b, audio 2, end b"


async def test_a_gaps_cursor_goes_on_behind_the_gap_without_telling_it_again(studio: Studio) -> None:
    await studio.say("a", [1])
    await studio.say("b", [2])
    for kept in (await studio.entries())[1:]:
        await studio.trim(kept)
        gap, *rest = await heard(studio)
        assert isinstance(gap, Gap)
        assert await heard(studio, gap.cursor) == rest


async def test_a_listener_that_is_overtaken_by_trimming_is_told(studio: Studio) -> None:
    async with aclosing(listen(studio.url, SESSION, BEGINNING)) as stream:
        await studio.say("a", [1])
        last = [await anext(stream) for _ in range(3)][-1]
        await studio.say("b", [2])
        await studio.say("c", [3])
        await studio.trim((await studio.entries())[-1])
        gap = await anext(stream)
        assert isinstance(gap, Gap)
        assert gap.after == last.cursor
        assert kinds([await anext(stream)]) == "end c"


async def test_when_all_is_trimmed_the_gap_reaches_to_the_live_end(studio: Studio) -> None:
    await studio.say("a", [1])
    begin, *_, end = await studio.entries()
    await call(studio.redis, "XTRIM", studio.keys.audio(SESSION), "MAXLEN", 0)
    assert await heard(studio, begin) == [Gap(end, begin, EntryId(end.major, end.seq + 1))]
    assert await heard(studio, end) == []
    await studio.say("b", [2])
    assert kinds(await heard(studio, begin)) == "gap, begin b, audio 2, end b"


async def test_a_hole_in_seq_is_a_gap(studio: Studio) -> None:
    speech = await studio.begin("a")
    last = await speech.audio(1)
    await speech.skip()
    following = await speech.audio(2)
    events = await heard(studio)
    assert kinds(events) == "begin a, audio 1, gap, audio 2"
    assert events[2] == Gap(EntryId(following.major, following.seq - 1), last, following)


async def test_takeovers_and_interrupts_are_no_gaps(studio: Studio) -> None:
    await history(studio)
    assert "gap" not in kinds(await heard(studio))


async def test_audio_that_was_lost_before_a_takeover_is_a_gap(studio: Studio) -> None:
    """Ids cannot tell, but the splice says how far the first attempt had come."""
    first = await studio.begin("a")
    last = await first.audio(1)
    await first.audio(2)
    second = await studio.claim(taken_over=True)
    await second.audio(3)
    await call(studio.redis, "XDEL", studio.keys.audio(SESSION), str(await _next(studio, last)))
    assert kinds(await heard(studio, last)) == "gap, splice, audio 3"


async def _next(studio: Studio, entry: EntryId) -> EntryId:
    return min(other for other in await studio.entries() if other > entry)


# sessions that expire and come back


async def test_a_listener_goes_on_when_its_session_expires_and_comes_back(studio: Studio) -> None:
    await studio.pretend_age(1000)
    await studio.say("a", [1])
    async with aclosing(listen(studio.url, SESSION, BEGINNING, until_turn="b")) as stream:
        assert kinds([await anext(stream) for _ in range(3)]) == "begin a, audio 1, end a"
        following = asyncio.ensure_future(anext(stream))
        await studio.blocked_readers(1)
        await studio.expire()
        await studio.say("b", [2])
        assert kinds([await following] + [event async for event in stream]) == "begin b, audio 2, end b"


async def test_who_was_not_listening_while_a_session_expired_is_told_of_a_gap(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "LONG_PAUSE_S", 0.0)  # every pause between two events is a long one
    await studio.pretend_age(1000)
    await studio.say("a", [1])
    async with aclosing(listen(studio.url, SESSION, BEGINNING, until_turn="c")) as stream:
        assert kinds([await anext(stream) for _ in range(3)]) == "begin a, audio 1, end a"
        await studio.say("b", [2])
        assert kinds([await anext(stream) for _ in range(3)]) == "begin b, audio 2, end b"
        await studio.expire()
        await studio.say("c", [3])
        assert kinds([event async for event in stream]) == "gap, begin c, audio 3, end c"


async def test_a_turn_that_expired_unended_is_a_gap(studio: Studio) -> None:
    await studio.pretend_age(1000)
    last = await (await studio.begin("a")).audio(1)
    async with aclosing(listen(studio.url, SESSION, BEGINNING)) as stream:
        assert kinds([await anext(stream) for _ in range(2)]) == "begin a, audio 1"
        await studio.expire()
        await studio.say("b", [2])
        gap = await anext(stream)
        assert isinstance(gap, Gap)
        assert gap.after == last


async def test_a_cursor_of_a_session_that_has_expired_is_told_of_a_gap(studio: Studio) -> None:
    await studio.pretend_age(1000)
    await studio.say("a", [1])
    old = (await studio.entries())[-1]
    await studio.expire()
    listening = asyncio.create_task(heard(studio, old, idle_s=60, until_turn="b"))
    await studio.blocked_readers(1)
    await studio.say("b", [2])
    gap, *rest = await listening
    assert isinstance(gap, Gap)
    assert (gap.after, gap.before) == (old, rest[0].cursor)
    assert kinds(rest) == "begin b, audio 2, end b"


async def test_a_session_that_came_back_is_heard_from_its_new_beginning(studio: Studio) -> None:
    await studio.pretend_age(1000)
    await studio.say("a", [1])
    await studio.expire()
    await studio.say("b", [2])
    assert kinds(await heard(studio)) == "begin b, audio 2, end b"


# what cannot be understood


@pytest.mark.parametrize(
    "fields",
    [{"type": "hologram", "turn": "a"}, {"type": "audio"}, {"type": "words", "turn": "a", "words": "[1]"}],
    ids=["unknown type", "missing field", "odd words"],
)
async def test_an_entry_that_cannot_be_understood_is_told_and_listening_goes_on(
    studio: Studio, fields: dict[str, str | bytes | int]
) -> None:
    speech = await studio.begin("a")
    await speech.audio(1)
    strange = await speech.raw({"offset": 0, "spoken": 0, "cut": 0, **fields})
    await speech.audio(2)
    await speech.finish()
    events = await heard(studio)
    assert kinds(events) == "begin a, audio 1, unreadable, audio 2, end a"
    assert events[2].cursor == strange
    assert kinds(await heard(studio, strange)) == "audio 2, end a"


# ends


async def test_until_turn_stops_behind_the_turns_end(studio: Studio) -> None:
    await studio.say("a", [1])
    await studio.say("b", [2])
    assert kinds(await heard(studio, until_turn="a", idle_s=60)) == "begin a, audio 1, end a"


async def test_until_turn_stops_before_the_next_turn_if_the_end_is_lost(studio: Studio) -> None:
    await studio.say("a", [1])
    end = (await studio.entries())[-1]
    await studio.say("b", [2])
    await call(studio.redis, "XDEL", studio.keys.audio(SESSION), str(end))
    assert kinds(await heard(studio, until_turn="a", idle_s=60)) == "begin a, audio 1, gap"


async def test_leaving_closes_the_connection(studio: Studio) -> None:
    async def clients() -> int:
        return int((await call(studio.redis, "INFO", "clients"))["connected_clients"])

    async def only_ours() -> bool:
        return await clients() == before

    await studio.say("a", [1])
    before = await clients()
    async with aclosing(listen(studio.url, SESSION, BEGINNING)) as stream:
        await anext(stream)
        assert await clients() == before + 1
    await eventually(only_ours)


async def test_a_loop_that_is_left_without_closing_is_closed_all_the_same(studio: Studio) -> None:
    await studio.say("a", [1])
    async for event in listen(studio.url, SESSION, BEGINNING):
        assert kinds([event]) == "begin a"
        break

    async def only_ours() -> bool:
        return len(await call(studio.redis, "CLIENT LIST")) == 1

    await eventually(only_ours)


async def test_a_listener_that_waits_can_be_cancelled(studio: Studio) -> None:
    listening = asyncio.create_task(heard(studio, BEGINNING, idle_s=60))
    await studio.blocked_readers(1)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await studio.blocked_readers(0)


# what is refused


@pytest.mark.parametrize("session", ["", "a b", "x" * 129, "a/b"])
def test_an_impossible_session_is_refused_at_once(session: str) -> None:
    with pytest.raises(InvalidId, match="session id"):
        listen("redis://localhost", session)


@pytest.mark.parametrize("cursor", ["", "$", "live", "12", "1-2-3", "-1-2", f"{1 << 64}-0", EntryId(-1, 0)], ids=str)
def test_an_impossible_cursor_is_refused_at_once(cursor: str) -> None:
    with pytest.raises(InvalidId, match="is not a cursor"):
        listen("redis://localhost", SESSION, cursor)


def test_an_impossible_turn_is_refused_at_once() -> None:
    with pytest.raises(InvalidId, match="turn id"):
        listen("redis://localhost", SESSION, until_turn="no turn")


def test_an_impossible_url_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="is not a Redis URL"):
        listen("http://localhost", SESSION)


def test_a_listener_says_where_it_is() -> None:
    assert repr(Listener("redis://localhost", "s", "7-1")) == "<Listener [session s, behind 7-1]>"
    assert repr(Listener("redis://localhost", "s", LIVE)) == "<Listener [session s, behind live]>"


# Redis goes away


@pytest.mark.parametrize("start", [BEGINNING, LIVE, "7-1"])
async def test_when_redis_stays_away_listening_ends_with_the_error(tmp_path: Path, start: str) -> None:
    with pytest.raises(RedisUnavailable):
        await anext(listen(f"unix://{tmp_path}/nothing.sock", SESSION, start, patience_s=0.05))


async def test_a_listener_whose_redis_dies_gives_up_after_its_patience(make_redis: MakeRedis) -> None:
    server = make_redis()
    async with studio_at(server.url) as studio:
        await studio.say("a", [1])
        async with aclosing(listen(server.url, SESSION, BEGINNING, patience_s=0.1)) as stream:
            assert kinds([await anext(stream) for _ in range(3)]) == "begin a, audio 1, end a"
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(RedisUnavailable):
                await anext(stream)


async def test_a_listener_goes_on_where_it_was_when_its_connection_breaks(studio: Studio) -> None:
    speech = await studio.begin("a")
    await speech.audio(1)
    listening = asyncio.create_task(heard(studio, BEGINNING, idle_s=60, until_turn="b"))
    await studio.blocked_readers(1)
    for value in (2, 3):
        await call(studio.redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await speech.audio(value)
        await studio.blocked_readers(1)
    await studio.ledger.interrupt(SESSION)
    await studio.say("b", [4])
    assert kinds(await listening) == "begin a, audio 1, audio 2, audio 3, end a, begin b, audio 4, end b"


async def test_a_listener_goes_on_when_redis_sends_its_blocked_clients_away(studio: Studio) -> None:
    """As a primary does that becomes a replica."""
    listening = asyncio.create_task(heard(studio, BEGINNING, idle_s=60, until_turn="a"))
    await studio.blocked_readers(1)
    (waiting,) = [client for client in await call(studio.redis, "CLIENT LIST") if client["cmd"] == "xread"]
    await call(studio.redis, "CLIENT", "UNBLOCK", waiting["id"], "ERROR")
    await studio.say("a", [1])
    assert kinds(await listening) == "begin a, audio 1, end a"


async def test_live_stays_at_its_point_when_the_connection_breaks(studio: Studio) -> None:
    await studio.say("a", [1])
    listening = asyncio.create_task(heard(studio, LIVE, idle_s=60, until_turn="b"))
    await studio.blocked_readers(1)
    await call(studio.redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await studio.say("b", [2])
    assert kinds(await listening) == "begin b, audio 2, end b"


class Wire:
    """A path to a server's socket that can be cut and led elsewhere."""

    def __init__(self, path: Path) -> None:
        self.path, self.url = path, f"unix://{path}"

    async def lead_to(self, server: PrivateRedis) -> None:
        self.path.symlink_to(server.url.removeprefix("unix://"))

    async def cut(self, studio: Studio) -> None:
        self.path.unlink()
        await call(studio.redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    return Wire(tmp_path / "redis.sock")


async def test_what_was_said_during_an_outage_is_heard_after_it(make_redis: MakeRedis, wire: Wire) -> None:
    server = make_redis()
    await wire.lead_to(server)
    async with studio_at(server.url) as studio, aclosing(listen(wire.url, SESSION, BEGINNING)) as stream:
        speech = await studio.begin("a")
        assert kinds([await anext(stream)]) == "begin a"
        await wire.cut(studio)
        following = asyncio.ensure_future(anext(stream))
        await speech.audio(1)
        await speech.finish()
        await wire.lead_to(server)
        assert kinds([await following, await anext(stream)]) == "audio 1, end a"


async def test_what_was_trimmed_during_an_outage_is_told(make_redis: MakeRedis, wire: Wire) -> None:
    server = make_redis()
    await wire.lead_to(server)
    async with studio_at(server.url) as studio, aclosing(listen(wire.url, SESSION, BEGINNING)) as stream:
        await studio.say("a", [1])
        assert kinds([await anext(stream) for _ in range(3)]) == "begin a, audio 1, end a"
        await wire.cut(studio)
        following = asyncio.ensure_future(anext(stream))
        await studio.say("b", [2])
        await studio.trim((await studio.entries())[-1])
        await wire.lead_to(server)
        assert kinds([await following, await anext(stream)]) == "gap, end b"


async def test_a_redis_that_lost_its_memory_is_heard_on_behind_a_gap(make_redis: MakeRedis, wire: Wire) -> None:
    server = make_redis()
    await wire.lead_to(server)
    async with aclosing(listen(wire.url, SESSION, BEGINNING)) as stream:
        async with studio_at(server.url) as studio:
            await studio.pretend_age(1000)
            await studio.say("a", [1])
            assert kinds([await anext(stream) for _ in range(3)]) == "begin a, audio 1, end a"
            following = asyncio.ensure_future(anext(stream))
            await studio.blocked_readers(1)
            await wire.cut(studio)
        server.stop()
        server = make_redis()
        await wire.lead_to(server)
        async with studio_at(server.url) as studio:
            await studio.say("b", [2])
            assert kinds([await following] + [await anext(stream) for _ in range(3)]) == "gap, begin b, audio 2, end b"


async def test_a_redis_that_lost_its_last_moments_in_a_failover_is_heard_on_without_a_gap(
    make_redis: MakeRedis, wire: Wire
) -> None:
    """The writer sends again what is missing; who has heard it already hears what follows."""
    primary, replica = make_redis(), make_redis()
    await wire.lead_to(primary)
    async with (
        studio_at(primary.url) as before,
        studio_at(replica.url) as after,
        aclosing(listen(wire.url, SESSION, BEGINNING, until_turn="a")) as stream,
    ):
        for studio in (before, after):
            await studio.pretend_age(1000)
        lost = await before.begin("a")
        speech = await after.begin("a")
        for value in (1, 2):
            await lost.audio(value)
        assert kinds([await anext(stream) for _ in range(3)]) == "begin a, audio 1, audio 2"
        following = asyncio.ensure_future(anext(stream))
        await before.blocked_readers(1)
        await wire.cut(before)
        await wire.lead_to(replica)
        await after.blocked_readers(1)
        for value in (1, 2, 3):
            await speech.audio(value)
        await speech.finish()
        assert kinds([await following] + [event async for event in stream]) == "audio 3, end a"


@pytest.mark.parametrize("claimed", ["before", "behind"])
async def test_an_attempt_that_a_failover_lost_is_told_when_its_ids_come_again(
    make_redis: MakeRedis, wire: Wire, tmp_path: Path, claimed: str
) -> None:
    """Another worker gets the same attempt number; whoever stayed at the old cursor would miss what it says first."""
    primary, replica = make_redis(), make_redis()
    await wire.lead_to(primary)
    async with (
        studio_at(primary.url) as before,
        studio_at(replica.url) as after,
        aclosing(listen(wire.url, SESSION, BEGINNING, until_turn="a")) as stream,
    ):
        for studio in (before, after):
            await studio.pretend_age(1000)
            await studio.open("a")
        after._claims = 1  # so that its owner has another name
        lost = await before.claim()
        for value in (1, 2):
            await lost.audio(value)
        events = [await anext(stream) for _ in range(3)]
        assert kinds(events) == "begin a, audio 1, audio 2"
        following = asyncio.ensure_future(anext(stream))
        await before.blocked_readers(1)
        if claimed == "before":
            speech = await after.claim()
        await wire.cut(before)
        await wire.lead_to(replica)
        if claimed == "behind":
            events.append(await following)
            following = asyncio.ensure_future(anext(stream))
            speech = await after.claim()
        for value in (7, 8, 9):
            await speech.audio(value)
        await speech.finish()
        events += [await following] + [event async for event in stream]
        assert kinds(events[3:]) == "gap, begin a, audio 7, audio 8, audio 9, end a"
        with Recorder(tmp_path / "a.wav") as recorder:
            for event in events:
                recorder.add(event)
        assert read_wav(tmp_path / "a.wav")[1] == [7, 8, 9]


async def test_a_turn_whose_interrupt_a_failover_lost_is_heard_on(make_redis: MakeRedis, wire: Wire) -> None:
    """What it says now stands below the end that was heard."""
    primary, replica = make_redis(), make_redis()
    await wire.lead_to(primary)
    async with (
        studio_at(primary.url) as before,
        studio_at(replica.url) as after,
        aclosing(listen(wire.url, SESSION, BEGINNING, until_turn="b")) as stream,
    ):
        for studio in (before, after):
            await studio.pretend_age(1000)
        lost, speech = await before.begin("a"), await after.begin("a")
        for spoken in (lost, speech):
            await spoken.audio(1)
        await before.ledger.interrupt(SESSION)
        assert kinds([await anext(stream) for _ in range(3)]) == "begin a, audio 1, end a"
        following = asyncio.ensure_future(anext(stream))
        await before.blocked_readers(1)
        await wire.cut(before)
        await wire.lead_to(replica)
        gap = await following
        assert isinstance(gap, Gap)
        assert gap.rewinds
        await speech.audio(2)
        await speech.finish()
        await after.say("b", [3])
        assert kinds([event async for event in stream]) == "audio 2, end a, begin b, audio 3, end b"


async def test_who_joins_in_mid_turn_is_told_too_that_a_failover_lost_the_attempt(
    make_redis: MakeRedis, wire: Wire
) -> None:
    primary, replica = make_redis(), make_redis()
    await wire.lead_to(primary)
    async with (
        studio_at(primary.url) as before,
        studio_at(replica.url) as after,
        aclosing(listen(wire.url, SESSION, LIVE, until_turn="a")) as stream,
    ):
        for studio in (before, after):
            await studio.pretend_age(1000)
            await studio.open("a")
        after._claims = 1  # so that its owner has another name
        lost, speech = await before.claim(), await after.claim()
        await lost.audio(1)
        assert kinds([await anext(stream)]) == "begin a"
        following = asyncio.ensure_future(anext(stream))
        await before.blocked_readers(1)
        await lost.audio(2)
        assert kinds([await following]) == "audio 2"
        following = asyncio.ensure_future(anext(stream))
        await before.blocked_readers(1)
        for value in (7, 8, 9):
            await speech.audio(value)
        await speech.finish()
        await wire.cut(before)
        await wire.lead_to(replica)
        heard = [await following] + [event async for event in stream]
        assert kinds(heard) == "gap, begin a, audio 7, audio 8, audio 9, end a"
