"""While a slot is on its way from one server to another, a step is taken as a whole or not at all."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from saystream.common.errors import RedisUnavailable
from saystream.common.ids import EntryId
from saystream.common.keys import ShardKeys
from saystream.common.ledger import Claim, Ledger
from saystream.common.redis_client import Client, call, connect
from saystream.common.redis_client.slots import slot_of_key
from saystream.common.states import State
from tests.clusters import Cluster
from tests.common.stage import FORMAT, Stage, ref, request

#: How to read all of a key, by its type.
READ: dict[bytes, tuple[str, tuple[int | str, ...]]] = {
    b"hash": ("HGETALL", ()),
    b"list": ("LRANGE", (0, -1)),
    b"stream": ("XRANGE", ("-", "+")),
    b"zset": ("ZRANGE", (0, -1, "WITHSCORES")),
}


@pytest.fixture
async def stage(whole: Cluster, clustered: Client) -> AsyncIterator[Stage]:
    async with contextlib.aclosing(connect(whole.url, block_ms=1000)) as blocking:
        ledger = Ledger(clustered)
        stage = Stage(clustered, ledger, ledger.queue(0, blocking, "first"), ledger.queue(0, blocking, "second"))
        await stage.queue.join()
        yield stage


async def contents(stage: Stage, keys: ShardKeys, session: str, *turns: str) -> dict[str, Any]:
    """Read all that a session has, wherever it is now."""
    found: dict[str, Any] = {}
    of_turns = [key for turn in turns for key in (keys.turn(turn), keys.tokens(turn))]
    for key in (keys.dispatch, keys.dead, keys.deadlines, *keys.of_session(session), *of_turns):
        kind = await call(stage.redis, "TYPE", key)
        if kind != b"none":
            command, arguments = READ[kind]
            found[key] = await call(stage.redis, command, key, *arguments)
    return found


async def test_no_step_begins_while_its_slot_moves_and_all_go_on_afterwards(stage: Stage, whole: Cluster) -> None:
    ledger, keys = stage.ledger, stage.keys("s")
    for turn in ("f", "t"):
        await stage.open(turn)
        [message] = await stage.queue.ready(1, 1000)
        claim = await stage.claim(message)
        if turn == "f":
            await ledger.finish(claim, 1, State.FAILED, 0, 0, "no such voice")
    await stage.say(claim, 1, samples=10, spoken=3)
    for turn in ("u", "v"):
        await stage.open(turn, start_within_ms=60_000)
    await ledger.report_cursor("s", "phone", claim.entry(1))

    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: ledger.open(request("w", on_busy="interrupt")),
        lambda: ledger.claim(message, "w/2", attempts=1, format=FORMAT),
        lambda: ledger.finish(claim, 2, State.FAILED, 10, 3, "no such voice"),
        lambda: ledger.release(claim),
        lambda: ledger.interrupt("s"),
        lambda: ledger.played(ref("t"), 5, 2),
        lambda: ledger.report_cursor("s", "phone", EntryId(9, 9)),
        lambda: ledger.keep([ref("t")]),
    ]
    before = await contents(stage, keys, "s", "t", "u", "v")
    slot = slot_of_key(keys.dispatch)
    source = await whole.master_of(slot)
    other = next(master for master in await whole.masters() if master is not source)
    assert len(before) == 3 + 5 + 2 * 3, "all that a step may touch is there"
    groups: tuple[list[str], ...] = (
        [],
        [keys.turn("u"), keys.tokens("u")],
        [keys.audio("s"), keys.turn("t")],
        list(before),
    )
    async with whole.moving(slot, other) as move:
        for group in groups:
            if group:
                await move.keys(*group)
            for step in steps:
                with pytest.raises(RedisUnavailable):
                    await step()
    assert await contents(stage, keys, "s", "t", "u", "v", "w") == before

    # There, all is as it was, and a worker that waited goes on.
    await ledger.played(ref("t"), 5, 2)
    await ledger.finish(claim, 2, State.FAILED, 10, 3, "no such voice")
    [next_one] = await stage.queue.ready(1, 1000)
    assert next_one.ref.turn == "u"
    assert isinstance(await ledger.claim(next_one, "w/3", attempts=1, format=FORMAT), Claim)
