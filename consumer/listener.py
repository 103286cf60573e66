"""Listening to a session: its output stream as events, from any point, across outages, with every loss told."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from enum import Enum
from typing import Any

from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.events import Begin, End, Fields, decode_output
from saystream.common.ids import FENCE, EntryId, session_id, turn_id
from saystream.common.keys import keys_of
from saystream.common.redis_client import call, connect
from saystream.consumer.continuity import Continuity
from saystream.consumer.events import Event, Gap, Unreadable, next_id
from saystream.consumer.patience import Patience

logger = logging.getLogger(__name__)

#: Entries in one reply: the most that a listener holds. At 100 ms of 24 kHz audio each it is 300 KB.
BATCH = 64
#: After so many seconds without reading the place is looked up again: a session may have ended, expired and come back.
LONG_PAUSE_S = 1.0
_NOTHING_YET = EntryId(0, 0)


class Start(Enum):
    """Where listening starts, other than behind a cursor."""

    LIVE = "live"
    BEGINNING = "beginning"


#: From now on; if a turn is being spoken, its `Begin` comes first.
LIVE = Start.LIVE
#: With the oldest entry of the session.
BEGINNING = Start.BEGINNING


def listen(
    url: str,
    session: str,
    start: Start | EntryId | str = LIVE,
    *,
    until_turn: str | None = None,
    idle_s: float | None = None,
    shards: int = 1,
    patience_s: float = 30.0,
    timeout_s: float = 5.0,
    block_ms: int = 2000,
) -> AsyncGenerator[Event, None]:
    """Yield what is said in a session, as it comes; a session that does not exist yet is waited for.

    Every event has a ``cursor``; its text, given back as ``start``, goes on behind that event. Use it as
    ``async for event in listen(...)``; who leaves the loop early does so inside of ``contextlib.aclosing(...)``, which
    closes the connection at once.

    Args:
        url: where Redis is.
        session: the session's id.
        start: `LIVE`, `BEGINNING`, or the cursor of the last event that was dealt with. A cursor belongs to its
            session; that of another one is not recognised as such.
        until_turn: stop behind the `End` of this turn; if that is lost, before the turn that follows. A turn that has
            ended before ``start``, or is lost as a whole, does not stop it.
        idle_s: stop when Redis has had nothing for so many seconds; None listens for ever. Time in which Redis does not
            answer, or in which the caller deals with an event, does not count.
        shards: how many there are.
        patience_s: for how many seconds Redis may be away. Until then listening goes on where it was.
        timeout_s: how long Redis may take to answer, in seconds.
        block_ms: how long one command waits for news, in milliseconds; longer waits are made of several.

    Raises:
        InvalidId: the session, the cursor or the turn has no possible id. At once, not at the first event.
        InvalidInput: the URL is none. At once as well.
        RedisUnavailable: Redis was away for longer than ``patience_s``.
    """
    listener = Listener(url, session, start, shards=shards, timeout_s=timeout_s, block_ms=block_ms)
    return listener.events(
        until_turn=None if until_turn is None else turn_id(until_turn), idle_s=idle_s, patience_s=patience_s
    )


class Listener:
    """One listener's place in a session's output stream. `listen` is the way to use it; the arguments are the same."""

    def __init__(
        self,
        url: str,
        session: str,
        start: Start | EntryId | str,
        *,
        shards: int = 1,
        timeout_s: float = 5.0,
        block_ms: int = 2000,
    ) -> None:
        keys = keys_of(session_id(session), shards)
        self.session = session
        self.cursor: EntryId | None = None if isinstance(start, Start) else _checked(start)
        self._live = start is LIVE
        self._stream, self._hash = keys.audio(session), keys.session(session)
        self._block_ms = block_ms
        self._redis = connect(url, timeout_s=timeout_s, block_ms=block_ms, connections=1)
        self._continuity = Continuity.beginning()

    def __repr__(self) -> str:
        place = self.cursor or ("live" if self._live else "the beginning")
        return f"<Listener [session {self.session}, behind {place}]>"

    async def events(
        self, *, until_turn: str | None = None, idle_s: float | None = None, patience_s: float = 30.0
    ) -> AsyncGenerator[Event, None]:
        """Yield events until one of the ends that `listen` describes; the connection is closed then."""
        patience = Patience(patience_s)
        now_s = asyncio.get_running_loop().time
        placed = False
        quiet_since_s = now_s()
        last_number: int | None = None  # of `until_turn`, when it has been heard
        try:
            while True:
                try:
                    if not placed:
                        events = await self._find_place()
                        placed, quiet_since_s = True, now_s()
                    else:
                        events = await self._read(None if idle_s is None else quiet_since_s + idle_s - now_s())
                        patience.succeeded()  # not before: to find a place may need no answer
                        if not events and idle_s is not None and now_s() - quiet_since_s >= idle_s:
                            return
                except RedisUnavailable as error:
                    placed = False
                    if not (delay_s := patience.failed(now_s())):
                        raise
                    logger.warning("↻ session %s: %s; again in %.2f s", self.session, error, delay_s)
                    await asyncio.sleep(delay_s)
                    continue
                if not events:
                    continue
                handed_over_s = now_s()
                for event in events:
                    turn = getattr(event, "turn", None)
                    if until_turn is not None and turn == until_turn:
                        last_number = event.cursor.number
                    elif turn is not None and last_number is not None and event.cursor.number > last_number:
                        return
                    # The cursor moves before the event is handed over: nothing is handed over twice.
                    self.cursor = event.cursor
                    yield event
                    if isinstance(event, End) and turn == until_turn:
                        return
                quiet_since_s = now_s()
                placed = quiet_since_s - handed_over_s < LONG_PAUSE_S
        finally:
            await self._redis.aclose()

    # finding the place: at the start, and again after each outage or long pause, when much may have happened

    async def _find_place(self) -> list[Event]:
        """Get ready to read behind the cursor; returns what has to be told before."""
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
            turn = (EntryId.of(last_id.number, 0, 0), EntryId.of(last_id.number, FENCE, 0))
            for entry in await call(self._redis, "XRANGE", self._stream, *map(str, turn), "COUNT", 1):
                first = _decode(*entry)
                # Resuming with the cursor of this copy does not repeat what was said before the live point.
                told.append(replace(first, cursor=last_id) if isinstance(first, Begin) else _lost_begin(last_id))
        self.cursor, self._continuity = last_id, Continuity.after(last_id, last)
        return told

    async def _resume(self, cursor: EntryId) -> list[Event]:
        if entries := await call(self._redis, "XRANGE", self._stream, str(cursor), str(cursor)):
            self._continuity = Continuity.after(cursor, _decode(*entries[0]))
            return []
        info = await self._stream_info()
        if info is None:
            self._continuity = Continuity.missing(cursor)
            return []
        last = EntryId.parse(info["last-generated-id"])
        if last <= cursor:  # nothing has followed it yet
            self._continuity = Continuity.after(cursor)
            return []
        if info["length"] == 0 and last.attempt:  # all that has followed it is gone; attempt 0 is no entry
            self._continuity = Continuity.after(last)
            return [Gap(last, cursor, next_id(last))]
        self._continuity = Continuity.missing(cursor)
        return []

    # reading

    async def _read(self, longest_s: float | None) -> list[Event]:
        """Read what comes behind the cursor, with the gaps in it; waits for it, ``longest_s`` seconds at most."""
        block_ms = self._block_ms if longest_s is None else max(1, min(self._block_ms, round(longest_s * 1000)))
        last = self.cursor or _NOTHING_YET
        reply = await call(self._redis, "XREAD", "COUNT", BATCH, "BLOCK", block_ms, "STREAMS", self._stream, str(last))
        events: list[Event] = []
        for entry_id, fields in reply[0][1] if reply else []:
            event = _decode(entry_id, fields)
            if isinstance(event, Unreadable):
                logger.error("! session %s: entry %s: %s", self.session, event.cursor, event.problem)
            first = await self._first_number() if self._continuity.asks_for_first(event.cursor) else None
            if gap := self._continuity.take(event, first):
                logger.warning("! session %s: entries lost before %s", self.session, gap.before)
                events.append(gap)
            events.append(event)
        return events

    async def _first_number(self) -> int | None:
        raw = await call(self._redis, "HGET", self._hash, "first")
        return None if raw is None else int(raw)

    async def _stream_info(self) -> dict[str, Any] | None:
        """Describe the stream as it is at one moment; None if there is none."""
        try:
            info: dict[str, Any] = await call(self._redis, "XINFO STREAM", self._stream)
        except ResponseError as error:
            if "no such key" in str(error):
                return None
            raise
        return info


def _checked(cursor: EntryId | str) -> EntryId | None:
    """Check a cursor; None if it stands before everything. Raises InvalidId."""
    entry = EntryId.parse(str(cursor))
    return None if entry == _NOTHING_YET else entry


def _decode(entry_id: bytes, fields: Fields) -> Event:
    try:
        return decode_output(entry_id, fields)
    except ValueError as error:
        return Unreadable(EntryId.parse(entry_id), str(error))


def _lost_begin(live: EntryId) -> Gap:
    """Tell who joins a turn whose beginning is gone that its format will not come."""
    return Gap(live, None, next_id(live))
