"""The token reader: every token event of every turn once, whenever the turn was added."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from saystream.common.errors import Fenced, InvalidToken
from saystream.common.events import EndOfText, Flush, Text
from saystream.common.ids import TurnRef
from saystream.common.ledger import Ledger
from saystream.common.redis_client import call, connect
from saystream.common.request import TurnRequest
from saystream.workers.tokens import BLOCK_MS, TokenReader
from saystream.workers.turn_text import Sealed, TurnText
from tests.proxy import Proxy
from tests.timing import eventually


@asynccontextmanager
async def reading(url: str, turn_chars: int = 1000) -> AsyncIterator[tuple[Ledger, TokenReader]]:
    redis = connect(url)
    ledger = Ledger(redis)
    async with TokenReader(ledger, lambda: connect(url, block_ms=BLOCK_MS), "w", turn_chars) as reader:
        yield ledger, reader
    await redis.aclose()


async def opened(ledger: Ledger, turn: str) -> TurnRef:
    request = TurnRequest.check(session=f"session-of-{turn}", turn=turn)
    await ledger.open(request)
    return request.ref


async def until(text: TurnText, expected: str) -> None:
    """Wait until the text is what is expected; fails when it can no longer become that."""
    while text.text != expected:
        assert expected.startswith(text.text)
        await text.more(text.changes)


async def test_tokens_that_were_there_before_and_tokens_that_come_later_are_read_once(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        ref = await opened(ledger, "t")
        await ledger.append(ref, 1, [Text("a"), Text("b")])
        text = await reader.add(ref)
        await until(text, "ab")
        await ledger.append(ref, 3, [Flush(), Text("c"), EndOfText()])
        await until(text, "abc")
        assert (text.flushes, text.ended) == ([2], True)


async def test_a_turn_added_while_the_reader_waits_is_read_at_once(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        await reader.add(await opened(ledger, "quiet"))
        ref = await opened(ledger, "t")
        text = await reader.add(ref)
        await ledger.append(ref, 1, [Text("a")])
        await asyncio.wait_for(until(text, "a"), BLOCK_MS / 1000 / 2)


async def test_many_turns_are_read_side_by_side(redis_url: str) -> None:
    """More than one group of streams, tokens of all turns mixed."""
    async with reading(redis_url) as (ledger, reader):
        refs = [await opened(ledger, f"t{number}") for number in range(300)]
        texts = [await reader.add(ref) for ref in refs]
        for number in range(1, 4):
            await asyncio.gather(*(ledger.append(ref, number, [Text(f"{number} of {ref.turn}. ")]) for ref in refs))
        for ref, text in zip(refs, texts, strict=True):
            await until(text, "".join(f"{number} of {ref.turn}. " for number in (1, 2, 3)))


async def test_an_interrupt_arrives_as_the_seal(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        ref = await opened(ledger, "t")
        text = await reader.add(ref)
        await ledger.append(ref, 1, [Text("a")])
        await ledger.interrupt(ref.session)
        with pytest.raises(Sealed, match="interrupted"):
            await text.until_stopped()
        assert text.text == "a"


async def test_a_failure_reaches_whoever_waits_for_it(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        text = await reader.add(await opened(ledger, "t"))
        waiting = asyncio.create_task(text.until_stopped())
        await asyncio.sleep(0)
        text.stop(Fenced("t"))
        text.stop(Fenced("another reason"))
        with pytest.raises(Fenced, match="turn t"):
            await waiting


async def test_reading_goes_on_after_the_connection_was_cut(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        ref = await opened(ledger, "t")
        text = await reader.add(ref)
        await ledger.append(ref, 1, [Text("a")])
        await until(text, "a")
        await call(ledger.redis, "CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        await ledger.append(ref, 2, [Text("b")])
        await until(text, "ab")


async def test_the_control_stream_expires(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        await reader.add(await opened(ledger, "t"))
        keys = await call(ledger.redis, "KEYS", "*control*")
        assert keys
        assert all([await call(ledger.redis, "PTTL", key) > 0 for key in keys])


async def test_a_turn_that_was_taken_again_is_read_on_when_its_earlier_attempt_leaves(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        ref = await opened(ledger, "t")
        earlier = await reader.add(ref)
        text = await reader.add(ref)
        reader.remove(earlier)
        await ledger.append(ref, 1, [Text("a")])
        await asyncio.wait_for(until(text, "a"), 5)


async def test_of_an_absence_a_log_tells_the_beginning_and_the_end(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "saystream")
    async with Proxy(redis_url) as proxy, reading(proxy.url) as (ledger, reader):
        ref = await opened(ledger, "t")
        text = await reader.add(ref)
        async with proxy.refusing():
            before = proxy.accepted
            await eventually(lambda: proxy.accepted >= before + 4)
        await ledger.append(ref, 1, [Text("a")])
        await until(text, "a")
    begun, *ended = caplog.messages
    assert begun.startswith("! cannot read tokens, trying again: ")
    assert ended == ["= tokens are read again"]


async def test_a_long_backlog_is_read_in_pages(redis_url: str) -> None:
    async with reading(redis_url, turn_chars=10_000) as (ledger, reader):
        ref = await opened(ledger, "t")
        await ledger.append(ref, 1, [Text(f"{number} ") for number in range(1500)])
        text = await reader.add(ref)
        assert text.text == "".join(f"{number} " for number in range(1500))


@pytest.mark.parametrize(
    ("lost", "told"),
    [([3], "Redis has lost token 3 of the text"), ([1, 2], "Redis has lost tokens 1 to 2 of the text")],
)
@pytest.mark.parametrize("before", [True, False])
async def test_a_hole_in_the_numbers_stops_the_turn_and_is_named(
    redis_url: str, lost: list[int], told: str, before: bool
) -> None:
    """Whether it is there when the turn is added, or comes later."""
    async with reading(redis_url) as (ledger, reader):
        ref = await opened(ledger, "t")
        early = await reader.add(ref) if not before else None
        for number in range(1, 6):
            if number not in lost:
                await ledger.append(ref, number, [Text(f"{number} ")])
        text = early or await reader.add(ref)
        with pytest.raises(InvalidToken, match=f"^{told}$"):
            await text.until_stopped()
        assert text.text == "".join(f"{number} " for number in range(1, lost[0]))


async def test_a_text_that_is_too_long_stops_the_turn(redis_url: str) -> None:
    async with reading(redis_url, turn_chars=10) as (ledger, reader):
        ref = await opened(ledger, "t")
        await ledger.append(ref, 1, [Text("a" * 10)])
        text = await reader.add(ref)
        assert not text.stopped
        await ledger.append(ref, 2, [Text("b"), Text("c")])
        with pytest.raises(InvalidToken, match="longer than 10 characters"):
            await text.until_stopped()
        assert text.text == "a" * 10


async def test_a_stream_that_cannot_be_read_stops_its_turn_and_no_other(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        broken, well = [await opened(ledger, turn) for turn in ("broken", "well")]
        texts = [await reader.add(ref) for ref in (broken, well)]
        await call(ledger.redis, "SET", texts[0].key, "a key of another kind")
        await ledger.append(well, 1, [Text("a")])
        await asyncio.wait_for(until(texts[1], "a"), 2)
        with pytest.raises(InvalidToken, match="cannot be read: WRONGTYPE"):
            await asyncio.wait_for(texts[0].until_stopped(), 2)
        await ledger.append(well, 2, [Text("b")])
        await asyncio.wait_for(until(texts[1], "ab"), 2)


async def test_what_comes_for_a_turn_that_has_stopped_is_not_read_again_and_again(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        ref = await opened(ledger, "t")
        text = await reader.add(ref)
        text.stop(Fenced("t"))
        await ledger.append(ref, 1, [Text("a")])
        await asyncio.sleep(0.1)
        before = (await call(ledger.redis, "INFO", "commandstats"))["cmdstat_xread"]["calls"]
        await asyncio.sleep(0.3)
        after = (await call(ledger.redis, "INFO", "commandstats"))["cmdstat_xread"]["calls"]
        assert after - before <= 1
