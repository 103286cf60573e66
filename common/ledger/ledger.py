"""The ledger's steps, as a worker or producer calls them."""

import asyncio
import logging
import uuid
from collections.abc import Iterable, Sequence
from functools import partial

from redis.exceptions import ResponseError

from saystream.common.audio import AudioFormat
from saystream.common.errors import AudioLost, Fenced, UnknownTurn
from saystream.common.events import TokenEvent
from saystream.common.ids import EntryId, TurnRef
from saystream.common.keys import VOICES, ShardKeys
from saystream.common.ledger import dead, greeting, output, record, tokens
from saystream.common.ledger.answers import Claim, Cut, DeadLetter, Heard, Opened, Refusal, Snapshot, read_cuts
from saystream.common.ledger.bounds import Bounds
from saystream.common.ledger.opening import open_turn
from saystream.common.ledger.queue import Message, Queue
from saystream.common.ledger.scripts import (
    CLAIM,
    CURSOR,
    EXPIRE,
    FINISH,
    INTERRUPT,
    KEEP,
    LATE,
    PASS_ON,
    PLAYED,
    RELEASE,
)
from saystream.common.ledger.steps import Steps
from saystream.common.redis_client import Client, Command, call, call_all, call_raw
from saystream.common.request import TurnRequest
from saystream.common.settings import LimitSettings
from saystream.common.states import State

log = logging.getLogger(__name__)

#: So many listeners of one session may say where they are; more of them, and the one silent for longest is forgotten.
MOST_NAMES = 64
#: So long after a worker has made them known its voices count as spoken, in milliseconds. A worker does it each minute
#: at least: it may miss one.
SPOKEN_MS = 150_000


