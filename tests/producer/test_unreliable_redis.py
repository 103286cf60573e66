# ruff: noqa: PT012 - what is tested is how blocks are left
"""Between producer and Redis anything may break: nothing is lost in silence, nothing is written twice."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from saystream.common.errors import NotAcknowledged, RedisUnavailable, SaystreamError, TurnEnded, UnknownTurn
from saystream.common.events import EndOfText, Text
from saystream.common.ledger import Ledger
from saystream.common.redis_client import call
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.compose.redis_server import PrivateRedis
from saystream.producer import Speaker
from saystream.producer.outbox import ENTRY_BYTES
from tests.producer.conftest import ReadTokens, Speak
from tests.proxy import Proxy
from tests.servers import MakeRedis
from tests.timing import MS, eventually

PATIENCE_S = 400 * MS


@pytest.fixture
async def speaker(proxy: Proxy) -> AsyncIterator[Speaker]:
    """A speaker behind the proxy, with the usual patience."""
    async with Speaker.connect(proxy.url, settings=Settings()) as speaker:
        yield speaker


@pytest.fixture
async def hasty(proxy: Proxy) -> AsyncIterator[Speaker]:
    """A speaker behind the proxy that soon gives up."""
    async with Speaker.connect(proxy.url, settings=Settings(), patience_s=PATIENCE_S) as speaker:
        yield speaker


@contextlib.contextmanager
def frozen(server: PrivateRedis) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def is_ready(ledger: Ledger, turn: str) -> bool:
    try:
        return (await ledger.inspect(turn)).state is State.READY
    except UnknownTurn:
        return False


# Replies that are lost


async def test_a_lost_reply_to_tokens_writes_none_twice(
    speaker: Speaker, proxy: Proxy, read_tokens: ReadTokens
) -> None:
    async with speaker.turn("s") as turn:
        for number in range(3):
            async with proxy.reply_lost_after(b"XADD"):
                for part in range(5):
                    await turn.send(f"{number}.{part} ")
    expected = [Text(f"{number}.{part} ") for number in range(3) for part in range(5)]
    assert await read_tokens(turn) == list(enumerate([*expected, EndOfText()], 1))


async def test_a_lost_reply_to_the_end_is_harmless_even_if_the_turn_is_done_meanwhile(
    speaker: Speaker, proxy: Proxy, speak: Speak
) -> None:
    async with speaker.turn("s") as turn:
        await turn.send("a")
        async with proxy.reply_lost_after(b"$3\r\nend\r\n") as lost:
            ending = asyncio.create_task(turn.end())
            await lost.wait()
            await speak(State.DONE)
        await ending


async def test_a_lost_reply_to_open_opens_once(speaker: Speaker, proxy: Proxy, ledger: Ledger) -> None:
    first = await speaker.say("s", "a")  # now the server has the script
    async with proxy.reply_lost_after(b"EVALSHA"):
        second = await speaker.say("s", "b")
    assert second.opened.number == first.opened.number + 1
    assert (await ledger.inspect(second.id)).text == "b"


async def test_a_lost_reply_to_interrupt_returns_the_same_cut(speaker: Speaker, proxy: Proxy, ledger: Ledger) -> None:
    await speaker.say("other", "a")
    await speaker.interrupt("other")
    async with speaker.turn("s") as turn, proxy.reply_lost_after(b"EVALSHA"):
        cut = await turn.interrupt()
    assert (cut.turn, cut.state) == (turn.id, State.INTERRUPTED)


async def test_connections_that_break_all_the_time_lose_no_token(
    speaker: Speaker, proxy: Proxy, read_tokens: ReadTokens
) -> None:
    words = [f"{number} " for number in range(60)]
    first = proxy.accepted

    async def reconnected(times: int) -> None:
        await eventually(lambda: proxy.accepted > first + times)

    async with speaker.turn("s") as turn:
        for at, word in enumerate(words):
            await turn.send(word)
            if at % 10 == 5:
                await proxy.cut()
            if at % 10 == 9:
                await reconnected(at // 10)
    assert await read_tokens(turn) == list(enumerate([*map(Text, words), EndOfText()], 1))


async def test_a_redis_that_is_away_for_a_moment_is_waited_for(speaker: Speaker, proxy: Proxy, ledger: Ledger) -> None:
    async with speaker.turn("s") as turn:
        async with proxy.refusing():
            before = proxy.accepted
            await turn.send("a")
            opening = asyncio.create_task(speaker.say("t", "b"))
            await eventually(lambda: proxy.accepted >= before + 4)
        await turn.send("c")
    assert (await ledger.inspect(turn.id)).text == "ac"
    assert (await ledger.inspect((await opening).id)).text == "b"


async def test_a_redis_that_lost_its_scripts_gets_them_again(speaker: Speaker, ledger: Ledger) -> None:
    await speaker.say("s", "a")
    await call(ledger.redis, "SCRIPT FLUSH")
    await speaker.say("s", "b")


# Sending does not wait


async def test_a_send_does_not_wait_for_the_reply_to_the_one_before(
    speaker: Speaker, proxy: Proxy, ledger: Ledger
) -> None:
    delay_s, sends = 200 * MS, 50
    async with speaker.turn("s") as turn:
        with proxy.replies_delayed(delay_s):
            began_s = time.monotonic()
            for _ in range(sends):
                await turn.send("a")
                await asyncio.sleep(0)
            sent_s = time.monotonic()
            await turn.end()
            ended_s = time.monotonic()
    assert sent_s - began_s < delay_s * sends / 20
    assert ended_s - began_s < delay_s * sends / 5  # and what waited travelled together
    assert (await ledger.inspect(turn.id)).tokens == sends + 1


async def test_turns_share_the_batches(speaker: Speaker, proxy: Proxy, ledger: Ledger) -> None:
    turns = [speaker.turn(f"session-{number}") for number in range(20)]
    await asyncio.gather(*(turn.open() for turn in turns))
    with proxy.replies_delayed(100 * MS):
        began_s = time.monotonic()
        for _ in range(10):
            for turn in turns:
                await turn.send("a ")
            await asyncio.sleep(0)
        await asyncio.gather(*(turn.end() for turn in turns))
        assert time.monotonic() - began_s < 20 * 100 * MS
    for turn in turns:
        assert (await ledger.inspect(turn.id)).text == "a " * 10


async def test_a_full_outbox_makes_send_wait_until_redis_acknowledges(proxy: Proxy, read_tokens: ReadTokens) -> None:
    async with (
        Speaker.connect(proxy.url, outbox_bytes=10 * (ENTRY_BYTES + 1)) as speaker,
        speaker.turn("s") as turn,
    ):
        with proxy.silent():
            for _ in range(10):
                await turn.send("a")
            eleventh = asyncio.create_task(turn.send("b"))
            await asyncio.wait([eleventh], timeout=100 * MS)
            assert not eleventh.done()
        await eleventh
    assert len(await read_tokens(turn)) == 12


# Redis is away for too long


async def test_what_a_frozen_redis_does_not_acknowledge_is_raised_in_time_and_ever_after(
    make_redis: MakeRedis,
) -> None:
    server = make_redis()
    async with Speaker.connect(server.url, patience_s=PATIENCE_S) as speaker:
        turn = speaker.turn("s", turn="t")
        await turn.open()
        await turn.send("a")
        with frozen(server):
            began_s = time.monotonic()
            await turn.send("b")
            with pytest.raises(NotAcknowledged, match=r"turn t, token.* not acknowledged within"):
                await turn.end()
            took_s = time.monotonic() - began_s
            for call in (turn.send("c"), turn.flush(), turn.end()):
                with pytest.raises(NotAcknowledged):
                    await call
        assert PATIENCE_S * 0.9 < took_s < PATIENCE_S * 2.5


async def test_a_send_that_waits_for_room_is_not_left_waiting(make_redis: MakeRedis) -> None:
    server = make_redis()
    async with Speaker.connect(server.url, patience_s=PATIENCE_S, outbox_bytes=1) as speaker:
        turn = speaker.turn("s")
        await turn.open()
        with frozen(server):
            await turn.send("a")
            with pytest.raises(NotAcknowledged):
                await turn.send("b")


async def test_a_turn_that_was_not_acknowledged_is_interrupted_when_redis_is_back(
    hasty: Speaker, proxy: Proxy, ledger: Ledger
) -> None:
    turn = hasty.turn("s")
    with pytest.raises(NotAcknowledged):
        async with turn:
            with proxy.silent():
                await turn.send("a")
                await turn.end()
    assert (await ledger.inspect(turn.id)).state is State.INTERRUPTED


async def test_a_turn_whose_end_was_not_acknowledged_raises_at_leaving(hasty: Speaker, proxy: Proxy) -> None:
    with pytest.raises(NotAcknowledged) as caught:
        async with contextlib.AsyncExitStack() as stack:
            silent = proxy.silent()
            stack.callback(silent.__exit__, None, None, None)  # when the turn has been left
            turn = await stack.enter_async_context(hasty.turn("s"))
            silent.__enter__()
            await turn.send("a")
    assert "could not be interrupted" in caught.value.__notes__[0]


async def test_an_interrupt_that_fails_does_not_hide_the_error(
    hasty: Speaker, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="mine") as caught:
        async with contextlib.AsyncExitStack() as stack:
            silent = proxy.silent()
            stack.callback(silent.__exit__, None, None, None)
            await stack.enter_async_context(hasty.turn("s", turn="t"))
            silent.__enter__()
            raise ValueError("mine")
    (note,) = caught.value.__notes__
    assert note.startswith("Turn t could not be interrupted: interrupting turn t: not acknowledged within")
    assert any(line.startswith("! turn t could not be interrupted: ") for line in caplog.messages)


async def test_open_and_interrupt_give_up_in_time(hasty: Speaker, proxy: Proxy) -> None:
    with proxy.silent():
        began_s = time.monotonic()
        with pytest.raises(NotAcknowledged, match=r"^opening turn t: not acknowledged within"):
            await hasty.turn("s", turn="t").open()
        with pytest.raises(NotAcknowledged, match=r"^interrupting session s: not acknowledged within"):
            await hasty.interrupt("s")
        assert time.monotonic() - began_s < 2 * 2 * PATIENCE_S


async def test_a_turn_that_may_have_been_opened_is_interrupted(speaker: Speaker, proxy: Proxy, ledger: Ledger) -> None:
    await speaker.say("warm", "a")
    turn = speaker.turn("s", turn="t")
    with proxy.replies_delayed(1000 * MS):
        entering = asyncio.create_task(turn.__aenter__())
        await eventually(lambda: is_ready(ledger, "t"))
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
    await speaker.close()
    assert (await ledger.inspect("t")).state is State.INTERRUPTED


async def test_cancelled_while_leaving_the_interrupt_still_happens(
    speaker: Speaker, proxy: Proxy, ledger: Ledger
) -> None:
    turn, inside = speaker.turn("s"), asyncio.Event()

    async def request_handler() -> None:
        async with turn:
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(request_handler())
    await inside.wait()
    async with proxy.refusing():
        task.cancel()
        await asyncio.wait([task], timeout=50 * MS)
        assert not task.done()  # it waits for the interrupt
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await ledger.inspect(turn.id)).state is State.READY
    await speaker.close()
    assert (await ledger.inspect(turn.id)).state is State.INTERRUPTED


async def test_cancelled_while_ending_the_turn_is_interrupted(speaker: Speaker, proxy: Proxy, ledger: Ledger) -> None:
    turn, leaving, go = speaker.turn("s"), asyncio.Event(), asyncio.Event()

    async def request_handler() -> None:
        async with turn:
            leaving.set()
            await go.wait()

    task = asyncio.create_task(request_handler())
    await leaving.wait()
    with proxy.silent():
        go.set()
        await eventually(lambda: "ended" in repr(turn))
        task.cancel()
        await asyncio.wait([task], timeout=50 * MS)
        assert not task.done()  # it waits for the interrupt
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await ledger.inspect(turn.id)).state is State.INTERRUPTED


async def test_leaving_a_speaker_whose_redis_is_gone_ends_in_time(make_redis: MakeRedis) -> None:
    server = make_redis()
    began_s = 0.0
    async with Speaker.connect(server.url, patience_s=PATIENCE_S) as speaker:
        turns = [speaker.turn(f"session-{number}") for number in range(5)]
        await asyncio.gather(*(turn.open() for turn in turns))
        server.stop()
        for turn in turns:
            await turn.send("a")
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 4 * PATIENCE_S
    for turn in turns:
        with pytest.raises((TurnEnded, RedisUnavailable)):
            await turn.send("b")


async def test_closing_ends_what_other_tasks_still_try(hasty: Speaker, proxy: Proxy) -> None:
    async with proxy.refusing():
        before = proxy.accepted
        opening = asyncio.create_task(hasty.turn("s").open())
        await eventually(lambda: proxy.accepted > before)
        await hasty.close()
        with pytest.raises(SaystreamError, match="This speaker is closed"):
            await opening


async def test_closing_interrupts_what_another_task_has_just_opened(
    speaker: Speaker, proxy: Proxy, ledger: Ledger
) -> None:
    await speaker.say("warm", "a")
    with proxy.replies_delayed(200 * MS):
        opening = asyncio.create_task(speaker.turn("s", turn="t").open())
        await eventually(lambda: is_ready(ledger, "t"))
        await speaker.close()
    with pytest.raises(SaystreamError, match="This speaker is closed"):
        await opening
    assert (await ledger.inspect("t")).state is State.INTERRUPTED


async def test_a_program_that_holds_up_its_event_loop_is_not_told_that_redis_is_away(
    hasty: Speaker, ledger: Ledger
) -> None:
    async with hasty.turn("s") as turn:
        await turn.send("a")
        time.sleep(1.5 * PATIENCE_S)  # noqa: ASYNC251
        await turn.send("b")
    assert (await ledger.inspect(turn.id)).text == "ab"


async def test_a_redis_that_refuses_the_command_fails_that_turn_only(speaker: Speaker, ledger: Ledger) -> None:
    async with speaker.turn("good") as good:
        bad = speaker.turn("bad", turn="t")
        await bad.open()
        await call(ledger.redis, "SET", ledger.keys("bad").tokens("t"), "not a stream")
        await asyncio.gather(bad.send("a"), good.send("a"))
        with pytest.raises(Exception, match="WRONGTYPE"):
            await bad.end()
        await good.send("b")
    assert (await ledger.inspect(good.id)).text == "ab"
