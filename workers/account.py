"""An account with a vendor: its pools, one for each binding, its breaker, its share of the quota, its counts."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from saystream.common.errors import Action, SaystreamError, Scope, VendorError
from saystream.common.reports import PoolReport
from saystream.workers.breaker import Breaker, NotAsked, State, Weight, weigh
from saystream.workers.connection import Stream
from saystream.workers.pool import Pool
from saystream.workers.providers.base import Provider, StreamSpec

log = logging.getLogger(__name__)


class Lease(Protocol):
    """A place among the streams that the account allows."""

    def give(self) -> None:
        """Give it back; giving twice changes nothing."""


class Quota(Protocol):
    """The streams that the account allows at once, over all workers."""

    async def take(self) -> Lease:
        """Wait for a place, in order, for as long as it takes."""

    async def refused(self) -> None:
        """Allow fewer for a while: the vendor has refused a stream as too many, whose place is still held."""

    @property
    def limit(self) -> int:
        """Streams that are allowed now."""

    @property
    def held(self) -> int | None:
        """Streams that are open, over all workers, as far as is known."""

    @property
    def queued(self) -> int:
        """Streams of this worker that wait for a place."""


@dataclass(slots=True)
class Counts:
    """What has happened since the worker's start; see `PoolReport`."""

    streams: int = 0
    warm: int = 0
    hedges: int = 0
    hedges_won: int = 0
    failures: int = 0
    refusals: int = 0


