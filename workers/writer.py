"""One batching writer for all turns of a worker: everything that is published goes through it, in order.

Each shard has a lane of its own, with one wire and one batch in flight. A lane sends at once when it is idle, collects
while a batch is in flight, and rests a little under load, because a batch of ten costs a quarter of ten single appends.
A turn's first audio never waits.

There may have been a failover at each new wire. So a lane first asks what Redis has of each line that is open, and
sends again what is missing, before it sends anything new: else there would be a hole.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from redis.exceptions import ResponseError

from saystream.common.backoff import Backoff
from saystream.common.errors import RedisUnavailable, SaystreamError
from saystream.common.ids import shard_of
from saystream.common.keys import ShardKeys
from saystream.common.ledger import Claim, Ledger, Outcome
from saystream.common.ledger.output import write_nothing
from saystream.common.outage import Outage
from saystream.common.redis_client import Wire
from saystream.workers.line import Entry, Line

log = logging.getLogger(__name__)

#: Entries in one round trip at most.
_MOST_ENTRIES = 256
#: A batch of so many entries is load: the next one is let grow for `_REST_S` seconds.
_LOAD_ENTRIES = 4
_REST_S = 0.002
#: First and longest pause before a batch is sent again, in seconds.
_BACKOFF_S = (0.05, 1.0)


class Writer:
    """Publishes for all turns of a worker. Use as a context manager.

    Args:
        ledger: where to.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lanes: dict[int, _Lane] = {}
        self._outage = Outage(log, "audio is published again")
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Writer":
        self._fault: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fault.cancel()

    async def watch(self) -> None:
        """Wait for a fault that has ended a lane, and raise it."""
        await asyncio.shield(self._fault)

    def line(self, claim: Claim, most_bytes: int, broken: Callable[[SaystreamError], None]) -> Line:
        """Make the way to the output stream for one attempt; see `Line`."""
        session = claim.ref.session
        lane = self._lane(shard_of(session, self._ledger.shards))
        line = Line(lane, claim, self._ledger.keys(session).audio(session), most_bytes, broken)
        lane.lines[line] = None
        return line

    def _lane(self, shard: int) -> "_Lane":
        if (lane := self._lanes.get(shard)) is None:
            lane = self._lanes[shard] = _Lane(self._ledger, ShardKeys(shard), self._outage)
            task = asyncio.create_task(lane.run(), name=f"writer of shard {shard}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return lane

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._fault.done():
            self._fault.set_exception(error)


class _Lane:
    """Brings the entries of one shard's lines to Redis.

    Attributes:
        lines: that are open.
    """

    def __init__(self, ledger: Ledger, keys: ShardKeys, outage: Outage) -> None:
        self._ledger, self._keys, self._outage = ledger, keys, outage
        self.lines: dict[Line, None] = {}
        self._queue: deque[Entry] = deque()
        self._filled, self._urgent = asyncio.Event(), asyncio.Event()
        self._wire: Wire | None = None
        self._doubt = False

    def put(self, entry: Entry) -> None:
        """Queue an entry of a line."""
        self._queue.append(entry)
        self._filled.set()
        if entry.urgent:
            self._urgent.set()

    def leave(self, line: Line) -> None:
        """Forget a line: what it has queued is dropped when its turn comes."""
        self.lines.pop(line, None)

    def look_again(self) -> None:
        """Make a new wire, and settle what Redis has, before anything else."""
        self._doubt = True
        self._filled.set()

    async def run(self) -> None:
        """Write until cancelled, each batch again and again until Redis has answered."""
        backoff = Backoff(*_BACKOFF_S)
        try:
            while True:
                await self._filled.wait()
                try:
                    entries = await self._write()
                except (RedisUnavailable, ResponseError) as error:  # the latter: it may not even ask what is there
                    self._outage.failed(self, "! cannot publish, trying again: %s", error)
                    await self._drop_wire()
                    await asyncio.sleep(backoff.failed())
                    continue
                backoff.succeeded()
                self._outage.succeeded(self)
                if entries >= _LOAD_ENTRIES and len(self._queue) < _MOST_ENTRIES:
                    await self._rest()
        finally:
            await self._drop_wire()

    async def _write(self) -> int:
        """Write one batch; returns how many entries it had.

        Raises:
            RedisUnavailable: nothing is known of it. It is in the queue again.
        """
        if self._doubt:
            await self._drop_wire()
        wire = self._wire or await self._new_wire()
        batch = self._next_batch()
        if not batch:
            return 0
        try:
            told = await self._publish(batch, wire)
        except RedisUnavailable:
            self._put_back(batch)
            raise
        now_s = time.monotonic()
        gone: list[Entry] = []
        for entry, outcome in told:
            if outcome is Outcome.GONE:
                gone.append(entry)
            elif outcome is Outcome.FENCED:
                entry.line.close()
            elif entry.line.error is None:
                entry.line.published(entry, now_s)
        if gone:  # a server that is no primary any more may never have had the stream: the check at a new wire decides
            self._put_back(gone)
            await self._drop_wire()
        return len(batch)

    async def _publish(self, batch: list[Entry], wire: Wire) -> list[tuple[Entry, Outcome]]:
        """Publish a batch. If Redis refuses it, each line goes alone, and stops if it is the one that is refused."""
        try:
            outcomes = await self._ledger.publish([entry.append for entry in batch], wire.all)
        except ResponseError as error:  # no permission, another kind of key: not ours to repair
            lines = {entry.line: None for entry in batch}
            if len(lines) > 1:
                return [
                    told
                    for line in lines
                    for told in await self._publish([entry for entry in batch if entry.line is line], wire)
                ]
            log.error("! Redis refuses to publish, the turn stops: %s", error)
            outcomes = [Outcome.FENCED] * len(batch)
        return list(zip(batch, outcomes, strict=True))

    def _next_batch(self) -> list[Entry]:
        batch: list[Entry] = []
        while self._queue and len(batch) < _MOST_ENTRIES:
            entry = self._queue.popleft()
            if entry.line.error is None:
                batch.append(entry)
        if not self._queue:
            self._filled.clear()
            self._urgent.clear()
        return batch

    def _put_back(self, entries: list[Entry]) -> None:
        self._queue.extendleft(reversed(entries))
        self._filled.set()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(_REST_S):
                await self._urgent.wait()
        except TimeoutError:
            pass

    # wires

    async def _new_wire(self) -> Wire:
        """Connect to the server that has our key now, and settle with it what it has of the lines that are open."""
        wire = await self._ledger.redis.wire(self._keys.dispatch)
        try:
            await self._settle(wire)
        except BaseException:
            await wire.close()
            raise
        self._wire = wire
        return wire

    async def _settle(self, wire: Wire) -> None:
        lines, self._doubt = list(self.lines), False
        questions = [question for line in lines for question in line.questions()]
        _, *replies = await wire.all([write_nothing(self._keys), *questions])
        answers = iter(replies)
        missing: list[Entry] = []
        for line in lines:
            ours = [next(answers), next(answers)]
            if line.error is None:
                try:
                    missing += line.compare(ours)
                except ResponseError as error:
                    log.error("! Redis refuses to be asked, the turn stops: %s", error)
                    line.close()
        if missing:
            log.warning("↻ Redis has lost what it had acknowledged: %d entries are sent again", len(missing))
        waiting, now_s = list(self._queue), time.monotonic()
        self._queue.clear()
        self._put_back(missing)
        for entry in waiting:  # a batch whose reply was lost may be there
            if entry.line.error is None and entry.line.has(entry):
                entry.line.published(entry, now_s)
            else:
                self._queue.append(entry)

    async def _drop_wire(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()
