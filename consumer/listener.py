"""Listening to a session: its output stream as events, from any point, across outages, with every loss told."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from saystream.common.errors import RedisUnavailable, SaystreamError
from saystream.common.events import End
from saystream.common.ids import EntryId, listener_name, session_id, turn_id
from saystream.common.ledger import Ledger
from saystream.common.redis_client import connect
from saystream.consumer.arguments import redis_at, seconds, whole
from saystream.consumer.events import Event, Gap, Unreadable
from saystream.consumer.patience import Patience
from saystream.consumer.place import LIVE, NOTHING_YET, Place, Start
from saystream.consumer.playhead import Playheads
from saystream.consumer.reporter import Reporter
from saystream.consumer.seat import Seat

logger = logging.getLogger(__name__)

#: Sockets for reports at most: one for where the listener is, one for what has been played.
REPORTS = 2
#: After so many seconds without reading the place is looked up again: a session may have ended, expired and come back.
LONG_PAUSE_S = 1.0
#: No turn has so many samples. Larger numbers are not exact in Redis's scripts.
MOST_SAMPLES = 1 << 53


def listen(
    url: str | None,
    session: str,
    start: Start | EntryId | str = LIVE,
    *,
    until_turn: str | None = None,
    idle_s: float | None = None,
    name: str | None = None,
    shards: int | None = None,
    patience_s: float = 30.0,
    timeout_s: float = 5.0,
    block_ms: int = 2000,
) -> AsyncGenerator[Event, None]:
    """Yield what is said in a session, as it comes: the simple form of `Listener`, whose arguments these are.

    Use it as ``async for event in listen(...)``; who leaves the loop early does so inside of
    ``contextlib.aclosing(...)``, which closes the connection at once.

    Raises:
        InvalidId: the session, the cursor, the turn or the name has no possible id. At once, not at the first event.
        InvalidInput: the URL is none, or a number is not possible. At once as well.
        RedisUnavailable: Redis was away for longer than ``patience_s``.
        ShardMismatch: this Redis is used with another number of shards.
    """
    listener = Listener(
        url, session, start, name=name, shards=shards, patience_s=patience_s, timeout_s=timeout_s, block_ms=block_ms
    )
    return _listening(listener, listener.events(until_turn=until_turn, idle_s=idle_s))


async def _listening(listener: "Listener", events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    async with listener, aclosing(events):
        async for event in events:
            yield event


class Listener:
    """One listener's place in a session's output stream; a session that does not exist yet is waited for.

    A context manager: entering it finds the live point, leaving it disconnects and ends its `events`. ::

        async with Listener(url, "call-42") as listener:
            async for event in listener.events():
                ...  # play it, and tell now and then how far the loudspeaker is:
                await listener.played(turn, sample)

    Every event has a ``cursor``; its text, given back as ``start``, goes on behind that event.

    A listener with a name says about once a second where it is: at the last event that was dealt with, which is the one
    before the event that was handed over last. What it has not read is not trimmed then, within the limits ``held_s``
    and ``held_bytes``. Two that listen to one session at the same time have two names.

    Args:
        url: where Redis is; None asks ``saystream.toml`` and the environment (``SAYSTREAM_REDIS_URL``).
        session: the session's id.
        start: `LIVE`, `BEGINNING`, or the cursor of the last event that was dealt with. A cursor belongs to its
            session; that of another one is not recognised as such.
        name: who listens, an id; None for a listener for whom nothing is kept.
        shards: how many there are; None means 1, or with the settings' URL the settings' number.
        patience_s: for how many seconds Redis may be away. Until then listening goes on where it was.
        timeout_s: how long Redis may take to answer, in seconds.
        block_ms: how long one command waits for news, in milliseconds; longer waits are made of several.

    Raises:
        InvalidId: the session, the cursor or the name has no possible id.
        InvalidInput: the URL is none, or a number is not possible.
        InvalidSettings: no URL is given, and the settings do not say it either.
        ShardMismatch: on entering to listen `LIVE`, this Redis is used with another number of shards.
    """

    def __init__(
        self,
        url: str | None,
        session: str,
        start: Start | EntryId | str = LIVE,
        *,
        name: str | None = None,
        shards: int | None = None,
        patience_s: float = 30.0,
        timeout_s: float = 5.0,
        block_ms: int = 2000,
    ) -> None:
        self.session = session_id(session)
        self.name = None if name is None else listener_name(name)
        url, shards = redis_at(url, shards)
        self._patience_s = seconds("patience_s", patience_s)
        timeout_s = seconds("timeout_s", timeout_s, positive=True)
        block_ms = whole("block_ms", block_ms, 1)  # 0 would be for ever
        self._redis = connect(url, timeout_s=timeout_s, block_ms=block_ms, connections=1)
        self._place = Place(self._redis, self.session, start, shards, block_ms)
        # A second connection: the first one is in a read that waits, nearly all the time.
        beside = Ledger(connect(url, timeout_s=timeout_s, connections=REPORTS), shards=shards)
        self._reporter = Reporter(beside, self.session, self.name)
        self._playheads = Playheads()
        self._live = start is LIVE
        # What this listener says of where it is; the live point is not known yet.
        self._dealt_with = None if self._live else self._place.cursor or NOTHING_YET
        self._told: list[Event] = []  # on entering, and not handed over yet
        self._seat = Seat()
        self._entered = self._open = False

    def __repr__(self) -> str:
        return f"<Listener [session {self.session}, behind {self._place}]>"

    @property
    def cursor(self) -> EntryId | None:
        """The cursor of the last event that was handed over, or was given; or the live point, if no turn was there.

        None before there is one.
        """
        return None if self._told else self._place.cursor

    async def __aenter__(self) -> Self:
        if self._entered:
            raise SaystreamError("A listener can be entered once; make another one, with this one's cursor.")
        self._entered = True
        try:
            if self._live:
                await self._find_live_point()
        except BaseException:
            await self._disconnect()
            raise
        self._open = True
        self._reporter.start(lambda: self._dealt_with)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        try:
            await self._seat.close()
        finally:
            await self._disconnect()

    async def _find_live_point(self) -> None:
        """Listen from now on, and not only from the first step of `events`: whoever enters first misses nothing."""
        try:
            self._told = await self._place.find()
        except RedisUnavailable as error:
            logger.warning("! session %s: %s; what is live is found out when it does", self.session, error)
        else:
            self._dealt_with = self._place.cursor or NOTHING_YET

    async def _disconnect(self) -> None:
        try:
            await self._reporter.close(self._dealt_with)
        finally:
            await self._redis.aclose()

    def events(self, *, until_turn: str | None = None, idle_s: float | None = None) -> AsyncGenerator[Event, None]:
        """Yield what is said, as it comes; called again, it goes on behind the last event that was handed over.

        It may be left by ``break``. What was called before is over then: asked for another event, it raises. Leaving
        the listener's block ends it, also where another task waits for its next event.

        Args:
            until_turn: stop behind the `End` of this turn; if that is lost, before the turn that follows. A turn that
                has ended before, or is lost as a whole, does not stop it.
            idle_s: stop when Redis has had nothing for so many seconds; None listens for ever. Time in which Redis does
                not answer, or in which the caller deals with an event, does not count.

        Raises:
            InvalidId, InvalidInput: the turn has no possible id, or the time is none. At once, not at the first event.
            RedisUnavailable: Redis was away for longer than ``patience_s``.
            ShardMismatch: this Redis is used with another number of shards.
            SaystreamError: the listener is not entered; or another task waits for its next event; or `events` was
                called again, and listening has gone on there.
        """
        return self._events(
            None if until_turn is None else turn_id(until_turn), None if idle_s is None else seconds("idle_s", idle_s)
        )

    async def played(self, turn: str, sample: int) -> int:
        """Tell that all samples of a turn before this one have been played; a few times a second are enough.

        What of the turn's text that is gets kept, for whoever interrupts the turn or asks later: up to the end of the
        last word that was played to its end, by the words that this listener has been handed. Only the furthest report
        counts: late, repeated and smaller ones are harmless, and one that failed is made good by the next.

        Returns:
            So many characters of the producer's text have been heard by this report.

        Raises:
            InvalidId, InvalidInput: what is given is no turn's id, or no number of samples.
            UnknownTurn: this listener has heard nothing of the turn, or too long ago; or it has expired.
            RedisUnavailable: Redis has not answered in time.
        """
        self._check_open()
        known, samples = turn_id(turn), whole("sample", sample, 0, MOST_SAMPLES)
        heard = self._playheads.heard(known, samples)
        await self._reporter.played(known, samples, heard)
        return heard

    def _check_open(self) -> None:
        if not self._open:
            raise SaystreamError(
                "This listener is not connected: enter it with `async with`, and use it in that block."
            )

    async def _events(self, until_turn: str | None, idle_s: float | None) -> AsyncGenerator[Event, None]:
        self._check_open()
        sitting = self._seat.take()
        patience = Patience(self._patience_s)
        now_s = asyncio.get_running_loop().time
        placed = False
        quiet_since_s = now_s()
        last_number: int | None = None  # of `until_turn`, when it has been heard
        while True:
            events, self._told = self._told, []
            if not events:
                async with self._seat.waiting():
                    try:
                        if not placed:
                            events = await self._place.find()
                            placed, quiet_since_s = True, now_s()
                            self._dealt_with = self.cursor or NOTHING_YET
                        else:
                            events = await self._place.read(
                                None if idle_s is None else quiet_since_s + idle_s - now_s()
                            )
                            patience.succeeded()  # not before: to find a place may need no answer
                            if not events and idle_s is not None and now_s() - quiet_since_s >= idle_s:
                                return
                    except RedisUnavailable as error:
                        placed = False
                        if not (delay_s := patience.failed(now_s())):
                            raise
                        reason = str(error).rstrip(".")
                        logger.warning("↻ session %s: %s; again in %.2f s", self.session, reason, delay_s)
                        await asyncio.sleep(delay_s)
                if self._seat.closed:
                    return
            handed_over_s = now_s()
            for event in events:
                turn = getattr(event, "turn", None)
                if until_turn is not None and turn == until_turn:
                    last_number = event.cursor.number
                elif turn is not None and last_number is not None and event.cursor.number > last_number:
                    return
                # The cursor moves before the event is handed over: nothing is handed over twice.
                self._place.cursor = event.cursor
                if not isinstance(event, Gap | Unreadable):
                    self._playheads.take(event)
                yield event
                if self._seat.closed:
                    return
                self._seat.check(sitting)
                self._dealt_with = event.cursor
                if isinstance(event, End) and turn == until_turn:
                    return
            if events:
                quiet_since_s = now_s()
                placed = placed and quiet_since_s - handed_over_s < LONG_PAUSE_S
