"""A listener stays with its session when that moves to another server: in a cluster, and behind sentinels."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client import call
from saystream.common.redis_client.slots import slot_of_key
from saystream.consumer import BEGINNING, Event, Listener, reporter
from tests.clusters import Cluster, Sentinels
from tests.consumer.studio import SESSION, Speech, Studio, kinds, studio_at
from tests.timing import MS, eventually

#: So that what waits for the server that is gone notices it soon.
TIMEOUT_S = 500 * MS


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "PERIOD_S", 10 * MS)


class Audience:
    """A listener that collects what it hears of turn `a`."""

    def __init__(self, listener: Listener) -> None:
        self.listener, self.events = listener, list[Event]()
        self.task = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        async for event in self.listener.events(until_turn="a"):
            self.events.append(event)

    async def has(self, said: str) -> None:
        await eventually(lambda: kinds(self.events) == said, 20_000 * MS)

    async def report(self, sample: int) -> int:
        """Report what was played, as a player does: again and again."""
        while True:
            try:
                return await self.listener.played("a", sample)
            except RedisUnavailable:
                await asyncio.sleep(20 * MS)


@asynccontextmanager
async def audience(studio: Studio) -> AsyncIterator[Audience]:
    async with Listener(
        studio.url, SESSION, BEGINNING, name="me", shards=studio.shards, timeout_s=TIMEOUT_S, block_ms=200
    ) as listener:
        heard = Audience(listener)
        yield heard
        await heard.task


async def says(studio: Studio, cursor: object) -> bool:
    raw = await call(studio.redis, "HGET", studio.keys.cursors(SESSION), "me")
    return bool(raw and raw.decode().startswith(f"{cursor} "))


async def goes_on(studio: Studio, speech: Speech, heard: Audience) -> None:
    """Speak on after the move, and see that all of it, and what is reported, arrives."""
    last = await speech.audio(3)
    await heard.has("begin a, audio 1, audio 2, audio 3")
    assert await heard.report(300) == 15
    told = await studio.ledger.heard(speech.claim.ref)
    assert (told.played, told.heard) == (300, 15)
    await eventually(partial(says, studio, last), 20_000 * MS)
    await speech.finish()
    await heard.task
    assert kinds(heard.events) == "begin a, audio 1, audio 2, audio 3, end a"


@pytest.mark.slow
async def test_a_listener_follows_its_sessions_slot_to_another_server(cluster: Cluster) -> None:
    async with studio_at(cluster.url, shards=8) as studio:
        slot = slot_of_key(studio.keys.audio(SESSION))
        source = await cluster.master_of(slot)
        target = next(node for node in await cluster.masters() if node is not source)
        speech = await studio.begin("a")
        async with audience(studio) as heard:
            await speech.audio(1)
            await heard.has("begin a, audio 1")
            async with cluster.moving(slot, target) as move:
                await move.all_keys()
            await speech.audio(2)
            await goes_on(studio, speech, heard)


@pytest.mark.slow
async def test_a_listener_goes_on_at_the_replica_of_a_server_that_died(cluster: Cluster) -> None:
    async with studio_at(cluster.url, shards=8) as studio:
        slot = slot_of_key(studio.keys.audio(SESSION))
        former = await cluster.master_of(slot)
        speech = await studio.begin("a")
        async with audience(studio) as heard:
            await speech.audio(1)
            await heard.has("begin a, audio 1")
            former.kill()
            await cluster.failed_over(former, slot)
            await again(speech, 2)
            await goes_on(studio, speech, heard)


@pytest.mark.slow
async def test_a_listener_goes_on_at_the_primary_that_the_sentinels_name(sentinels: Sentinels) -> None:
    async with studio_at(sentinels.url) as studio:
        former = await sentinels.primary()
        speech = await studio.begin("a")
        async with audience(studio) as heard:
            await speech.audio(1)
            await heard.has("begin a, audio 1")
            former.kill()
            await sentinels.failed_over(former)
            await again(speech, 2)
            await goes_on(studio, speech, heard)


async def again(speech: Speech, value: int) -> None:
    """Publish a chunk when Redis can be reached again; what was not carried out is repeated with its own id."""
    before = speech.seq, speech.position, speech.spoken, speech.cut
    while True:
        try:
            await speech.audio(value)
        except RedisUnavailable:
            speech.seq, speech.position, speech.spoken, speech.cut = before
            await asyncio.sleep(20 * MS)
        else:
            return
