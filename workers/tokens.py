"""One shared reader for the token streams of all turns of a worker.

A blocked connection a turn falls off a cliff at some hundred turns; one XREAD over all of them batches itself. A turn
that is added is read directly once; an entry in the worker's control stream lets the shared read begin anew with it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from redis.exceptions import ResponseError

from saystream.common.backoff import Backoff
from saystream.common.errors import InvalidToken, RedisUnavailable
from saystream.common.ids import TurnRef, shard_of
from saystream.common.keys import ShardKeys
from saystream.common.ledger import Ledger
from saystream.common.outage import Outage
from saystream.common.redis_client import Client, call, call_all, call_raw
from saystream.workers.turn_text import TurnText

log = logging.getLogger(__name__)

#: Token streams in one XREAD at most; entries from each at most; how long it waits.
_GROUP_STREAMS = 256
_COUNT = 64
#: Entries that are read at once of a turn that is added.
_PAGE = 512
BLOCK_MS = 2000
#: Under load the reader rests between two reads, so that they get fewer and larger; the longer, the more there is.
_LOAD_PER_S = 500.0
_REST_S = 0.001
_LONGEST_REST_S = 0.004
_CONTROL_EXPIRY_MS = 60_000


class TokenReader:
    """Reads the token streams of a worker's turns. Use as a context manager.

    Args:
        ledger: where they are.
        blocking: makes a client whose time-out covers `BLOCK_MS`; each group of streams has one of its own.
        worker: the worker's name.
        turn_chars: the longest text of a turn; see `TurnText`.
    """

    def __init__(self, ledger: Ledger, blocking: Callable[[], Client], worker: str, turn_chars: int) -> None:
        self._ledger, self._blocking, self._worker, self._turn_chars = ledger, blocking, worker, turn_chars
        self._groups: list[_Group] = []
        self._outage = Outage(log, "tokens are read again")

    async def __aenter__(self) -> "TokenReader":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(group.close() for group in self._groups))

    async def add(self, ref: TurnRef) -> TurnText:
        """Begin to read a turn's tokens, from the first one.

        Raises:
            RedisUnavailable: the turn was not added.
        """
        shard = shard_of(ref.session, self._ledger.shards)
        keys = ShardKeys(shard)
        text = TurnText(keys.tokens(ref.turn), self._turn_chars)
        page = _PAGE
        while page == _PAGE and not text.stopped:
            backlog = await call(self._ledger.redis, "XRANGE", text.key, f"({text.last}", "+", "COUNT", _PAGE)
            for entry_id, fields in backlog:
                text.put(entry_id, fields)
            page = len(backlog)
        group = next((group for group in self._groups if group.shard == shard and group.has_room), None)
        if group is None:
            name = f"{self._worker}.{len(self._groups)}"
            group = _Group(self._ledger.redis, self._blocking(), shard, name, self._outage)
            self._groups.append(group)
        await group.add(text)
        return text

    def remove(self, text: TurnText) -> None:
        """Read a turn's tokens no more."""
        for group in self._groups:
            if group.texts.get(key := text.key.encode()) is text:  # else the turn has been taken again meanwhile
                del group.texts[key]


class _Group:
    """Streams of one shard that are read together."""

    def __init__(self, redis: Client, blocking: Client, shard: int, name: str, outage: Outage) -> None:
        self.shard = shard
        self.texts: dict[bytes, TurnText] = {}
        self._redis, self._blocking, self._outage = redis, blocking, outage
        self._control, self._heard = ShardKeys(shard).control(name), "0-0"
        self._rate = 0.0
        self._task = asyncio.create_task(self._read(), name=f"token reader {name}")

    @property
    def has_room(self) -> bool:
        return len(self.texts) < _GROUP_STREAMS

    async def add(self, text: TurnText) -> None:
        self.texts[text.key.encode()] = text
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
                self._outage.succeeded(self)
            except RedisUnavailable as error:
                self._outage.failed(self, "! cannot read tokens, trying again: %s", error)
                await asyncio.sleep(backoff.failed())
            except ResponseError as error:
                self._outage.failed(self, "! cannot read tokens, looking whose: %s", error)
                await self._stop_the_unreadable()
                await asyncio.sleep(backoff.failed())
            except Exception:  # a fault of ours must not silence every turn
                log.exception("! cannot read tokens, trying again")
                await asyncio.sleep(backoff.failed())

    async def _stop_the_unreadable(self) -> None:
        """Redis refuses to read all together where it refuses one: that one is not to keep the others waiting."""
        texts = list(self.texts.values())
        with contextlib.suppress(RedisUnavailable, ResponseError):
            replies = await call_all(self._redis, [("XLEN", text.key) for text in texts])
            for text, reply in zip(texts, replies, strict=True):
                if isinstance(reply, Exception):
                    text.stop(InvalidToken(f"the text cannot be read: {reply}"))

    async def _read_once(self) -> None:
        texts = {key: text for key, text in self.texts.items() if not text.stopped}
        ids = [text.last for text in texts.values()]
        streams: list[str | bytes] = ["STREAMS", self._control, *texts, self._heard, *ids]
        began = time.monotonic()
        reply = await call_raw(self._blocking, "XREAD", "COUNT", _COUNT, "BLOCK", BLOCK_MS, *streams)
        events = 0
        for key, entries in reply or ():
            if text := texts.get(key):
                events += len(entries)
                for entry_id, flat in entries:
                    text.put(entry_id, dict(zip(flat[::2], flat[1::2], strict=True)))
            else:
                self._heard = entries[-1][0]
        if events and self._rate > _LOAD_PER_S:
            await asyncio.sleep(min(_LONGEST_REST_S, _REST_S * self._rate / _LOAD_PER_S))
        # A smoothed rate: one busy moment is no load.
        self._rate += 0.1 * (events / max(time.monotonic() - began, 1e-4) - self._rate)
