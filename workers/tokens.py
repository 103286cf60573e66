"""One shared reader for the token streams of all turns of a worker.

A blocked connection a turn falls off a cliff at some hundred turns; one XREAD over all of them batches itself. A turn
that is added is read directly once; an entry in the worker's control stream lets the shared read begin anew with it.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from redis.exceptions import ResponseError

from saystream.common.backoff import Backoff
from saystream.common.errors import InvalidToken, RedisUnavailable, SaystreamError
from saystream.common.events import Seal, TokenEvent, decode_token
from saystream.common.ids import TurnRef, shard_of
from saystream.common.keys import ShardKeys
from saystream.common.ledger import Ledger
from saystream.common.redis_client import Client, call, call_all, call_raw

log = logging.getLogger(__name__)

#: Token streams in one XREAD at most; entries from each at most; how long it waits.
_GROUP_STREAMS = 256
_COUNT = 64
BLOCK_MS = 2000
#: Under load the reader rests between two reads, so that they get fewer and larger; the longer, the more there is.
_LOAD_PER_S = 500.0
_REST_S = 0.001
_LONGEST_REST_S = 0.004
_CONTROL_EXPIRY_MS = 60_000


class Feed:
    """A turn's token events as they come, and whatever else must stop the turn: a failure is raised behind them."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.last, self._number = "0-0", 0
        self._events: deque[TokenEvent | Seal] = deque()
        self._error: SaystreamError | None = None
        self._arrived = asyncio.Event()

    def put(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        """Take an entry of the stream, unless it has been taken already."""
        number = int(entry_id.partition(b"-")[0])
        if number <= self._number:
            return
        self._number, self.last = number, entry_id.decode()
        try:
            self._events.append(decode_token(fields))
        except ValueError as error:
            self.fail(InvalidToken(f"token {self.last} is not one: {error}"))
        self._arrived.set()

    def fail(self, error: SaystreamError) -> None:
        """Let the turn's reader raise an error at once."""
        self._error = error
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[list[TokenEvent | Seal]]:
        while True:
            await self._arrived.wait()
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            events, self._events = self._events, deque()
            yield list(events)


class TokenReader:
    """Reads the token streams of a worker's turns. Use as a context manager.

    Args:
        ledger: where they are.
        blocking: makes a client whose time-out covers `BLOCK_MS`; each group of streams has one of its own.
        worker: the worker's name.
    """

    def __init__(self, ledger: Ledger, blocking: Callable[[], Client], worker: str) -> None:
        self._ledger, self._blocking, self._worker = ledger, blocking, worker
        self._groups: list[_Group] = []

    async def __aenter__(self) -> "TokenReader":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(group.close() for group in self._groups))

    async def add(self, ref: TurnRef) -> Feed:
        """Begin to read a turn's tokens, from the first one.

        Raises:
            RedisUnavailable: the turn was not added.
        """
        shard = shard_of(ref.session, self._ledger.shards)
        keys = ShardKeys(shard)
        feed = Feed(keys.tokens(ref.turn))
        backlog = await call(self._ledger.redis, "XRANGE", feed.key, "-", "+")
        for entry_id, fields in backlog:
            feed.put(entry_id, fields)
        group = next((group for group in self._groups if group.shard == shard and group.has_room), None)
        if group is None:
            group = _Group(self._ledger.redis, self._blocking(), shard, f"{self._worker}.{len(self._groups)}")
            self._groups.append(group)
        await group.add(feed)
        return feed

    def remove(self, feed: Feed) -> None:
        """Read a turn's tokens no more."""
        for group in self._groups:
            group.feeds.pop(feed.key.encode(), None)


class _Group:
    """Streams of one shard that are read together."""

    def __init__(self, redis: Client, blocking: Client, shard: int, name: str) -> None:
        self.shard = shard
        self.feeds: dict[bytes, Feed] = {}
        self._redis, self._blocking = redis, blocking
        self._control, self._heard = ShardKeys(shard).control(name), "0-0"
        self._rate = 0.0
        self._task = asyncio.create_task(self._read(), name=f"token reader {name}")

    @property
    def has_room(self) -> bool:
        return len(self.feeds) < _GROUP_STREAMS

    async def add(self, feed: Feed) -> None:
        self.feeds[feed.key.encode()] = feed
        # In one round trip: a control stream never stays without an expiry. If it fails, the shared read ends by itself
        # after BLOCK_MS and takes the turn in then.
        wake = [("XADD", self._control, "MAXLEN", 1, "*", "added", ""), ("PEXPIRE", self._control, _CONTROL_EXPIRY_MS)]
        with contextlib.suppress(RedisUnavailable):
            await call_all(self._redis, wake)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._blocking.aclose()

    async def _read(self) -> None:
        backoff = Backoff(0.05, 1.0)
        while True:
            try:
                await self._read_once()
                backoff.succeeded()
            except (RedisUnavailable, ResponseError) as error:
                log.warning("! cannot read tokens, trying again: %s", error)
                await asyncio.sleep(backoff.failed())

    async def _read_once(self) -> None:
        feeds = dict(self.feeds)
        ids = [feed.last for feed in feeds.values()]
        streams: list[str | bytes] = ["STREAMS", self._control, *feeds, self._heard, *ids]
        began = time.monotonic()
        reply = await call_raw(self._blocking, "XREAD", "COUNT", _COUNT, "BLOCK", BLOCK_MS, *streams)
        events = 0
        for key, entries in reply or ():
            if feed := feeds.get(key):
                events += len(entries)
                for entry_id, flat in entries:
                    feed.put(entry_id, dict(zip(flat[::2], flat[1::2], strict=True)))
            else:
                self._heard = entries[-1][0]
        if events and self._rate > _LOAD_PER_S:
            await asyncio.sleep(min(_LONGEST_REST_S, _REST_S * self._rate / _LOAD_PER_S))
        # A smoothed rate: one busy moment is no load.
        self._rate += 0.1 * (events / max(time.monotonic() - began, 1e-4) - self._rate)
