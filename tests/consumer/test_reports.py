"""What a listener tells: what was played and heard, and where it is; and what that keeps from being trimmed."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest

from saystream.common.errors import InvalidId, InvalidInput, RedisUnavailable, SaystreamError, UnknownTurn
from saystream.common.events import Word
from saystream.common.ids import EntryId, TurnRef, session_id, turn_id
from saystream.common.ledger import Bounds, Heard, Ledger
from saystream.common.redis_client import call
from saystream.common.settings import LimitSettings
from saystream.common.states import State
from saystream.consumer import BEGINNING, LIVE, Gap, Listener, Start, listen, patience, reporter
from tests.consumer.studio import SESSION, Studio, heard, kinds
from tests.proxy import Proxy
from tests.timing import MS, eventually

WORDS = (Word("one", 0, 3, 0, 50), Word("two", 4, 7, 50, 100))


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "PERIOD_S", 10 * MS)


@pytest.fixture
async def listener(studio: Studio) -> AsyncIterator[Listener]:
    """One that starts at the beginning."""
    async with Listener(studio.url, SESSION, BEGINNING) as made:
        yield made


async def told(studio: Studio, turn: str = "a") -> Heard:
    return await studio.ledger.heard(TurnRef(session_id(SESSION), turn_id(turn)))


async def hear(listener: Listener, turn: str = "a") -> None:
    """Listen up to the end of a turn."""
    async for event in listener.events(until_turn=turn):
        assert event


# what was played


async def test_what_is_played_is_told_with_the_text_that_was_heard(studio: Studio, listener: Listener) -> None:
    speech = await studio.begin("a")
    await speech.words(*WORDS)
    await speech.audio(1)
    async with aclosing(listener.events()) as events:
        assert kinds([await anext(events) for _ in range(3)]) == "begin a, words, audio 1"
    assert await listener.played("a", 60) == 3
    assert await told(studio) == Heard(played=60, heard=3, spoken=5, samples=100, state=State.SPEAKING)


async def test_the_furthest_report_counts_and_the_others_are_harmless(studio: Studio, listener: Listener) -> None:
    await studio.say("a", [1, 2, 3])
    await hear(listener)
    for sample in (100, 250, 250, 0, 99):
        await listener.played("a", sample)
    furthest = await told(studio)
    assert (furthest.played, furthest.heard) == (250, 10)


async def test_reports_after_an_interrupt_count_and_the_interrupt_tells_those_before_it(
    studio: Studio, listener: Listener
) -> None:
    speech = await studio.begin("a")
    for value in (1, 2, 3):
        await speech.audio(value)
    async with aclosing(listener.events()) as events:
        assert kinds([await anext(events) for _ in range(4)]) == "begin a, audio 1, audio 2, audio 3"
    await listener.played("a", 150)
    [cut] = await studio.ledger.interrupt(SESSION)
    assert (cut.played, cut.heard, cut.spoken) == (150, 5, 15)
    await listener.played("a", 200)
    assert (await told(studio)).heard == 10


async def test_reporting_does_not_wait_for_the_read_that_waits(studio: Studio, listener: Listener) -> None:
    await studio.say("a", [1])
    async with aclosing(listener.events()) as events:
        assert kinds([await anext(events) for _ in range(3)]) == "begin a, audio 1, end a"
        following = asyncio.ensure_future(anext(events))
        await studio.blocked_readers(1)
        assert await listener.played("a", 100) == 5
        await studio.blocked_readers(1)
        assert not following.done()
        await studio.say("b", [2])
        assert kinds([await following]) == "begin b"


async def test_several_players_of_one_session_may_report(studio: Studio) -> None:
    await studio.say("a", [1, 2])
    async with Listener(studio.url, SESSION, BEGINNING) as one, Listener(studio.url, SESSION, BEGINNING) as other:
        await asyncio.gather(hear(one), hear(other))
        await asyncio.gather(*(who.played("a", sample) for sample in range(0, 201, 20) for who in (one, other)))
    assert (await told(studio)).played == 200


async def test_a_turn_that_this_listener_has_not_heard_is_none_of_its_business(
    studio: Studio, listener: Listener
) -> None:
    await studio.say("a", [1])
    with pytest.raises(UnknownTurn, match="has heard nothing of it"):
        await listener.played("a", 100)
    assert (await told(studio)).played is None


async def test_a_turn_whose_record_has_expired_is_unknown(studio: Studio, listener: Listener) -> None:
    await studio.say("a", [1])
    await hear(listener)
    await call(studio.redis, "DEL", studio.keys.turn("a"))
    with pytest.raises(UnknownTurn, match="may have expired"):
        await listener.played("a", 100)


async def test_what_cannot_be_a_report_is_refused(studio: Studio, listener: Listener) -> None:
    await studio.say("a", [1])
    await hear(listener)
    with pytest.raises(InvalidId):
        await listener.played("no turn", 1)
    for sample in (-1, 1.5, math.nan, "7", None, True, 10**30):
        with pytest.raises(InvalidInput, match="sample = "):
            await listener.played("a", sample)  # type: ignore[arg-type]
    assert (await told(studio)).played is None


async def test_a_report_that_gets_no_answer_says_so_and_the_next_one_makes_it_good(studio: Studio) -> None:
    await studio.say("a", [1, 2])
    async with (
        Proxy(studio.url) as proxy,
        Listener(proxy.url, SESSION, BEGINNING, timeout_s=50 * MS) as listener,
    ):
        await hear(listener)
        with proxy.silent(), pytest.raises(RedisUnavailable):
            await listener.played("a", 100)
        await listener.played("a", 200)
    assert (await told(studio)).played == 200


# one place


async def test_a_listener_goes_on_where_it_was_each_time_it_is_asked_for_events(
    studio: Studio, listener: Listener
) -> None:
    await studio.say("a", [1])
    await studio.say("b", [2, 3])
    await hear(listener, "a")
    async with aclosing(listener.events()) as events:
        assert kinds([await anext(events) for _ in range(2)]) == "begin b, audio 2"
    assert kinds([event async for event in listener.events(until_turn="b")]) == "audio 3, end b"


async def test_it_listens_once_at_a_time(listener: Listener, studio: Studio) -> None:
    waiting = asyncio.create_task(hear(listener))
    await studio.blocked_readers(1)
    with pytest.raises(SaystreamError, match="has one place"):
        await anext(listener.events())
    await studio.say("a", [1])
    await waiting


async def test_it_goes_on_at_once_when_its_events_were_left_by_a_plain_break(
    studio: Studio, listener: Listener
) -> None:
    await studio.say("a", [1, 2])
    for said in ("begin a", "audio 1"):
        async for event in listener.events():
            assert kinds([event]) == said
            break
    assert kinds([event async for event in listener.events(until_turn="a")]) == "audio 2, end a"


async def test_events_that_others_have_taken_the_place_of_say_so_and_move_nothing(
    studio: Studio, listener: Listener
) -> None:
    await studio.say("a", [1, 2])
    first = listener.events()
    assert kinds([await anext(first)]) == "begin a"
    async with aclosing(listener.events()) as second:
        assert kinds([await anext(second)]) == "audio 1"
        with pytest.raises(SaystreamError, match="have gone on from there"):
            await anext(first)
        assert kinds([await anext(second) for _ in range(2)]) == "audio 2, end a"


async def only_ours(studio: Studio) -> bool:
    return len(await call(studio.redis, "CLIENT LIST")) == 1


async def test_leaving_ends_the_events_that_another_task_waits_for(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    async with Listener(studio.url, SESSION, BEGINNING) as listener:
        waiting = asyncio.create_task(hear(listener))
        await studio.blocked_readers(1)
    await asyncio.wait_for(waiting, 5000 * MS)
    await eventually(partial(only_ours, studio))
    assert "again in" not in caplog.text


async def test_leaving_ends_events_that_wait_for_a_redis_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for delay in ("FIRST_DELAY_S", "LONGEST_DELAY_S"):
        monkeypatch.setattr(patience, delay, 3600.0)
    async with Listener(f"unix://{tmp_path}/nothing.sock", SESSION, BEGINNING, patience_s=3600) as listener:
        waiting = asyncio.create_task(hear(listener))
        await eventually(lambda: "again in" in caplog.text)
    await asyncio.wait_for(waiting, 5000 * MS)


async def test_after_leaving_there_are_no_more_events(studio: Studio) -> None:
    await studio.say("a", [1])
    async with Listener(studio.url, SESSION, BEGINNING) as listener:
        events = listener.events()
        assert kinds([await anext(events)]) == "begin a"
    assert [event async for event in events] == []


async def test_a_task_that_is_cancelled_while_its_listener_is_left_is_cancelled(studio: Studio) -> None:
    async with Listener(studio.url, SESSION, BEGINNING) as listener:
        waiting = asyncio.create_task(hear(listener))
        await studio.blocked_readers(1)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_outside_of_its_block_it_neither_listens_nor_reports(studio: Studio) -> None:
    await studio.say("a", [1])
    listener = Listener(studio.url, SESSION, BEGINNING)

    async def refuses() -> None:
        with pytest.raises(SaystreamError, match="is not connected"):
            await anext(listener.events())
        with pytest.raises(SaystreamError, match="is not connected"):
            await listener.played("a", 1)

    await refuses()
    async with listener:
        await hear(listener)
    await refuses()
    with pytest.raises(SaystreamError, match="entered once"):
        await listener.__aenter__()


async def test_leaving_closes_both_connections(studio: Studio) -> None:
    await studio.say("a", [1])
    async with Listener(studio.url, SESSION, BEGINNING, name="me") as listener:
        await hear(listener)
        await listener.played("a", 1)
        assert not await only_ours(studio)
    await eventually(partial(only_ours, studio))


# where it is


async def reported(studio: Studio, name: str = "me") -> str | None:
    """Return the cursor that a listener last reported."""
    raw: bytes | None = await call(studio.redis, "HGET", studio.keys.cursors(SESSION), name)
    return None if raw is None else raw.decode().partition(" ")[0]


async def says(studio: Studio, cursor: EntryId | str, name: str = "me") -> bool:
    return await reported(studio, name) == str(cursor)


async def test_a_listener_with_a_name_says_which_event_was_dealt_with_last(studio: Studio) -> None:
    await studio.say("a", [1, 2])
    begin, audio, *_, end = await studio.entries()
    async with aclosing(listen(studio.url, SESSION, BEGINNING, name="me")) as events:
        await anext(events)  # handed over, and not dealt with
        await eventually(partial(says, studio, "0-0"))
        await anext(events)
        await eventually(partial(says, studio, begin))
        await anext(events)
        await eventually(partial(says, studio, audio))
        await anext(events)
        following = asyncio.ensure_future(anext(events))
        await eventually(partial(says, studio, end))
        following.cancel()
        await asyncio.wait([following])


async def test_it_says_so_for_the_last_time_when_it_leaves(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "PERIOD_S", 3600.0)
    await studio.say("a", [1, 2])
    _, audio, *_ = await studio.entries()
    async with aclosing(listen(studio.url, SESSION, BEGINNING, name="me")) as events:
        for _ in range(3):
            await anext(events)
    assert await reported(studio) == str(audio)


@pytest.mark.parametrize("start", [LIVE, "cursor"])
async def test_it_says_from_where_it_starts(studio: Studio, start: str) -> None:
    speech = await studio.begin("a")
    last = await speech.audio(1)
    async with Listener(studio.url, SESSION, last if start == "cursor" else start, name="me") as listener:
        following = asyncio.ensure_future(anext(listener.events()))
        await eventually(partial(says, studio, last))
        following.cancel()
        await asyncio.wait([following])


@pytest.mark.parametrize(("start", "said"), [(BEGINNING, "0-0"), ("7-1", "7-1")], ids=["beginning", "cursor"])
async def test_it_says_so_at_once(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, start: Start | str, said: str
) -> None:
    monkeypatch.setattr(reporter, "PERIOD_S", 3600.0)
    await studio.say("a", [1])
    async with Listener(studio.url, SESSION, start, name="me"):
        await eventually(partial(says, studio, said))


async def test_one_without_a_name_says_nothing(studio: Studio) -> None:
    await studio.say("a", [1])
    await heard(studio, until_turn="a", idle_s=60)
    assert await call(studio.redis, "EXISTS", studio.keys.cursors(SESSION)) == 0


async def test_that_it_cannot_say_where_it_is_does_not_keep_it_from_hearing(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    await call(studio.redis, "SET", studio.keys.cursors(SESSION), "no hash")
    with caplog.at_level(logging.WARNING):
        async with aclosing(listen(studio.url, SESSION, BEGINNING, name="me", until_turn="b")) as events:
            await studio.say("a", [1])
            assert kinds([await anext(events) for _ in range(3)]) == "begin a, audio 1, end a"
            await eventually(lambda: "may be trimmed" in caplog.text)
            await studio.say("b", [2])
            assert kinds([event async for event in events]) == "begin b, audio 2, end b"
    assert caplog.text.count("may be trimmed") == 1


async def test_leaving_does_not_wait_long_for_a_redis_that_is_away(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "LAST_WORD_S", 20 * MS)
    await studio.say("a", [1])
    async with Proxy(studio.url) as proxy:
        async with Listener(proxy.url, SESSION, BEGINNING, name="me") as listener:
            await hear(listener)
            silence = proxy.silent()
            silence.__enter__()
            left_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - left_s < 1000 * MS
        silence.__exit__(None, None, None)


@pytest.mark.parametrize("name", ["", "two words", "x" * 129])
def test_an_impossible_name_is_refused_at_once(name: str) -> None:
    with pytest.raises(InvalidId, match="listener id"):
        listen("redis://localhost", SESSION, name=name)


# trimming

#: Nothing of ended turns is kept but for those who said in the last 300 ms where they are.
HELD_S = 300 * MS
TIGHT = Bounds.of(LimitSettings(output_bytes=0, held_s=HELD_S))


@pytest.fixture
def tight(studio: Studio) -> Studio:
    """A studio that trims as soon as it may."""
    studio.ledger = Ledger(studio.redis, bounds=TIGHT)
    return studio


async def has_aged(studio: Studio) -> None:
    """Return when what has ended by now is old enough to be trimmed."""
    seconds, micros = await call(studio.redis, "TIME")
    due_s = seconds + micros / 1e6 + HELD_S

    async def past() -> bool:
        now_s, now_micros = await call(studio.redis, "TIME")
        return bool(now_s + now_micros / 1e6 > due_s)

    await eventually(past)


async def whole(studio: Studio) -> list[int]:
    """Return which turns are still in the output with their audio, counted from the session's first one on."""
    first = int(await call(studio.redis, "HGET", studio.keys.session(SESSION), "first"))
    entries = Counter(entry.number - first for entry in await studio.entries())
    return sorted(number for number, count in entries.items() if count > 1)


