"""What a producer learns of what was heard, and interrupting only what waits."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from saystream.common.errors import InvalidId, InvalidInput, NotAcknowledged, SaystreamError, UnknownTurn
from saystream.common.ledger import Heard, Ledger
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.producer import BlockingSpeaker, Speaker
from tests.consumer.studio import SESSION, Speech, studio_at
from tests.proxy import Proxy
from tests.timing import MS


@pytest.fixture
async def speech(redis_url: str, speaker: Speaker) -> AsyncIterator[Speech]:
    """A turn that is being spoken: five characters with a thousand samples."""
    await speaker.say(SESSION, "Good evening.")
    async with studio_at(redis_url) as studio:
        speech = await studio.claim()
        await speech.audio(1, samples=1000)
        yield speech


async def test_a_cut_tells_what_a_player_has_told(speaker: Speaker, speech: Speech, ledger: Ledger) -> None:
    await ledger.played(speech.claim.ref, 500, 4)
    (cut,) = await speaker.interrupt(SESSION)
    assert (cut.turn, cut.played, cut.heard, cut.samples, cut.spoken) == (speech.turn, 500, 4, 1000, 5)
    assert await speaker.interrupt(SESSION, speech.turn) == (cut,)


async def test_where_no_player_has_told_anything_nothing_is_pretended(speaker: Speaker) -> None:
    turn = await speaker.say("s", "Good evening.")
    (cut,) = await speaker.interrupt("s")
    assert (cut.played, cut.heard) == (None, None)
    assert await speaker.heard("s", turn.id) == Heard(None, None, spoken=0, samples=0, state=State.INTERRUPTED)


async def test_what_is_told_after_the_interrupt_can_be_asked_for(
    speaker: Speaker, speech: Speech, ledger: Ledger
) -> None:
    await speaker.interrupt(SESSION)
    await ledger.played(speech.claim.ref, 500, 4)
    told = await speaker.heard(SESSION, speech.turn)
    assert told == Heard(played=500, heard=4, spoken=5, samples=1000, state=State.INTERRUPTED)


async def test_turns_that_a_new_one_interrupts_tell_it_too(speaker: Speaker, speech: Speech, ledger: Ledger) -> None:
    await ledger.played(speech.claim.ref, 500, 4)
    turn = await speaker.say(SESSION, "Stop.", on_busy="interrupt")
    assert [(cut.turn, cut.heard) for cut in turn.opened.cuts] == [(speech.turn, 4)]


async def test_only_what_waits_is_interrupted(speaker: Speaker, ledger: Ledger) -> None:
    first, second, third = [await speaker.say("s", f"{number}.") for number in range(3)]
    cuts = await speaker.interrupt("s", waiting_only=True)
    assert [cut.turn for cut in cuts] == [second.id, third.id]
    assert (await ledger.inspect(first.id)).state is State.READY
    assert await speaker.interrupt("s", waiting_only=True) == ()


async def test_asking_refuses_bad_ids_and_unknown_turns(speaker: Speaker) -> None:
    turn = await speaker.say("s", "Good evening.")
    with pytest.raises(InvalidId, match="session id"):
        await speaker.heard("two words", turn.id)
    with pytest.raises(InvalidId, match="turn id"):
        await speaker.heard("s", "")
    with pytest.raises(UnknownTurn):
        await speaker.heard("s", "nobody")
    with pytest.raises(UnknownTurn):
        await speaker.heard("another", turn.id)
    with pytest.raises(InvalidInput, match="leave the turn out"):
        await speaker.interrupt("s", turn.id, waiting_only=True)


async def test_asking_is_repeated_after_a_lost_reply_and_has_an_end(proxy: Proxy, redis_url: str) -> None:
    async with Speaker.connect(proxy.url, settings=Settings(), patience_s=500 * MS) as speaker:
        turn = await speaker.say("s", "Good evening.")
        await proxy.cut()
        assert (await speaker.heard("s", turn.id)).heard is None
        with proxy.silent(), pytest.raises(NotAcknowledged, match=f"what was heard of turn {turn.id}"):
            await speaker.heard("s", turn.id)
    with pytest.raises(SaystreamError, match="closed"):
        await speaker.heard("s", turn.id)


async def test_the_blocking_speaker_asks_and_interrupts_likewise(
    redis_url: str, speech: Speech, ledger: Ledger
) -> None:
    await ledger.played(speech.claim.ref, 500, 4)

    def ask() -> None:
        with BlockingSpeaker.connect(redis_url, settings=Settings()) as speaker:
            waiting = speaker.say(SESSION, "Two.")
            assert [cut.turn for cut in speaker.interrupt(SESSION, waiting_only=True)] == [waiting.id]
            assert speaker.heard(SESSION, speech.turn).heard == 4
            (cut,) = speaker.interrupt(SESSION)
            assert (cut.turn, cut.heard, cut.played) == (speech.turn, 4, 500)

    await asyncio.to_thread(ask)
