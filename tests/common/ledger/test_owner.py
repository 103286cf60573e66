"""An attempt is known by its owner, too: after a failover that lost a claim, its number is given out twice."""

import pytest

from saystream.common.errors import Fenced
from saystream.common.ledger import Claim
from saystream.common.redis_client import call
from saystream.common.states import State
from tests.common.stage import Stage


async def first_entries(stage: Stage, claim: Claim) -> dict[bytes, bytes]:
    [(_, fields)] = await call(stage.redis, "XRANGE", stage.audio_key(claim), *[str(claim.entry(0))] * 2)
    found: dict[bytes, bytes] = fields
    return found


async def twice_the_same_attempt(stage: Stage) -> tuple[Claim, Claim]:
    """Claim a turn, lose that claim as in a failover, and claim it again; returns both claims."""
    await stage.open("t")
    lost_message = await stage.take()
    before = await call(stage.redis, "HGETALL", stage.keys().turn("t"))
    lost = await stage.claim(lost_message)
    last_id = lost.entry(0)._replace(major=lost.entry(0).major - 1)
    await call(stage.redis, "XDEL", stage.audio_key(lost), str(lost.entry(0)))
    await call(stage.redis, "XSETID", stage.audio_key(lost), str(last_id))
    await call(stage.redis, "DEL", stage.keys().turn("t"))
    await call(stage.redis, "HSET", stage.keys().turn("t"), *[part for pair in before.items() for part in pair])
    return lost, await stage.claim(lost_message)


async def test_the_first_entry_of_each_attempt_names_its_owner(stage: Stage) -> None:
    first = await stage.speaking("t")
    second = await stage.claim(first.message)
    for claim in (first, second):
        assert (await first_entries(stage, claim))[b"owner"] == claim.owner.encode()


async def test_a_claim_that_was_lost_cannot_finish_what_another_one_speaks(stage: Stage) -> None:
    lost, current = await twice_the_same_attempt(stage)
    assert (lost.attempt, lost.entry(0)) == (current.attempt, current.entry(0))
    before = await stage.dump()
    with pytest.raises(Fenced):
        await stage.ledger.finish(lost, 1, State.DONE, 0, 0)
    assert await stage.dump() == before
    await stage.ledger.finish(current, 1, State.DONE, 0, 0)
    before = await stage.dump()
    with pytest.raises(Fenced):
        await stage.ledger.finish(lost, 1, State.DONE, 0, 0)
    assert await stage.dump() == before


async def test_a_claim_that_was_lost_cannot_give_back_what_another_one_speaks(stage: Stage) -> None:
    lost, current = await twice_the_same_attempt(stage)
    for step in ("speaking", "released"):
        if step == "released":
            await stage.ledger.release(current)
        before = await stage.dump()
        with pytest.raises(Fenced):
            await stage.ledger.release(lost)
        assert await stage.dump() == before


async def test_the_owner_is_still_known_when_the_turn_has_ended(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    assert (await stage.ledger.inspect("t")).owner == "worker"


async def test_an_attempt_stands_above_what_a_lost_one_has_written(stage: Stage) -> None:
    """A writer whose claim was lost may write before it notices; nobody gets stuck behind that."""
    lost, current = await twice_the_same_attempt(stage)
    stray = Claim(lost.message, lost.request, lost.number, lost.attempt + 1, "lost", lost.format, 0, 0)
    await stage.say(stray, 1, samples=30, spoken=2)
    following = await stage.claim(current.message)
    assert (following.attempt, following.cut, following.spoken) == (stray.attempt + 1, 30, 2)
