# ruff: noqa: PT012 - what is tested is how blocks are left
"""A turn: its tokens arrive in order and once; leaving it ends it, or interrupts it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import uvloop

from saystream.common.errors import (
    InvalidToken,
    TooFarAhead,
    TurnEnded,
    TurnError,
    TurnFailed,
    TurnInterrupted,
    UnknownTurn,
)
from saystream.common.events import EndOfText, Flush, Seal, Text
from saystream.common.ledger import Ledger
from saystream.common.redis_client import call
from saystream.common.settings import LimitSettings, Settings
from saystream.common.states import State
from saystream.producer import Speaker, Turn
from tests.producer.conftest import ReadTokens, Speak, Studio
from tests.timing import MS, eventually

WORDS = ["The ", "quick ", "brown ", "fox ", "— ", "狐 ", "🦊"]


async def keep_sending(turn: Turn) -> None:
    """Send until that is refused: by the outbox's bound, some reply comes in between."""
    while True:
        await turn.send("more ")
        await asyncio.sleep(0)


async def test_tokens_arrive_in_order_once_and_numbered_from_one(speaker: Speaker, read_tokens: ReadTokens) -> None:
    async with speaker.turn("call-42") as turn:
        for word in WORDS:
            await turn.send(word)
    expected = [*map(Text, WORDS), EndOfText()]
    assert await read_tokens(turn) == list(enumerate(expected, 1))


async def test_tokens_go_out_while_the_turn_is_open(speaker: Speaker, read_tokens: ReadTokens) -> None:
    async with speaker.turn("call-42") as turn:
        await turn.send("now")
        assert await eventually(lambda: read_tokens(turn)) == [(1, Text("now"))]


async def test_flush_is_an_event_between_tokens(speaker: Speaker, read_tokens: ReadTokens) -> None:
    async with speaker.turn("call-42") as turn:
        await turn.send("one")
        await turn.flush()
        await turn.send("two")
    events = [event for _, event in await read_tokens(turn)]
    assert events == [Text("one"), Flush(), Text("two"), EndOfText()]


async def test_flushing_where_there_is_nothing_new_to_speak_is_nothing(
    speaker: Speaker, read_tokens: ReadTokens
) -> None:
    async with speaker.turn("call-42") as turn:
        for token in ("", "one", ""):
            await turn.send(token)
            await turn.flush()
    assert [event for _, event in await read_tokens(turn)] == [Text("one"), Flush(), EndOfText()]


async def test_a_turn_without_text_has_only_an_end(speaker: Speaker, read_tokens: ReadTokens) -> None:
    async with speaker.turn("call-42") as turn:
        pass
    assert await read_tokens(turn) == [(1, EndOfText())]


async def test_it_is_told_what_its_opening_did(speaker: Speaker) -> None:
    async with speaker.turn("call-42") as first, speaker.turn("call-42") as second:
        assert first.opened.state is State.READY
        assert second.opened.state is State.WAITING
        assert second.opened.number == first.opened.number + 1


async def test_several_tasks_may_open_one_turn(speaker: Speaker, ledger: Ledger) -> None:
    turn = speaker.turn("call-42")

    async def part(text: str) -> None:
        await turn.open()
        await turn.send(text)

    await asyncio.gather(part("one "), part("two "), part("three "))
    await turn.end()
    assert sorted((await ledger.inspect(turn.id)).text.split()) == ["one", "three", "two"]


# Sources


async def stream(words: list[str]) -> AsyncIterator[str]:
    for word in words:
        yield word


@pytest.mark.parametrize("source", [lambda: WORDS, lambda: iter(WORDS), lambda: stream(WORDS), lambda: "".join(WORDS)])
async def test_say_takes_a_text_and_iterators_of_both_kinds(
    speaker: Speaker, ledger: Ledger, source: Callable[[], Any]
) -> None:
    async with speaker.turn("call-42") as turn:
        await turn.say(source())
    assert (await ledger.inspect(turn.id)).text == "".join(WORDS)


async def test_a_text_longer_than_a_token_is_said_in_pieces(redis_url: str, ledger: Ledger) -> None:
    text = "".join(WORDS) * 9
    settings = Settings(limits=LimitSettings(token_bytes=11))
    async with Speaker.connect(redis_url, settings=settings) as speaker, speaker.turn("call-42") as turn:
        await turn.say(text)
    snapshot = await ledger.inspect(turn.id)
    assert snapshot.text == text
    assert snapshot.tokens > 9


