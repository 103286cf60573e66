"""Token events have numbers: what is there already is not written twice, and a sealed stream takes no more."""

import asyncio

import pytest

from saystream.common.errors import RedisUnavailable, TurnEnded, TurnError, TurnFailed, TurnGone, TurnInterrupted
from saystream.common.events import EndOfText, Flush, Seal, Text
from saystream.common.ledger import Batch, Refusal
from saystream.common.ledger import tokens as token_stream
from saystream.common.redis_client import call
from saystream.common.states import State
from tests.common.stage import FORMAT, Stage, ref


async def end_as(stage: Stage, state: State) -> None:
    """Open a turn, append two tokens, and let it end so."""
    await stage.open("t", start_within_ms=1 if state is State.EXPIRED else 0)
    await stage.append("t", 1, "Hello", EndOfText())
    message = await stage.take()
    match state:
        case State.INTERRUPTED:
            await stage.ledger.interrupt("s")
        case State.EXPIRED:
            await stage.clock_passes(1)
            assert await stage.ledger.claim(message, "w", attempts=1, format=FORMAT) is Refusal.EXPIRED
        case _:
            await stage.ledger.finish(await stage.claim(message), 1, state, 0, 5)


async def test_events_are_numbered_from_one(stage: Stage) -> None:
    await stage.open("t")
    await stage.append("t", 1, "Hel", "lo", Flush())
    await stage.append("t", 4, "\U0001f600 \n", EndOfText())
    assert await stage.tokens("t") == [
        (1, Text("Hel")), (2, Text("lo")), (3, Flush()), (4, Text("\U0001f600 \n")), (5, EndOfText()),
    ]  # fmt: skip


async def test_tokens_may_come_before_and_while_the_turn_is_spoken(stage: Stage) -> None:
    await stage.open("t")
    await stage.append("t", 1, "before")
    await stage.claim(await stage.take())
    await stage.append("t", 2, "while")
    assert [event for _, event in await stage.tokens("t")] == [Text("before"), Text("while")]


async def test_repeating_an_append_writes_nothing_twice(stage: Stage) -> None:
    await stage.open("t")
    await stage.append("t", 1, "Hel", "lo", EndOfText())
    before = await stage.dump()
    await stage.append("t", 1, "Hel", "lo", EndOfText())
    await stage.append("t", 2, "lo")
    assert await stage.dump() == before


async def test_repeating_an_append_of_which_only_the_first_part_arrived_writes_the_rest(stage: Stage) -> None:
    await stage.open("t")
    await stage.append("t", 1, "a", "b")
    await stage.append("t", 1, "a", "b", "c", "d")
    assert [number for number, _ in await stage.tokens("t")] == [1, 2, 3, 4]


async def test_appending_nothing_is_nothing(stage: Stage) -> None:
    await stage.open("t")
    await stage.append("t", 1)
    assert await stage.tokens("t") == []


async def test_turns_of_one_round_trip_do_not_keep_each_other_back(stage: Stage) -> None:
    for turn in ("well", "sealed", "gone", "repeated"):
        await stage.open(turn, turn)
    await stage.append("repeated", 1, "a", session="repeated")
    await stage.ledger.interrupt("sealed")
    await call(stage.redis, "DEL", stage.keys().tokens("gone"))
    turns = ("well", "sealed", "gone", "repeated", "well")
    batches = [
        Batch(ref(turn, turn), first, [Text("a"), Text("b")])
        for turn, first in zip(turns, (1, 1, 1, 1, 3), strict=True)
    ]
    refusals = [type(refusal) for refusal in await stage.ledger.append_all(batches)]
    assert refusals == [type(None), TurnInterrupted, TurnGone, type(None), type(None)]
    assert [number for number, _ in await stage.tokens("well", "well")] == [1, 2, 3, 4]
    assert [number for number, _ in await stage.tokens("repeated", "repeated")] == [1, 2]


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (State.DONE, TurnEnded, "has been spoken to its end"),
        (State.FAILED, TurnFailed, "could not be spoken"),
        (State.INTERRUPTED, TurnInterrupted, "was interrupted"),
        (State.EXPIRED, TurnEnded, "could not start to speak in time"),
    ],
)
async def test_a_sealed_stream_says_how_the_turn_ended_and_takes_nothing(
    stage: Stage, state: State, error: type[TurnEnded], message: str
) -> None:
    await end_as(stage, state)
    before = await stage.dump()
    with pytest.raises(error, match=f"turn t: .*{message}") as raised:
        await stage.append("t", 3, "too late")
    assert type(raised.value) is error
    assert raised.value.turn == "t"
    assert await stage.dump() == before
    assert (await stage.tokens("t"))[-1][1] == Seal(state)


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.INTERRUPTED, State.EXPIRED])
async def test_repeating_what_arrived_before_the_turn_ended_is_fine(stage: Stage, state: State) -> None:
    await end_as(stage, state)
    before = await stage.dump()
    await stage.append("t", 1, "Hello", EndOfText())
    await stage.append("t", 2, EndOfText())
    assert await stage.dump() == before


