"""Finishing ends a turn as its own worker sees it, and lets the next one speak."""

import pytest

from saystream.common.errors import AudioLost, Fenced
from saystream.common.events import End
from saystream.common.ledger import Claim, Outcome
from saystream.common.redis_client import call
from saystream.common.request import TurnRequest
from saystream.common.states import State
from tests.common.stage import FORMAT, Stage, request

REASONS = pytest.mark.parametrize("reason", [State.DONE, State.FAILED])


async def finish(stage: Stage, claim: Claim, reason: State = State.DONE, seq: int = 1) -> None:
    await stage.ledger.finish(claim, seq, reason, 480, 7, "" if reason is State.DONE else "no such voice")


@REASONS
async def test_it_writes_the_end_and_the_record(stage: Stage, reason: State) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1)
    await finish(stage, claim, reason, 2)
    cause = "" if reason is State.DONE else "no such voice"
    assert (await stage.output())[-1] == End(claim.entry(2), "t", reason, 480, 7, cause)
    snapshot = await stage.ledger.inspect("t")
    assert (snapshot.state, snapshot.samples, snapshot.spoken, snapshot.cause) == (reason, 480, 7, cause)
    assert snapshot.opened_ms <= snapshot.began_ms <= snapshot.ended_ms


@REASONS
async def test_it_acknowledges_and_deletes_the_message_and_seals_the_tokens(stage: Stage, reason: State) -> None:
    claim = await stage.speaking("t")
    await finish(stage, claim, reason)
    assert (await stage.dispatched(), await stage.pending()) == ({}, {})
    assert await stage.seal("t") is reason


@REASONS
async def test_repeating_it_changes_nothing(stage: Stage, reason: State) -> None:
    claim = await stage.speaking("t")
    await stage.open("next")
    await finish(stage, claim, reason)
    before = await stage.dump()
    await finish(stage, claim, reason)
    assert await stage.dump() == before


async def test_a_failed_turn_goes_to_the_dead_letters_with_its_cause_and_request(stage: Stage) -> None:
    asked = request("t", metadata={"caller": "7"})
    await stage.ledger.open(asked)
    await finish(stage, await stage.claim(await stage.take()), State.FAILED)
    [letter] = await stage.buried()
    assert (letter[b"turn"], letter[b"cause"], letter[b"attempts"]) == (b"t", b"no such voice", b"1")
    assert TurnRequest.model_validate_json(letter[b"request"]) == asked


async def test_a_turn_that_is_done_does_not(stage: Stage) -> None:
    await finish(stage, await stage.speaking("t"))
    assert await stage.buried() == []


@REASONS
async def test_the_next_waiting_turn_becomes_ready_and_the_others_wait_on(stage: Stage, reason: State) -> None:
    claim = await stage.speaking("t")
    await stage.open("next")
    await stage.open("later")
    await finish(stage, claim, reason)
    assert [await stage.state(turn) for turn in ("next", "later")] == [State.READY, State.WAITING]
    assert (await stage.take()).ref.turn == "next"


async def test_a_free_session_is_free_again(stage: Stage) -> None:
    await finish(stage, await stage.speaking("t"))
    assert (await stage.open("u", on_busy="refuse")).state is State.READY


@REASONS
async def test_an_old_attempt_is_fenced_and_changes_nothing(stage: Stage, reason: State) -> None:
    first = await stage.speaking("t")
    await stage.open("next")
    await stage.claim(first.message)
    before = await stage.dump()
    with pytest.raises(Fenced, match="turn t"):
        await finish(stage, first, reason)
    assert await stage.dump() == before


async def test_an_attempt_of_an_interrupted_turn_is_fenced_and_changes_nothing(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.interrupt("s")
    before = await stage.dump()
    with pytest.raises(Fenced):
        await finish(stage, claim)
    assert await stage.dump() == before


async def test_a_turn_that_failed_cannot_be_done_afterwards(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await finish(stage, claim, State.FAILED)
    before = await stage.dump()
    with pytest.raises(Fenced):
        await finish(stage, claim, State.DONE)
    assert await stage.dump() == before


async def test_the_last_attempt_that_was_given_up_is_fenced(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.claim(claim.message, "next", attempts=1, format=FORMAT)
    before = await stage.dump()
    with pytest.raises(Fenced):
        await finish(stage, claim, State.DONE)
    assert await stage.dump() == before


async def test_an_attempt_that_was_given_back_is_fenced_and_changes_nothing(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.release(claim)
    before = await stage.dump()
    with pytest.raises(Fenced):
        await finish(stage, claim)
    assert await stage.dump() == before


async def test_an_attempt_whose_lease_ran_out_may_finish_while_nobody_has_claimed(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.fall_silent(claim.message)
    [taken] = await stage.other.abandoned(1000, 1)
    await finish(stage, claim)
    assert await stage.ledger.claim(taken, "second/1", attempts=3, format=FORMAT) == "ended"
    assert await stage.state("t") is State.DONE


@pytest.mark.parametrize("missing", ["turn", "output"])
async def test_where_the_turn_or_its_output_is_gone_it_is_fenced_and_changes_nothing(
    stage: Stage, missing: str
) -> None:
    claim = await stage.speaking("t")
    await call(stage.redis, "DEL", stage.keys().turn("t") if missing == "turn" else stage.audio_key(claim))
    before = await stage.dump()
    with pytest.raises(Fenced):
        await finish(stage, claim)
    assert await stage.dump() == before


@pytest.mark.parametrize("reason", [State.WAITING, State.READY, State.SPEAKING, State.INTERRUPTED])
async def test_a_worker_ends_a_turn_as_done_failed_or_expired_and_in_no_other_way(stage: Stage, reason: State) -> None:
    claim = await stage.speaking("t")
    before = await stage.dump()
    with pytest.raises(ValueError, match=reason):
        await stage.ledger.finish(claim, 1, reason, 0, 0)
    assert await stage.dump() == before


async def test_a_turn_that_could_not_start_in_time_is_ended_by_the_attempt_that_holds_it(stage: Stage) -> None:
    claim = await stage.speaking("t", start_within_ms=60_000)
    await stage.open("next")
    await stage.ledger.finish(claim, 1, State.EXPIRED, 0, 0, "no place in time")
    *_, end = await stage.output()
    assert isinstance(end, End)
    assert (end.turn, end.reason, end.cause) == ("t", State.EXPIRED, "no place in time")
    assert (await stage.state("t"), await stage.seal("t")) == (State.EXPIRED, State.EXPIRED)
    assert await stage.state("next") is State.READY
    assert await stage.buried() == []
    await stage.ledger.finish(claim, 1, State.EXPIRED, 0, 0, "no place in time")  # again


@pytest.mark.parametrize("seq", [1, 3])
async def test_an_end_that_does_not_follow_the_last_entry_is_refused_because_something_was_lost(
    stage: Stage, seq: int
) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1)
    before = await stage.dump()
    with pytest.raises(AudioLost):
        await finish(stage, claim, seq=seq)
    assert await stage.dump() == before


async def test_a_batch_that_arrives_again_after_the_end_changes_nothing(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1)
    await finish(stage, claim, seq=2)
    before = await stage.dump()
    assert await stage.say(claim, 1) is Outcome.REPEATED
    assert await stage.dump() == before
