"""One worker's share in the quota of a vendor account: places are taken, renewed and given back.

What is certain, and what is not:

- Redis decides, in one script a step: never more places are held than the limit, and those that wait get theirs in the
  order in which Redis has heard of them.
- A place is ours when Redis has answered a question of ours with it. What the stream of grants tells may be long past:
  it makes us ask.
- A place is kept by renewing it. That of a killed worker is free a lease after its last renewal, and so is its
  place in the line.
- A worker that is cut off or frozen for longer than a lease has *lost* its places (`Lease.lost`): others may have got
  them. Its streams may be open all the same, so they are entered again, even above the limit, as soon as Redis answers;
  before that it takes no place. Nothing breaks such streams off for the quota's sake: what ends them is that a worker
  whose leases are lost drops its turns. Until it has noticed the limit may be passed.
- If Redis has lost its memory, the first worker that notices closes the account for a lease, in which every worker
  enters what it holds. Nobody notices what a failover loses of the last moments; that heals with the next renewal.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from redis.exceptions import ResponseError

from saystream.common.backoff import Backoff
from saystream.common.errors import RedisUnavailable, SaystreamError
from saystream.common.keys import QuotaKeys
from saystream.common.outage import Outage
from saystream.common.quota.book import Book
from saystream.common.redis_client import Client, call_raw

log = logging.getLogger(__name__)

#: How often a lease is renewed before it would end.
_RENEWALS = 5
#: First and longest pause before Redis is asked again, in seconds.
_BACKOFF_S = (0.02, 0.5)


class QuotaClosed(SaystreamError):
    """The quota is closed: no place can be taken any more."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """Somebody who wants a place.

    Args:
        granted: done when it is held.
        ticket: its place in the line; 0 while Redis has not said.
        told: whether the stream of grants says that it has got its place.
    """

    granted: asyncio.Future[None]
    ticket: int = 0
    told: bool = False


class Lease:
    """A place for one stream of speech."""

    __slots__ = ("_quota", "id")

    def __init__(self, quota: "Quota", place: str) -> None:
        self._quota, self.id = quota, place

    def give(self) -> None:
        """Return the place, in the background. Doing so again changes nothing."""
        self._quota._drop(self.id)

    @property
    def lost(self) -> bool:
        """Whether others may have its place: it could not be renewed for a whole lease, or it was given back."""
        return self._quota._held.get(self.id, 0.0) <= time.monotonic()

    def __repr__(self) -> str:
        return f"<Lease {self.id}{' [lost]' if self.lost else ''}>"


class Quota:
    """One worker's share in the places of an account. Use as a context manager: it renews, and gives back what is left.

    Args:
        connect: makes a client whose blocking commands wait so many milliseconds at most; the quota closes it.
        account: the vendor account's name.
        limit: streams of speech at once, over all workers.
        worker: the worker's name.
        lease_s: a place that has not been renewed for so long is free again.
        lowered_s: so long is the limit lowered after a refusal.
    """

    def __init__(
        self,
        connect: Callable[[int], Client],
        account: str,
        limit: int,
        worker: str,
        lease_s: float = 2.0,
        lowered_s: float = 30.0,
    ) -> None:
        self.account, self._lease_s, self._lowered_s = account, lease_s, lowered_s
        self._block_ms = max(1, int(lease_s * 1000))
        self._redis, self._blocking = connect(0), connect(self._block_ms)
        # An answer that takes longer is worth nothing: by then half of the lease that it grants is over.
        self._redis.timeout_s = min(self._redis.timeout_s, lease_s / 2)
        # A worker that comes back under its name must not speak for the places that it had before.
        self._name = f"{quote(worker, safe='')}-{secrets.token_hex(4)}"
        self._book = Book(self._redis, QuotaKeys(account), self._name, limit, lease_s)
        self._numbers = itertools.count(1)
        self._heard: bytes = b"0-0"
        self._held: dict[str, float] = {}  # and until when, at least, on our clock
        self._waiters: dict[str, _Waiter] = {}
        self._giving: dict[str, float] = {}  # and since when
        self._renew_at = 0.0
        self._wake = asyncio.Event()  # there is something to give, to ask, or to renew before its time
        self._renewed = asyncio.Event()
        self._renewed.set()
        self._courier: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def limit(self) -> int:
        """Places that there are, over all workers, as last seen; fewer than configured for a while after a refusal."""
        return self._book.limit

    @property
    def held(self) -> int:
        """Places that are held, over all workers, as last seen; no older than a part of a lease while Redis answers."""
        return self._book.held

    @property
    def queued(self) -> int:
        """Streams of this worker that wait for a place."""
        return sum(waiter.ticket > 0 and not waiter.granted.done() for waiter in self._waiters.values())

    async def __aenter__(self) -> Self:
        self._courier = asyncio.create_task(self._carry(), name=f"quota {self.account}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give back everything, held or waited for; whoever still waits gets QuotaClosed."""
        self._closed = True
        tasks = {task for task in (self._courier, self._listener, *self._tasks) if task}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for waiter in self._waiters.values():
            if not waiter.granted.done():
                waiter.granted.set_exception(QuotaClosed())
        self._renewed.set()
        left = [*self._held, *self._giving, *self._waiters]
        self._held.clear()
        try:
            if left:
                await self._book.give(left)
        except (RedisUnavailable, ResponseError) as failure:
            log.info("! places with %s not given back, their leases will end: %s", self.account, failure)
        finally:
            await self._redis.aclose()
            await self._blocking.aclose()

    async def take(self) -> Lease:
        """Take a place, or wait in line for one: behind all that have asked before, in whichever worker.

        One round trip where there is room. It waits for as long as it takes, through an absence of Redis too: what ends
        the wait is the caller's time-out. Who is cancelled has left the line; a place that was on its way goes back.

        Raises:
            QuotaClosed: the context is left, or not entered.
        """
        if self._closed or not self._courier:
            raise QuotaClosed
        place = f"{next(self._numbers)}@{self._name}"
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = self._waiters[place] = _Waiter(granted)
        try:
            await self._ask(place, waiter)
            await granted
        except BaseException:
            self._drop(place)
            raise
        finally:
            del self._waiters[place]
        return Lease(self, place)

    async def refused(self) -> None:
        """Lower the limit for a while: the vendor has refused a stream as too many, though it had a place.

        To what is held now minus one, so call this before the lease of the refused stream is given back. If Redis does
        not answer at once this goes on in the background.
        """
        telling = self._background(self._tell_refusal(f"{next(self._numbers)}@{self._name}"))
        await asyncio.wait([telling], timeout=self._lease_s / 2)

    # taking

    async def _ask(self, place: str, waiter: _Waiter) -> None:
        """Ask until the place is held, or Redis has put it in the line. A repeat finds what the first try has done."""
        backoff = Backoff(*_BACKOFF_S)
        while not waiter.granted.done():
            await self._caught_up()
            asked_at = time.monotonic()
            try:
                ticket = await self._book.take(place)
            except RedisUnavailable as error:
                if self._closed:
                    raise QuotaClosed from error
                log.debug("! cannot take a place with %s, trying again: %s", self.account, error)
                await asyncio.sleep(backoff.failed())
                continue
            if ticket:
                waiter.ticket = ticket
                self._wake.set()  # there may be a change to wait for sooner than the next renewal
                self._listen()
                return
            self._hold(place, asked_at + self._lease_s)

    async def _caught_up(self) -> None:
        """Wait until Redis counts what we hold: where leases are lost, it would grant places that are taken."""
        while not self._closed and self._any_lost():
            self._renewed.clear()
            self._renew_now()
            await self._renewed.wait()

    def _any_lost(self) -> bool:
        now = time.monotonic()
        return any(until <= now for until in self._held.values())

    def _hold(self, place: str, until: float) -> None:
        """Let it have the place that Redis has granted; if its answer took long, only after another one.

        Args:
            until: Redis keeps it until then, at least, on our clock.
        """
        waiter = self._waiters.get(place)
        if waiter is None or waiter.granted.done():
            return  # it has left, and gives the place back
        if until - time.monotonic() < self._lease_s / 2:
            self._renew_now()
        else:
            self._held[place] = until
            waiter.granted.set_result(None)

    def _listen(self) -> None:
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._hear(), name=f"places with {self.account}")

    async def _hear(self) -> None:
        """Hear what is granted to us, for as long as somebody waits. What is missed, the next renewal tells.

        What is heard after an absence may be an old story: that place has ended, and is somebody else's. So Redis is
        asked whether it still holds.
        """
        backoff = Backoff(*_BACKOFF_S)
        while self.queued:
            try:
                where = ("STREAMS", self._book.stream, self._heard)
                reply = await call_raw(self._blocking, "XREAD", "BLOCK", self._block_ms, *where)
                backoff.succeeded()
            except (RedisUnavailable, ResponseError) as error:
                log.debug("! cannot hear of places with %s, trying again: %s", self.account, error)
                await asyncio.sleep(backoff.failed())
                continue
            for _, entries in reply or ():
                for entry_id, fields in entries:
                    self._heard = entry_id
                    if waiter := self._waiters.get(fields[1].decode()):  # else it has left, and gives the place back
                        waiter.told = True
                        self._wake.set()

    # keeping and giving back

    def _drop(self, place: str) -> None:
        """Give a place back, held or in the line, if it is not ours for good already."""
        if self._held.pop(place, None) is not None or place in self._waiters:
            self._giving[place] = time.monotonic()
            self._wake.set()

    def _renew_now(self) -> None:
        self._renew_at = 0.0
        self._wake.set()

    async def _carry(self) -> None:
        """Carry to Redis what is given back and what is renewed, one after the other.

        Never both at once: a renewal that overtakes a place given back would enter it again.
        """
        backoff, outage = Backoff(*_BACKOFF_S), Outage(log, f"places with {self.account} are renewed again")
        while True:
            await self._until_due()
            try:
                await self._give_back()
                # Where a renewal is due, never only what is told: what we hold may be lost, and its places granted.
                if time.monotonic() >= self._due_at():
                    await self._renew_all()
                elif told := self._told():
                    await self._renew([], told)
                backoff.succeeded()
                outage.succeeded(self)
            except (RedisUnavailable, ResponseError) as error:
                outage.failed(self, "! cannot renew places with %s: %s", self.account, error)
                await asyncio.sleep(backoff.failed())
            except Exception:  # a fault of ours must not stop every renewal
                log.exception("! cannot renew places with %s", self.account)
                await asyncio.sleep(backoff.failed())

    def _due_at(self) -> float:
        """When to renew: several times a lease, and when others' leases end, if somebody waits for that."""
        next_at = self._book.next_at if self.queued else None
        return self._renew_at if next_at is None else min(self._renew_at, next_at)

    async def _until_due(self) -> None:
        while not self._giving and not self._told() and (pause_s := self._due_at() - time.monotonic()) > 0:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()

    async def _give_back(self) -> None:
        # What could not be given back for a lease has ended by itself.
        lost_at = time.monotonic() - self._lease_s
        self._giving = {place: since for place, since in self._giving.items() if since > lost_at}
        if given := list(self._giving):
            await self._book.give(given)
            for place in given:
                del self._giving[place]

    def _told(self) -> dict[str, int]:
        """Return what is said to have got its place, with its ticket; without one it is asked about by who takes it."""
        return {place: ticket for place, ticket in self._waiting().items() if self._waiters[place].told}

    def _waiting(self) -> dict[str, int]:
        return {
            place: waiter.ticket
            for place, waiter in self._waiters.items()
            if waiter.ticket and not waiter.granted.done()
        }

    async def _renew_all(self) -> None:
        sent_at = time.monotonic()
        await self._renew(list(self._held), self._waiting())
        self._renew_at = sent_at + self._lease_s / _RENEWALS
        self._renewed.set()

    async def _renew(self, held: list[str], waiting: dict[str, int]) -> None:
        """Renew some of what is ours; those that have waited get their places, where Redis says so."""
        until = time.monotonic() + self._lease_s
        for place in waiting:
            self._waiters[place].told = False  # what is told from now on may be later than the answer
        try:
            granted = await self._book.renew(held, waiting)
        except BaseException:
            self._renew_now()
            raise
        for place in held:
            if place in self._held:
                self._held[place] = until
        for place in granted:
            self._hold(place, until)

    # refusals

    async def _tell_refusal(self, refusal: str) -> None:
        backoff = Backoff(*_BACKOFF_S)
        moot_at = time.monotonic() + self._lowered_s
        while time.monotonic() < moot_at:
            try:
                await self._book.refuse(refusal, self._lowered_s)
            except RedisUnavailable as error:
                log.debug("! cannot lower the limit of %s, trying again: %s", self.account, error)
                await asyncio.sleep(backoff.failed())
            else:
                log.warning("! %s refused a stream: %d at once for %g s", self.account, self.limit, self._lowered_s)
                return

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def __repr__(self) -> str:
        return f"<Quota {self.account} [streams: {self.held} held of {self.limit}, {self.queued} of ours waiting]>"
