"""An interrupt is silence as one fact: when it has returned, nothing more of the turn enters the output."""

import asyncio

import pytest

from saystream.common.errors import TurnInterrupted, UnknownTurn
from saystream.common.events import End
from saystream.common.ids import FENCE, EntryId
from saystream.common.ledger import Cut, Outcome
from saystream.common.redis_client import call
from saystream.common.states import State
from tests.common.stage import Stage

WHOLE_SESSION_OR_ONE_TURN = pytest.mark.parametrize("turn", ["", "t"])


@WHOLE_SESSION_OR_ONE_TURN
async def test_the_cut_is_position_and_spoken_of_the_last_published_entry(stage: Stage, turn: str) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, offset=0, samples=100, spoken=5)
    await stage.say_half(claim, 2, offset=100, samples=50, spoken=5, cut=100)
    assert await stage.ledger.interrupt("s", turn) == (Cut("t", claim.number, samples=150, spoken=5),)


@WHOLE_SESSION_OR_ONE_TURN
async def test_the_output_ends_above_every_attempt(stage: Stage, turn: str) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=5)
    await stage.ledger.interrupt("s", turn)
    end = End(EntryId.of(claim.number, FENCE, 0), "t", State.INTERRUPTED, 100, 5, "")
    assert (await stage.output())[-1] == end


@WHOLE_SESSION_OR_ONE_TURN
async def test_nothing_is_appended_by_any_attempt_afterwards(stage: Stage, turn: str) -> None:
    first = await stage.speaking("t")
    second = await stage.claim(first.message)
    await stage.ledger.interrupt("s", turn)
    before = await stage.dump()
    for claim in (first, second):
        assert await stage.say(claim, 1) is Outcome.FENCED
    assert await stage.dump() == before


@pytest.mark.parametrize("said_before", range(0, 20, 2))
async def test_no_audio_follows_the_end_however_publishing_and_interrupting_are_mixed(
    stage: Stage, said_before: int
) -> None:
    claim = await stage.speaking("t")
    async with asyncio.TaskGroup() as tasks:
        saying = [
            tasks.create_task(stage.say(claim, seq + 1, offset=seq * 10, spoken=seq)) for seq in range(said_before)
        ]
        interrupting = tasks.create_task(stage.ledger.interrupt("s"))
        saying += [
            tasks.create_task(stage.say(claim, seq + 1, offset=seq * 10, spoken=seq)) for seq in range(said_before, 20)
        ]
    [cut] = interrupting.result()
    *said, end = await stage.output()
    assert isinstance(end, End)
    assert (end.samples, end.spoken) == (cut.samples, cut.spoken)
    assert len(said) - 1 == [task.result() for task in saying].count(Outcome.APPENDED)


@WHOLE_SESSION_OR_ONE_TURN
async def test_the_producer_learns_of_it_at_its_next_token(stage: Stage, turn: str) -> None:
    await stage.speaking("t")
    await stage.append("t", 1, "Hello")
    await stage.ledger.interrupt("s", turn)
    with pytest.raises(TurnInterrupted, match="turn t: The turn was interrupted"):
        await stage.append("t", 2, " world")
    assert await stage.seal("t") is State.INTERRUPTED


@WHOLE_SESSION_OR_ONE_TURN
async def test_the_message_is_gone_from_dispatch_and_from_its_workers_hands(stage: Stage, turn: str) -> None:
    await stage.speaking("t")
    assert await stage.pending() != {}
    await stage.ledger.interrupt("s", turn)
    assert (await stage.dispatched(), await stage.pending()) == ({}, {})


@WHOLE_SESSION_OR_ONE_TURN
async def test_a_turn_that_is_ready_ends_without_having_begun(stage: Stage, turn: str) -> None:
    opened = await stage.open("t")
    assert await stage.ledger.interrupt("s", turn) == (Cut("t", opened.number, 0, 0),)
    assert [type(event) for event in await stage.output()] == [End]
    assert await stage.dispatched() == {}


async def test_a_turn_that_was_released_is_cut_off_where_it_had_come_to(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=5)
    await stage.ledger.release(claim)
    assert await stage.ledger.interrupt("s", "t") == (Cut("t", claim.number, 100, 5),)
    assert await stage.dispatched() == {}


