"""The coroutines that bring the tokens of all turns to Redis: at once when idle, together while a batch is in flight.

Each shard has a lane, which serves all turns of a speaker in it. A writer for each turn would be shorter, but every
token would then be a round trip of its own: at 20 tokens a second a turn never has two to send together, while 100
turns always have. A batch of 20 takes Redis a seventh of the work, and the client a quarter.

A lane has one wire, and one batch in flight, so that the tokens of a turn cannot overtake one another. There may have
been a failover at each new wire: so it first asks what Redis has of each turn, and sends again what is missing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable, SaystreamError, TokensLost, TurnGone
from saystream.common.events import EndOfText
from saystream.common.ids import shard_of
from saystream.common.keys import ShardKeys
from saystream.common.ledger import Batch, Ledger
from saystream.common.ledger.output import write_nothing
from saystream.common.ledger.tokens import ended, last_entry, last_number, sealed_as
from saystream.common.redis_client import Wire
from saystream.producer.outbox import Outbox
from saystream.producer.patience import Patience

log = logging.getLogger(__name__)

#: Events in one batch; and of one turn in it, so that a turn with much to say does not keep the others waiting.
BATCH_EVENTS = 256
TURN_EVENTS = 64
#: How often turns are looked at for which nothing is written.
LOOK_S = 30.0

_Part = tuple[Outbox, Batch]
#: Told of a turn whose text cannot be repaired, and why.
Lost = Callable[[Outbox, str], object]


class Writer:
    """Appends what outboxes hold, and tells them what became of it.

    An outbox fails with TurnEnded (or what is below it) when its turn is sealed, with NotAcknowledged when its oldest
    event has waited for longer than `Patience` allows while Redis did not answer, and with TokensLost when Redis has
    lost what the outbox no longer holds.
    """

    def __init__(self, ledger: Ledger, patience: Patience, lost: Lost) -> None:
        self._ledger, self._patience, self._lost = ledger, patience, lost
        self._lanes: dict[int, _Lane] = {}
        self._tasks: dict[asyncio.Task[None], int] = {}

    @property
    def waiting(self) -> int:
        """How many events are not acknowledged."""
        return sum(lane.waiting for lane in self._lanes.values())

    def add(self, outbox: Outbox) -> None:
        """Care for an outbox until `remove`: it is told when its turn ends."""
        self._lane(outbox).add(outbox)

    def wake(self, outbox: Outbox) -> None:
        """Let the writer know that there is something in an outbox, for which it cares from now on."""
        self._lane(outbox).wake(outbox)

    def remove(self, outbox: Outbox) -> None:
        """Forget an outbox."""
        if lane := self._lanes.get(self._shard(outbox)):
            lane.forget(outbox)

    async def close(self) -> None:
        """Write no more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _shard(self, outbox: Outbox) -> int:
        return shard_of(outbox.ref.session, self._ledger.shards)

    def _lane(self, outbox: Outbox) -> "_Lane":
        shard = self._shard(outbox)
        if (lane := self._lanes.get(shard)) is None:
            lane = self._lanes[shard] = _Lane(self._ledger, ShardKeys(shard), self._patience, self._lost)
            task = asyncio.create_task(lane.run(), name=f"saystream writer of shard {shard}")
            self._tasks[task] = shard
            task.add_done_callback(self._ended)
        return lane

    def _ended(self, task: asyncio.Task[None]) -> None:
        shard = self._tasks.pop(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("! the writer of shard %d has ended by a fault", shard, exc_info=error, extra={"action": "fail"})
        lane = self._lanes.pop(shard)  # the next turn gets another one
        for outbox in list(lane.outboxes):  # one that fails leaves it
            outbox.fail(SaystreamError(f"turn {outbox.ref.turn}: not written, by a fault of ours: {error}"))


class _Lane:
    """Brings the tokens of one shard's turns to Redis.

    Attributes:
        outboxes: of the turns that may still take text, and how many tokens of each were acknowledged at the last look.
    """

    def __init__(self, ledger: Ledger, keys: ShardKeys, patience: Patience, lost: Lost) -> None:
        self._ledger, self._keys, self._patience, self._lost = ledger, keys, patience, lost
        self.outboxes: dict[Outbox, int] = {}
        self._busy: dict[Outbox, None] = {}  # in the order of their turn to be written
        self._work = asyncio.Event()
        self._missed: set[Outbox] = set()  # whose turns the last wire's server did not have
        self._wire: Wire | None = None
        self._look_at_s = 0.0

    @property
    def waiting(self) -> int:
        """How many events are not acknowledged."""
        return sum(map(len, self._busy))

    def add(self, outbox: Outbox) -> None:
        """Care for an outbox."""
        self.outboxes.setdefault(outbox, -1)

    def wake(self, outbox: Outbox) -> None:
        """Let the lane know that there is something in an outbox."""
        self.add(outbox)
        self._busy.setdefault(outbox)
        self._work.set()

    def forget(self, outbox: Outbox) -> None:
        """Care for an outbox no more."""
        self.outboxes.pop(outbox, None)
        self._missed.discard(outbox)

    async def run(self) -> None:
        """Write until cancelled."""
        backoff = self._patience.backoff()
        try:
            while True:
                await self._work.wait()
                error = await self._try()
                if error is None:
                    if backoff.failures:
                        log.info("= Redis answers again", extra={"action": "answered", "failures": backoff.failures})
                    backoff.succeeded()
                    continue
                await self._drop_wire()
                rest_s = backoff.failed()
                if backoff.failures == 1:
                    log.warning("↻ tokens are sent again: %s", error, extra={"action": "repeat"})
                self._give_up_overdue(backoff.failures, error)
                await asyncio.sleep(min(rest_s, self._until_overdue_s()))
        finally:
            await self._drop_wire()

    async def _try(self) -> RedisUnavailable | None:
        """Write one batch; returns why it has to be sent again."""
        try:
            # Not before one whole try: that a program held up its event loop is not Redis's fault.
            async with asyncio.timeout(max(self._patience.try_s, self._until_overdue_s())):
                wire = self._wire or await self._new_wire()
                await self._look_at_the_quiet(wire)
                if parts := self._collect():
                    await self._write(wire, parts)
                else:
                    self._work.clear()
        except RedisUnavailable as error:
            return error
        except TimeoutError:
            return RedisUnavailable("Redis does not answer: no reply in time")
        return None

    async def _write(self, wire: Wire, parts: Sequence[_Part]) -> None:
        # That its text is whole is the last that a producer is told of a turn; nobody would send it again.
        last = any(isinstance(batch.events[-1], EndOfText) for _, batch in parts)
        send_all = partial(wire.all, replicated=True) if last else wire.all
        try:
            refusals = await self._ledger.append_all([batch for _, batch in parts], send_all)
        except ResponseError as refused:  # all of it: no permission, say
            refusals = [refused] * len(parts)
        finally:
            for outbox, _ in parts:  # to the end of the line
                self._busy.pop(outbox, None)
                self._busy[outbox] = None
        for (outbox, batch), refusal in zip(parts, refusals, strict=True):
            if refusal is None:
                outbox.acknowledge(batch.first + len(batch.events) - 1)
                self._missed.discard(outbox)
            elif outbox.error or outbox in self._missed or not isinstance(refusal, TurnGone):
                outbox.fail(refusal)
            else:  # a server that is no primary any more may never have had it: look again, once
                self._missed.add(outbox)
                await self._drop_wire()

    def _collect(self) -> list[_Part]:
        parts: list[_Part] = []
        room = BATCH_EVENTS
        for outbox in list(self._busy):
            if not outbox:  # all of it is acknowledged, or it has failed
                del self._busy[outbox]
            elif room:
                first, events = outbox.head(min(room, TURN_EVENTS))
                parts.append((outbox, Batch(outbox.ref, first, events)))
                room -= len(events)
        return parts

    # wires

    async def _new_wire(self) -> Wire:
        """Connect to the server that has our key now, and settle with it what it has of our turns."""
        wire = await self._ledger.redis.wire(self._keys.dispatch)
        try:
            await self._settle(wire, [box for box in self.outboxes if box.acknowledged])
        except BaseException:
            await wire.close()
            raise
        self._wire = wire
        return wire

    async def _look_at_the_quiet(self, wire: Wire) -> None:
        """Ask now and then about turns for which nothing is written: they may have ended without our knowing it."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_S
            quiet = [box for box, acknowledged in self.outboxes.items() if acknowledged == box.acknowledged]
            self.outboxes = {box: box.acknowledged for box in self.outboxes}
            if quiet:
                await self._settle(wire, quiet)

    async def _settle(self, wire: Wire, boxes: Iterable[Outbox]) -> None:
        known = [box for box in boxes if box.error is None and not box.over]
        questions = [last_entry(self._keys.tokens(box.ref.turn)) for box in known]
        _, *answers = await wire.all([write_nothing(self._keys), *questions])
        for outbox, answer in zip(known, answers, strict=True):
            if outbox.error is None:
                try:
                    self._compare(outbox, answer)
                except ResponseError as refused:
                    outbox.fail(refused)

    def _compare(self, outbox: Outbox, answer: Any) -> None:
        """Compare what Redis has of a turn with what it has acknowledged."""
        turn, state = outbox.ref.turn, sealed_as(answer)
        if state is not None:
            if not outbox:  # else its next append will tell what was there before the seal
                outbox.fail(ended(turn, state))
            return
        last, acknowledged = last_number(answer), outbox.acknowledged
        if last >= acknowledged:
            return
        which = f"tokens {last + 1} to {acknowledged}" if last + 1 < acknowledged else f"token {acknowledged}"
        if outbox.rewind(last, asyncio.get_running_loop().time()):
            log.warning("↻ turn %s: Redis has lost %s, sent again", turn, which, extra={"action": "repeat"})
            self.wake(outbox)
            return
        cause = f"Redis has lost {which} of the text"
        log.error("! turn %s: %s, and they are no longer held", turn, cause, extra={"action": "give up"})
        outbox.fail(TokensLost(turn, f"{cause}, and they are no longer held."))
        self._lost(outbox, cause)

    async def _drop_wire(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    # patience

    def _until_overdue_s(self) -> float:
        """How long until the oldest event of all has waited too long, in seconds."""
        now_s = asyncio.get_running_loop().time()
        oldest_s = min((outbox.since_s for outbox in self._busy if outbox), default=now_s)
        return max(0.0, oldest_s + self._patience.seconds - now_s)

    def _give_up_overdue(self, failures: int, error: RedisUnavailable) -> None:
        if failures < 2:  # one failure can be that of a connection that died while it was not used
            return
        overdue_s = asyncio.get_running_loop().time() - self._patience.seconds
        for outbox in list(self._busy):
            if outbox and outbox.since_s <= overdue_s:
                first, last = outbox.acknowledged + 1, outbox.numbered
                which = f"token {first}" if first == last else f"tokens {first} to {last}"
                failure = self._patience.exhausted(f"turn {outbox.ref.turn}, {which}", error)
                failure.__cause__ = error
                log.error("! turn %s: %s not acknowledged", outbox.ref.turn, which, extra={"action": "give up"})
                outbox.fail(failure)
