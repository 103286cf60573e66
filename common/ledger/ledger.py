"""The ledger's steps, as a worker or producer calls them."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from redis.exceptions import ResponseError

from saystream.common.audio import AudioFormat
from saystream.common.errors import Fenced, RedisUnavailable, SessionBusy, ShardMismatch, TurnConflict, UnknownTurn
from saystream.common.events import Audio, Seal, Splice, TokenEvent, Words, decode_output
from saystream.common.ids import EntryId, TurnRef, shard_of
from saystream.common.keys import SHARDS, VOICES, ShardKeys
from saystream.common.ledger import output, tokens
from saystream.common.ledger.queue import Message, Queue
from saystream.common.ledger.scripts import CLAIM, FINISH, INTERRUPT, OPEN, RELEASE, Argument, Script
from saystream.common.redis_client import Client, call, call_all
from saystream.common.request import TurnRequest
from saystream.common.states import State

#: The oldest version of Redis that has what the scripts and streams need.
OLDEST = (6, 2)


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a turn was cut off: samples published, and characters of its text that they cover."""

    turn: str
    number: int
    samples: int
    spoken: int
    state: State = State.INTERRUPTED


@dataclass(frozen=True, slots=True)
class Opened:
    """A turn has its place: its number in the session, its state, and what was interrupted for it."""

    number: int
    state: State
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to publish: an attempt at a turn.

    Audio goes on at sample ``cut``; the text goes on at character ``spoken``. The entries of this attempt have the ids
    ``entry(1)``, ``entry(2)``, …; `begin` or `splice` was ``entry(0)``.
    """

    message: Message
    request: TurnRequest
    number: int
    attempt: int
    format: AudioFormat
    cut: int
    spoken: int

    @property
    def ref(self) -> TurnRef:
        return self.message.ref

    def entry(self, seq: int) -> EntryId:
        """Return the id of this attempt's ``seq``-th entry."""
        return EntryId.of(self.number, self.attempt, seq)


class Refusal(StrEnum):
    """Why a claim was refused."""

    ENDED = "ended"
    GONE = "gone"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A turn's record, for operators. Times are milliseconds since 1970; 0 where it has not happened."""

    request: TurnRequest
    number: int
    state: State
    attempt: int
    owner: str
    cause: str
    samples: int
    spoken: int
    format: AudioFormat | None
    opened_ms: int
    began_ms: int
    ended_ms: int
    text: str
    tokens: int