async def test_a_turn_that_was_taken_over_is_cut_off_at_the_splice(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.say_half(first, 1, offset=0, samples=100, spoken=3, cut=60)
    await stage.claim(first.message)
    assert await stage.ledger.interrupt("s", "t") == (Cut("t", first.number, 60, 3),)


async def test_interrupting_the_speaking_turn_lets_the_next_one_speak(stage: Stage) -> None:
    await stage.speaking("t")
    await stage.open("next")
    await stage.ledger.interrupt("s", "t")
    assert (await stage.take()).ref.turn == "next"


async def test_interrupting_the_session_leaves_nobody_waiting_and_the_cuts_are_in_order(stage: Stage) -> None:
    numbers = [(await stage.open(turn)).number for turn in ("t", "u", "v")]
    cuts = await stage.ledger.interrupt("s")
    assert cuts == tuple(Cut(turn, number, 0, 0) for turn, number in zip(("t", "u", "v"), numbers, strict=True))
    assert [event.turn for event in await stage.output()] == ["t", "u", "v"]
    assert await stage.dispatched() == {}
    assert (await stage.open("w")).state is State.READY


async def test_interrupting_a_waiting_turn_leaves_the_one_that_speaks_alone(stage: Stage) -> None:
    claim = await stage.speaking("t")
    waiting = await stage.open("u")
    before = await stage.output()
    assert await stage.ledger.interrupt("s", "u") == (Cut("u", waiting.number, 0, 0),)
    assert await stage.output() == before
    assert (await stage.state("u"), await stage.seal("u")) == (State.INTERRUPTED, State.INTERRUPTED)
    assert await stage.say(claim, 1) is Outcome.APPENDED


async def test_waiting_turns_end_in_the_output_when_those_before_them_have_ended(stage: Stage) -> None:
    claim = await stage.speaking("t")
    for turn in ("u", "v", "w"):
        await stage.open(turn)
    await stage.ledger.interrupt("s", "w")
    await stage.ledger.interrupt("s", "u")
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    assert [event.turn for event in await stage.output()] == ["t", "t", "u"]

    claim = await stage.claim(await stage.take())
    assert claim.ref.turn == "v"
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    output = await stage.output()
    assert [event.turn for event in output] == ["t", "t", "u", "v", "v", "w"]
    assert [event.cursor.attempt for event in output] == [1, 1, FENCE, 1, 1, FENCE]
    assert [event.reason for event in output if isinstance(event, End)] == [
        State.DONE, State.INTERRUPTED, State.DONE, State.INTERRUPTED,
    ]  # fmt: skip
    assert await call(stage.redis, "EXISTS", stage.keys().waiting("s")) == 0


@pytest.mark.parametrize("reason", [State.DONE, State.FAILED])
async def test_a_turn_that_has_ended_gives_its_cut_and_changes_nothing(stage: Stage, reason: State) -> None:
    claim = await stage.speaking("t")
    await stage.open("next")
    await stage.ledger.finish(claim, 1, reason, 480, 7)
    before = await stage.dump()
    assert await stage.ledger.interrupt("s", "t") == (Cut("t", claim.number, 480, 7, reason),)
    assert await stage.dump() == before


@pytest.mark.parametrize("turn", ["t", "u"])
async def test_repeating_it_for_a_turn_gives_the_same_cut_and_changes_nothing(stage: Stage, turn: str) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=5)
    await stage.open("u")
    await stage.open("next")
    cuts = await stage.ledger.interrupt("s", turn)
    before = await stage.dump()
    assert await stage.ledger.interrupt("s", turn) == cuts
    assert await stage.dump() == before


async def test_interrupting_a_session_again_finds_nothing_to_cut(stage: Stage) -> None:
    await stage.open("t")
    await stage.open("u")
    await stage.ledger.interrupt("s")
    assert await stage.ledger.interrupt("s") == ()


async def test_repeating_the_interrupt_of_a_session_returns_the_same_cuts_and_spares_a_turn_opened_since(
    stage: Stage,
) -> None:
    await stage.open("t")
    await stage.open("u")
    cuts = await stage.ledger.interrupt("s", call_id="once")
    await stage.open("later")
    assert await stage.ledger.interrupt("s", call_id="once") == cuts
    assert [cut.turn for cut in cuts] == ["t", "u"]
    assert await stage.state("later") is State.READY


async def test_a_session_that_nobody_knows_has_nothing_to_cut_and_is_not_made(stage: Stage) -> None:
    before = await stage.dump()
    assert await stage.ledger.interrupt("nobody") == ()
    assert await stage.dump() == before


