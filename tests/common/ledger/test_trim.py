"""The output is trimmed by whole ended turns, oldest first; what a listener has not read waits for it."""

import contextlib
from collections.abc import AsyncGenerator
from itertools import groupby

import pytest

from saystream.common.events import Audio, Begin, End
from saystream.common.ids import EntryId
from saystream.common.ledger import Claim
from saystream.common.redis_client import call
from saystream.common.states import State
from saystream.consumer import BEGINNING, Gap, listen
from tests.common.stage import Bounded, Stage

SAMPLES = 1000  # of each turn, two bytes each
TURN_BYTES = SAMPLES * 2 + 256
#: Nothing is kept for anybody, so that the other bounds can be seen.
UNHELD = {"held_ms": 0, "held_bytes": 1 << 30}


async def speak(stage: Stage, turn: str, bounds: Bounded) -> Claim:
    """Speak a turn to its end."""
    await stage.open(turn, bounds=bounds)
    claim = await stage.claim(await stage.take())
    await stage.say(claim, 1, samples=SAMPLES, spoken=5)
    await stage.ledger.finish(claim, 2, State.DONE, SAMPLES, 5)
    return claim


async def turns(stage: Stage) -> list[str]:
    """Return the turns in the output; each of them is whole, but for the end of the last one that is gone."""
    output = await stage.output()
    oldest = (await call(stage.redis, "LINDEX", stage.keys().kept("s"), 0)).decode()
    if output[0].cursor.number < int(oldest.split(" ")[0]):
        assert isinstance(output.pop(0), End)
    found = [(turn, [type(event) for event in events]) for turn, events in groupby(output, lambda event: event.turn)]
    assert all(events in ([Begin, Audio, End], [End]) for _, events in found)
    return [turn for turn, _ in found]


async def grow_old(stage: Stage, turn: str) -> None:
    """Let a turn look as if it had ended long ago."""
    key = stage.keys().kept("s")
    number = (await stage.ledger.inspect(turn)).number
    for index, element in enumerate(await call(stage.redis, "LRANGE", key, 0, -1)):
        of, _, *rest = element.decode().split(" ")
        if int(of) == number:
            await call(stage.redis, "LSET", key, index, " ".join([of, "1", *rest]))


async def silence(stage: Stage, name: str) -> None:
    """Let a listener look as if it had last spoken long ago."""
    key = stage.keys().cursors("s")
    cursor, _ = (await call(stage.redis, "HGET", key, name)).decode().split(" ")
    await call(stage.redis, "HSET", key, name, f"{cursor} 1")


@contextlib.asynccontextmanager
async def listening(redis_url: str, start: object) -> AsyncGenerator[AsyncGenerator[object, None], None]:
    events = listen(redis_url, "s", start, idle_s=0.2)  # type: ignore[arg-type]
    async with contextlib.aclosing(events):
        yield events


async def test_by_bytes_as_many_of_the_newest_turns_stay_as_fit(stage: Stage) -> None:
    bounds = UNHELD | {"output_bytes": 2 * TURN_BYTES}
    for turn in "abc":
        await speak(stage, turn, bounds)
    assert await turns(stage) == ["b", "c"]
    await speak(stage, "d", bounds)
    assert await turns(stage) == ["c", "d"]


async def test_by_age_what_has_ended_long_ago_goes(stage: Stage) -> None:
    bounds = UNHELD | {"output_ms": 60_000}
    for turn in "abc":
        await speak(stage, turn, bounds)
    await grow_old(stage, "a")
    await speak(stage, "d", bounds)
    assert await turns(stage) == ["b", "c", "d"]


async def test_the_turn_that_ended_last_stays_however_large_and_old(stage: Stage) -> None:
    bounds = {"output_bytes": 0, "output_ms": 1, "held_ms": 0, "held_bytes": 0}
    for turn in "ab":
        await speak(stage, turn, bounds)
        assert await turns(stage) == [turn]


async def test_what_has_just_ended_stays_for_who_listens_live(stage: Stage) -> None:
    bounds = {"output_bytes": 0, "held_ms": 60_000}
    for turn in "abc":
        await speak(stage, turn, bounds)
    assert await turns(stage) == ["a", "b", "c"]
    await grow_old(stage, "a")
    await speak(stage, "d", bounds)
    assert await turns(stage) == ["b", "c", "d"]


async def test_the_turn_that_speaks_is_whole_whatever_goes_before_it(stage: Stage) -> None:
    bounds = UNHELD | {"output_bytes": 0}
    await speak(stage, "a", bounds)
    await stage.open("b", bounds=bounds)
    claim = await stage.claim(await stage.take())
    await stage.say(claim, 1, samples=SAMPLES)
    await stage.open("waiting", bounds=bounds)
    await stage.ledger.interrupt("s", "waiting")
    assert [event.turn for event in await stage.output()] == ["a", "a", "a", "b", "b"]


async def test_turns_that_ended_while_they_waited_count_and_go_too(stage: Stage) -> None:
    bounds = UNHELD | {"output_bytes": 2 * 256}
    await stage.open("speaker", bounds=bounds)
    for turn in "abc":
        await stage.open(turn, bounds=bounds)
    await stage.ledger.interrupt("s")
    assert await turns(stage) == ["b", "c"]