async def test_what_a_listener_with_a_name_has_not_read_is_kept_for_it(tight: Studio) -> None:
    async with aclosing(listen(tight.url, SESSION, BEGINNING, name="slow", until_turn="c")) as events:
        await tight.say("a", [1, 2])
        assert kinds([await anext(events)]) == "begin a"
        await has_aged(tight)
        await tight.say("b", [3])
        assert await whole(tight) == [0, 1]
        assert kinds([await anext(events) for _ in range(4)]) == "audio 1, audio 2, end a, begin b"
        await eventually(partial(says, tight, (await tight.entries())[3], "slow"))
        await has_aged(tight)
        await tight.say("c", [4])
        assert await whole(tight) == [1, 2]  # the first one was read, and is not needed any more
        assert kinds([event async for event in events]) == "audio 3, end b, begin c, audio 4, end c"


async def test_one_that_has_gone_without_a_word_is_waited_for_no_longer_than_it_is_said(tight: Studio) -> None:
    async with aclosing(listen(tight.url, SESSION, BEGINNING, name="gone")) as events:
        await tight.say("a", [1])
        await anext(events)
    await has_aged(tight)
    await tight.say("b", [2])
    await has_aged(tight)
    await tight.say("c", [3])
    assert await whole(tight) == [2]


async def trimmed(studio: Studio) -> tuple[list[EntryId], list[EntryId]]:
    """Say turns a, b and c, so that a and b are trimmed; return the entries of a, and what is left."""
    await studio.say("a", [1, 2])
    of_a = await studio.entries()
    await has_aged(studio)
    await studio.say("b", [3])
    await has_aged(studio)
    await studio.say("c", [4])
    return of_a, await studio.entries()


