"""Claiming begins an attempt: it settles where to go on, and fences every attempt before it."""

import asyncio

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.events import Begin, End, Splice, Word
from saystream.common.ids import FENCE, EntryId
from saystream.common.ledger import Claim, Outcome, Refusal
from saystream.common.redis_client import call
from saystream.common.request import TurnRequest
from saystream.common.states import State
from tests.common.stage import FORMAT, Stage, request


async def test_the_first_attempt_writes_begin(stage: Stage) -> None:
    claim = await stage.speaking("t", voice="narrator", metadata={"caller": "7"})
    assert (claim.attempt, claim.cut, claim.spoken, claim.format) == (1, 0, 0, FORMAT)
    begin = Begin(claim.entry(0), "t", FORMAT, "narrator", {"caller": "7"})
    assert await stage.output() == [begin]
    assert await stage.state("t") is State.SPEAKING


async def test_a_claim_brings_the_whole_request(stage: Stage) -> None:
    asked = request("t", voice="narrator", on_busy="interrupt", start_within_ms=60_000, metadata={"caller": "7"})
    await stage.ledger.open(asked)
    claim = await stage.claim(await stage.take())
    assert claim.request == asked
    assert isinstance(claim.request, TurnRequest)


async def test_a_claim_is_the_turns_own_whatever_its_session_has_seen(stage: Stage) -> None:
    earlier = await stage.speaking("t")
    await stage.say(earlier, 1, samples=480, spoken=7)
    await stage.ledger.finish(earlier, 2, State.DONE, 480, 7)
    claim = await stage.speaking("u")
    assert (claim.number, claim.attempt, claim.cut, claim.spoken) == (earlier.number + 1, 1, 0, 0)


async def test_an_attempt_that_published_nothing_is_followed_from_the_beginning(stage: Stage) -> None:
    first = await stage.speaking("t")
    second = await stage.claim(first.message)
    assert (second.attempt, second.cut, second.spoken) == (2, 0, 0)
    assert (await stage.output())[1:] == [Splice(second.entry(0), "t", 0, 0, "another worker goes on", "default")]


