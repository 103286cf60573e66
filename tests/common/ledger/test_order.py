"""Turns of one session are spoken in the order in which they were opened, one at a time, never mixed."""

from itertools import groupby

import pytest

from saystream.common.events import Audio, Begin, End
from saystream.common.ledger import Outcome
from saystream.common.states import State
from tests.common.stage import Stage

TURNS = ["t", "u", "v"]


async def test_three_turns_are_spoken_in_order(stage: Stage) -> None:
    for turn in TURNS:
        await stage.open(turn)
    for turn in TURNS:
        assert list((await stage.dispatched()).values()) == [turn]
        claim = await stage.claim(await stage.take())
        await stage.say(claim, 1, data=turn.encode())
        await stage.ledger.finish(claim, 2, State.DONE, 10, 1)
    output = await stage.output()
    assert [event.turn for event in output] == [turn for turn in TURNS for _ in range(3)]
    assert [event.data.decode() for event in output if isinstance(event, Audio)] == TURNS


async def test_the_output_never_mixes_however_late_an_earlier_turn_is(stage: Stage) -> None:
    claims = []
    for turn in TURNS:
        await stage.open(turn)
    for _ in TURNS:
        claim = await stage.claim(await stage.take())
        claims.append(claim)
        for late in claims[:-1]:
            assert await stage.say(late, 9) is Outcome.FENCED
        assert await stage.say(claim, 1) is Outcome.APPENDED
        await stage.ledger.finish(claim, 2, State.DONE, 10, 1)
    output = await stage.output()
    assert [turn for turn, _ in groupby(event.turn for event in output)] == TURNS


async def test_cursors_count_from_nought_without_holes_in_each_attempt(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.say(first, 1)
    second = await stage.claim(first.message)
    for seq in (1, 2):
        await stage.say(second, seq)
    await stage.ledger.finish(second, 3, State.DONE, 20, 1)
    cursors = [event.cursor for event in await stage.output()]
    assert cursors == sorted(cursors)
    assert [(cursor.number - first.number, cursor.attempt, cursor.seq) for cursor in cursors] == [
        (0, 1, 0), (0, 1, 1), (0, 2, 0), (0, 2, 1), (0, 2, 2), (0, 2, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["done", "failed", "interrupted", "exhausted"])
async def test_whatever_ends_a_turn_the_next_one_begins_behind_its_end(stage: Stage, how: str) -> None:
    claim = await stage.speaking("t")
    await stage.open("u")
    match how:
        case "done" | "failed":
            await stage.ledger.finish(claim, 1, State(how), 0, 0)
        case "interrupted":
            await stage.ledger.interrupt("s", "t")
        case "exhausted":
            await stage.ledger.claim(claim.message, "next", attempts=1, format=claim.format)
    await stage.claim(await stage.take())
    assert [(type(event), event.turn) for event in await stage.output()] == [(Begin, "t"), (End, "t"), (Begin, "u")]
