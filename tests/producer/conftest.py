"""What the producer's tests share: a speaker, and the ledger as everyone else sees it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.events import Seal, TokenEvent, encode_audio
from saystream.common.ids import TurnRef
from saystream.common.ledger import Append, Claim, Ledger, Outcome, tokens
from saystream.common.redis_client import connect
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.producer import Speaker, Turn
from tests.proxy import Proxy

ReadTokens = Callable[[Turn], Awaitable[list[tuple[int, TokenEvent | Seal]]]]
Speak = Callable[[State], Awaitable[TurnRef]]


@pytest.fixture
async def speaker(redis_url: str) -> AsyncIterator[Speaker]:
    async with Speaker.connect(redis_url, settings=Settings()) as speaker:
        yield speaker


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """The ledger on a connection of its own, without any proxy."""
    redis = connect(redis_url)
    yield Ledger(redis)
    await redis.aclose()


@pytest.fixture
def read_tokens(ledger: Ledger) -> ReadTokens:
    """Read a turn's token events with their numbers."""

    async def read(turn: Turn) -> list[tuple[int, TokenEvent | Seal]]:
        return await tokens.read(ledger.redis, ledger.keys(turn.session).tokens(turn.id), 0, 100_000)

    return read


class Studio:
    """Does what a worker does with the next ready turn."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._claim: Claim | None = None
        self._seq = 1

    async def claim(self) -> Claim:
        queue = self._ledger.queue(0, self._ledger.redis, "worker")
        await queue.join()
        (message,) = await queue.ready(1, 1000)
        claim = await self._ledger.claim(message, "worker/1", attempts=3, format=AudioFormat())
        assert isinstance(claim, Claim)
        self._claim, self._seq = claim, 1
        return claim

    async def publish(self, spoken: int) -> None:
        """Publish audio that says so much of the text."""
        assert self._claim
        ref = self._claim.ref
        fields = encode_audio(ref.turn, 0, 1, spoken, 1, b"ab")
        append = Append(self._ledger.keys(ref.session).audio(ref.session), self._claim.entry(self._seq), fields)
        assert await self._ledger.publish([append]) == [Outcome.APPENDED]
        self._seq += 1


@pytest.fixture
def studio(ledger: Ledger) -> Studio:
    return Studio(ledger)


@pytest.fixture
def speak(ledger: Ledger, studio: Studio) -> Speak:
    """Claim the next ready turn and end it so."""

    async def speak(reason: State) -> TurnRef:
        claim = await studio.claim()
        await ledger.finish(claim, 1, reason, 0, 0)
        return claim.ref

    return speak
