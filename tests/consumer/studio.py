"""A session's other side in these tests: turns opened, claimed and spoken through the ledger, by hand."""

import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from saystream.common.audio import AudioFormat
from saystream.common.events import Begin, Encoded, End, Word, encode_audio, encode_splice, encode_words
from saystream.common.ids import EntryId
from saystream.common.ledger import Append, Claim, Ledger, Message, Opened, Outcome
from saystream.common.redis_client import Client, call, connect
from saystream.common.request import TurnRequest
from saystream.common.states import State
from saystream.consumer import BEGINNING, Event, Start, listen
from tests.timing import eventually

SESSION = "call-42"
FORMAT = AudioFormat()
#: Samples in a chunk.
CHUNK = 100


def tone(value: int, samples: int = CHUNK) -> bytes:
    """Return samples that all have one value, by which a test knows them again."""
    return value.to_bytes(2, "little", signed=True) * samples


class Speech:
    """A claimed turn in a test's hands."""

    def __init__(self, ledger: Ledger, claim: Claim) -> None:
        self.ledger, self.claim = ledger, claim
        self.seq, self.position, self.spoken, self.cut = 0, claim.cut, claim.spoken, claim.cut

    async def audio(self, value: int, *, samples: int = CHUNK, at: int | None = None) -> EntryId:
        """Publish one chunk that completes a word of five characters."""
        offset = self.position if at is None else at
        self.position = self.cut = offset + samples
        self.spoken += 5
        data = tone(value, samples)
        return await self._publish(encode_audio(self.turn, offset, samples, self.spoken, self.cut, data))

    async def words(self, *words: Word) -> EntryId:
        return await self._publish(encode_words(self.turn, self.position, self.spoken, self.cut, words))

    async def splice(self, offset: int, spoken: int) -> EntryId:
        """Start a new stream of speech in the same attempt."""
        self.position, self.cut, self.spoken = offset, offset, spoken
        return await self._publish(encode_splice(self.turn, offset, spoken, "it broke", "default"))

    async def raw(self, fields: Encoded) -> EntryId:
        """Publish an entry that no encoder would write."""
        return await self._publish(fields)

    async def skip(self) -> None:
        """Leave a hole in the ids."""
        self.seq += 1

    async def finish(self, reason: State = State.DONE, cause: str = "") -> None:
        await self.ledger.finish(self.claim, self.seq + 1, reason, self.position, self.spoken, cause)

    @property
    def turn(self) -> str:
        return self.claim.ref.turn

    async def _publish(self, fields: Encoded) -> EntryId:
        self.seq += 1
        entry = self.claim.entry(self.seq)
        key = self.ledger.keys(self.claim.ref.session).audio(self.claim.ref.session)
        assert await self.ledger.publish([Append(key, entry, fields)]) == [Outcome.APPENDED]
        return entry


class Studio:
    """Opens turns and speaks them."""

    def __init__(self, url: str, redis: Client, *, shards: int = 1) -> None:
        self.url, self.redis, self.shards = url, redis, shards
        self.ledger = Ledger(redis, shards=shards)
        self.keys = self.ledger.keys(SESSION)
        self._queue = self.ledger.queue(self.keys.shard, redis, "worker")
        self._claims = 0

    async def open(self, turn: str, **fields: Any) -> Opened:
        return await self.ledger.open(TurnRequest.check(session=SESSION, turn=turn, **fields))

    async def claim(self, *, taken_over: bool = False, format: AudioFormat = FORMAT) -> Speech:
        """Claim what is ready; or take over what another worker holds."""
        await self._queue.join()
        messages: list[Message] = await (self._queue.abandoned(0, 1) if taken_over else self._queue.ready(1, 1))
        self._claims += 1
        claim = await self.ledger.claim(messages[0], f"worker/{self._claims}", attempts=9, format=format)
        assert isinstance(claim, Claim)
        return Speech(self.ledger, claim)

    async def begin(self, turn: str, *, format: AudioFormat = FORMAT, **fields: Any) -> Speech:
        await self.open(turn, **fields)
        return await self.claim(format=format)

    async def say(self, turn: str, values: Sequence[int], **fields: Any) -> None:
        """Speak a whole turn, one chunk for each value."""
        speech = await self.begin(turn, **fields)
        for value in values:
            await speech.audio(value)
        await speech.finish()

    async def entries(self) -> list[EntryId]:
        """Return the ids of all entries that are there."""
        found = await call(self.redis, "XRANGE", self.keys.audio(SESSION), "-", "+")
        return [EntryId.parse(entry) for entry, _ in found]

    async def trim(self, first: EntryId) -> None:
        """Trim everything before an entry."""
        await call(self.redis, "XTRIM", self.keys.audio(SESSION), "MINID", str(first))

    async def pretend_age(self, number: int) -> None:
        """Make the session one that began long ago: with a first turn of a number far below the clock's."""
        await call(self.redis, "HSET", self.keys.session(SESSION), "turns", number - 1, "first", number)

    async def expire(self) -> None:
        """Let the session expire, as after its retention time."""
        keys = self.keys
        await call(self.redis, "DEL", keys.audio(SESSION), keys.session(SESSION), keys.waiting(SESSION))

    async def blocked_readers(self, count: int) -> None:
        """Return when so many clients wait for entries: they have heard all that there is."""

        async def all_wait() -> bool:
            return bool((await call(self.redis, "INFO", "clients"))["blocked_clients"] == count)

        await eventually(all_wait)


@asynccontextmanager
async def studio_at(url: str, *, shards: int = 1) -> AsyncIterator[Studio]:
    redis = connect(url)
    try:
        yield Studio(url, redis, shards=shards)
    finally:
        await redis.aclose()


async def heard(
    studio: Studio, start: Start | EntryId | str = BEGINNING, *, idle_s: float = 0.001, via: str = "", **options: Any
) -> list[Event]:
    """Listen to what is there now, perhaps by way of another URL."""
    events = listen(via or studio.url, SESSION, start, idle_s=idle_s, shards=studio.shards, **options)
    return [event async for event in events]


def kinds(events: Sequence[Event]) -> str:
    """Say what events are, in short: `begin a, audio 1, end a`."""
    return ", ".join(map(_kind, events))


def _kind(event: Event) -> str:
    name = type(event).__name__.lower()
    if data := getattr(event, "data", None):
        return f"{name} {int.from_bytes(data[:2], 'little', signed=True)}"
    return f"{name} {event.turn}" if isinstance(event, Begin | End) else name


def read_wav(path: Path) -> tuple[AudioFormat, list[int]]:
    """Read a file with the standard library; each chunk of `CHUNK` samples becomes one number, all samples equal."""
    with wave.open(str(path)) as file:
        assert file.getsampwidth() == 2
        form = AudioFormat("pcm_s16le", file.getframerate(), file.getnchannels())
        data = file.readframes(file.getnframes())
    assert len(data) == file.getnframes() * form.sample_bytes, "the header promises more than there is"
    size = CHUNK * form.sample_bytes
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert all(chunk == chunk[:2] * (len(chunk) // 2) for chunk in chunks)
    return form, [int.from_bytes(chunk[:2], "little", signed=True) for chunk in chunks]