async def test_of_a_batch_that_meets_the_seal_what_was_there_stays(stage: Stage) -> None:
    await end_as(stage, State.INTERRUPTED)
    with pytest.raises(TurnInterrupted):
        await stage.append("t", 1, "Hello", EndOfText(), "more")
    assert [number for number, _ in (await stage.tokens("t"))[:-1]] == [1, 2]


async def test_a_waiting_turn_is_sealed_as_soon_as_it_is_interrupted(stage: Stage) -> None:
    await stage.open("speaker")
    await stage.open("t")
    await stage.ledger.interrupt("s", "t")
    with pytest.raises(TurnInterrupted):
        await stage.append("t", 1, "Hello")


async def test_a_stream_that_is_gone_is_not_made_anew(stage: Stage) -> None:
    await stage.open("t")
    await call(stage.redis, "DEL", stage.keys().tokens("t"))
    with pytest.raises(TurnEnded, match="no longer in Redis"):
        await stage.append("t", 1, "Hello")
    assert not await call(stage.redis, "EXISTS", stage.keys().tokens("t"))


async def test_a_turn_that_was_never_opened_takes_no_token(stage: Stage) -> None:
    with pytest.raises(TurnEnded):
        await stage.append("t", 1, "Hello")


async def test_a_token_before_one_that_is_there_is_an_error_and_not_lost_in_silence(stage: Stage) -> None:
    await stage.open("t")
    await stage.append("t", 2, "second")
    with pytest.raises(TurnError, match="two producers") as raised:
        await stage.append("t", 1, "first")
    assert not isinstance(raised.value, TurnEnded)


async def test_reading_goes_on_behind_a_number_and_takes_so_many(stage: Stage) -> None:
    await stage.open("t")
    await stage.append("t", 1, "a", "b", "c", "d")
    key = stage.keys().tokens("t")
    assert [number for number, _ in await token_stream.read(stage.redis, key, 1, 2)] == [2, 3]
    assert await token_stream.read(stage.redis, key, 4, 2) == []
    assert await token_stream.read(stage.redis, "nothing", 0, 2) == []


async def test_an_open_stream_is_not_sealed(stage: Stage) -> None:
    await stage.open("t")
    assert await stage.seal("t") is None
    await stage.append("t", 1, "Hello")
    assert await stage.seal("t") is None


async def test_appends_that_race_with_an_interrupt_are_there_or_refused(stage: Stage) -> None:
    await stage.open("t")
    calls = [stage.append("t", number, f"{number}") for number in range(1, 20)]
    results = await asyncio.gather(*calls[:10], stage.ledger.interrupt("s"), *calls[10:], return_exceptions=True)
    del results[10]
    there = {number for number, event in await stage.tokens("t") if isinstance(event, Text)}
    for number, result in enumerate(results, 1):
        # a token that a later one overtook on another connection is refused as well, and never dropped in silence
        assert (number in there) == (result is None), result
        assert result is None or isinstance(result, TurnError)


async def test_an_unknown_outcome_is_no_answer_of_the_turn(stage: Stage) -> None:
    assert not issubclass(RedisUnavailable, TurnError)
