"""The coroutine that brings the tokens of all turns to Redis: at once when idle, together while a batch is in flight.

One writer serves all turns of a speaker. A writer for each would be shorter, but every token would then be a round
trip of its own: at 20 tokens a second a turn never has two to send together, while 100 turns always have. A batch of 20
takes Redis a seventh of the work, and the client a quarter.

One batch is in flight at a time, so that the tokens of a turn cannot overtake one another.
"""

import asyncio
import logging
from collections.abc import Sequence

from saystream.common.errors import RedisUnavailable
from saystream.common.ledger import Batch, Ledger
from saystream.producer.outbox import Outbox
from saystream.producer.patience import Patience

log = logging.getLogger(__name__)

#: Events in one batch; and of one turn in it, so that a turn with much to say does not keep the others waiting.
BATCH_EVENTS = 256
TURN_EVENTS = 64

_Part = tuple[Outbox, Batch]


class Writer:
    """Appends what outboxes hold, and tells them what became of it.

    An outbox fails with TurnEnded (or what is below it) when its turn is sealed, and with NotAcknowledged when its
    oldest event has waited for longer than `Patience` allows while Redis did not answer.
    """

    def __init__(self, ledger: Ledger, patience: Patience) -> None:
        self._ledger, self._patience = ledger, patience
        self._busy: dict[Outbox, None] = {}  # in the order of their turn to be written
        self._work = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many events are not acknowledged."""
        return sum(map(len, self._busy))

    def wake(self, outbox: Outbox) -> None:
        """Let the writer know that there is something in an outbox."""
        self._busy.setdefault(outbox)
        self._work.set()

    async def run(self) -> None:
        """Write until cancelled."""
        backoff = self._patience.backoff()
        while True:
            await self._work.wait()
            if not (parts := self._collect()):
                self._work.clear()
                continue
            error = await self._write(parts)
            if error is None:
                if backoff.failures:
                    log.info("= Redis answers again", extra={"action": "answered", "failures": backoff.failures})
                backoff.succeeded()
                continue
            rest_s = backoff.failed()
            if backoff.failures == 1:
                log.warning("↻ tokens are sent again: %s", error, extra={"action": "repeat"})
            self._give_up_overdue(backoff.failures, error)
            await asyncio.sleep(min(rest_s, self._until_overdue_s()))

    async def _write(self, parts: Sequence[_Part]) -> RedisUnavailable | None:
        """Write one batch; returns why it has to be sent again."""
        try:
            # Not before one whole try: that a program held up its event loop is not Redis's fault.
            async with asyncio.timeout(max(self._patience.try_s, self._until_overdue_s())):
                refusals = await self._ledger.append_all([batch for _, batch in parts])
        except RedisUnavailable as error:
            return error
        except TimeoutError:
            return RedisUnavailable("Redis does not answer: no reply in time")
        else:
            for (outbox, batch), refusal in zip(parts, refusals, strict=True):
                if refusal is None:
                    outbox.acknowledge(batch.first + len(batch.events) - 1)
                else:
                    outbox.fail(refusal)
            return None
        finally:
            for outbox, _ in parts:  # to the end of the line, if there is more
                self._busy.pop(outbox, None)
                if outbox:
                    self._busy[outbox] = None

    def _collect(self) -> list[_Part]:
        parts: list[_Part] = []
        room = BATCH_EVENTS
        for outbox in list(self._busy):
            if not outbox:  # it has failed meanwhile
                del self._busy[outbox]
            elif room:
                first, events = outbox.head(min(room, TURN_EVENTS))
                parts.append((outbox, Batch(outbox.ref, first, events)))
                room -= len(events)
        return parts

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