class Ledger:
    """All steps of a turn. Each is one atomic script or one append, and each may be repeated after a lost reply.

    Every step raises RedisUnavailable if Redis does not answer in time.

    Args:
        redis: for commands that answer at once.
        shards: how many there are.
        bounds: what is kept, and for how long; those of the settings' defaults if not given.
    """

    def __init__(self, redis: Client, *, shards: int = 1, bounds: Bounds | None = None) -> None:
        self.redis, self.shards, self.bounds = redis, shards, bounds or Bounds.of(LimitSettings())
        self._steps = Steps(redis, shards)
        self._unsettled = False  # whoever greeted has found no number of shards written down

    def keys(self, session: str) -> ShardKeys:
        """Return the keys of a session's shard."""
        return self._steps.keys(session)

    async def greet(self, *, settle: bool = True) -> None:
        """Make sure that this Redis can be used; raises RedisUnavailable, ShardMismatch.

        Args:
            settle: whether this decides the number of shards for all who come later, if nobody has yet; else the first
                turn that is opened does.
        """
        self._unsettled = not await greeting.greet(self.redis, self.shards, settle=settle)

    # producers

    async def open(self, request: TurnRequest) -> Opened:
        """Open a turn.

        Raises:
            TurnConflict: the id is known with another request.
            SessionBusy: ``on_busy="refuse"`` and the session speaks, or as many turns wait in it as may.
            Overloaded: as many turns wait for a worker as may.
            ShardMismatch: others use this Redis with another number of shards.
        """
        if self._unsettled:
            await greeting.agree_on_shards(self.redis, self.shards)
            self._unsettled = False
        return await open_turn(self._steps, self.bounds, request)

    async def append(self, ref: TurnRef, first: int, events: Sequence[TokenEvent]) -> None:
        """Append the token events number ``first``, ``first + 1``, … of one turn.

        Raises:
            TurnInterrupted, TurnFailed, TurnEnded: the stream is sealed; what had been appended before is there.
        """
        [error] = await self.append_all([tokens.Batch(ref, first, events)])
        if error is not None:
            raise error

    async def append_all(
        self, batches: Sequence[tokens.Batch], send_all: output.SendAll | None = None
    ) -> list[Exception | None]:
        """Append token events of several turns in one round trip; returns for each why it was refused, or None.

        Args:
            batches: of different turns, or one behind the other.
            send_all: that of the writer's own wire, if it has one.
        """
        return await tokens.append(send_all or partial(call_all, self.redis), self.keys, batches)

    async def interrupt(
        self, session: str, turn: str = "", *, waiting_only: bool = False, cause: str = "", call_id: str = ""
    ) -> tuple[Cut, ...]:
        """Interrupt a turn, or all that speaks and waits in a session: afterwards nothing more can be published.

        Args:
            session, turn: what; without a turn, all of the session.
            waiting_only: what speaks in the session goes on, and only what waits behind it ends.
            cause: why, for whoever listens.
            call_id: give the same one when repeating, so that no turn is hit that was opened in between.

        Raises:
            UnknownTurn: there is no such turn in this session.
            ValueError: ``waiting_only``, and a turn.
        """
        if waiting_only and turn:
            raise ValueError("waiting_only is for a session: a turn is interrupted wherever it stands")
        reply = await self._steps.take(
            INTERRUPT, (session, turn), call_id or uuid.uuid4().hex, cause, int(waiting_only), replicated=True
        )
        if reply["status"] == "unknown":
            raise UnknownTurn(turn)
        return read_cuts(reply["cuts"])

    # listeners

    async def played(self, ref: TurnRef, sample: int, heard: int) -> None:
        """Note that a player has played a turn up to ``sample``, and with it ``heard`` characters of its text.

        The furthest of all reports counts, also one that comes after the turn's end.

        Raises:
            UnknownTurn: there is no such turn in this session.
        """
        reply = await self._steps.take(PLAYED, ref, sample, heard)
        if reply["status"] == "unknown":
            raise UnknownTurn(ref.turn)

    async def heard(self, ref: TurnRef) -> Heard:
        """Read how far a turn has been published and played; raises UnknownTurn."""
        return await record.heard(self._steps, ref)

    async def report_cursor(self, session: str, name: str, cursor: EntryId) -> None:
        """Note where a listener is: what it has not read yet is not trimmed so soon."""
        await self._steps.take(CURSOR, (session, ""), name, str(cursor), MOST_NAMES)

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
        reply = await self._steps.take(
            CLAIM, message.ref, message.id, owner, attempts, str(format), format.sample_bytes
        )
        if reply["status"] != "claimed":
            return Refusal(reply["status"])
        request = TurnRequest.model_validate_json(reply["request"])
        settled = AudioFormat.parse(reply["format"])
        left = reply.get("start_within_ms_left")
        place = (reply["number"], reply["attempt"], owner, settled, reply["cut"], reply["spoken"])
        return Claim(message, request, *place, left if left is None else int(left))

    async def finish(self, claim: Claim, seq: int, reason: State, samples: int, spoken: int, cause: str = "") -> None:
        """End a turn as `done`, `failed` or `expired`; ``seq`` is that of its end entry.

        `expired` is for a turn for which no vendor was free in time, and which this claim still holds.

        Raises:
            Fenced: another attempt is the current one, or the turn has ended otherwise. Nothing was changed.
            AudioLost: the output lacks entries before ``seq``. Nothing was changed.
            ValueError: another reason.
        """
        if reason not in (State.DONE, State.FAILED, State.EXPIRED):
            raise ValueError(f"a worker ends a turn as done, failed or expired, not as {reason}")
        given = (claim.attempt, claim.owner, seq, reason, samples, spoken, cause)
        reply = await self._steps.take(FINISH, claim.ref, *given, replicated=True)
        if reply["status"] in ("fenced", "gone"):
            raise Fenced(claim.ref.turn)
        if reply["status"] == "short":
            raise AudioLost(claim.ref.turn)

    async def release(self, claim: Claim) -> None:
        """Give a turn back, for any worker to claim at once.

        Raises:
            Fenced: another attempt is the current one, or the turn has ended. Nothing was changed.
        """
        reply = await self._steps.take(RELEASE, claim.ref, claim.attempt, claim.owner)
        if reply["status"] in ("fenced", "gone"):
            raise Fenced(claim.ref.turn)

    async def pass_on(self, message: Message, worker: str, *, nobody_ms: int | None = None) -> bool:
        """Leave a turn that was handed out to ``worker``, and was not claimed, to the others.

        Args:
            message: from the queue; one that is not in the worker's hands any more is let alone.
            worker: the name by which it was taken.
            nobody_ms: given where no worker is known that speaks its voice: after so long a time of that, the turn is
                not passed on any more.

        Returns:
            False: nobody has been known for so long, and the turn is still in the worker's hands, which has to end it.
        """
        given = (message.id, worker, int(nobody_ms is not None), nobody_ms or 0)
        reply = await self._steps.take(PASS_ON, message.ref, *given)
        return bool(reply["status"] != "nobody")

    async def publish(
        self, appends: Sequence[output.Append], send_all: output.SendAll | None = None
    ) -> list[output.Outcome]:
        """Append output entries, over the writer's own wire if it has one; see `output.publish`."""
        return await output.publish(send_all or partial(call_all, self.redis), appends)

    async def keep(self, refs: Iterable[TurnRef]) -> None:
        """Put off the expiry of turns that are being spoken, of those that wait behind them, and of their sessions."""
        # All are tried, though one fails: a slot that is being moved must not let the turns of others expire.
        tried = await asyncio.gather(*(self._steps.take(KEEP, ref) for ref in refs), return_exceptions=True)
        for outcome in tried:
            if isinstance(outcome, BaseException):
                raise outcome

    async def expire_late(self, shard: int, count: int = 100) -> int:
        """End up to ``count`` turns of a shard that could not start in time; returns how many it were."""
        ended = 0
        for late in await LATE(self.redis, [ShardKeys(shard).deadlines], [count]):
            session, turn = late.decode().split(" ")
            try:
                reply = await self._steps.take(EXPIRE, (session, turn))
            except ResponseError as error:  # its keys are not ours: it must not keep the others waiting
                log.error("! turn %s is late and cannot be ended: %s", turn, error)
                await call(self.redis, "ZREM", ShardKeys(shard).deadlines, late)
            else:
                ended += reply["status"] == "expired"
        return ended

    # voices: what workers speak, so that a producer's typing error is found where it is made

    async def announce(self, voices: Iterable[str]) -> None:
        """Make known which voices a worker speaks; to be repeated before `SPOKEN_MS` have passed."""
        if named := list(voices):
            until_ms = _milliseconds(await call_raw(self.redis, "TIME")) + SPOKEN_MS
            scores = [part for name in named for part in (until_ms, name)]
            commands: list[Command] = [
                ("ZADD", VOICES, *scores),
                ("ZREMRANGEBYSCORE", VOICES, "-inf", until_ms - SPOKEN_MS),
                ("PEXPIRE", VOICES, SPOKEN_MS),
            ]
            for answer in await call_all(self.redis, commands):
                if isinstance(answer, Exception):
                    raise answer

    async def voices(self) -> set[str]:
        """Return the voices that workers have made known lately; empty while there is no worker."""
        answers = await call_all(self.redis, [("TIME",), ("ZRANGE", VOICES, 0, -1, "WITHSCORES")])
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        now, found = answers
        until = zip(found[::2], found[1::2], strict=True)
        return {name.decode() for name, until_ms in until if float(until_ms) > _milliseconds(now)}

    # operators

    async def inspect(self, turn: str) -> Snapshot:
        """Read a turn's record, in whatever session it is; raises UnknownTurn."""
        return await record.inspect(self._steps, turn)

    async def dead(self, count: int = 100) -> list[DeadLetter]:
        """Read up to ``count`` dead letters, the newest first; without their text."""
        return await dead.newest(self._steps, count)

    async def dead_letter(self, letter: str) -> DeadLetter:
        """Read one dead letter, with what is left of its text; raises UnknownLetter."""
        return await dead.read(self._steps, letter)

    async def redrive(self, letter: str, *, rest: bool = False, incomplete: bool = False) -> Opened:
        """Speak the turn of a dead letter again, as another turn of its session, and drop the letter.

        May be repeated after a lost reply: the turn is the same one, and has all of its text from the beginning.

        Args:
            letter: its id.
            rest: only the text that has not been spoken.
            incomplete: also where its producer had not sent all of the text when it failed.

        Raises:
            UnknownLetter: there is none with this id.
            TextGone: there is nothing that could be spoken.
            TextIncomplete: there is only a part of its text; the letter stays.
            SessionBusy, Overloaded: as for `open`; the letter stays.
        """
        return await dead.redrive(self._steps, self.bounds, letter, rest=rest, incomplete=incomplete)

    async def drop(self, letter: str) -> None:
        """Delete a dead letter; raises UnknownLetter if it cannot be one's id. One that is gone is no error."""
        await dead.drop(self._steps, letter)


def _milliseconds(time: Sequence[bytes]) -> int:
    """Read the answer to TIME."""
    seconds, microseconds = time
    return int(seconds) * 1000 + int(microseconds) // 1000
