"""What a player has played is noted, told with every cut, and can be asked for at any time."""

import pytest

from saystream.common.errors import UnknownTurn
from saystream.common.ledger import Cut, Heard
from saystream.common.redis_client import call
from saystream.common.states import State
from tests.common.stage import Stage, ref


async def test_an_interrupt_tells_what_was_heard_beside_what_was_published(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=20)
    await stage.ledger.played(claim.ref, 60, 11)
    assert await stage.ledger.interrupt("s") == (Cut("t", claim.number, 100, 20, played=60, heard=11),)


async def test_where_no_player_has_reported_nothing_is_said_of_it(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=20)
    assert await stage.ledger.heard(claim.ref) == Heard(None, None, 20, 100, State.SPEAKING)
    [cut] = await stage.ledger.interrupt("s")
    assert (cut.played, cut.heard) == (None, None)


async def test_a_player_that_has_not_come_to_a_word_yet_has_heard_nothing_which_is_not_the_same(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.played(claim.ref, 0, 0)
    heard = await stage.ledger.heard(claim.ref)
    assert (heard.played, heard.heard) == (0, 0)


async def test_the_furthest_report_counts_whatever_order_they_come_in(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=20)
    for sample, heard in ((10, 2), (80, 14), (40, 7)):
        await stage.ledger.played(claim.ref, sample, heard)
    assert await stage.ledger.heard(claim.ref) == Heard(80, 14, 20, 100, State.SPEAKING)


async def test_the_players_buffer_goes_on_after_the_turn_has_ended(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=20)
    await stage.ledger.finish(claim, 2, State.DONE, 100, 20)
    await stage.open("next")
    await stage.ledger.played(claim.ref, 90, 18)
    assert await stage.ledger.heard(claim.ref) == Heard(90, 18, 20, 100, State.DONE)
    assert await stage.ledger.interrupt("s", "t") == (Cut("t", claim.number, 100, 20, State.DONE, played=90, heard=18),)


async def test_no_more_is_heard_than_was_published_where_a_take_over_has_replaced_what_was_played(
    stage: Stage,
) -> None:
    first = await stage.speaking("t")
    await stage.say_half(first, 1, offset=0, samples=100, spoken=3, cut=60)
    await stage.ledger.played(first.ref, 100, 8)
    await stage.claim(first.message)
    assert await stage.ledger.heard(first.ref) == Heard(60, 3, 3, 60, State.SPEAKING)
    [cut] = await stage.ledger.interrupt("s")
    assert (cut.played, cut.heard) == (60, 3)


async def test_reporting_again_changes_nothing(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.played(claim.ref, 60, 11)
    before = await stage.dump()
    await stage.ledger.played(claim.ref, 60, 11)
    await stage.ledger.played(claim.ref, 59, 10)
    assert await stage.dump() == before


async def test_a_turn_that_waits_can_be_asked_for(stage: Stage) -> None:
    await stage.open("speaker")
    await stage.open("t")
    assert await stage.ledger.heard(ref("t")) == Heard(None, None, 0, 0, State.WAITING)


async def test_a_turn_that_nobody_knows_is_unknown_and_not_made(stage: Stage) -> None:
    await stage.open("t", "other")
    before = await stage.dump()
    for unknown in (ref("nobody"), ref("t", "s")):
        with pytest.raises(UnknownTurn):
            await stage.ledger.played(unknown, 1, 1)
        with pytest.raises(UnknownTurn):
            await stage.ledger.heard(unknown)
    assert await stage.dump() == before


async def test_inspect_shows_it(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=20)
    await stage.ledger.played(claim.ref, 60, 11)
    snapshot = await stage.ledger.inspect("t")
    assert (snapshot.samples, snapshot.spoken, snapshot.played, snapshot.heard) == (100, 20, 60, 11)


async def test_a_report_does_not_put_off_when_the_turn_is_forgotten(stage: Stage) -> None:
    claim = await stage.speaking("t")
    key = stage.keys().turn("t")
    await call(stage.redis, "PEXPIRE", key, 50_000)
    await stage.ledger.played(claim.ref, 60, 11)
    assert 0 < await call(stage.redis, "PTTL", key) <= 50_000
