"""Redis goes away in mid-turn, for a moment, in every way that it can: nobody is told, and every word is said once."""

import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from saystream.common.redis_client import call, connect
from saystream.common.states import State
from saystream.compose.standin import Behaviour
from saystream.producer import Speaker
from saystream.producer.patience import TRIES
from tests.clusters import Node
from tests.proxy import Proxy
from tests.rig import rig
from tests.timing import MS, eventually

STORY = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. " * 4
#: A worker's round trip, a producer's try and its patience, and what is slower than both.
ROUND_TRIP_S, TRY_S = 400 * MS, 800 * MS
PATIENCE_S, SLOW_S = TRY_S * TRIES, 1200 * MS


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A server that keeps a log of what it has acknowledged."""
    node = Node(tmp_path, ["--appendonly", "yes"])
    node.start()
    await eventually(lambda: node.says("PING"))
    yield node
    node.close()


@contextlib.asynccontextmanager
async def restarted(node: Node) -> AsyncIterator[None]:
    node.kill()
    yield
    node.start()


@contextlib.asynccontextmanager
async def configured(node: Node, name: str, value: int) -> AsyncIterator[None]:
    """Set a value for a while, which is 0 otherwise."""
    await node.ask("CONFIG SET", name, value)
    yield
    await node.ask("CONFIG SET", name, 0)


@contextlib.asynccontextmanager
async def read_only(node: Node) -> AsyncIterator[None]:
    """A replica, of a primary that is not there."""
    await node.ask("REPLICAOF", "127.0.0.1", 1)
    yield
    await node.ask("REPLICAOF", "NO", "ONE")


@contextlib.asynccontextmanager
async def frozen(node: Node) -> AsyncIterator[None]:
    node.freeze()
    yield
    node.thaw()


@contextlib.asynccontextmanager
async def slow(proxy: Proxy) -> AsyncIterator[None]:
    """It answers, but after everyone's time-out."""
    with proxy.replies_delayed(SLOW_S):
        yield


FAULTS = ["restart", "slow", "frozen", "out of memory", "read-only", "too few replicas"]


def fault_of(name: str, node: Node, proxy: Proxy) -> AbstractAsyncContextManager[None]:
    match name:
        case "restart":
            return restarted(node)
        case "slow":
            return slow(proxy)
        case "frozen":
            return frozen(node)
        case "out of memory":
            return configured(node, "maxmemory", 1)
        case "read-only":
            return read_only(node)
        case _:
            return configured(node, "min-replicas-to-write", 1)


@pytest.mark.parametrize("name", FAULTS)
async def test_a_redis_that_goes_away_in_mid_turn_costs_no_word_and_no_error(
    node: Node, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    words = STORY.split()
    async with (
        Proxy(node.url) as proxy,
        rig(proxy.url, behaviour=Behaviour(speed=10.0), redis_timeout_s=ROUND_TRIP_S) as way,
    ):
        async with (
            Speaker.connect(proxy.url, settings=way.settings, patience_s=PATIENCE_S) as speaker,
            speaker.turn("s", turn="t") as turn,
        ):
            for word in words[:40]:
                await turn.send(f"{word} ")
            await way.until_spoken("s", 10)
            async with fault_of(name, node, proxy):
                for word in words[40:50]:
                    await turn.send(f"{word} ")
                await eventually(lambda: "cannot publish" in caplog.text and "tokens are sent again" in caplog.text)
            for word in words[50:]:
                await turn.send(f"{word} ")
        heard = await way.hear("s", "t")
    assert heard.words("t") == words
    assert heard.ends["t"].reason is State.DONE


async def test_an_emptied_script_cache_is_nothing(redis_url: str) -> None:
    async with rig(redis_url, behaviour=Behaviour(speed=10.0)) as way, contextlib.aclosing(connect(redis_url)) as redis:
        async with way.speaker() as speaker, speaker.turn("s", turn="t") as turn:
            await turn.say(STORY)
            await way.until_spoken("s", 10)
            await call(redis, "SCRIPT FLUSH")
            await turn.end()
            await speaker.say("s", "And this.", turn="u")
        heard = await way.hear("s", "t", "u")
    assert heard.words("t") == STORY.split()
    assert heard.words("u") == ["And", "this."]
    assert {end.reason for end in heard.ends.values()} == {State.DONE}
