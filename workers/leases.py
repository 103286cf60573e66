"""The turns of one shard that are in this worker's hands, and their leases: renewed in time, or dropped."""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from redis.exceptions import ResponseError

from saystream.common.errors import Fenced, RedisUnavailable, SaystreamError
from saystream.common.ledger import Message
from saystream.common.ledger.queue import Queue
from saystream.common.outage import Outage
from saystream.workers.turn import Attempt

log = logging.getLogger(__name__)

#: How often a lease is renewed before it would end.
_RENEWALS = 4
#: So many leases long turns are spoken on that cannot be renewed: perhaps Redis is away for everybody.
_HOLD = 10


class LeaseLost(SaystreamError):
    """The lease could not be renewed in time: another worker may speak this turn now."""


@dataclass(eq=False, slots=True)
class Held:
    """A turn in this worker's hands.

    Attributes:
        attempt: None while it is being claimed.
        task: that has it spoken.
        lost: why it is not ours any more; None while it is.
    """

    message: Message
    attempt: Attempt | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    lost: SaystreamError | None = None

    @property
    def finishing(self) -> bool:
        """Whether its end is on the way. Then it is no news that Redis leases it to us no more, and no loss."""
        return self.attempt is not None and self.attempt.finishing

    def drop(self, error: SaystreamError) -> None:
        """Make its attempt stop without a word more."""
        if self.lost is None:
            self.lost = error
            if self.attempt:
                self.attempt.drop(error)


class Leases:
    """The leases of one shard; one command renews them all, and takes back none that another worker has.

    Nothing is dropped because of the clock alone. Where Redis is away for everybody, nobody can have taken the turns,
    and they are spoken on: their audio waits in the worker. Where only this worker was frozen or cut off, others have
    them, which the first renewal that gets through tells; what it still publishes until then is refused by its ids. But
    turns of a Redis that stays away are not for ever spoken in vain.

    Args:
        queue: the shard's.
        lease_s: how long a lease is.
        outage: tells that leases cannot be renewed, once for all shards of the worker.
    """

    def __init__(self, queue: Queue, lease_s: float, outage: Outage) -> None:
        self._queue, self._lease_s, self._outage = queue, lease_s, outage
        self._held: dict[str, Held] = {}
        self._renewed_at = time.monotonic()

    @property
    def held(self) -> list[Held]:
        """The turns that are held."""
        return list(self._held.values())

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, message: Message) -> bool:
        return message.id in self._held

    def take(self, message: Message) -> Held:
        """Hold a turn that the queue has handed out."""
        if earlier := self._held.get(message.id):  # we have lost it without noticing
            earlier.drop(LeaseLost())
        held = self._held[message.id] = Held(message)
        return held

    def let_go(self, held: Held) -> None:
        """Hold a turn no longer, because it has ended or is not ours any more."""
        if self._held.get(held.message.id) is held:  # else we have lost it and taken it again meanwhile
            del self._held[held.message.id]

    async def keep(self) -> None:
        """Renew the leases four times a lease, for ever; when that has not worked for ten leases, drop them."""
        self._renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(self._lease_s / _RENEWALS)
            now = time.monotonic()
            try:
                async with asyncio.timeout(self._lease_s / 2):
                    await self._renew()
                self._renewed_at = now  # counted from the question, not from the answer
                self._outage.succeeded(self)
            except (TimeoutError, RedisUnavailable, ResponseError) as error:
                # Refused, if the group is gone: `Dispatch` makes it anew.
                self._outage.failed(self, "! cannot renew leases: %s", str(error) or "no answer in time")
                if now - self._renewed_at >= _HOLD * self._lease_s:
                    self._drop_all(now)

    async def _renew(self) -> None:
        ours = dict(self._held)
        still = await self._queue.renew(ours)
        for message_id, held in ours.items():
            if message_id not in still and not held.finishing:
                self._drop(held, Fenced(held.message.ref.turn))

    def _drop_all(self, now: float) -> None:
        if self._held:
            log.warning("! leases not renewed for %.1f s: dropping %d turns", now - self._renewed_at, len(self._held))
        for held in self.held:
            self._drop(held, LeaseLost())

    def _drop(self, held: Held, error: SaystreamError) -> None:
        held.drop(error)
        self.let_go(held)  # at once: its task may take a while to end, and must not be renewed meanwhile

    def __repr__(self) -> str:
        return f"<Leases [turns: {len(self._held)}]>"