class Account:
    """One account with a vendor. Use as a context manager: connections are opened on entering and closed on leaving.

    A success is the first audio of a stream; a stream that has gone well makes up for what failed before. A connection
    that opens is none: vendors accept the handshake first and refuse the account afterwards.

    Args:
        provider: whose account.
        usual: what the streams of the voices that use it are like: their connections are opened at once, those for
            others when they are first asked for.
        quota: over all workers; no limit if not given.
    """

    def __init__(self, provider: Provider, usual: Sequence[StreamSpec], quota: Quota | None = None) -> None:
        self.provider, self.quota = provider, quota
        self.counts = Counts()
        settings = provider.settings
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_s)
        self._pools: dict[str, Pool] = {}
        self._pool_counts: dict[str, Counts] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False
        self._news = asyncio.Event()  # something has moved the breaker, or its probe has ended
        for spec in reversed(usual):  # the first voice's is what the first connection is made ready for
            self._pool(spec).usual = spec

    async def __aenter__(self) -> "Account":
        self._open = True
        self._act()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._open = False
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Its pools, in the order in which they were first asked for."""
        return tuple(self._pools.values())

    @property
    def usable(self) -> bool:
        """Whether the breaker would let a stream through now."""
        return self._breaker.allows(time.monotonic())

    @property
    def healthy(self) -> bool:
        """Whether nothing speaks against the vendor: the breaker is closed."""
        return self._breaker.state(time.monotonic()) is State.CLOSED

    @property
    def retry_at(self) -> float | None:
        """When the breaker lets a stream through, on the monotonic clock; None: at any time."""
        return self._breaker.retry_at(time.monotonic())

    @property
    def refusal(self) -> VendorError | None:
        """Why the breaker would let no stream through now; None: it would."""
        return None if self.usable else self._refusal()

    async def until_usable(self, most_s: float) -> None:
        """Wait until the breaker would let a stream through, for so many seconds at most."""
        until = time.monotonic() + most_s
        while not self.usable and (now := time.monotonic()) < until:
            pause_s = min(until, max(self._breaker.retry_at(now) or now, now + 0.001)) - now
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._news.wait()

    async def warmed(self) -> None:
        """Wait until each pool has the fewest connections that are kept.

        Raises:
            VendorError: the first of them could not be opened, and waiting will not help.
        """
        for pool in list(self._pools.values()):
            await pool.warmed()

    async def stream(self, spec: StreamSpec) -> Stream:
        """Start a stream of speech on a warm connection, or on the first that becomes free in the time to connect.

        Raises:
            NotAsked: the vendor is not asked for now.
            VendorError: it refuses, or no place was free in time.
        """
        wait_s = self.provider.settings.connect_timeout_s
        if not self.usable:
            raise self._refusal()
        pool = self._pool(spec)
        pool.usual = spec
        lease = await self._place(self.quota) if self.quota is not None else None
        visit = _Visit(self, pool, lease)
        try:
            visit.ticket = self._ask()  # not sooner: a probe is not to wait for a place
            async with asyncio.timeout(wait_s):
                return await self._start(pool, spec, visit)
        except TimeoutError:
            visit.abandoned()
            text = f"no connection became free within {wait_s:g} s"
            late = VendorError(self.provider.vendor, text, scope=Scope.SOCKET, action=Action.RETRY_LATER)
            raise pool.error or late from None
        except BaseException:
            visit.abandoned()
            raise

    def reports(self) -> list[PoolReport]:
        """Report on each pool. What is counted for the account is told with the first, so that sums are right."""
        breaker = self._breaker.state(time.monotonic())
        return [
            self._report(pool, counts, breaker, first=number == 0)
            for number, (pool, counts) in enumerate(zip(self._pools.values(), self._pool_counts.values(), strict=True))
        ]

    def _report(self, pool: Pool, counts: Counts, breaker: State, *, first: bool) -> PoolReport:
        error = self._breaker.error if breaker is not State.CLOSED else pool.error
        quota = self.quota
        return PoolReport(
            provider=self.provider.name,
            vendor=self.provider.vendor,
            binding=pool.binding,
            active=pool.active,
            idle=pool.idle,
            opening=pool.opening,
            parting=pool.parting,
            waiting=pool.waiting,
            most=self.provider.settings.max,
            breaker=breaker,
            error=str(error) if error else "",
            limit=quota.limit if quota else None,
            held=quota.held if quota else None,
            queued=quota.queued if quota else 0,
            streams=counts.streams,
            warm=counts.warm,
            hedges=self.counts.hedges if first else 0,
            hedges_won=self.counts.hedges_won if first else 0,
            failures=counts.failures,
            refusals=counts.refusals,
        )

    # a stream

    def _ask(self) -> int:
        if not self._open:
            raise self._error("the worker stops", Action.RETRY_LATER)
        ticket = self._breaker.ask(time.monotonic())
        if ticket is None:
            raise self._refusal()
        return ticket

    async def _place(self, quota: Quota) -> Lease:
        """Wait in order, also behind turns of other workers."""
        wait_s = self.provider.settings.limit_wait_s
        try:
            async with asyncio.timeout(wait_s):
                return await quota.take()
        except TimeoutError:
            text = f"all {quota.limit} streams that the account is allowed were in use for {wait_s:g} s"
            raise self._error(text, Action.RETRY_LATER) from None
        except SaystreamError as error:
            raise self._error(f"no place for a stream: {error}", Action.RETRY_LATER) from error

    async def _start(self, pool: Pool, spec: StreamSpec, visit: "_Visit") -> Stream:
        while True:
            connection, warm = await pool.acquire()
            if connection.error is None:
                break
            connection.give_back()  # lost in the very moment in which it was given
        stream, frames = connection.start(spec, visit)
        visit.started = True
        stream.warm = warm
        for counts in (self.counts, self._pool_counts[pool.binding]):
            counts.streams += 1
            counts.warm += warm
        try:
            await connection.send(frames)
        except BaseException:
            stream.cancel()
            raise
        return stream

    def _refusal(self, kind: type[VendorError] = NotAsked) -> VendorError:
        """Say why the vendor is not asked: as it has said itself, if an operator must act."""
        error = self._breaker.error
        if error is not None and weigh(error) is Weight.DENIED:
            return self._error(error.text, error.action, error.code)
        text = f"not asked for now, after: {error.text}" if error else "another stream tries whether it is well again"
        code = error.code if error else None
        return kind(self.provider.vendor, text, code=code, scope=Scope.ACCOUNT, action=Action.RETRY_LATER)

    def _error(self, text: str, action: Action, code: int | str | None = None) -> VendorError:
        return VendorError(self.provider.vendor, text, code=code, scope=Scope.ACCOUNT, action=action)

    # outcomes

    def spoke(self, ticket: int) -> None:
        """A stream has brought its first audio."""
        before = self._breaker.state(time.monotonic())
        self._breaker.spoke(ticket)
        self._told(before)

    def well(self, ticket: int) -> None:
        """A stream has gone well, as far as it was wanted."""
        before = self._breaker.state(time.monotonic())
        self._breaker.well(ticket)
        self._told(before)

    def undecided(self, ticket: int) -> None:
        """A stream has ended without saying anything about the vendor."""
        self._breaker.undecided(ticket)
        self._news.set()

    def failed(
        self, pool: Pool, ticket: int, error: VendorError, *, stalled: bool = False
    ) -> asyncio.Task[None] | None:
        """A stream has failed. What is returned must be done before its place in the quota is given back."""
        if not self._open:
            return None
        refused = weigh(error) is Weight.REFUSED
        for counts in (self.counts, self._pool_counts[pool.binding]):
            counts.refusals += refused
            counts.failures += not refused
        self._weigh(ticket, error, stalled=stalled)
        if stalled:
            pool.doubt()
        return self._lower() if refused else None

    # what the pools share

    def opens_at(self, now: float) -> float:
        if self._breaker.state(now) is State.OPEN:
            return self._breaker.retry_at(now) or 0.0
        return 0.0

    def at_once(self, now: float) -> int | None:
        return 1 if self._breaker.state(now) is State.HALF_OPEN else None

    def room(self, pool: Pool) -> int:
        return self.provider.settings.max - sum(other.size for other in self._pools.values() if other is not pool)

    def lacks_room(self, pool: Pool) -> None:
        if not any(other.cede() for other in self._pools.values() if other is not pool):
            log.debug("= %s has turns waiting and no room for another connection", pool)

    def has_room(self, pool: Pool) -> None:
        if self._open:
            starving = [other for other in self._pools.values() if other is not pool and other.starving]
            for other in sorted(starving, key=lambda other: other.waiting, reverse=True):
                other.act()

    def ticket(self) -> int:
        return self._breaker.ticket()

    def not_connected(self, pool: Pool, ticket: int, error: VendorError) -> None:
        if not self._open:
            return
        if weigh(error) is Weight.REFUSED:
            for counts in (self.counts, self._pool_counts[pool.binding]):
                counts.refusals += 1
            if pool.waiting:
                self._lower()
        self._weigh(ticket, error)

    def lost(self, error: VendorError) -> None:
        if self._open and weigh(error) is Weight.DENIED:
            before = self._breaker.state(now := time.monotonic())
            self._breaker.denied(error, now)
            self._told(before)

    def _weigh(self, ticket: int, error: VendorError, *, stalled: bool = False) -> None:
        now, weight = time.monotonic(), weigh(error)
        before = self._breaker.state(now)
        if weight is Weight.DENIED:
            self._breaker.denied(error, now)
        elif weight is Weight.FAILURE or stalled:
            self._breaker.failed(ticket, error, now)
        else:
            self._breaker.undecided(ticket)
        self._told(before)

    def _lower(self) -> asyncio.Task[None] | None:
        return self._background(self._lowered(self.quota)) if self.quota else None

    async def _lowered(self, quota: Quota) -> None:
        try:
            await quota.refused()
        except SaystreamError as error:
            log.info("! the limit of %s is not lowered: %s", self.provider.name, error)

    def _told(self, before: State) -> None:
        """Let the pools and those who wait follow the breaker, if it has moved."""
        self._news.set()
        state = self._breaker.state(now := time.monotonic())
        if state is before or not self._open:
            return
        if state is State.OPEN:
            pause_s = (self._breaker.retry_at(now) or now) - now
            log.warning("! %s is not asked for %.1f s: %s", self.provider.name, pause_s, self._breaker.error)
            for pool in self._pools.values():
                pool.refuse(self._refusal(VendorError))  # those who wait were let through, and it has come to nothing
        elif state is State.CLOSED:
            log.info("= %s is well again", self.provider.name)
            self._act()

    def _act(self) -> None:
        for pool in self._pools.values():
            pool.act()

    def _pool(self, spec: StreamSpec) -> Pool:
        binding = self.provider.binding(spec)
        pool = self._pools.get(binding)
        if pool is None:
            pool = self._pools[binding] = Pool(self.provider, binding, spec, self)
            pool.kept = not self._open  # a binding of the voices
            self._pool_counts[binding] = Counts()
        return pool

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"{self.provider.name} account")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def __repr__(self) -> str:
        state = self._breaker.state(time.monotonic())
        counts = self.counts
        return (
            f"<Account {self.provider.name} [breaker: {state} | pools: {len(self._pools)} | "
            f"streams: {counts.streams}, {counts.warm} warm, {counts.failures} failed, {counts.refusals} refused]>"
        )


class _Visit:
    """One stream's stay with an account, from its place in the quota until the vendor holds none for it any more."""

    def __init__(self, account: Account, pool: Pool, lease: Lease | None) -> None:
        self._account, self._pool, self._lease = account, pool, lease
        self._spoke = False
        self._lowering: asyncio.Task[None] | None = None
        self.ticket: int | None = None  # what the breaker knows it by, once it was asked
        self.started = False  # from then on its connection tells how it goes

    def _of_breaker(self) -> int:
        assert self.ticket is not None, "a stream is not started before the breaker was asked"
        return self.ticket

    def spoke(self) -> None:
        self._spoke = True
        self._account.spoke(self._of_breaker())

    def finished(self) -> None:
        self._account.well(self._of_breaker())

    def failed(self, error: VendorError, *, stalled: bool) -> None:
        self._lowering = self._account.failed(self._pool, self._of_breaker(), error, stalled=stalled)

    def cancelled(self) -> None:
        if self._spoke:
            self._account.well(self._of_breaker())
        else:
            self._account.undecided(self._of_breaker())

    def gone(self) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        if self._lowering is None or self._lowering.done():
            lease.give()
        else:
            self._lowering.add_done_callback(lambda _: lease.give())

    def abandoned(self) -> None:
        """It was not started after all."""
        if not self.started:
            if self.ticket is not None:
                self._account.undecided(self.ticket)
            self.gone()
