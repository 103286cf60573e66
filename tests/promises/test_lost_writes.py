"""A failover to a replica that lacks the last writes: they are written again, or it is spoken again from what is left.

The replica stops following a moment before. What is acknowledged in that moment is lost; then everyone is led there.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from saystream.common.errors import NotAcknowledged, RedisUnavailable, TurnEnded
from saystream.common.events import Audio, End, EndOfText, Splice, Text, Words
from saystream.common.keys import ShardKeys
from saystream.common.ledger import Ledger
from saystream.common.redis_client import connect
from saystream.common.request import TurnRequest
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.compose.standin import Behaviour
from saystream.consumer import BEGINNING, listen
from saystream.producer import Speaker, Turn
from tests.clusters import Node
from tests.proxy import Proxy
from tests.rig import Heard, Rig, rig
from tests.timing import MS, eventually

STORY = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. " * 3
#: A machine under load must not look like a lost worker, nor a moment that takes long like one that is too long.
LEASE_S = 1500 * MS
SETTINGS: dict[str, Any] = {"behaviour": Behaviour(speed=5.0), "worker": {"lease_s": LEASE_S}}
HELD_S, HELD_BYTES = 60.0, 16 << 20

AUDIO, TOKENS = ShardKeys(0).audio("s"), ShardKeys(0).tokens("t")


class Pair:
    """A primary and its replica, behind an address that leads to one of them."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.replica = Node(folder), Node(folder)
        self.proxy = Proxy(self.primary.url)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Pair"]:
        try:
            for node in (self.primary, self.replica):
                node.start()
                await eventually(lambda node=node: node.says("PING"))  # type: ignore[misc]
            await self.replica.ask("REPLICAOF", "127.0.0.1", self.primary.port)
            await self.primary.is_replicated_by([self.replica])
            async with self.proxy:
                yield self
        finally:
            self.primary.close()
            self.replica.close()

    async def lag(self) -> None:
        """Let the replica have nothing more of what comes."""
        await self.replica.ask("REPLICAOF", "NO", "ONE")

    async def fail_over(self) -> None:
        await self.proxy.lead_to(self.replica.url)

    async def lost(self, key: str) -> int:
        """Return how many entries of a stream the replica lacks."""
        return int(await self.primary.ask("XLEN", key)) - int(await self.replica.ask("XLEN", key))


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with Pair(tmp_path).running() as pair:
        yield pair


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers hold what they have published for long enough."""
    monkeypatch.setattr("saystream.workers.line.HELD_S", HELD_S)
    monkeypatch.setattr("saystream.workers.line.HELD_BYTES", HELD_BYTES)


@contextlib.asynccontextmanager
async def live(way: Rig) -> AsyncIterator[Heard]:
    """Listen all the time, on one connection after the other."""
    heard = Heard()

    async def follow() -> None:
        async for event in listen(way.url, "s", start=BEGINNING):
            heard.events.append(event)

    following = asyncio.create_task(follow())
    yield heard
    following.cancel()
    await asyncio.wait([following])
    assert following.cancelled()


async def spoken(heard: Heard, chars: int) -> None:
    """Wait until a listener has heard of so many characters."""
    await eventually(lambda: any(isinstance(e, Audio | Words) and e.spoken >= chars for e in heard.events))


async def send(turn: Turn, text: str) -> None:
    """Send a text in pieces, and wait until all of it is acknowledged."""
    for at in range(0, len(text), 4):
        await turn.send(text[at : at + 4])
    await eventually(lambda: repr(turn).split()[-4] == repr(turn).split()[-2])  # sent and acknowledged


@pytest.mark.usefixtures("held")
async def test_the_last_moments_of_audio_and_text_are_repaired(pair: Pair) -> None:
    """Nobody notices: neither who listens at the live edge nor who listens later."""
    async with rig(pair.proxy.url, **SETTINGS) as way, live(way) as listener:
        async with way.speaker() as speaker, speaker.turn("s", turn="t") as turn:
            await send(turn, STORY[:120])
            await spoken(listener, 30)
            await pair.lag()
            await send(turn, STORY[120:180])
            await spoken(listener, 60)
            assert await pair.lost(AUDIO) > 2
            assert await pair.lost(TOKENS) == 15
            await pair.fail_over()
            await send(turn, STORY[180:])
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].reason is State.DONE
        assert heard.of("t", Splice) == []  # repaired, not spoken again
        await eventually(lambda: listener.events == heard.events)
        *numbers, _seal = [
            int(entry_id.split(b"-")[0]) for entry_id, _ in await pair.replica.ask("XRANGE", TOKENS, "-", "+")
        ]
        assert numbers == list(range(1, numbers[-1] + 1))


@pytest.mark.parametrize("at", [0.0, 0.3])
async def test_more_audio_lost_than_is_held_is_spoken_again(
    pair: Pair, at: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From what is left: also by who listens at the live edge, for whom it is one more take-over."""
    monkeypatch.setattr("saystream.workers.line.HELD_BYTES", 1)
    async with rig(pair.proxy.url, **SETTINGS) as way, live(way) as listener:
        async with way.speaker() as speaker, speaker.turn("s", turn="t") as turn:
            await send(turn, STORY)
            await spoken(listener, round(at * len(STORY)))
            await pair.lag()
            await spoken(listener, round(at * len(STORY)) + 30)
            assert await pair.lost(AUDIO) > 2
            await pair.fail_over()
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].reason is State.DONE
        assert heard.ends["t"].cursor.attempt > 1
        await eventually(lambda: listener.events[-1] == heard.events[-1])
        assert listener.words("t") == STORY.split()


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("ended_before", [False, True])
async def test_what_is_lost_between_the_last_audio_and_the_end_is_repaired(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, ended_before: bool
) -> None:
    """The end would otherwise stand behind a hole. Or it was there, and is lost as well."""
    finish = Ledger.finish
    lost: list[int] = []
    failed_over = asyncio.Event()

    async def finish_elsewhere(ledger: Ledger, *args: Any) -> None:
        if not lost:
            lost.append(await pair.lost(AUDIO))
            if ended_before:
                await finish(ledger, *args)
                await asyncio.sleep(LEASE_S)  # in which leases are renewed, and this one is there no more
            await pair.fail_over()
            failed_over.set()
            if ended_before:
                raise RedisUnavailable("no answer in time")
        await finish(ledger, *args)

    monkeypatch.setattr(Ledger, "finish", finish_elsewhere)
    async with rig(pair.proxy.url, **SETTINGS) as way, live(way) as listener:
        saying = asyncio.create_task(way.say("s", "t", STORY))
        await spoken(listener, len(STORY) - 30)
        await pair.lag()
        await saying
        await eventually(lambda: isinstance(listener.events[-1], End))
        assert lost[0] > 2
        await failed_over.wait()
        heard = await way.hear("s", "t")  # as it stands now
        assert heard.words("t") == STORY.split()
        assert heard.of("t", Splice) == []


