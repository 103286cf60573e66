"""The token reader: every token event of every turn once, whenever the turn was added."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from saystream.common.errors import Fenced
from saystream.common.events import EndOfText, Flush, Seal, Text, TokenEvent
from saystream.common.ids import TurnRef
from saystream.common.ledger import Ledger
from saystream.common.redis_client import call, connect
from saystream.common.request import TurnRequest
from saystream.common.states import State
from saystream.workers.tokens import BLOCK_MS, Feed, TokenReader


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[tuple[Ledger, TokenReader]]:
    redis = connect(url)
    ledger = Ledger(redis)
    async with TokenReader(ledger, lambda: connect(url, block_ms=BLOCK_MS), "w") as reader:
        yield ledger, reader
    await redis.aclose()


async def opened(ledger: Ledger, turn: str) -> TurnRef:
    request = TurnRequest.check(session=f"session-of-{turn}", turn=turn)
    await ledger.open(request)
    return request.ref


async def events(feed: Feed, count: int) -> list[TokenEvent | Seal]:
    seen: list[TokenEvent | Seal] = []
    async for some in feed:
        seen += some
        if len(seen) >= count:
            break
    return seen


async def test_tokens_that_were_there_before_and_tokens_that_come_later_are_read_once(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        ref = await opened(ledger, "t")
        await ledger.append(ref, 1, [Text("a"), Text("b")])
        feed = await reader.add(ref)
        assert await events(feed, 2) == [Text("a"), Text("b")]
        await ledger.append(ref, 3, [Flush(), Text("c"), EndOfText()])
        assert await events(feed, 3) == [Flush(), Text("c"), EndOfText()]


async def test_a_turn_added_while_the_reader_waits_is_read_at_once(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        await reader.add(await opened(ledger, "quiet"))
        ref = await opened(ledger, "t")
        feed = await reader.add(ref)
        await ledger.append(ref, 1, [Text("a")])
        assert await asyncio.wait_for(events(feed, 1), BLOCK_MS / 1000 / 2) == [Text("a")]


async def test_many_turns_are_read_side_by_side(redis_url: str) -> None:
    """More than one group of streams, tokens of all turns mixed."""
    async with reading(redis_url) as (ledger, reader):
        refs = [await opened(ledger, f"t{number}") for number in range(300)]
        feeds = [await reader.add(ref) for ref in refs]
        for number in range(1, 4):
            await asyncio.gather(*(ledger.append(ref, number, [Text(f"{number} of {ref.turn}")]) for ref in refs))
        for ref, feed in zip(refs, feeds, strict=True):
            assert await events(feed, 3) == [Text(f"{number} of {ref.turn}") for number in (1, 2, 3)]


async def test_an_interrupt_arrives_as_the_seal(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        ref = await opened(ledger, "t")
        feed = await reader.add(ref)
        await ledger.append(ref, 1, [Text("a")])
        await ledger.interrupt(ref.session)
        assert await events(feed, 2) == [Text("a"), Seal(State.INTERRUPTED)]


async def test_a_failure_reaches_whoever_reads_the_feed(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        feed = await reader.add(await opened(ledger, "t"))
        waiting = asyncio.create_task(events(feed, 1))
        await asyncio.sleep(0)
        feed.fail(Fenced("t"))
        with pytest.raises(Fenced):
            await waiting


async def test_reading_goes_on_after_the_connection_was_cut(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        ref = await opened(ledger, "t")
        feed = await reader.add(ref)
        await ledger.append(ref, 1, [Text("a")])
        assert await events(feed, 1) == [Text("a")]
        await call(ledger.redis, "CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        await ledger.append(ref, 2, [Text("b")])
        assert await events(feed, 1) == [Text("b")]


async def test_the_control_stream_expires(redis_url: str) -> None:
    async with reading(redis_url) as (ledger, reader):
        await reader.add(await opened(ledger, "t"))
        keys = await call(ledger.redis, "KEYS", "*control*")
        assert keys
        assert all([await call(ledger.redis, "PTTL", key) > 0 for key in keys])
