# ruff: noqa: PT012 - what is tested is how blocks are left
"""What Redis has not acknowledged can be called again: what the first call has left behind does not hit the second."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from saystream.common.errors import (
    NotAcknowledged,
    SaystreamError,
    TurnConflict,
    TurnInterrupted,
    UnknownTurn,
)
from saystream.common.ledger import Ledger
from saystream.common.request import TurnRequest
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.producer import Speaker, Turn
from tests.proxy import Proxy
from tests.timing import MS, eventually

PATIENCE_S = 1000 * MS


def hasty_at(proxy: Proxy) -> Speaker:
    """A speaker that gives up soon, but not at once: the second call has to succeed on a busy machine, too."""
    return Speaker.connect(proxy.url, settings=Settings(), patience_s=PATIENCE_S)


async def state_of(ledger: Ledger) -> State:
    return (await ledger.inspect("t")).state


async def not_acknowledged(turn: Turn, proxy: Proxy) -> None:
    """Send a text of which Redis learns nothing before the speaker gives up."""
    with proxy.silent():
        await turn.send("Hello.")
        with pytest.raises(NotAcknowledged):
            await turn.end()


async def told_too_late(call: Callable[[], Awaitable[Any]], speaker: Speaker, proxy: Proxy, ledger: Ledger) -> None:
    """Have turn t opened by Redis, whose answer comes when the speaker has given up."""
    await ledger.announce(["default"])
    await speaker.say("warm", "a")  # now it knows the voice, and the next it asks for is the turn
    with proxy.replies_delayed(3 * PATIENCE_S), pytest.raises(NotAcknowledged, match=r"^opening turn t"):
        await call()


@pytest.fixture
def held_interrupts(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Interrupts reach Redis only when this is set."""
    go, interrupt = asyncio.Event(), Ledger.interrupt

    async def held(*given: Any, **named: Any) -> Any:
        await go.wait()
        return await interrupt(*given, **named)

    monkeypatch.setattr(Ledger, "interrupt", held)
    return go


# Text that was not acknowledged


async def test_a_turn_that_was_opened_again_and_ended_is_not_interrupted_at_leaving(
    proxy: Proxy, ledger: Ledger
) -> None:
    async with hasty_at(proxy) as speaker:
        first = speaker.turn("s", turn="t")
        await first.open()
        await not_acknowledged(first, proxy)
        second = speaker.turn("s", turn="t")
        await second.open()
        await second.send("Hello.")
        await second.end()
    assert await state_of(ledger) is State.READY


async def test_a_block_that_is_left_late_does_not_interrupt_what_was_opened_again(proxy: Proxy, ledger: Ledger) -> None:
    async with hasty_at(proxy) as speaker:
        with pytest.raises(NotAcknowledged):
            async with speaker.turn("s", turn="t") as first:
                await not_acknowledged(first, proxy)
                await speaker.say("s", "Hello.", turn="t")
    assert await state_of(ledger) is State.READY


async def test_a_turn_to_which_nobody_came_back_is_interrupted_at_leaving(proxy: Proxy, ledger: Ledger) -> None:
    async with hasty_at(proxy) as speaker:
        turn = speaker.turn("s", turn="t")
        await turn.open()
        await not_acknowledged(turn, proxy)
    assert await state_of(ledger) is State.INTERRUPTED


@pytest.mark.parametrize("ends", ["first", "second"])
async def test_of_two_that_write_one_turn_one_has_to_end_it(redis_url: str, ledger: Ledger, ends: str) -> None:
    async with Speaker.connect(redis_url) as speaker:
        both = {"first": speaker.turn("s", turn="t"), "second": speaker.turn("s", turn="t")}
        for turn in both.values():
            await turn.open()
            await turn.send("Hello.")
        await both[ends].end()
    assert await state_of(ledger) is State.READY


async def test_an_end_that_is_on_its_way_counts_whoever_has_opened_the_turn_again(proxy: Proxy, ledger: Ledger) -> None:
    async with Speaker.connect(proxy.url, settings=Settings()) as speaker:
        first = speaker.turn("s", turn="t")
        await first.open()
        await speaker.turn("s", turn="t").open()
        with proxy.replies_delayed(100 * MS):
            ending = asyncio.create_task(first.end())
            await asyncio.sleep(0)
            await speaker.close()
        await ending
    assert await state_of(ledger) is State.READY


