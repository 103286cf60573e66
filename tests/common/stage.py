"""A stage for the ledger's tests: turns, workers and attempts on a real Redis, and what can be seen of them there."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

from saystream.common.audio import AudioFormat
from saystream.common.events import (
    OutputEvent,
    Seal,
    Text,
    TokenEvent,
    Word,
    decode_output,
    encode_audio,
    encode_splice,
    encode_words,
)
from saystream.common.ids import TurnId, TurnRef, session_id, turn_id
from saystream.common.keys import GROUP, ShardKeys
from saystream.common.ledger import Append, Claim, Ledger, Message, Opened, Outcome
from saystream.common.ledger import tokens as token_stream
from saystream.common.ledger.queue import Queue
from saystream.common.redis_client import Client, call, call_all
from saystream.common.request import OnBusy, TurnRequest
from saystream.common.states import State
from tests.timing import eventually

FORMAT = AudioFormat()
LONG_AGO_MS = 60_000
#: What a whole database looks like: each key's content as Redis would save it, expiry apart.
Dump = dict[bytes, bytes]
#: Bounds of a turn that are not the defaults.
Bounded = dict[str, int] | None


def request(turn: str, session: str = "s", **fields: Any) -> TurnRequest:
    return TurnRequest.check(session=session, turn=turn, **fields)


def ref(turn: str, session: str = "s") -> TurnRef:
    return TurnRef(session_id(session), turn_id(turn))


@dataclass
class Stage:
    """A ledger with two workers at its dispatch stream, `queue` and `other`."""

    redis: Client
    ledger: Ledger
    queue: Queue
    other: Queue

    # what happens

    async def open(
        self, turn: str, session: str = "s", on_busy: OnBusy = "queue", bounds: Bounded = None, **fields: Any
    ) -> Opened:
        return await self.bounded(**(bounds or {})).open(request(turn, session, on_busy=on_busy, **fields))

    def bounded(self, **bounds: int) -> Ledger:
        """Return the ledger, with other bounds."""
        return Ledger(self.redis, shards=self.ledger.shards, bounds=replace(self.ledger.bounds, **bounds))

    async def take(self, queue: Queue | None = None) -> Message:
        """Take the one turn that is ready."""
        [message] = await (queue or self.queue).ready(1, 1)
        return message

    async def claim(self, message: Message, attempts: int = 3, audio_format: AudioFormat = FORMAT) -> Claim:
        """Begin a new attempt."""
        owner = f"worker/{uuid.uuid4().hex}"
        claim = await self.ledger.claim(message, owner, attempts=attempts, format=audio_format)
        assert isinstance(claim, Claim), claim
        return claim

    async def speaking(self, turn: str, session: str = "s", **fields: Any) -> Claim:
        """Open a turn and begin its first attempt."""
        assert (await self.open(turn, session, **fields)).state is State.READY
        return await self.claim(await self.take())

    async def say(
        self, claim: Claim, seq: int, offset: int = 0, samples: int = 10, spoken: int = 0, data: bytes = b"\0\1"
    ) -> Outcome:
        """Publish audio that ends with a word."""
        return await self.publish(
            claim, seq, encode_audio(claim.ref.turn, offset, samples, spoken, offset + samples, data)
        )

    async def say_half(self, claim: Claim, seq: int, offset: int, samples: int, spoken: int, cut: int) -> Outcome:
        """Publish audio in which a word has begun at ``cut``."""
        return await self.publish(claim, seq, encode_audio(claim.ref.turn, offset, samples, spoken, cut, b"\0\1"))

    async def say_words(self, claim: Claim, seq: int, offset: int, spoken: int, *words: Word) -> Outcome:
        return await self.publish(claim, seq, encode_words(claim.ref.turn, offset, spoken, offset, words))

    async def splice(self, claim: Claim, seq: int, offset: int, spoken: int) -> Outcome:
        return await self.publish(claim, seq, encode_splice(claim.ref.turn, offset, spoken, "it broke", "default"))

    async def publish(self, claim: Claim, seq: int, fields: dict[str, str | bytes | int]) -> Outcome:
        [outcome] = await self.ledger.publish([Append(self.audio_key(claim), claim.entry(seq), fields)])
        return outcome

    async def append(self, turn: str, first: int, *events: TokenEvent | str, session: str = "s") -> None:
        given = [Text(event) if isinstance(event, str) else event for event in events]
        await self.ledger.append(ref(turn, session), first, given)

    async def fall_silent(self, message: Message, idle_ms: int = LONG_AGO_MS, worker: str = "first") -> None:
        """Let a message's lease look as if its owner had last renewed it so long ago."""
        key = ShardKeys(message.shard).dispatch
        command = ("XCLAIM", key, GROUP, worker, 0, message.id, "IDLE", idle_ms, "JUSTID")
        await call(self.redis, *command, parse_justid=True)

    # what can be seen

    def keys(self, session: str = "s") -> ShardKeys:
        return self.ledger.keys(session)

    def audio_key(self, claim: Claim) -> str:
        return self.keys(claim.ref.session).audio(claim.ref.session)

    async def state(self, turn: str) -> State:
        return (await self.ledger.inspect(turn)).state

    async def output(self, session: str = "s") -> list[OutputEvent]:
        entries = await call(self.redis, "XRANGE", self.keys(session).audio(session), "-", "+")
        return [decode_output(entry_id, fields) for entry_id, fields in entries]

    async def tokens(self, turn: str, session: str = "s") -> list[tuple[int, TokenEvent | Seal]]:
        return await token_stream.read(self.redis, self.keys(session).tokens(turn), 0, 1000)

    async def seal(self, turn: str, session: str = "s") -> State | None:
        [last] = await call_all(self.redis, [token_stream.last_entry(self.keys(session).tokens(turn))])
        return token_stream.sealed_as(last)

    async def dispatched(self) -> dict[str, TurnId]:
        """Return the messages in dispatch, and the turns that they stand for."""
        entries = await call(self.redis, "XRANGE", ShardKeys(0).dispatch, "-", "+")
        return {entry_id.decode(): TurnId(fields[b"turn"].decode()) for entry_id, fields in entries}

    async def pending(self) -> dict[str, str]:
        """Return the messages that workers hold, and who holds them."""
        where = (ShardKeys(0).dispatch, GROUP, "-", "+", 1000)
        rows = await call(self.redis, "XPENDING", *where, parse_detail=True)
        return {row["message_id"].decode(): row["consumer"].decode() for row in rows}

    async def buried(self) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in await call(self.redis, "XRANGE", ShardKeys(0).dead, "-", "+")]

    async def dump(self) -> Dump:
        # Compressed, the same content may be other bytes the next time; a hash may be in another order.
        await call(self.redis, "CONFIG SET", "rdbcompression", "no")
        dump: Dump = {}
        for key in sorted(await call(self.redis, "KEYS", "*")):
            if await call(self.redis, "TYPE", key) == b"hash":
                dump[key] = repr(sorted((await call(self.redis, "HGETALL", key)).items())).encode()
            else:
                dump[key] = await call(self.redis, "DUMP", key)
        return dump

    async def clock_ms(self) -> int:
        seconds, microseconds = await call(self.redis, "TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def clock_passes(self, ms: int) -> None:
        """Wait until the server's clock has moved on by so much."""
        until_ms = await self.clock_ms() + ms

        async def passed() -> bool:
            return await self.clock_ms() > until_ms

        await eventually(passed)

    async def readers_blocked(self, readers: int) -> None:
        """Wait until so many clients are blocked in a read."""

        async def blocked() -> bool:
            info = await call(self.redis, "INFO", "clients")
            return int(info["blocked_clients"]) == readers

        await eventually(blocked)