async def test_a_slow_listener_without_a_name_is_told_of_its_loss_and_nobody_else_loses_anything(tight: Studio) -> None:
    async with (
        aclosing(listen(tight.url, SESSION, BEGINNING, until_turn="c")) as slow,
        aclosing(listen(tight.url, SESSION, BEGINNING, until_turn="c")) as quick,
    ):
        first = await tight.begin("a")
        last = await first.audio(1)
        for events in (slow, quick):
            assert kinds([await anext(events) for _ in range(2)]) == "begin a, audio 1"
        await first.audio(2)
        await first.finish()
        assert kinds([await anext(quick) for _ in range(2)]) == "audio 2, end a"
        for turn, value in (("b", 3), ("c", 4)):
            await has_aged(tight)
            await tight.say(turn, [value])
            assert kinds([await anext(quick) for _ in range(3)]) == f"begin {turn}, audio {value}, end {turn}"
        gap, *rest = [event async for event in slow]
        assert isinstance(gap, Gap)
        assert gap.after == last
        assert kinds(rest).endswith("begin c, audio 4, end c")


async def test_a_session_that_was_trimmed_is_heard_from_its_beginning_behind_a_gap(tight: Studio) -> None:
    _, left = await trimmed(tight)
    gap, *rest = await heard(tight)
    assert isinstance(gap, Gap)
    assert (gap.after, gap.before) == (None, left[0])
    assert [event.cursor for event in rest] == left


async def test_a_cursor_that_was_trimmed_leads_to_all_that_is_left_behind_a_gap(tight: Studio) -> None:
    of_a, left = await trimmed(tight)
    for cursor in of_a:
        gap, *rest = await heard(tight, cursor)
        assert isinstance(gap, Gap)
        assert (gap.after, gap.before) == (cursor, left[0])
        assert [event.cursor for event in rest] == left


async def test_who_has_heard_a_turn_to_its_end_loses_nothing_when_it_is_trimmed(tight: Studio) -> None:
    """So that a listener which comes back after each turn is not told of a loss that is none."""
    await tight.say("a", [1, 2])
    *_, end = await tight.entries()
    await has_aged(tight)
    await tight.say("b", [3])
    assert kinds(await heard(tight, end)) == "begin b, audio 3, end b"
    assert await whole(tight) == [1]


async def test_who_listens_live_is_not_touched_by_trimming(tight: Studio) -> None:
    listening = asyncio.create_task(heard(tight, LIVE, idle_s=60, until_turn="c"))
    await tight.blocked_readers(1)
    await trimmed(tight)
    assert kinds(await listening) == (
        "begin a, audio 1, audio 2, end a, begin b, audio 3, end b, begin c, audio 4, end c"
    )