class Ledger:
    """All steps of a turn. Each is one atomic script or one append, and each may be repeated after a lost reply.

    Every step raises RedisUnavailable if Redis does not answer in time.

    Args:
        redis: for commands that answer at once.
        shards: how many there are.
        retention_ms: how long what is opened here outlives its last change.
    """

    def __init__(self, redis: Client, *, shards: int = 1, retention_ms: int = 86_400_000) -> None:
        self.redis, self.shards, self.retention_ms = redis, shards, retention_ms

    def keys(self, session: str) -> ShardKeys:
        """Return the keys of a session's shard."""
        return ShardKeys(shard_of(session, self.shards))

    async def greet(self) -> None:
        """Make sure that this Redis can be used.

        Raises:
            RedisUnavailable: it does not answer, or is too old; the sentence says where it is and what to do.
            ShardMismatch: others use it with another number of shards.
        """
        try:
            await self._check_version()
            await self.agree_on_shards()
        except RedisUnavailable as error:
            raise RedisUnavailable(
                f"Redis at {self.redis.where} cannot be used: {str(error).rstrip('.')}. Start it, or name another one: "
                "--redis URL, SAYSTREAM_REDIS_URL, or redis_url in saystream.toml."
            ) from error

    async def _check_version(self) -> None:
        try:
            version = (await call(self.redis, "INFO", "server")).get("redis_version", "")
        except ResponseError:
            return  # a hosted Redis that does not say
        if version and tuple(int(part) for part in str(version).split(".")[:2]) < OLDEST:
            raise RedisUnavailable(
                f"it is version {version}, and {'.'.join(map(str, OLDEST))} is the oldest that will do"
            )

    async def agree_on_shards(self) -> None:
        """Write the number of shards, or check it; raises ShardMismatch."""
        await call(self.redis, "SET", SHARDS, self.shards, "NX")
        known = int(await call(self.redis, "GET", SHARDS))
        if known != self.shards:
            raise ShardMismatch(
                f"this Redis is used with {known} shards, and this process was started with {self.shards}: "
                f"set shards = {known}"
            )

    # producers

    async def open(self, request: TurnRequest, *, waiting_turns: int = 100) -> Opened:
        """Open a turn.

        Raises:
            TurnConflict: the id is known with another request.
            SessionBusy: ``on_busy="refuse"`` and the session speaks, or ``waiting_turns`` turns wait already.
        """
        metadata = orjson.dumps(request.metadata)
        reply = await self._step(
            OPEN, request.ref, request.canonical(), request.voice, metadata, request.on_busy, waiting_turns,
            request.start_within_ms, self.retention_ms,
        )  # fmt: skip
        match reply["status"]:
            case "conflict":
                raise TurnConflict(request.turn)
            case "busy":
                raise SessionBusy(request.turn, f"session {request.session} is speaking turn {reply['speaking']}.")
            case "full":
                raise SessionBusy(request.turn, f"{waiting_turns} turns wait already in session {request.session}.")
        return Opened(reply["number"], State(reply["state"]), _cuts(reply["cuts"] or []))

    async def append(self, ref: TurnRef, first: int, events: Sequence[TokenEvent]) -> None:
        """Append the token events number ``first``, ``first + 1``, … of one turn.

        Raises:
            TurnInterrupted, TurnFailed, TurnEnded: the stream is sealed; what had been appended before is there.
        """
        [error] = await self.append_all([tokens.Batch(ref, first, events)])
        if error is not None:
            raise error

    async def append_all(self, batches: Sequence[tokens.Batch]) -> list[Exception | None]:
        """Append token events of several turns in one round trip; returns for each why it was refused, or None."""
        return await tokens.append(self.redis, self.keys, batches)

    async def interrupt(self, session: str, turn: str = "", *, call_id: str = "") -> tuple[Cut, ...]:
        """Interrupt a turn, or all that speaks and waits in a session: afterwards nothing more can be published.

        Args:
            session, turn: what; without a turn, all of the session.
            call_id: give the same one when repeating, so that no turn is hit that was opened in between.

        Raises:
            UnknownTurn: there is no such turn in this session.
        """
        reply = await self._step(INTERRUPT, (session, turn), call_id or uuid.uuid4().hex)
        if reply["status"] == "unknown":
            raise UnknownTurn(turn)
        return _cuts(reply["cuts"] or [])

    # workers

    def queue(self, shard: int, blocking: Client, worker: str) -> Queue:
        """Return a shard's dispatch stream, as a worker sees it."""
        return Queue(self.redis, blocking, ShardKeys(shard), worker)

    async def claim(self, message: Message, owner: str, *, attempts: int, format: AudioFormat) -> Claim | Refusal:
        """Begin an attempt at a turn.

        Args:
            message: from the queue.
            owner: unique for each claim, so that repeating it does not use up an attempt.
            attempts: how many workers may be lost before the turn is given up.
            format: of the output, if no earlier attempt has settled it.
        """
        reply = await self._step(CLAIM, message.ref, message.id, owner, attempts, str(format))
        if reply["status"] != "claimed":
            return Refusal(reply["status"])
        request = TurnRequest.model_validate_json(reply["request"])
        settled = AudioFormat.parse(reply["format"])
        return Claim(message, request, reply["number"], reply["attempt"], settled, reply["cut"], reply["spoken"])

    async def finish(self, claim: Claim, seq: int, reason: State, samples: int, spoken: int, cause: str = "") -> None:
        """End a turn as `done` or `failed`; ``seq`` is that of its end entry.

        Raises:
            Fenced: another attempt is the current one, or the turn has ended otherwise. Nothing was changed.
            ValueError: another reason.
        """
        if reason not in (State.DONE, State.FAILED):
            raise ValueError(f"a worker ends a turn as done or failed, not as {reason}")
        reply = await self._step(FINISH, claim.ref, claim.attempt, seq, reason, samples, spoken, cause)
        if reply["status"] in ("fenced", "gone"):
            raise Fenced(claim.ref.turn)

    async def release(self, claim: Claim) -> None:
        """Give a turn back, for any worker to claim at once.

        Raises:
            Fenced: another attempt is the current one, or the turn has ended. Nothing was changed.
        """
        reply = await self._step(RELEASE, claim.ref, claim.attempt)
        if reply["status"] in ("fenced", "gone"):
            raise Fenced(claim.ref.turn)

    async def publish(self, appends: Sequence[output.Append]) -> list[output.Outcome]:
        """Append output entries; see `output.publish`."""
        return await output.publish(self.redis, appends)

    async def keep(self, refs: Iterable[TurnRef]) -> None:
        """Put off the expiry of turns that are being spoken, and of their sessions."""
        commands = []
        for session, turn in refs:
            keys = self.keys(session)
            of_turn = (keys.turn(turn), keys.tokens(turn))
            of_session = (keys.session(session), keys.waiting(session), keys.audio(session))
            commands += [("PEXPIRE", key, self.retention_ms) for key in of_turn + of_session]
        if commands:
            await call_all(self.redis, commands)

    # voices: what workers speak, so that a producer's typing error is found where it is made

    async def announce(self, voices: Iterable[str]) -> None:
        """Make known which voices a worker speaks."""
        if named := list(voices):
            await call(self.redis, "SADD", VOICES, *named)
            await call(self.redis, "PEXPIRE", VOICES, self.retention_ms)

    async def voices(self) -> set[str]:
        """Return the voices that workers have made known; empty while no worker has ever been here."""
        return {name.decode() for name in await call(self.redis, "SMEMBERS", VOICES)}

    # operators

    async def inspect(self, turn: str) -> Snapshot:
        """Read a turn's record, in whatever session it is; raises UnknownTurn."""
        for shard in range(self.shards):
            keys = ShardKeys(shard)
            raw = await call(self.redis, "HGETALL", keys.turn(turn))
            if raw:
                return await self._snapshot(keys, turn, {key.decode(): value.decode() for key, value in raw.items()})
        raise UnknownTurn(turn)

    async def _snapshot(self, keys: ShardKeys, turn: str, record: dict[str, str]) -> Snapshot:
        events = [event for _, event in await tokens.read(self.redis, keys.tokens(turn), 0, 1_000_000)]
        samples, spoken = int(record["samples"]), int(record["spoken"])
        if record["state"] in (State.SPEAKING, State.READY):  # until its end, only the output says how far it has come
            samples, spoken = await self._published(keys.audio(record["session"]), turn)
        return Snapshot(
            request=TurnRequest.model_validate_json(record["request"]),
            number=int(record["number"]),
            state=State(record["state"]),
            attempt=int(record["attempt"]),
            owner=record["owner"].partition("/")[0],
            cause=record["cause"],
            samples=samples,
            spoken=spoken,
            format=AudioFormat.parse(record["format"]) if "format" in record else None,
            opened_ms=int(record["opened_ms"]),
            began_ms=int(record.get("began_ms", 0)),
            ended_ms=int(record.get("ended_ms", 0)),
            text="".join(getattr(event, "text", "") for event in events),
            tokens=sum(not isinstance(event, Seal) for event in events),
        )

    async def _published(self, audio: str, turn: str) -> tuple[int, int]:
        """Return how many samples, and characters of the text, of the turn that speaks are in the output."""
        for entry_id, fields in await call(self.redis, "XREVRANGE", audio, "+", "-", "COUNT", 1):
            last = decode_output(entry_id, fields)
            if last.turn == turn and isinstance(last, Audio | Words | Splice):
                return last.offset + getattr(last, "samples", 0), last.spoken
        return 0, 0

    async def _step(self, script: Script, ref: tuple[str, str], *args: Argument) -> dict[str, Any]:
        session, turn = ref
        keys = self.keys(session)
        reply = await script(
            self.redis,
            [keys.dispatch, keys.dead, keys.session(session), keys.waiting(session), keys.audio(session)],
            [keys.turn(""), keys.tokens(""), session, turn, *args],
        )
        answer: dict[str, Any] = orjson.loads(reply)
        return answer


def _cuts(raw: list[dict[str, Any]]) -> tuple[Cut, ...]:
    return tuple(Cut(**{**cut, "state": State(cut.get("state", State.INTERRUPTED))}) for cut in raw)
