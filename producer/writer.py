"""The coroutine that brings the tokens of all turns to Redis: at once when idle, together while a batch is in flight.

One writer serves all turns of a speaker. A writer for each would be shorter, but every token would then be a round
trip of its own: at 20 tokens a second a turn never has two to send together, while 100 turns always have. A batch of 20
takes Redis a seventh of the work, and the client a quarter.

One batch is in flight at a time, so that the tokens of a turn cannot overtake one another.
"""

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from saystream.common.errors import RedisUnavailable, TurnError
from saystream.common.events import TokenEvent, encode_token
from saystream.common.ledger import Ledger
from saystream.common.ledger.output import flat
from saystream.common.redis_client import Command, call_all
from saystream.producer.outbox import Outbox
from saystream.producer.patience import Patience

log = logging.getLogger(__name__)

#: Events in one batch; and of one turn in it, so that a turn with much to say does not keep the others waiting.
BATCH_EVENTS = 256
TURN_EVENTS = 64
#: How many refused turns are looked into at the same time, each on a connection of its own.
LOOKED_INTO = 8


class _Part(NamedTuple):
    """One turn's events in a batch."""

    outbox: Outbox
    first: int
    events: list[TokenEvent]

    @property
    def last(self) -> int:
        return self.first + len(self.events) - 1


class Writer:
    """Appends what outboxes hold, and tells them what became of it.

    An outbox fails with TurnEnded (or what is below it) when its turn is sealed, and with NotAcknowledged when its
    oldest event has waited for longer than `Patience` allows while Redis did not answer.
    """

    def __init__(self, ledger: Ledger, patience: Patience) -> None:
        self._ledger, self._patience = ledger, patience
        self._busy: dict[Outbox, None] = {}  # in the order of their turn to be written
        self._work = asyncio.Event()
        self._looking = asyncio.Semaphore(LOOKED_INTO)

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
        failures = 0
        while True:
            await self._work.wait()
            if not (parts := self._collect()):
                self._work.clear()
                continue
            error = await self._write(parts)
            if error is None:
                if failures:
                    log.info("= Redis answers again", extra={"action": "answered", "failures": failures})
                failures = 0
                continue
            failures += 1
            if failures == 1:
                log.warning("↻ tokens are sent again: %s", error, extra={"action": "repeat"})
            self._give_up_overdue(failures, error)
            await asyncio.sleep(min(self._patience.rest_s(failures), self._until_overdue_s()))

    async def _write(self, parts: Sequence[_Part]) -> RedisUnavailable | None:
        """Write one batch; returns why what is left of it has to be sent again."""
        try:
            # Not before one whole try: that a program held up its event loop is not Redis's fault.
            async with asyncio.timeout(max(self._patience.try_s, self._until_overdue_s())):
                replies = await self._append(parts)
                return await self._settle(parts, replies)
        except RedisUnavailable as error:
            return error
        except TimeoutError:
            return RedisUnavailable("Redis does not answer: no reply in time")
        except Exception as error:  # Redis refuses the command itself; the writer lives on for the others
            log.exception("! a batch of tokens was refused", extra={"action": "refused"})
            for part in parts:
                part.outbox.fail(error)
            return None
        finally:
            for part in parts:  # to the end of the line, if there is more
                self._busy.pop(part.outbox, None)
                if part.outbox:
                    self._busy[part.outbox] = None

    def _collect(self) -> list[_Part]:
        parts: list[_Part] = []
        room = BATCH_EVENTS
        for outbox in list(self._busy):
            if not outbox:  # it has failed meanwhile
                del self._busy[outbox]
            elif room:
                first, events = outbox.head(min(room, TURN_EVENTS))
                parts.append(_Part(outbox, first, events))
                room -= len(events)
        return parts

    async def _append(self, parts: Sequence[_Part]) -> list[Any]:
        commands: list[Command] = []
        for outbox, first, events in parts:
            key = self._ledger.keys(outbox.ref.session).tokens(outbox.ref.turn)
            numbered = enumerate(events, first)
            commands += [
                ("XADD", key, "NOMKSTREAM", f"{number}-0", *flat(encode_token(event))) for number, event in numbered
            ]
        return await call_all(self._ledger.redis, commands)

    async def _settle(self, parts: Sequence[_Part], replies: Sequence[Any]) -> RedisUnavailable | None:
        remaining = iter(replies)
        refused: list[_Part] = []
        for part in parts:
            mine = list(islice(remaining, len(part.events)))
            if all(isinstance(reply, bytes) for reply in mine):
                part.outbox.acknowledge(part.last)
            else:
                refused.append(part)
        if not refused:
            return None
        async with asyncio.TaskGroup() as group:
            looking = [group.create_task(self._look_into(part)) for part in refused]
        return next((error for task in looking if (error := task.result())), None)

    async def _look_into(self, part: _Part) -> RedisUnavailable | None:
        """Repeat events that were refused by the ledger, which tells an earlier copy of ours from a seal."""
        try:
            async with self._looking:
                await self._ledger.append(part.outbox.ref, part.first, part.events)
        except RedisUnavailable as error:
            return error
        except TurnError as error:
            part.outbox.fail(error)
        except Exception as error:
            log.exception("! tokens of turn %s were refused", part.outbox.ref.turn, extra={"action": "refused"})
            part.outbox.fail(error)
        else:
            part.outbox.acknowledge(part.last)
        return None

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
