"""A place in a session's output stream: finding it, and reading what comes behind it, with every loss told."""

import logging
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.events import Begin, End, Fields, decode_output
from saystream.common.ids import FENCE, EntryId, SessionId
from saystream.common.keys import SHARDS, keys_of
from saystream.common.ledger.greeting import check_shards
from saystream.common.redis_client import Client, Part, call
from saystream.consumer.continuity import Continuity
from saystream.consumer.events import Event, Gap, Unreadable, next_id, previous_id

logger = logging.getLogger(__name__)

#: Entries in one reply: the most that a listener holds, and that Redis holds for one that has stopped reading its
#: socket. At 100 ms of 24 kHz audio each it is 300 KB.
BATCH = 64
#: So many turns are remembered: more are not lost in a failover.
REMEMBERED = 64
#: Stands before every entry.
NOTHING_YET = EntryId(0, 0)


class Start(Enum):
    """Where listening starts, other than behind a cursor."""

    LIVE = "live"
    BEGINNING = "beginning"


#: From now on; if a turn is being spoken, its `Begin` comes first.
LIVE = Start.LIVE
#: With the oldest entry of the session.
BEGINNING = Start.BEGINNING


class Place:
    """Where one listener is.

    Args:
        redis: for one command at a time, which may wait.
        session: what is listened to.
        start: where.
        shards: how many there are.
        block_ms: how long one command waits for news, in milliseconds.

    Attributes:
        cursor: the last event that was handed over; None before there is one. Reading goes on behind it: whoever hands
            events over moves it.
    """

    def __init__(
        self, redis: Client, session: SessionId, start: Start | EntryId | str, shards: int, block_ms: int
    ) -> None:
        keys = keys_of(session, shards)
        self.cursor: EntryId | None = None if isinstance(start, Start) else _checked(start)
        self._session, self._shards, self._settled = session, shards, False
        self._live = start is LIVE
        self._stream, self._hash = keys.audio(session), keys.session(session)
        self._redis, self._block_ms = redis, block_ms
        self._continuity = Continuity.beginning()
        self._server: object = None  # which has told the place
        self._heard: tuple[int, _Attempt] | None = None  # the attempt that is being heard, and its number
        self._turns: dict[int, str] = {}  # that were heard last, by their numbers
        self._again: dict[int, str] = {}  # likewise; what comes of them was heard before

    def __str__(self) -> str:
        return str(self.cursor or ("live" if self._live else "the beginning"))

    async def find(self) -> list[Event]:
        """Get ready to read behind the cursor; returns what has to be told before.

        At the start, and again after each outage or long pause, and at each other server, when much may have happened.

        Raises:
            RedisUnavailable: Redis does not answer.
            ShardMismatch: it is used with another number of shards.
        """
        await self._check_shards()
        self._server = None
        if self.cursor is not None:
            return await self._resume(self.cursor)
        if self._live:
            return await self._join()
        self._continuity = Continuity.beginning()
        return []

    async def _join(self) -> list[Event]:
        """Find the live point, once: an id that is asked for anew each time (``$``) loses what comes in between."""
        info = await self._stream_info()
        if info is None:  # no stream yet, so that all that will ever come is new
            self._live = False
            return []
        last_id, last_entry = EntryId.parse(info["last-generated-id"]), info["last-entry"]
        last = _decode(*last_entry) if last_entry else None
        told: list[Event] = []
        if last is not None and not isinstance(last, End):
            for entry in await self._ask("XRANGE", *map(str, _whole_turn(last_id.number)), "COUNT", 1):
                first = _decode(*entry)
                # Resuming with the cursor of this copy does not repeat what was said before the live point.
                told.append(replace(first, cursor=last_id) if isinstance(first, Begin) else _lost_begin(last_id))
        await self._forgotten(last_id)
        self.cursor, self._continuity = last_id, Continuity.after(last_id, last)  # behind all that may fail
        return told

    async def _resume(self, cursor: EntryId) -> list[Event]:
        if lost := await self._forgotten(cursor):
            return [lost]
        if entries := await self._ask("XRANGE", str(cursor), str(cursor)):
            self._continuity = Continuity.after(cursor, _decode(*entries[0]))
            return []
        info = await self._stream_info()
        if info is None:
            self._continuity = Continuity.missing(cursor)
            return []
        last = EntryId.parse(info["last-generated-id"])
        if last <= cursor:  # nothing has followed it yet; what a failover has lost of its attempt is written again
            self._continuity = Continuity.after(cursor)
            return []
        if info["length"] == 0 and last.attempt:  # all that has followed it is gone; attempt 0 is no entry
            self._continuity = Continuity.after(last)
            return [Gap(last, cursor, next_id(last))]
        # Trimming takes the oldest first. Where it has not come to this place, the entry was lost; it was the last one.
        older = await self._ask("XREVRANGE", f"({cursor}", str(EntryId(cursor.major, 0)), "COUNT", 1)
        self._continuity = Continuity.after(cursor) if older else Continuity.missing(cursor)
        return []

    async def _forgotten(self, cursor: EntryId) -> Gap | None:
        """Notice that Redis has forgotten the whole attempt that was heard last: a failover has lost its last writes.

        Its ids may be given out again, for other audio: so listening goes on in front of them; or, while they have not
        been, behind what is left.
        """
        first = EntryId(cursor.major, 0)
        found = await self._ask("XRANGE", str(first), str(first))
        attempt = _attempt(found[0][1]) if found else None
        if attempt:
            if self._heard is None or self._heard[0] != cursor.major:  # who comes in its middle takes it as it is now
                self._heard = cursor.major, attempt
            if attempt == self._heard[1]:
                return None
            return self._rewind(await self._before_others(first), cursor)
        info = await self._stream_info()
        if info is None or (last := EntryId.parse(info["last-generated-id"])) >= first:
            return None  # it has expired, or was trimmed
        return self._rewind(await self._before_others(next_id(last)), cursor)

    async def _before_others(self, at: EntryId) -> EntryId:
        """Return the id in front of ``at``, or of the first turn before it that is another one than was heard."""
        for number, turn in reversed(self._turns.items()):
            if number <= at.number:
                entries = await self._ask("XRANGE", *map(str, _whole_turn(number)), "COUNT", 1)
                if not entries or _attempt(entries[0][1]).turn == turn.encode():
                    break
                at = EntryId.parse(entries[0][0])
        return previous_id(at)

    def _rewind(self, before: EntryId, cursor: EntryId) -> Gap:
        """Go on behind ``before``: what was heard behind it is forgotten.

        Turns that were heard, and are written again, are passed over; all but the last, which may come otherwise.
        """
        self.cursor, self._heard = before, None
        self._continuity = Continuity.after(before)
        self._again = {number: turn for number, turn in self._turns.items() if number < cursor.number}
        return Gap(before, cursor, next_id(before))

    async def read(self, longest_s: float | None) -> list[Event]:
        """Read what comes behind the cursor, with the gaps in it; waits for it, ``longest_s`` seconds at most.

        Raises:
            RedisUnavailable: Redis does not answer, or another server does than the one that has told the place.
            ShardMismatch: it is used with another number of shards, which was not known before.
        """
        # Not 0, which would wait for ever.
        block_ms = self._block_ms if longest_s is None else max(1, round(min(self._block_ms, longest_s * 1000)))
        last = self.cursor or NOTHING_YET
        reply = await call(self._redis, "XREAD", "COUNT", BATCH, "BLOCK", block_ms, "STREAMS", self._stream, str(last))
        self._server = self._server or self._redis.answered
        if self._redis.answered is not self._server:
            raise RedisUnavailable("Redis does not answer: another server has taken over")
        events: list[Event] = []
        for entry_id, fields in reply[0][1] if reply else []:
            event = _decode(entry_id, fields)
            if self._was_heard(event):
                if events:
                    break  # they are handed over first: the cursor moves with them
                self._continuity.take(event)
                self.cursor = event.cursor
                continue
            if event.cursor.seq == 0:
                self._heard = (event.cursor.major, _attempt(fields))
            if isinstance(event, Unreadable):
                logger.error("! session %s: entry %s: %s", self._session, event.cursor, event.problem)
            first = await self._first_number() if self._continuity.asks_for_first(event.cursor) else None
            if gap := self._continuity.take(event, first):
                logger.warning("! session %s: entries lost before %s", self._session, gap.before)
                events.append(gap)
            events.append(event)
        if not reply:
            await self._check_shards()
        return events

    def _was_heard(self, event: Event) -> bool:
        """Tell whether an event belongs to a turn that was heard before; remember the turn if not."""
        if isinstance(event, Unreadable | Gap):
            return False
        number = event.cursor.number
        if self._again.get(number) == event.turn:
            return True
        if number not in self._turns and len(self._turns) >= REMEMBERED:
            del self._turns[next(iter(self._turns))]
        self._turns[number] = event.turn
        return False

    async def _ask(self, command: str, *arguments: Part) -> Any:
        """Ask about the stream."""
        reply = await call(self._redis, command, self._stream, *arguments)
        self._server = self._server or self._redis.answered
        return reply

    async def _check_shards(self) -> None:
        """Find out whether this is the right shard: in another one nothing would ever be heard, and nobody told.

        On a Redis that nobody has used yet no number is wrong: then it is asked for again whenever nothing comes.
        """
        if not self._settled:
            known = await call(self._redis, "EXISTS", SHARDS)  # before it is compared: it may be written in between
            await check_shards(self._redis, self._shards)
            self._settled = bool(known)

    async def _first_number(self) -> int | None:
        raw = await call(self._redis, "HGET", self._hash, "first")
        return None if raw is None else int(raw)

    async def _stream_info(self) -> dict[str, Any] | None:
        """Describe the stream as it is at one moment; None if there is none."""
        try:
            info: dict[str, Any] = await self._ask("XINFO STREAM")
        except ResponseError as error:
            if "no such key" in str(error):
                return None
            raise
        return info


class _Attempt(NamedTuple):
    """Which attempt it is that an entry belongs to: ids alone do not tell, where they were given out again."""

    owner: bytes
    turn: bytes


def _attempt(fields: Fields) -> _Attempt:
    return _Attempt(fields.get(b"owner", b""), fields.get(b"turn", b""))


def _whole_turn(number: int) -> tuple[EntryId, EntryId]:
    return EntryId.of(number, 0, 0), EntryId.of(number, FENCE, 0)


def _checked(cursor: EntryId | str) -> EntryId | None:
    """Check a cursor; None if it stands before everything. Raises InvalidId."""
    entry = EntryId.parse(str(cursor))
    return None if entry == NOTHING_YET else entry


def _decode(entry_id: bytes, fields: Fields) -> Event:
    try:
        return decode_output(entry_id, fields)
    except ValueError as error:
        return Unreadable(EntryId.parse(entry_id), str(error))


def _lost_begin(live: EntryId) -> Gap:
    """Tell who joins a turn whose beginning is gone that its format will not come."""
    return Gap(live, None, next_id(live))