async def test_a_replica_that_lags_is_not_believed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address may lead to one for a moment. What it lacks is not lost."""
    monkeypatch.setattr("saystream.workers.line.HELD_BYTES", 1)
    async with rig(pair.proxy.url, **SETTINGS) as way, live(way) as listener:
        async with (
            Speaker.connect(way.url, settings=way.settings, outbox_bytes=1) as speaker,
            speaker.turn("s", turn="t") as turn,
        ):
            await spoken_after(turn, listener, STORY[:60], 30)
            await pair.replica.ask("REPLICAOF", "127.0.0.1", 1)
            await spoken_after(turn, listener, STORY[60:120], 60)
            before = pair.proxy.accepted
            await pair.proxy.lead_to(pair.replica.url)
            await turn.send(STORY[120])
            await eventually(lambda: pair.proxy.accepted > before + 8)
            await pair.proxy.lead_to(pair.primary.url)
            await send(turn, STORY[121:])
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.of("t", Splice) == []


async def test_a_claim_that_is_lost_is_made_again(pair: Pair) -> None:
    """Its number is given out again, and the worker that had it publishes nothing more under it."""
    async with rig(pair.proxy.url, 0, **SETTINGS) as way:
        await way.say("s", "t", STORY)
        await eventually(lambda: _is_same(pair, TOKENS))
        await pair.lag()
        await way.start_worker()
        await way.start_worker()
        await way.until_spoken("s", 30)
        await pair.fail_over()
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].reason is State.DONE


async def test_a_turn_of_which_nothing_is_left_is_told_to_its_producer(pair: Pair) -> None:
    async with rig(pair.proxy.url, workers=0) as way, way.speaker() as speaker:
        await pair.lag()
        turn = speaker.turn("s")
        await turn.open()
        await send(turn, "Hello ")
        await pair.fail_over()
        await turn.send("you.")
        with pytest.raises(TurnEnded, match="no longer in Redis"):
            await turn.end()


async def test_the_end_of_a_text_is_not_accepted_before_a_replica_has_it(pair: Pair) -> None:
    """Where the settings ask for that: nobody would send the text again."""
    settings = Settings(redis_replicas=1)
    async with Speaker.connect(pair.proxy.url, settings=settings, patience_s=800 * MS) as speaker:
        await speaker.say("s", "Hello ", turn="t")
        assert await pair.replica.ask("XLEN", TOKENS) == 2
        turn = speaker.turn("s")
        await turn.open()
        await pair.lag()
        await turn.send("you.")
        with pytest.raises(NotAcknowledged):
            await turn.end()


async def spoken_after(turn: Turn, heard: Heard, text: str, chars: int) -> None:
    await send(turn, text)
    await spoken(heard, chars)


async def test_a_hole_in_the_text_fails_the_turn_and_says_what_is_missing(redis_url: str) -> None:
    """Whoever has made it: what would be said is not what was written."""
    async with rig(redis_url) as way, contextlib.aclosing(connect(redis_url)) as redis:
        ledger, request = Ledger(redis), TurnRequest.check(session="s", turn="t")
        await ledger.open(request)
        await ledger.append(request.ref, 1, [Text("One "), Text("two ")])
        await ledger.append(request.ref, 4, [Text("four."), EndOfText()])
        end = (await way.hear("s", "t")).ends["t"]
        assert (end.reason, end.cause) == (State.FAILED, "Redis has lost token 3 of the text")


async def _is_same(pair: Pair, key: str) -> bool:
    return await pair.lost(key) == 0
