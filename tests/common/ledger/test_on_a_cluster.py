"""Every step of a turn works in every shard of a cluster: all that it touches lies in one slot."""

import asyncio
import contextlib

from saystream.common.audio import AudioFormat
from saystream.common.events import EndOfText, Text, encode_audio
from saystream.common.ids import shard_of
from saystream.common.keys import ShardKeys
from saystream.common.ledger import Append, Claim, Ledger, Outcome
from saystream.common.redis_client import Client, connect
from saystream.common.redis_client.slots import slot_of_key
from saystream.common.states import State
from tests.clusters import Cluster
from tests.common.stage import ref, request

SHARDS = 8


def session_in(shard: int) -> str:
    return next(name for name in map(str, range(1000)) if shard_of(name, SHARDS) == shard)


async def test_a_turn_is_spoken_in_each_shard(whole: Cluster, clustered: Client) -> None:
    ledger = Ledger(clustered, shards=SHARDS)
    await ledger.greet()
    async with contextlib.aclosing(connect(whole.url, block_ms=1000)) as blocking:
        for shard in range(SHARDS):
            await _speak(ledger, blocking, shard, session_in(shard))
    turns = [ref(f"t{shard}", session_in(shard)) for shard in range(SHARDS)]
    await ledger.keep(turns)
    assert [(await ledger.inspect(turn.turn)).state for turn in turns] == [State.DONE] * SHARDS


async def test_a_turn_is_interrupted_in_each_shard(clustered: Client) -> None:
    ledger = Ledger(clustered, shards=SHARDS)
    for shard in range(SHARDS):
        session = session_in(shard)
        await ledger.open(request("spoken" + session, session))
        await ledger.open(request("waits" + session, session))
        assert [cut.turn for cut in await ledger.interrupt(session)] == ["spoken" + session, "waits" + session]


async def test_shards_lie_on_several_servers(whole: Cluster) -> None:
    """What the other tests are for: with one server they would show nothing."""
    servers = await asyncio.gather(*(whole.master_of(slot_of_key(ShardKeys(n).dispatch)) for n in range(SHARDS)))
    assert len(set(servers)) == 3


async def _speak(ledger: Ledger, blocking: Client, shard: int, session: str) -> None:
    turn = ref(f"t{shard}", session)
    queue = ledger.queue(shard, blocking, "worker")
    await queue.join()
    await ledger.open(request(turn.turn, session))
    await ledger.append(turn, 1, [Text("Hello"), EndOfText()])
    [message] = await queue.ready(5, 1000)
    claim = await ledger.claim(message, "worker/1", attempts=3, format=AudioFormat())
    assert isinstance(claim, Claim)
    audio = Append(ledger.keys(session).audio(session), claim.entry(1), encode_audio(turn.turn, 0, 1, 5, 1, b"\0\0"))
    assert await ledger.publish([audio]) == [Outcome.APPENDED]
    assert await ledger.publish([audio]) == [Outcome.REPEATED]
    await ledger.finish(claim, 2, State.DONE, samples=1, spoken=5)