async def test_a_later_attempt_writes_splice_where_the_last_whole_word_ended(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.say(first, 1, offset=0, samples=100, spoken=5)
    await stage.say_half(first, 2, offset=100, samples=50, spoken=5, cut=100)
    second = await stage.claim(first.message)
    assert (second.attempt, second.cut, second.spoken) == (2, 100, 5)
    assert (await stage.output())[-1] == Splice(second.entry(0), "t", 100, 5, "another worker goes on", "default")


async def test_words_that_came_last_tell_where_to_go_on(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.say_half(first, 1, offset=0, samples=100, spoken=0, cut=0)
    await stage.say_words(first, 2, 100, 5, Word("Hello", 0, 5, 0, 100))
    second = await stage.claim(first.message)
    assert (second.cut, second.spoken) == (100, 5)


async def test_a_workers_own_splice_tells_where_to_go_on(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.say(first, 1, samples=100, spoken=5)
    await stage.splice(first, 2, offset=60, spoken=3)
    second = await stage.claim(first.message)
    assert (second.cut, second.spoken) == (60, 3)


async def test_a_third_attempt_goes_on_where_the_second_came_to(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.say(first, 1, samples=100, spoken=5)
    second = await stage.claim(first.message)
    await stage.say(second, 1, offset=100, samples=30, spoken=8)
    third = await stage.claim(first.message)
    assert (third.attempt, third.cut, third.spoken) == (3, 130, 8)


async def test_a_later_attempt_fences_the_earlier_one(stage: Stage) -> None:
    first = await stage.speaking("t")
    second = await stage.claim(first.message)
    before = await stage.output()
    assert await stage.say(first, 1) is Outcome.FENCED
    assert await stage.output() == before
    assert await stage.say(second, 1) is Outcome.APPENDED


async def test_claiming_again_as_the_same_owner_uses_no_attempt_and_changes_nothing(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    claim = await stage.ledger.claim(message, "worker/1", attempts=1, format=FORMAT)
    before = await stage.dump()
    assert await stage.ledger.claim(message, "worker/1", attempts=1, format=FORMAT) == claim
    assert await stage.dump() == before


async def test_an_owner_that_was_followed_by_another_does_not_get_its_old_attempt_back(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    for owner in ("a/1", "b/1"):
        await stage.ledger.claim(message, owner, attempts=9, format=FORMAT)
    again = await stage.ledger.claim(message, "a/1", attempts=9, format=FORMAT)
    assert isinstance(again, Claim)
    assert again.attempt == 3


async def test_a_worker_that_wakes_up_late_does_not_take_a_turn_from_who_has_its_lease(stage: Stage) -> None:
    """It was frozen, or its claim was on its way, between taking the message and claiming the turn."""
    await stage.open("t")
    message = await stage.take()
    first = await stage.ledger.claim(message, "first/1", attempts=9, format=FORMAT)
    await stage.fall_silent(message)
    [taken] = await stage.other.abandoned(1000, 1)
    second = await stage.ledger.claim(taken, "second/1", attempts=9, format=FORMAT)
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    before = await stage.dump()
    for late in ("first/1", "first/2"):
        assert await stage.ledger.claim(message, late, attempts=9, format=FORMAT) is Refusal.ELSEWHERE
    assert await stage.dump() == before
    assert await stage.say(second, 1) is Outcome.APPENDED


async def test_workers_that_claim_at_once_get_attempts_of_their_own(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    claims = await asyncio.gather(*(stage.claim(message, attempts=9) for _ in range(8)))
    assert sorted(claim.attempt for claim in claims) == list(range(1, 9))
    outcomes = {claim.attempt: await stage.say(claim, 1) for claim in claims}
    assert outcomes.pop(8) is Outcome.APPENDED
    assert set(outcomes.values()) == {Outcome.FENCED}


async def test_the_format_is_settled_by_the_first_attempt(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    await stage.claim(message, audio_format=AudioFormat(sample_rate=8000))
    second = await stage.claim(message, audio_format=AudioFormat(sample_rate=48_000))
    assert second.format == AudioFormat(sample_rate=8000)


@pytest.mark.parametrize("reason", [State.DONE, State.FAILED, State.INTERRUPTED])
async def test_a_message_of_a_turn_that_has_ended_is_acknowledged_and_gone(stage: Stage, reason: State) -> None:
    claim = await stage.speaking("t")
    if reason is State.INTERRUPTED:
        await stage.ledger.interrupt("s")
    else:
        await stage.ledger.finish(claim, 1, reason, 0, 0)
    before = await stage.dump()
    assert await stage.ledger.claim(claim.message, "late", attempts=3, format=FORMAT) is Refusal.ENDED
    assert await stage.dump() == before
    assert (await stage.dispatched(), await stage.pending()) == ({}, {})


@pytest.mark.parametrize("ended", [False, True])
async def test_a_message_that_is_not_the_turns_own_is_acknowledged_and_gone(stage: Stage, ended: bool) -> None:
    claim = await stage.speaking("t")
    if ended:
        await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    before = await stage.dispatched()
    await call(stage.redis, "XADD", stage.keys().dispatch, "*", "turn", "t", "session", "s", "voice", "v")
    assert await stage.ledger.claim(await stage.take(), "w/2", attempts=3, format=FORMAT) is Refusal.ENDED
    assert await stage.dispatched() == before
    assert set(await stage.pending()) == set(before)


async def test_a_stale_message_is_refused_and_leaves_the_current_one_alone(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.ledger.release(first)
    before = await stage.dump()
    assert await stage.ledger.claim(first.message, "late", attempts=3, format=FORMAT) is Refusal.ENDED
    assert await stage.dump() == before
    assert (await stage.claim(await stage.take())).attempt == 2


async def test_a_turn_that_lost_as_many_workers_as_allowed_fails_visibly(stage: Stage) -> None:
    asked = request("t", metadata={"caller": "7"})
    await stage.ledger.open(asked)
    message = await stage.take()
    first = await stage.claim(message, attempts=2)
    await stage.say(first, 1, samples=100, spoken=5)
    claim = await stage.claim(message, attempts=2)
    assert await stage.ledger.claim(message, "third", attempts=2, format=FORMAT) is Refusal.EXHAUSTED

    cause = "2 workers were lost on this turn, one after the other at the same place"
    assert (await stage.output())[-1] == End(
        EntryId.of(claim.number, FENCE, 0), "t", State.FAILED, samples=100, spoken=5, cause=cause
    )
    snapshot = await stage.ledger.inspect("t")
    assert (snapshot.state, snapshot.cause, snapshot.samples, snapshot.spoken) == (State.FAILED, cause, 100, 5)
    [letter] = await stage.buried()
    assert (letter[b"turn"], letter[b"session"], letter[b"cause"]) == (b"t", b"s", cause.encode())
    assert letter[b"attempts"] == b"2"
    assert TurnRequest.model_validate_json(letter[b"request"]) == asked
    assert (await stage.dispatched(), await stage.pending()) == ({}, {})
    assert await stage.seal("t") is State.FAILED
    assert await stage.say(claim, 2) is Outcome.FENCED


async def test_workers_that_brought_the_turn_further_do_not_count_as_lost_on_it(stage: Stage) -> None:
    """A Redis that stalls now and then must not end a long turn whose workers are all well."""
    await stage.open("t")
    message = await stage.take()
    for number in range(1, 6):
        claim = await stage.claim(message, attempts=2)
        await stage.say(claim, 1, offset=100 * (number - 1), samples=100, spoken=number)
    assert claim.attempt == 5


async def test_a_turn_that_is_exhausted_lets_the_next_one_speak(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.open("next")
    assert await stage.ledger.claim(first.message, "second", attempts=1, format=FORMAT) is Refusal.EXHAUSTED
    assert (await stage.take()).ref.turn == "next"


async def test_claiming_an_exhausted_turn_again_buries_it_once(stage: Stage) -> None:
    first = await stage.speaking("t")
    for _ in range(2):
        await stage.ledger.claim(first.message, "second", attempts=1, format=FORMAT)
    assert len(await stage.buried()) == 1


async def test_a_turn_that_could_not_start_in_time_expires_and_lets_the_next_one_speak(stage: Stage) -> None:
    opened = await stage.open("t", start_within_ms=1)
    await stage.open("next")
    message = await stage.take()
    await stage.clock_passes(1)
    assert await stage.ledger.claim(message, "worker/1", attempts=3, format=FORMAT) is Refusal.EXPIRED
    end = End(EntryId.of(opened.number, FENCE, 0), "t", State.EXPIRED, 0, 0, "could not start in time")
    assert await stage.output() == [end]
    assert (await stage.state("t"), await stage.seal("t")) == (State.EXPIRED, State.EXPIRED)
    assert (await stage.take()).ref.turn == "next"


async def test_a_turn_that_waited_too_long_expires_when_its_time_to_speak_comes(stage: Stage) -> None:
    speaker = await stage.speaking("speaker")
    await stage.open("late", start_within_ms=1)
    await stage.open("patient", start_within_ms=60_000)
    await stage.clock_passes(1)
    await stage.ledger.finish(speaker, 1, State.DONE, 0, 0)
    assert [await stage.state(turn) for turn in ("late", "patient")] == [State.EXPIRED, State.READY]
    assert (await stage.output())[-1].turn == "late"
    assert (await stage.take()).ref.turn == "patient"


async def its_time_is_over(stage: Stage, turn: str) -> None:
    await call(stage.redis, "HSET", stage.keys().turn(turn), "expires_ms", 1)


@pytest.mark.parametrize("how", ["given back", "lost"])
async def test_a_turn_that_was_claimed_in_time_does_not_expire_with_its_worker(stage: Stage, how: str) -> None:
    """That nothing of it is published can be its producer's doing: the text is late."""
    first = await stage.speaking("t", start_within_ms=60_000)
    await its_time_is_over(stage, "t")
    if how == "given back":
        await stage.ledger.release(first)
        assert await stage.ledger.expire_late(0) == 0
    claim = await stage.claim(await stage.take() if how == "given back" else first.message)
    assert (claim.attempt, claim.start_within_ms_left) == (2, None)


async def test_a_claim_tells_how_much_time_is_left_for_the_start(stage: Stage) -> None:
    claim = await stage.speaking("t", start_within_ms=60_000)
    assert 0 < (claim.start_within_ms_left or 0) <= 60_000
    await its_time_is_over(stage, "t")
    again = await stage.ledger.claim(claim.message, claim.owner, attempts=3, format=FORMAT)
    assert isinstance(again, Claim)
    assert (again.start_within_ms_left or 0) < 0


async def test_a_claim_of_a_turn_without_a_deadline_or_that_has_started_has_no_time_to_keep(stage: Stage) -> None:
    claim = await stage.speaking("t")
    assert claim.start_within_ms_left is None
    begun = await stage.speaking("u", "other", start_within_ms=60_000)
    await stage.say(begun, 1)
    assert (await stage.claim(begun.message)).start_within_ms_left is None


async def test_a_message_whose_turn_is_no_longer_there_is_gone(stage: Stage) -> None:
    await stage.open("t")
    message = await stage.take()
    await call(stage.redis, "DEL", stage.keys().turn("t"))
    assert await stage.ledger.claim(message, "worker/1", attempts=3, format=FORMAT) is Refusal.GONE
    assert (await stage.dispatched(), await stage.pending()) == ({}, {})


async def test_a_session_does_not_wait_for_a_turn_that_is_no_longer_there(stage: Stage) -> None:
    await stage.open("t")
    await stage.open("next")
    message = await stage.take()
    await call(stage.redis, "DEL", stage.keys().turn("t"))
    await stage.ledger.claim(message, "worker/1", attempts=3, format=FORMAT)
    assert await stage.state("next") is State.READY


@pytest.mark.parametrize("attempts_before", [0, 1])
async def test_a_turn_whose_output_stream_is_gone_fails_and_the_stream_is_not_made_anew(
    stage: Stage, attempts_before: int
) -> None:
    await stage.open("t")
    await stage.open("next")
    message = await stage.take()
    for _ in range(attempts_before):
        await stage.claim(message)
    await call(stage.redis, "DEL", stage.keys().audio("s"))
    assert await stage.ledger.claim(message, "worker/9", attempts=3, format=FORMAT) is Refusal.GONE
    assert not await call(stage.redis, "EXISTS", stage.keys().audio("s"))
    assert (await stage.ledger.inspect("t")).cause == "the output stream is gone"
    assert (list((await stage.dispatched()).values()), await stage.pending()) == (["next"], {})