async def test_a_generator_is_closed_when_its_turn_is_interrupted(speaker: Speaker, ledger: Ledger) -> None:
    closed = []

    async def llm() -> AsyncIterator[str]:
        try:
            while True:
                yield "more "
                await asyncio.sleep(0)
        finally:
            closed.append("async")

    def plain_llm() -> Iterator[str]:
        try:
            while True:
                yield "more "
        finally:
            closed.append("plain")

    for source in (llm(), plain_llm()):
        with pytest.raises(TurnInterrupted):
            async with speaker.turn("call-42") as turn:
                await ledger.interrupt("call-42")
                await turn.say(source)
    assert closed == ["async", "plain"]


async def test_the_error_of_a_source_goes_through_and_interrupts(speaker: Speaker, ledger: Ledger) -> None:
    async def llm() -> AsyncIterator[str]:
        yield "so far "
        raise ConnectionError("the LLM is gone")

    turn = speaker.turn("call-42")
    with pytest.raises(ConnectionError, match="the LLM is gone"):
        async with turn:
            await turn.say(llm())
    assert (await ledger.inspect(turn.id)).state is State.INTERRUPTED


# The end


async def test_ending_twice_ends_once(speaker: Speaker, read_tokens: ReadTokens) -> None:
    async with speaker.turn("call-42") as turn:
        await turn.send("a")
        await asyncio.gather(turn.end(), turn.end())
        await turn.end()
    assert [event for _, event in await read_tokens(turn)] == [Text("a"), EndOfText()]


@pytest.mark.parametrize("call", [lambda turn: turn.send("late"), lambda turn: turn.flush()], ids=["send", "flush"])
async def test_text_after_the_end_is_refused_at_once(
    speaker: Speaker, read_tokens: ReadTokens, call: Callable[[Turn], Any]
) -> None:
    async with speaker.turn("call-42") as turn:
        await turn.end()
        with pytest.raises(TurnEnded, match="The end of its text has been sent"):
            await call(turn)
    assert [event for _, event in await read_tokens(turn)] == [EndOfText()]


async def test_text_after_the_end_that_leaves_the_block_does_not_interrupt(speaker: Speaker, ledger: Ledger) -> None:
    turn = speaker.turn("call-42")
    with pytest.raises(TurnEnded):
        async with turn:
            await turn.end()
            await turn.send("late")
    assert (await ledger.inspect(turn.id)).state is State.READY


async def test_nothing_can_be_done_with_a_turn_that_is_not_opened(speaker: Speaker) -> None:
    turn = speaker.turn("call-42", turn="t")
    for step in (turn.send("a"), turn.flush(), turn.end(), turn.interrupt(), turn.say("a")):
        with pytest.raises(TurnError, match="turn t: It is not opened: use `async with`"):
            await step
    with pytest.raises(TurnError):
        _ = turn.opened


# Bad tokens


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (b"bytes", r"turn t: a token is text \(str\), not bytes"),
        (None, r"turn t: a token is text \(str\), not NoneType"),
        ("a\ud83d", "turn t: a token of 2 characters is no text: character 1 is half of a surrogate pair"),
        ("é" * 9, r"turn t: a token has 18 bytes, and 17 are allowed \(limits.token_bytes\)"),
    ],
    ids=["bytes", "none", "surrogate", "large"],
)
async def test_a_bad_token_is_refused_and_the_turn_goes_on(
    redis_url: str, read_tokens: ReadTokens, token: Any, message: str
) -> None:
    settings = Settings(limits=LimitSettings(token_bytes=17))
    async with Speaker.connect(redis_url, settings=settings) as speaker, speaker.turn("call-42", turn="t") as turn:
        await turn.send("before ")
        with pytest.raises(InvalidToken, match=message):
            await turn.send(token)
        await turn.send("é" * 8)
    assert await read_tokens(turn) == [(1, Text("before ")), (2, Text("é" * 8)), (3, EndOfText())]


async def test_an_empty_token_is_skipped(speaker: Speaker, read_tokens: ReadTokens) -> None:
    async with speaker.turn("call-42") as turn:
        for token in ("", "a", ""):
            await turn.send(token)
    assert await read_tokens(turn) == [(1, Text("a")), (2, EndOfText())]


# Leaving with an exception


