"""Opening gives a turn its number and its place in the session, once."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from saystream.common.errors import Overloaded, SessionBusy, TurnConflict
from saystream.common.events import Begin, EndOfText
from saystream.common.ids import EntryId
from saystream.common.keys import SHARDS, ShardKeys
from saystream.common.ledger import Cut, Ledger, Refusal
from saystream.common.redis_client import Client, call
from saystream.common.states import State
from tests.common.stage import FORMAT, Stage, request
from tests.timing import eventually


async def test_the_first_turn_of_a_session_is_ready_and_in_dispatch(stage: Stage) -> None:
    assert (await stage.open("t")).state is State.READY
    assert list((await stage.dispatched()).values()) == ["t"]


async def test_a_turn_behind_one_that_is_ready_or_speaks_waits_and_is_not_in_dispatch(stage: Stage) -> None:
    await stage.open("first")
    assert (await stage.open("second")).state is State.WAITING
    await stage.claim(await stage.take())
    assert (await stage.open("third")).state is State.WAITING
    assert list((await stage.dispatched()).values()) == ["first"]


async def test_sessions_do_not_wait_for_each_other(stage: Stage) -> None:
    assert (await stage.open("t", "a")).state is State.READY
    assert (await stage.open("u", "b")).state is State.READY


async def test_numbers_grow_by_one_in_a_session(stage: Stage) -> None:
    numbers = [(await stage.open(turn)).number for turn in ("t", "u", "v")]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


async def test_a_session_remembers_the_number_of_its_first_turn(stage: Stage) -> None:
    opened = [await stage.open(turn) for turn in ("t", "u")]
    assert int(await call(stage.redis, "HGET", stage.keys().session("s"), "first")) == opened[0].number


async def test_the_streams_are_there_and_empty(stage: Stage) -> None:
    await stage.open("t")
    for key in (stage.keys().audio("s"), stage.keys().tokens("t")):
        assert await call(stage.redis, "TYPE", key) == b"stream"
        assert await call(stage.redis, "XLEN", key) == 0


async def test_opening_again_changes_nothing_and_gives_the_same_number(stage: Stage) -> None:
    opened = await stage.open("t")
    before = await stage.dump()
    assert await stage.open("t") == opened
    assert await stage.dump() == before


@pytest.mark.parametrize("reason", [State.DONE, State.FAILED])
async def test_opening_a_turn_that_has_ended_starts_nothing_and_tells_how_it_ended(stage: Stage, reason: State) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.finish(claim, 1, reason, 0, 0)
    before = await stage.dump()
    again = await stage.open("t")
    assert (again.number, again.state) == (claim.number, reason)
    assert await stage.dump() == before


async def test_metadata_in_another_order_is_the_same_request(stage: Stage) -> None:
    opened = await stage.open("t", metadata={"a": "1", "b": "2"})
    assert await stage.open("t", metadata={"b": "2", "a": "1"}) == opened


@pytest.mark.parametrize(
    "other",
    [
        {"session": "another"},
        {"voice": "another"},
        {"on_busy": "interrupt"},
        {"start_within_ms": 1},
        {"metadata": {"a": "2"}},
        {"metadata": {}},
    ],
    ids=str,
)
async def test_a_known_id_with_another_request_is_a_conflict_and_changes_nothing(
    stage: Stage, other: dict[str, Any]
) -> None:
    await stage.open("t", metadata={"a": "1"})
    before = await stage.dump()
    with pytest.raises(TurnConflict, match="turn t"):
        await stage.open("t", **({"metadata": {"a": "1"}} | other))
    assert await stage.dump() == before


async def test_refuse_on_a_busy_session_changes_nothing_and_names_the_turn_that_speaks(stage: Stage) -> None:
    await stage.open("speaker")
    before = await stage.dump()
    with pytest.raises(SessionBusy, match="turn t: session s is speaking turn speaker"):
        await stage.open("t", on_busy="refuse")
    assert await stage.dump() == before


async def test_refuse_on_a_free_session_opens(stage: Stage) -> None:
    assert (await stage.open("t", on_busy="refuse")).state is State.READY


async def test_repeating_a_refuse_that_opened_is_not_refused_by_its_own_turn(stage: Stage) -> None:
    opened = await stage.open("t", on_busy="refuse")
    assert await stage.open("t", on_busy="refuse") == opened


async def test_a_turn_that_was_refused_can_be_opened_later(stage: Stage) -> None:
    claim = await stage.speaking("speaker")
    with pytest.raises(SessionBusy):
        await stage.open("t", on_busy="refuse")
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    assert (await stage.open("t", on_busy="refuse")).state is State.READY


@pytest.mark.parametrize("waiting_turns", [0, 2])
async def test_a_session_takes_so_many_waiting_turns_and_refuses_the_next(stage: Stage, waiting_turns: int) -> None:
    await stage.open("speaker", bounds={"waiting_turns": waiting_turns})
    for number in range(waiting_turns):
        await stage.open(f"t{number}", bounds={"waiting_turns": waiting_turns})
    before = await stage.dump()
    with pytest.raises(SessionBusy, match=f"{waiting_turns} turns wait already"):
        await stage.open("one-too-many", bounds={"waiting_turns": waiting_turns})
    assert await stage.dump() == before


async def test_where_too_many_turns_wait_for_a_worker_another_one_is_refused(stage: Stage) -> None:
    bounds = {"ready_turns": 2}
    for session in ("a", "b"):
        await stage.open(session, session, bounds=bounds)
    before = await stage.dump()
    with pytest.raises(Overloaded, match="turn c: Too many turns wait for a worker"):
        await stage.open("c", "c", bounds=bounds)
    assert await stage.dump() == before


async def test_turns_in_a_workers_hands_do_not_wait_for_one(stage: Stage) -> None:
    bounds = {"ready_turns": 2}
    for session in ("a", "b"):
        await stage.open(session, session, bounds=bounds)
    await stage.take()
    assert (await stage.open("c", "c", bounds=bounds)).state is State.READY


async def test_where_no_worker_has_ever_been_all_turns_wait_for_one(client: Client) -> None:
    ledger = Ledger(client, bounds=replace(Ledger(client).bounds, ready_turns=1))
    await ledger.open(request("a", "a"))
    with pytest.raises(Overloaded):
        await ledger.open(request("b", "b"))


async def test_a_turn_that_takes_anothers_place_or_waits_behind_it_asks_for_no_other_worker(stage: Stage) -> None:
    bounds = {"ready_turns": 1}
    await stage.open("t", bounds=bounds)
    assert (await stage.open("u", on_busy="interrupt", bounds=bounds)).state is State.READY
    assert (await stage.open("v", bounds=bounds)).state is State.WAITING


async def test_a_line_of_turns_that_ended_while_they_waited_has_an_end_too(stage: Stage) -> None:
    await stage.open("speaker")
    for number in range(1001):
        await stage.open(f"t{number}", bounds={"waiting_turns": 2000})
    await stage.ledger.interrupt("s", waiting_only=True)
    with pytest.raises(SessionBusy):
        await stage.open("next", bounds={"waiting_turns": 1})
    await stage.ledger.interrupt("s", "speaker")
    assert (await stage.open("next", bounds={"waiting_turns": 1})).state is State.READY


async def test_interrupt_on_a_full_session_opens(stage: Stage) -> None:
    await stage.open("speaker")
    await stage.open("waiting", bounds={"waiting_turns": 1})
    assert (await stage.open("t", on_busy="interrupt", bounds={"waiting_turns": 1})).state is State.READY


async def test_interrupt_cuts_off_all_that_speaks_and_waits_and_returns_the_cuts_in_order(stage: Stage) -> None:
    claim = await stage.speaking("speaker")
    await stage.say(claim, 1, samples=480, spoken=7)
    waiting = await stage.open("waiting")
    opened = await stage.open("t", on_busy="interrupt")
    assert opened.state is State.READY
    assert opened.cuts == (Cut("speaker", claim.number, 480, 7), Cut("waiting", waiting.number, 0, 0))
    assert [await stage.state(turn) for turn in ("speaker", "waiting")] == [State.INTERRUPTED] * 2
    assert list((await stage.dispatched()).values()) == ["t"]


async def test_interrupt_on_a_free_session_cuts_nothing(stage: Stage) -> None:
    assert (await stage.open("t", on_busy="interrupt")).cuts == ()


async def test_repeating_an_open_that_interrupted_does_not_interrupt_again(stage: Stage) -> None:
    await stage.open("speaker")
    opened = await stage.open("t", on_busy="interrupt")
    await stage.open("behind")
    before = await stage.dump()
    again = await stage.open("t", on_busy="interrupt")
    assert again == opened
    assert [cut.turn for cut in again.cuts] == ["speaker"]
    assert await stage.dump() == before


async def test_eight_producers_that_open_one_turn_at_once_open_it_once(stage: Stage) -> None:
    opened = await asyncio.gather(*(stage.open("t") for _ in range(8)))
    assert len({answer.number for answer in opened}) == 1
    assert len(await stage.dispatched()) == 1


async def test_of_eight_turns_opened_at_once_one_is_ready_and_the_others_wait(stage: Stage) -> None:
    opened = await asyncio.gather(*(stage.open(f"t{number}") for number in range(8)))
    assert sorted(answer.state for answer in opened) == sorted([State.READY] + 7 * [State.WAITING])
    assert len({answer.number for answer in opened}) == 8


async def test_numbers_go_on_above_the_old_ones_after_a_session_has_expired(stage: Stage) -> None:
    forgetful = stage.bounded(retention_ms=1000)
    before = await forgetful.open(request("t"))

    async def forgotten() -> bool:
        return not await call(stage.redis, "EXISTS", stage.keys().session("s"), stage.keys().audio("s"))

    await eventually(forgotten)
    assert (await forgetful.open(request("u"))).number > before.number


async def test_everything_expires_but_the_shard_count_and_dispatch(stage: Stage) -> None:
    await stage.ledger.greet()
    await stage.ledger.announce(["narrator"])
    failed = await stage.speaking("failed")
    await stage.append("failed", 1, "Hello")
    await stage.say(failed, 1)
    for turn in ("speaking", "waiting", "interrupted"):
        await stage.open(turn, start_within_ms=60_000)
    await stage.ledger.interrupt("s", "interrupted")
    await stage.ledger.report_cursor("s", "phone", failed.entry(1))
    await stage.ledger.played(failed.ref, 10, 5)
    await stage.ledger.finish(failed, 2, State.FAILED, 10, 0, "no voice")
    await stage.claim(await stage.take())

    keys = await call(stage.redis, "KEYS", "*")
    of_turns, of_session = 4 * 2, 5  # turns and tokens; session, waiting, audio, kept, cursors
    assert len(keys) == of_turns + of_session + 5  # shards, voices, dispatch, dead, deadlines
    forever = {key.decode() for key in keys if await call(stage.redis, "PTTL", key) == -1}
    assert forever == {SHARDS, ShardKeys(0).dispatch}


async def test_nothing_is_left_for_ever_by_a_turn_that_was_forgotten_while_it_spoke(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    await stage.open("waiting")
    await stage.ledger.interrupt("s", "waiting")
    await call(stage.redis, "DEL", stage.keys().turn("t"))
    await stage.ledger.claim(message, "w/1", attempts=3, format=FORMAT)
    assert (await stage.output())[-1].turn == "waiting"
    for key in await call(stage.redis, "KEYS", "*"):
        assert key.decode() == stage.keys().dispatch or await call(stage.redis, "PTTL", key) > 0, key


async def test_what_is_opened_outlives_its_last_change_by_the_retention_time(stage: Stage) -> None:
    short = stage.bounded(retention_ms=50_000)
    await short.open(request("t"))
    keys = stage.keys()
    for key in (keys.turn("t"), keys.tokens("t"), keys.session("s"), keys.audio("s")):
        assert 0 < await call(stage.redis, "PTTL", key) <= 50_000


@pytest.mark.parametrize("step", ["open", "claim", "finish", "release", "interrupt", "keep"])
async def test_every_step_of_a_turn_puts_off_the_expiry_of_all_that_its_session_needs(stage: Stage, step: str) -> None:
    ledger, keys = stage.ledger, stage.keys()
    claim = await stage.speaking("t")
    await stage.open("next")
    needed = {keys.turn("t"), keys.tokens("t"), keys.session("s"), keys.audio("s")}
    for key in needed | {keys.turn("next"), keys.tokens("next"), keys.waiting("s")}:
        await call(stage.redis, "PEXPIRE", key, 50_000)
    match step:
        case "open":
            await stage.open("another")
            needed = {keys.session("s"), keys.audio("s"), keys.waiting("s"), keys.turn("another")}
        case "claim":
            await stage.claim(claim.message)
        case "finish":
            await ledger.finish(claim, 1, State.DONE, 0, 0)
            needed |= {keys.turn("next"), keys.tokens("next")}
        case "release":
            await ledger.release(claim)
        case "interrupt":
            await ledger.interrupt("s", "t")
            needed |= {keys.turn("next"), keys.tokens("next")}
        case "keep":
            await ledger.keep([claim.ref])
            needed |= {keys.waiting("s"), keys.turn("next"), keys.tokens("next")}
    for key in needed:
        assert await call(stage.redis, "PTTL", key) > 50_000, key


async def test_a_turn_that_speaks_for_longer_than_the_retention_time_loses_none_that_waits_behind_it(
    stage: Stage,
) -> None:
    short = stage.bounded(retention_ms=1000)
    await short.open(request("t"))
    for turn in ("next", "after"):
        await short.open(request(turn))
    claim = await stage.claim(await stage.take())
    for _ in range(5):
        await stage.clock_passes(300)
        await stage.ledger.keep([claim.ref])
    await stage.append("next", 1, "Hello", EndOfText())
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    assert (await stage.take()).ref.turn == "next"
    assert await stage.state("after") is State.WAITING


async def test_a_turn_is_kept_for_its_own_retention_time_whatever_the_workers_is(stage: Stage) -> None:
    await stage.bounded(retention_ms=80_000).open(request("t"))
    await stage.bounded(retention_ms=50_000).keep([request("t").ref, request("gone").ref])
    keys = stage.keys()
    for key in (keys.turn("t"), keys.tokens("t"), keys.session("s"), keys.audio("s")):
        assert await call(stage.redis, "PTTL", key) > 50_000


async def test_a_turn_with_a_shorter_retention_time_takes_none_of_it_from_the_session_of_others(stage: Stage) -> None:
    """Producers may have different settings, and the session is needed for as long as any of its turns."""
    claim = await stage.speaking("t")
    await stage.say(claim, 1)
    await stage.ledger.finish(claim, 2, State.DONE, 10, 0)
    await stage.open("u")
    short = stage.bounded(retention_ms=50_000)
    await short.open(request("v"))
    await short.interrupt("s", "v")
    await stage.ledger.finish(await stage.claim(await stage.take()), 1, State.DONE, 0, 0)
    await stage.ledger.report_cursor("s", "phone", EntryId(0, 0))
    keys = stage.keys()
    for key in (*(one("s") for one in (keys.session, keys.audio, keys.kept, keys.cursors)), keys.turn("u")):
        assert await call(stage.redis, "PTTL", key) > 50_000, key
    assert await call(stage.redis, "PTTL", keys.turn("v")) <= 50_000


async def test_a_turn_that_is_gone_keeps_nobody_waiting_not_even_itself(stage: Stage) -> None:
    """Nobody claimed it for longer than its retention time, and the session lived on."""
    await stage.open("t")
    await stage.open("next")
    await call(stage.redis, "DEL", stage.keys().turn("t"), stage.keys().tokens("t"))
    assert (await stage.open("t")).state is State.WAITING
    old, message = await stage.queue.ready(2, 0)
    assert await stage.ledger.claim(old, "w/1", attempts=3, format=FORMAT) is Refusal.ENDED
    assert message.ref.turn == "next"
    await stage.ledger.finish(await stage.claim(message), 1, State.DONE, 0, 0)
    assert (await stage.claim(await stage.take())).ref.turn == "t"


async def test_a_turn_that_was_gone_while_it_waited_has_its_new_place_only(stage: Stage) -> None:
    claim = await stage.speaking("speaker")
    for turn in ("t", "next"):
        await stage.open(turn)
    await call(stage.redis, "DEL", stage.keys().turn("t"), stage.keys().tokens("t"))
    await stage.open("t")
    for turn in ("next", "t"):
        await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
        claim = await stage.claim(await stage.take())
        assert claim.ref.turn == turn
    assert not await call(stage.redis, "EXISTS", stage.keys().waiting("s"))


async def test_ids_that_look_like_other_kinds_of_keys_do_not_collide(stage: Stage) -> None:
    turns = ["x", "x:tokens", "tokens:x", "turn:x", "audio:x", "workers", "dispatch", "dead"]
    for turn in turns:
        claim = await stage.speaking(turn, session=turn)
        await stage.append(turn, 1, turn, session=turn)
        await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    for turn in turns:
        snapshot = await stage.ledger.inspect(turn)
        assert (snapshot.state, snapshot.text) == (State.DONE, turn)
        assert {event.turn for event in await stage.output(turn)} == {turn}


async def test_metadata_and_voice_of_any_script_reach_the_output(stage: Stage) -> None:
    metadata = {"Grüße": '你好 \U0001f600 \x00\x7f\n"\\/', "empty": ""}
    claim = await stage.speaking("t", voice="Erzähler", metadata=metadata)
    assert (claim.request.voice, claim.request.metadata) == ("Erzähler", metadata)
    [begin] = await stage.output()
    assert isinstance(begin, Begin)
    assert (begin.voice, begin.metadata) == ("Erzähler", metadata)