async def test_an_end_for_which_nobody_waits_any_more_counts(speaker: Speaker, ledger: Ledger) -> None:
    turn = speaker.turn("s", turn="t")
    await turn.open()
    await speaker.turn("s", turn="t").open()
    ending = asyncio.create_task(turn.end())
    await asyncio.sleep(0)
    ending.cancel()
    await eventually(lambda: "1 acknowledged" in repr(turn))
    await speaker.close()
    assert await state_of(ledger) is State.READY


async def test_nothing_is_kept_of_turns_that_ended_with_an_error(speaker: Speaker, ledger: Ledger) -> None:
    turn = speaker.turn("s")
    await turn.open()
    await ledger.interrupt("s")
    with pytest.raises(TurnInterrupted):
        await turn.end()
    assert keeps_nothing(speaker)


async def test_nothing_is_kept_of_turns_that_the_speaker_itself_has_interrupted(
    speaker: Speaker, caplog: pytest.LogCaptureFixture
) -> None:
    turn = speaker.turn("s")
    await turn.open()
    await turn.send("a")
    await speaker.interrupt("s")
    assert keeps_nothing(speaker)
    with pytest.raises(TurnInterrupted):
        await turn.send("b")
    await speaker.close()
    assert "was not ended" not in caplog.text


@pytest.mark.parametrize("tokens", [0, 1])
async def test_nothing_is_kept_of_turns_that_others_have_ended_and_nobody_writes_any_more(
    speaker: Speaker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    monkeypatch.setattr("saystream.producer.writer.LOOK_S", 10 * MS)
    turn = speaker.turn("s")
    await turn.open()
    for _ in range(tokens):
        await turn.send("a")
    await eventually(lambda: f"{tokens} sent, {tokens} acknowledged" in repr(turn))
    await ledger.interrupt("s")

    async def forgotten() -> bool:
        await speaker.say("other", "A word.")
        return keeps_nothing(speaker)

    await eventually(forgotten)


async def test_nothing_is_kept_of_a_turn_that_was_taken_up_again_and_ended(speaker: Speaker) -> None:
    first = speaker.turn("s", turn="t")
    await first.open()
    await first.send("a")
    await speaker.say("s", "a", turn="t")
    assert keeps_nothing(speaker)


def keeps_nothing(speaker: Speaker) -> bool:
    link = speaker._link
    return not (link._outboxes or link._adrift or any(lane.outboxes for lane in link._writer._lanes.values()))


# Openings that were not acknowledged


async def test_opening_again_takes_the_turn_up(proxy: Proxy, ledger: Ledger) -> None:
    async with hasty_at(proxy) as speaker:

        async def say() -> None:
            await speaker.say("s", "Hello.", turn="t")

        await told_too_late(say, speaker, proxy, ledger)
        assert await state_of(ledger) is State.READY  # it is not interrupted at once
        await say()
    assert await state_of(ledger) is State.READY
    assert (await ledger.inspect("t")).text == "Hello."


async def test_opening_again_opens_a_turn_that_never_came_to_redis(proxy: Proxy, ledger: Ledger) -> None:
    async with hasty_at(proxy) as speaker:
        async with proxy.refusing():
            with pytest.raises(NotAcknowledged):
                await speaker.say("s", "Hello.", turn="t")
            with pytest.raises(UnknownTurn):
                await ledger.inspect("t")
        await speaker.say("s", "Hello.", turn="t")
    assert await state_of(ledger) is State.READY


async def test_a_turn_that_was_to_be_entered_is_interrupted_when_nobody_comes_back(
    proxy: Proxy, ledger: Ledger
) -> None:
    async with hasty_at(proxy) as speaker:
        await told_too_late(speaker.turn("s", turn="t").__aenter__, speaker, proxy, ledger)

        async def interrupted() -> bool:
            return await state_of(ledger) is State.INTERRUPTED

        await eventually(interrupted)


async def test_a_turn_whose_opening_was_not_acknowledged_is_interrupted_at_leaving(
    proxy: Proxy, ledger: Ledger
) -> None:
    async with hasty_at(proxy) as speaker:
        await told_too_late(speaker.turn("s", turn="t").open, speaker, proxy, ledger)
        assert await state_of(ledger) is State.READY
    assert await state_of(ledger) is State.INTERRUPTED


# Interrupts that are on their way


async def test_a_turn_is_interrupted_at_leaving_though_it_was_asked_for_again_with_another_request(
    proxy: Proxy, ledger: Ledger
) -> None:
    async with hasty_at(proxy) as speaker:
        await told_too_late(speaker.turn("s", turn="t", start_within_ms=90_000).open, speaker, proxy, ledger)
        with pytest.raises(TurnConflict):
            await speaker.turn("s", turn="t", start_within_ms=80_000).open()
    assert await state_of(ledger) is State.INTERRUPTED


async def test_opening_waits_for_an_interrupt_of_ours(
    speaker: Speaker, ledger: Ledger, held_interrupts: asyncio.Event
) -> None:
    inside = asyncio.Event()

    async def request_handler() -> None:
        async with speaker.turn("s", turn="t"):
            inside.set()
            await asyncio.Event().wait()

    first = asyncio.create_task(request_handler())
    await inside.wait()
    for _ in range(2):  # the first one interrupts the turn, the second one does not wait for it
        first.cancel()
        await asyncio.wait([first], timeout=50 * MS)
    again = asyncio.create_task(speaker.say("s", "Hello.", turn="t"))
    await asyncio.wait([again], timeout=100 * MS)
    assert not again.done()
    held_interrupts.set()
    with pytest.raises(TurnInterrupted):  # not: said, and interrupted afterwards
        await again
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_leaving_a_block_is_not_cancelled_because_closing_was(
    redis_url: str, held_interrupts: asyncio.Event
) -> None:
    async with Speaker.connect(redis_url) as speaker:
        inside, go = asyncio.Event(), asyncio.Event()

        async def request_handler() -> None:
            async with speaker.turn("s", turn="t"):
                inside.set()
                await go.wait()
                raise ValueError("mine")

        handler = asyncio.create_task(request_handler())
        await inside.wait()
        go.set()
        await eventually(lambda: speaker._link._abandoning)
        closing = asyncio.create_task(speaker.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(ValueError, match="mine") as caught:
            await handler
        assert caught.value.__notes__ == ["Turn t could not be interrupted: the speaker was closed"]
        with pytest.raises(asyncio.CancelledError):
            await closing


# Closing


async def test_a_close_that_is_cancelled_leaves_nobody_waiting(proxy: Proxy) -> None:
    async with Speaker.connect(proxy.url, settings=Settings(), outbox_bytes=1) as speaker:
        turns = [speaker.turn("a"), speaker.turn("b")]
        for turn in turns:
            await turn.open()
        with proxy.silent():
            for turn in turns:
                await turn.send("x")
            calls = [asyncio.create_task(turns[0].end()), asyncio.create_task(turns[1].send("y"))]
            closing = asyncio.create_task(speaker.close())
            await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            await asyncio.wait(calls, timeout=5000 * MS)
            for call in calls:
                assert call.done()
                with pytest.raises(SaystreamError, match="closed before its text was whole"):
                    await call


async def test_closing_leaves_a_turn_alone_whose_id_is_another_producers(
    redis_url: str, speaker: Speaker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await speaker.turn("s", turn="t", metadata={"whose": "another's"}).open()
    refused, go, open_turn = asyncio.Event(), asyncio.Event(), Ledger.open

    async def slow(self: Ledger, request: TurnRequest) -> Any:
        try:
            return await open_turn(self, request)
        finally:
            refused.set()
            await go.wait()

    monkeypatch.setattr(Ledger, "open", slow)
    async with Speaker.connect(redis_url) as closing:
        opening = asyncio.create_task(closing.turn("s", turn="t").open())
        await refused.wait()
        close = asyncio.create_task(closing.close())
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(TurnConflict):
            await opening
        await close
    assert await state_of(ledger) is State.READY