@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3), asyncio.CancelledError()], ids=repr)
async def test_leaving_with_an_exception_interrupts(
    speaker: Speaker, ledger: Ledger, read_tokens: ReadTokens, error: BaseException
) -> None:
    turn = speaker.turn("call-42")
    with pytest.raises(type(error)) as caught:
        async with turn:
            await turn.send("half a ")
            raise error
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert (await ledger.inspect(turn.id)).state is State.INTERRUPTED
    assert (await read_tokens(turn))[-1][1] == Seal(State.INTERRUPTED)
    with pytest.raises(TurnInterrupted):
        await turn.send("word")


async def test_a_cancelled_block_interrupts(speaker: Speaker, ledger: Ledger) -> None:
    turn, inside = speaker.turn("call-42"), asyncio.Event()

    async def request_handler() -> None:
        async with turn:
            await turn.send("half a ")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(request_handler())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await ledger.inspect(turn.id)).state is State.INTERRUPTED


async def test_leaving_lets_the_next_turn_of_the_session_speak(speaker: Speaker, ledger: Ledger) -> None:
    async with speaker.turn("call-42") as next_turn:
        pass
    async with speaker.turn("call-42") as waiting:
        pass
    with contextlib.suppress(ValueError):
        async with speaker.turn("call-42", on_busy="interrupt") as loud:
            raise ValueError
    async with speaker.turn("call-42") as last:
        pass
    states = [(await ledger.inspect(turn.id)).state for turn in (next_turn, waiting, loud, last)]
    assert states == [State.INTERRUPTED, State.INTERRUPTED, State.INTERRUPTED, State.READY]


# Interrupted, done, failed


async def test_interrupt_returns_the_cut_and_leaving_is_quiet(speaker: Speaker, ledger: Ledger) -> None:
    async with speaker.turn("call-42") as turn:
        await turn.send("a")
        cut = await turn.interrupt()
        assert (cut.turn, cut.samples, cut.spoken, cut.state) == (turn.id, 0, 0, State.INTERRUPTED)
        for step in (turn.send("b"), turn.send(""), turn.flush(), turn.end()):
            with pytest.raises(TurnInterrupted):
                await step
        assert await turn.interrupt() == cut
    assert (await ledger.inspect(turn.id)).state is State.INTERRUPTED


async def test_interrupting_a_turn_that_is_done_says_so(speaker: Speaker, speak: Speak) -> None:
    async with speaker.turn("call-42") as turn:
        await turn.end()
        await speak(State.DONE)
        assert (await turn.interrupt()).state is State.DONE
        with pytest.raises(TurnEnded, match="spoken to its end"):
            await turn.send("late")


@pytest.mark.parametrize("whole_session", [True, False])
async def test_interrupted_by_another_a_later_send_is_refused_and_so_is_every_one_after(
    speaker: Speaker, ledger: Ledger, *, whole_session: bool
) -> None:
    turn = speaker.turn("call-42")
    with pytest.raises(TurnInterrupted):
        async with turn:
            await turn.send("a")
            await ledger.interrupt("call-42", "" if whole_session else turn.id)
            with pytest.raises(TurnInterrupted):
                await keep_sending(turn)
            for step in (turn.send("b"), turn.flush(), turn.end()):
                with pytest.raises(TurnInterrupted):
                    await step
    assert "TurnInterrupted" in repr(turn)


async def test_interrupted_by_another_the_end_is_refused(speaker: Speaker, ledger: Ledger) -> None:
    with pytest.raises(TurnInterrupted):
        async with speaker.turn("call-42"):
            await ledger.interrupt("call-42")


@pytest.mark.parametrize(
    ("reason", "error", "message"),
    [(State.DONE, TurnEnded, "spoken to its end"), (State.FAILED, TurnFailed, "could not be spoken")],
)
async def test_a_turn_that_a_worker_has_ended_takes_no_more(
    speaker: Speaker, speak: Speak, reason: State, error: type[TurnEnded], message: str
) -> None:
    with pytest.raises(error, match=message):
        async with speaker.turn("call-42") as turn:
            await speak(reason)
            await keep_sending(turn)


async def test_a_turn_that_has_left_redis_takes_no_more(speaker: Speaker, ledger: Ledger) -> None:
    with pytest.raises(TurnEnded, match="no longer in Redis"):
        async with speaker.turn("call-42") as turn:
            await call(ledger.redis, "FLUSHDB")
            with pytest.raises(UnknownTurn):
                await turn.interrupt()
            await keep_sending(turn)


