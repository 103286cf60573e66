"""Redis fails over, or moves what a turn needs, in mid-turn: every word is said once, and nobody is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from saystream.common.ids import shard_of
from saystream.common.keys import ShardKeys
from saystream.common.redis_client.slots import slot_of_key
from saystream.common.states import State
from saystream.compose.standin import Behaviour
from saystream.producer import Speaker
from tests.clusters import Cluster, Node, Sentinels
from tests.rig import Rig, rig
from tests.timing import MS

STORY = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. " * 4
WORDS = STORY.split()
SHARDS = 8
SLOT = slot_of_key(ShardKeys(shard_of("s", SHARDS)).dispatch)
#: Longer than any failover takes; a round trip is shorter, so that a server that is gone is noticed.
PATIENCE_S, ROUND_TRIP_S = 20_000 * MS, 1000 * MS


@contextlib.asynccontextmanager
async def working(servers: Sentinels | Cluster) -> AsyncIterator[Rig]:
    async with rig(
        servers.url,
        behaviour=Behaviour(speed=10.0),
        redis_timeout_s=ROUND_TRIP_S,
        shards=SHARDS if isinstance(servers, Cluster) else 1,
    ) as way:
        yield way


async def speak_through(way: Rig, fault: Callable[[], Awaitable[object]]) -> None:
    """Say a story, have the fault in the middle of it, and hear each word once: at the live edge, and afterwards."""
    live = asyncio.create_task(way.hear("s", "t", "u"))
    async with Speaker.connect(way.url, settings=way.settings, patience_s=PATIENCE_S) as speaker:
        async with speaker.turn("s", turn="t") as turn:
            for word in WORDS[:30]:
                await turn.send(f"{word} ")
            await way.until_spoken("s", 10)
            failing = asyncio.ensure_future(fault())
            for word in WORDS[30:]:
                await turn.send(f"{word} ")
                await asyncio.sleep(10 * MS)  # as an LLM does
            await failing
        await speaker.say("s", "And this.", turn="u")
    for heard in (await way.hear("s", "t", "u"), await live):
        assert heard.words("t") == WORDS
        assert heard.words("u") == ["And", "this."]
        assert {end.reason for end in heard.ends.values()} == {State.DONE}


async def test_a_primary_is_killed_in_mid_turn(sentinels: Sentinels) -> None:
    async with working(sentinels) as way:
        former = await sentinels.primary()

        async def fail_over() -> Node:
            former.kill()
            return await sentinels.failed_over(former)

        await speak_through(way, fail_over)


async def test_the_master_of_a_session_is_killed_in_mid_turn(cluster: Cluster) -> None:
    async with working(cluster) as way:
        former = await cluster.master_of(SLOT)

        async def fail_over() -> Node:
            former.kill()
            return await cluster.failed_over(former, SLOT)

        await speak_through(way, fail_over)


async def test_the_slot_of_a_session_moves_in_mid_turn(cluster: Cluster) -> None:
    async with working(cluster) as way:
        former = await cluster.master_of(SLOT)
        target = next(master for master in await cluster.masters() if master is not former)

        async def move() -> None:
            async with cluster.moving(SLOT, target) as moving:
                for key in await former.ask("CLUSTER", "GETKEYSINSLOT", SLOT, 1000):
                    await moving.keys(key.decode())
                    await asyncio.sleep(50 * MS)  # as it takes where there is much to move
            assert await cluster.master_of(SLOT) is target

        await speak_through(way, move)
