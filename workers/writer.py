"""One batching writer for all turns of a worker: everything that is published goes through it, in order.

It sends at once when it is idle, collects while a batch is in flight, and rests a little under load, because a batch of
ten costs a quarter of ten single appends. A turn's first audio never waits.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from redis.exceptions import ResponseError

from saystream.common.backoff import Backoff
from saystream.common.errors import Fenced, RedisUnavailable, SaystreamError
from saystream.common.events import Encoded
from saystream.common.ledger import Append, Claim, Ledger, Outcome

log = logging.getLogger(__name__)

#: Entries in one round trip at most.
_MOST_ENTRIES = 256
#: A batch of so many entries is load: the next one is let grow for `_REST_S` seconds.
_LOAD_ENTRIES = 4
_REST_S = 0.002
#: First and longest pause before a batch is sent again, in seconds.
_BACKOFF_S = (0.05, 1.0)


class OutboxFull(SaystreamError):
    """Redis has been away for longer than a turn's audio can be held."""


class Line:
    """One attempt's way to the output stream: numbers its entries and knows when they are there.

    Args:
        claim: the attempt.
        key: of the session's output stream.
        most_bytes: of audio that may wait here.
        broken: called once, when nothing more can be published.

    Attributes:
        seq: number of the next entry.
        error: why nothing more can be published (`Fenced`); None while all is well.
    """

    def __init__(
        self, writer: "Writer", claim: Claim, key: str, most_bytes: int, broken: Callable[[SaystreamError], None]
    ) -> None:
        self._writer, self._claim, self._key, self._most_bytes, self._broken = writer, claim, key, most_bytes, broken
        self.seq = 1  # 0 was `begin` or `splice`
        self.error: SaystreamError | None = None
        self._waiting_bytes = 0
        self._unpublished = 0
        self._change = asyncio.Event()

    def put(self, fields: Encoded, data_bytes: int = 0, *, urgent: bool = False) -> None:
        """Hand an entry over; it is appended behind those before it.

        Raises:
            Fenced: the attempt is over.
            OutboxFull: too much waits already.
        """
        if self.error is not None:
            raise self.error
        self._waiting_bytes += data_bytes
        if self._waiting_bytes > self._most_bytes:
            raise OutboxFull
        self._unpublished += 1
        self._writer.put(self, Append(self._key, self._claim.entry(self.seq), fields), data_bytes, urgent=urgent)
        self.seq += 1

    async def drained(self) -> None:
        """Wait until all that was put is in Redis; raises what `put` raises."""
        while self._unpublished and self.error is None:
            self._change.clear()
            await self._change.wait()
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Drop what waits: this attempt publishes no more."""
        if self.error is None:
            self.error = Fenced(self._claim.ref.turn)
            self._broken(self.error)
        self._change.set()

    def published(self, outcome: Outcome, data_bytes: int) -> None:
        """Take the writer's word for one entry."""
        self._unpublished -= 1
        self._waiting_bytes -= data_bytes
        if outcome in (Outcome.FENCED, Outcome.GONE):
            self.close()
        if self._unpublished == 0:
            self._change.set()


class Writer:
    """Publishes for all turns of a worker. Use as a context manager.

    Args:
        ledger: where to.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: deque[tuple[Line, Append, int]] = deque()
        self._filled, self._urgent = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Writer":
        self._task = asyncio.create_task(self._write(), name="writer")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def watch(self) -> None:
        """Wait for the writer's end; raises what ended it, if it was a fault."""
        if self._task:
            await asyncio.shield(self._task)

    def line(self, claim: Claim, most_bytes: int, broken: Callable[[SaystreamError], None]) -> Line:
        """Make the way to the output stream for one attempt; see `Line`."""
        return Line(self, claim, self._ledger.keys(claim.ref.session).audio(claim.ref.session), most_bytes, broken)

    def put(self, line: Line, append: Append, data_bytes: int, *, urgent: bool) -> None:
        """Queue an entry of a line."""
        self._queue.append((line, append, data_bytes))
        self._filled.set()
        if urgent:
            self._urgent.set()

    async def _write(self) -> None:
        while True:
            await self._filled.wait()
            batch = self._next_batch()
            if not batch:
                continue
            outcomes = await self._publish(batch)
            for (line, _, data_bytes), outcome in zip(batch, outcomes, strict=True):
                line.published(outcome, data_bytes)
            if len(batch) >= _LOAD_ENTRIES and len(self._queue) < _MOST_ENTRIES:
                await self._rest()

    def _next_batch(self) -> list[tuple[Line, Append, int]]:
        batch: list[tuple[Line, Append, int]] = []
        while self._queue and len(batch) < _MOST_ENTRIES:
            entry = self._queue.popleft()
            if entry[0].error is None:
                batch.append(entry)
        if not self._queue:
            self._filled.clear()
            self._urgent.clear()
        return batch

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(_REST_S):
                await self._urgent.wait()
        except TimeoutError:
            pass

    async def _publish(self, batch: list[tuple[Line, Append, int]]) -> list[Outcome]:
        """Append a batch, again and again until Redis has answered: an entry that is there already stays one entry."""
        backoff = Backoff(*_BACKOFF_S)
        while True:
            try:
                return await self._ledger.publish([append for _, append, _ in batch])
            except RedisUnavailable as error:
                log.warning("! cannot publish, trying again: %s", error)
                await asyncio.sleep(backoff.failed())
            except ResponseError as error:  # no permission, another kind of key: not ours to repair
                log.error("! Redis refuses to publish, the turns stop: %s", error)
                return [Outcome.GONE] * len(batch)