async def test_two_producers_of_one_turn_are_found_out(speaker: Speaker) -> None:
    async with speaker.turn("call-42", turn="t") as first:
        for _ in range(5):
            await first.send("a")
    second = speaker.turn("call-42", turn="t")
    await second.open()
    await second.send("a")  # that is there already, and not written again
    with pytest.raises(TurnError, match="two producers"):
        await second.end()


# Loops


# Back-pressure


@pytest.fixture
async def bounded(redis_url: str) -> AsyncIterator[Speaker]:
    """A speaker whose turns may be ten characters ahead of their speech, and have 40 in all."""
    limits = LimitSettings(turn_chars=40, ahead_chars=10, ahead_s=300 * MS)
    async with Speaker.connect(redis_url, settings=Settings(limits=limits)) as speaker:
        yield speaker


async def test_a_text_that_is_far_ahead_waits_until_it_is_spoken(bounded: Speaker, studio: Studio) -> None:
    async with bounded.turn("call-42") as turn:
        await studio.claim()
        for _ in range(3):
            await turn.send("four")  # the third one passes the bound, and the next one waits
        fourth = asyncio.create_task(turn.send("four"))
        await asyncio.wait([fourth], timeout=100 * MS)
        assert not fourth.done()
        await studio.publish(spoken=5)
        await fourth


async def test_a_text_that_is_not_spoken_is_refused_after_a_time_and_can_be_sent_later(
    bounded: Speaker, studio: Studio, ledger: Ledger
) -> None:
    async with bounded.turn("call-42") as turn:
        await studio.claim()
        await turn.send("more than ten ")
        with pytest.raises(TooFarAhead, match=r"14 characters are sent and not spoken, 10 may be"):
            await turn.send("words")
        assert (await ledger.inspect(turn.id)).state is State.SPEAKING
        await studio.publish(spoken=14)
        await turn.send("words")
    assert (await ledger.inspect(turn.id)).text == "more than ten words"


async def test_a_wait_ends_with_the_turn(bounded: Speaker, ledger: Ledger) -> None:
    with pytest.raises(TurnInterrupted):
        async with bounded.turn("call-42") as turn:
            await turn.send("more than ten ")
            waiting = asyncio.create_task(turn.send("words"))
            await asyncio.sleep(0)
            await ledger.interrupt("call-42")
            await waiting


async def test_a_text_that_is_too_long_is_refused_and_the_turn_goes_on(
    bounded: Speaker, studio: Studio, ledger: Ledger
) -> None:
    async with bounded.turn("call-42") as turn:
        await studio.claim()
        await turn.send("a" * 38)
        await studio.publish(spoken=38)
        with pytest.raises(InvalidToken, match=r"limits\.turn_chars"):
            await turn.send("bcd")
        await turn.send("bc")
    assert (await ledger.inspect(turn.id)).text == "a" * 38 + "bc"


async def test_sends_that_wait_together_make_no_text_that_is_too_long(redis_url: str, ledger: Ledger) -> None:
    settings = Settings(limits=LimitSettings(turn_chars=10))
    async with (
        Speaker.connect(redis_url, settings=settings, outbox_bytes=1) as speaker,
        speaker.turn("call-42") as turn,
    ):
        sent = await asyncio.gather(*(turn.send("four") for _ in range(5)), return_exceptions=True)
    assert [type(error) for error in sent if error] == [InvalidToken] * 3
    assert (await ledger.inspect(turn.id)).text == "four" * 2


async def test_nothing_is_asked_below_the_bound(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "heard", None)
    async with speaker.turn("call-42") as turn:
        await turn.send("a" * 16_000)
        await turn.send("b")


def plain_loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@pytest.mark.parametrize("new_loop", [plain_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_it_works_on_either_event_loop(redis_url: str, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> tuple[str, set[str]]:
        async with Speaker.connect(redis_url) as speaker:
            async with speaker.turn("call-42") as turn:
                await turn.say(stream(WORDS))
            with contextlib.suppress(ValueError):
                async with speaker.turn("call-43") as other:
                    raise ValueError
            ledger = speaker._link._ledger
            assert (await ledger.inspect(other.id)).state is State.INTERRUPTED
            text = (await ledger.inspect(turn.id)).text
        return text, {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(main()) == ("".join(WORDS), set())