@pytest.mark.parametrize("read", ["nothing", "half", "all"])
async def test_what_a_listener_has_not_read_stays_for_it(stage: Stage, read: str) -> None:
    bounds = {"output_bytes": 0, "held_ms": 60_000}
    first = await speak(stage, "a", bounds)
    await speak(stage, "b", bounds)
    cursor = {"nothing": EntryId(first.entry(0).major - 1, 0), "half": first.entry(1), "all": first.entry(2)}[read]
    await stage.ledger.report_cursor("s", "phone", cursor)
    await grow_old(stage, "a")
    await grow_old(stage, "b")
    await speak(stage, "c", bounds)
    assert await turns(stage) == (["b", "c"] if read == "all" else ["a", "b", "c"])


async def test_of_several_listeners_the_one_furthest_behind_counts(stage: Stage) -> None:
    bounds = {"output_bytes": 0, "held_ms": 60_000}
    claims = [await speak(stage, turn, bounds) for turn in "abc"]
    for name, claim in zip(("ahead", "behind"), (claims[2], claims[0]), strict=True):
        await stage.ledger.report_cursor("s", name, claim.entry(2))
    for turn in "abc":
        await grow_old(stage, turn)
    await speak(stage, "d", bounds)
    assert await turns(stage) == ["b", "c", "d"]


async def test_a_listener_that_has_been_silent_for_long_holds_nothing(stage: Stage) -> None:
    bounds = {"output_bytes": 0, "held_ms": 60_000}
    first = await speak(stage, "a", bounds)
    await stage.ledger.report_cursor("s", "phone", first.entry(0))
    await silence(stage, "phone")
    await grow_old(stage, "a")
    await speak(stage, "b", bounds)
    assert await turns(stage) == ["b"]


async def test_no_more_than_so_many_bytes_are_held_for_anybody(stage: Stage) -> None:
    bounds = {"output_bytes": 0, "held_ms": 60_000, "held_bytes": 2 * TURN_BYTES}
    first = await speak(stage, "a", bounds)
    await stage.ledger.report_cursor("s", "phone", first.entry(0))
    await speak(stage, "b", bounds)
    assert await turns(stage) == ["a", "b"]
    await speak(stage, "c", bounds)
    assert await turns(stage) == ["b", "c"]


async def test_a_listener_whose_place_is_gone_is_told_of_the_gap(stage: Stage, redis_url: str) -> None:
    bounds = UNHELD | {"output_bytes": 0}
    claims = [await speak(stage, turn, bounds) for turn in "abc"]
    async with listening(redis_url, claims[0].entry(1)) as events:
        gap = await anext(events)
        assert isinstance(gap, Gap)
        assert (gap.after, gap.before) == (claims[0].entry(1), claims[1].entry(2))
        assert [type(await anext(events)) for _ in range(4)] == [End, Begin, Audio, End]


async def test_a_listener_that_begins_at_the_beginning_is_told_that_it_is_gone(stage: Stage, redis_url: str) -> None:
    bounds = UNHELD | {"output_bytes": 0}
    claims = [await speak(stage, turn, bounds) for turn in "ab"]
    async with listening(redis_url, BEGINNING) as events:
        gap = await anext(events)
        assert isinstance(gap, Gap)
        assert (gap.after, gap.before) == (None, claims[0].entry(2))
        assert [type(await anext(events)) for _ in range(4)] == [End, Begin, Audio, End]


async def test_a_listener_that_comes_back_where_the_last_trimmed_turn_ended_has_lost_nothing(
    stage: Stage, redis_url: str
) -> None:
    bounds = UNHELD | {"output_bytes": 0}
    claims = [await speak(stage, turn, bounds) for turn in "abc"]
    assert await turns(stage) == ["c"]
    async with listening(redis_url, claims[1].entry(2)) as events:
        assert [type(await anext(events)) for _ in range(3)] == [Begin, Audio, End]


async def test_a_listener_that_has_read_all_hears_of_no_gap(stage: Stage, redis_url: str) -> None:
    bounds = UNHELD | {"output_bytes": 0}
    async with listening(redis_url, BEGINNING) as events:
        for turn in "abc":
            await speak(stage, turn, bounds)
            assert [type(await anext(events)) for _ in range(3)] == [Begin, Audio, End]


async def test_what_was_trimmed_lets_no_old_attempt_in_again(stage: Stage) -> None:
    bounds = UNHELD | {"output_bytes": 0}
    first = await speak(stage, "a", bounds)
    await speak(stage, "b", bounds)
    before = await stage.dump()
    await stage.say(first, 3)
    assert await stage.dump() == before


async def test_a_report_where_nobody_speaks_is_not_kept(stage: Stage) -> None:
    before = await stage.dump()
    await stage.ledger.report_cursor("nobody", "phone", EntryId(1, 0))
    assert await stage.dump() == before


async def test_reports_expire_with_their_session(stage: Stage) -> None:
    await stage.open("t")
    keys = stage.keys()
    await call(stage.redis, "PEXPIRE", keys.session("s"), 50_000)
    await stage.ledger.report_cursor("s", "phone", EntryId(1, 0))
    assert 0 < await call(stage.redis, "PTTL", keys.cursors("s")) <= 50_000


async def test_of_too_many_listeners_the_one_that_was_silent_for_longest_is_forgotten(stage: Stage) -> None:
    await stage.open("t")
    for number in range(64):
        await stage.ledger.report_cursor("s", f"phone {number}", EntryId(number, 0))
    await silence(stage, "phone 7")
    await stage.ledger.report_cursor("s", "one more", EntryId(1, 0))
    names = {name.decode() for name in await call(stage.redis, "HKEYS", stage.keys().cursors("s"))}
    assert names == {f"phone {number}" for number in range(64) if number != 7} | {"one more"}