async def test_that_others_interrupt_it_meanwhile_makes_no_difference(stage: Stage) -> None:
    await stage.open("t")
    cuts = await stage.ledger.interrupt("s", call_id="once")
    for number in range(7):
        await stage.open(f"t{number}")
        await stage.ledger.interrupt("s", call_id=f"another {number}")
    await stage.open("later")
    before = await stage.dump()
    assert await stage.ledger.interrupt("s", call_id="once") == cuts
    assert await stage.dump() == before


async def test_only_what_waits_ends_if_only_that_is_meant(stage: Stage) -> None:
    claim = await stage.speaking("t")
    waiting = [(turn, (await stage.open(turn)).number) for turn in ("u", "v")]
    before = await stage.output()
    cuts = await stage.ledger.interrupt("s", waiting_only=True)
    assert cuts == tuple(Cut(turn, number, 0, 0) for turn, number in waiting)
    assert [await stage.state(turn) for turn in "tuv"] == [State.SPEAKING, State.INTERRUPTED, State.INTERRUPTED]
    assert await stage.output() == before
    assert await stage.say(claim, 1) is Outcome.APPENDED
    await stage.ledger.finish(claim, 2, State.DONE, 10, 0)
    assert [event.turn for event in (await stage.output())[-3:]] == ["t", "u", "v"]
    assert await stage.dispatched() == {}


async def test_repeating_that_spares_a_turn_opened_since(stage: Stage) -> None:
    await stage.open("t")
    await stage.open("u")
    cuts = await stage.ledger.interrupt("s", waiting_only=True, call_id="once")
    await stage.open("later")
    before = await stage.dump()
    assert await stage.ledger.interrupt("s", waiting_only=True, call_id="once") == cuts
    assert await stage.dump() == before
    assert await stage.state("later") is State.WAITING


async def test_where_nothing_waits_nothing_ends(stage: Stage) -> None:
    await stage.open("t")
    assert await stage.ledger.interrupt("s", waiting_only=True) == ()
    assert await stage.state("t") is State.READY


async def test_a_turn_cannot_be_meant_only_if_it_waits(stage: Stage) -> None:
    with pytest.raises(ValueError, match="waiting_only is for a session"):
        await stage.ledger.interrupt("s", "t", waiting_only=True)


@WHOLE_SESSION_OR_ONE_TURN
async def test_listeners_and_operators_are_told_the_cause(stage: Stage, turn: str) -> None:
    await stage.speaking("t")
    await stage.ledger.interrupt("s", turn, cause="text was lost")
    end = (await stage.output())[-1]
    assert isinstance(end, End)
    assert end.cause == (await stage.ledger.inspect("t")).cause == "text was lost"


async def test_streams_that_are_gone_are_not_made_anew(stage: Stage) -> None:
    await stage.speaking("t")
    keys = stage.keys()
    await call(stage.redis, "DEL", keys.audio("s"), keys.tokens("t"))
    await stage.ledger.interrupt("s")
    assert await stage.state("t") is State.INTERRUPTED
    assert await call(stage.redis, "EXISTS", keys.audio("s"), keys.tokens("t")) == 0


async def test_a_turn_that_nobody_knows_is_unknown_and_changes_nothing(stage: Stage) -> None:
    await stage.open("t")
    before = await stage.dump()
    with pytest.raises(UnknownTurn, match="turn u: No such turn"):
        await stage.ledger.interrupt("s", "u")
    assert await stage.dump() == before


@pytest.mark.parametrize("state", ["ready", "speaking", "waiting", "done"])
async def test_a_turn_of_another_session_is_unknown_and_changes_nothing(stage: Stage, state: str) -> None:
    if state == "waiting":
        await stage.open("before", "other")
    await stage.open("t", "other")
    if state in ("speaking", "done"):
        claim = await stage.claim(await stage.take())
    if state == "done":
        await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    await stage.open("mine")
    before = await stage.dump()
    with pytest.raises(UnknownTurn):
        await stage.ledger.interrupt("s", "t")
    assert await stage.dump() == before


async def test_eight_interrupts_at_once_are_one(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=5)
    cuts = await asyncio.gather(*(stage.ledger.interrupt("s", "t") for _ in range(8)))
    assert set(cuts) == {(Cut("t", claim.number, 100, 5),)}
    assert sum(isinstance(event, End) for event in await stage.output()) == 1


async def test_a_turn_whose_tokens_are_no_stream_ends_and_the_next_one_speaks(stage: Stage) -> None:
    await stage.speaking("t")
    await stage.open("next")
    await call(stage.redis, "SET", stage.keys().tokens("t"), "no stream")
    await stage.ledger.interrupt("s", "t")
    assert (await stage.state("next")) is State.READY
