"""Warm connections for one binding of an account, handed to turns as they come."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Protocol

from saystream.common.backoff import Backoff
from saystream.common.errors import Action, Scope, VendorError
from saystream.workers.connection import Connection
from saystream.workers.pool_policy import Decision, Pace, PoolLimits, decide, demand
from saystream.workers.providers.base import Provider, StreamSpec

log = logging.getLogger(__name__)

#: First and longest pause before another try to connect, in seconds; each is shortened by up to a half at random.
_BACKOFF_S = (0.2, 30.0)
#: A connection that is lost unused within so many seconds was never good; a later loss is the vendor's idle limit.
_SOON_S = 5.0
#: When one connection goes silent, those are in doubt that have not been used, or opened, for so many seconds.
_DOUBT_S = 1.0
#: How long connections may take to close when the pool does.
_CLOSE_S = 5.0


class Owner(Protocol):
    """The account: what its pools share."""

    def opens_at(self, now: float) -> float:
        """Return the monotonic time before which no connection is to be opened."""

    def at_once(self, now: float) -> int | None:
        """Return how many connections may be on their way together; None: any number."""

    def room(self, pool: "Pool") -> int:
        """Return how many connections a pool may have, beside those of the others."""

    def lacks_room(self, pool: "Pool") -> None:
        """Turns of a pool wait, and there is no room for another connection."""

    def has_room(self, pool: "Pool") -> None:
        """A connection of a pool has gone, or has nothing to do."""

    def ticket(self) -> int:
        """Return a number for a try to connect."""

    def not_connected(self, pool: "Pool", ticket: int, error: VendorError) -> None:
        """A try to connect has failed."""

    def lost(self, error: VendorError) -> None:
        """A connection has been lost with no stream on it."""


class Pool:
    """The connections for one binding.

    Args:
        provider: whose account.
        binding: what of a stream is bound to its connection.
        usual: what streams are like; the last one that was asked for is taken for the next.
        owner: what it shares with others.

    Attributes:
        kept: the fewest connections are kept ready for ever, not only while turns come.
        error: why nothing could be opened; None if something could.
    """

    def __init__(self, provider: Provider, binding: str, usual: StreamSpec, owner: Owner) -> None:
        self.provider, self.binding, self.usual = provider, binding, usual
        self.error: VendorError | None = None
        self.kept = True
        self.starving = False  # it would open more if there were room
        self._owner = owner
        settings, abilities = provider.settings, provider.capabilities
        self._limits = PoolLimits(settings.min, settings.max, abilities.streams)
        self._settles = abilities.settle_s > 0
        self._one_turn = False  # learned: the vendor closes a connection after its first stream
        self._pace = Pace()
        self._asked_at = time.monotonic()
        self._connections: dict[Connection, None] = {}
        self._opening = self._closing = 0
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._backoff = Backoff(*_BACKOFF_S)
        self._open_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._openings: set[asyncio.Task[None]] = set()  # those of them that connect
        self._closed = False
        self._news = asyncio.Event()  # something has changed

    @property
    def size(self) -> int:
        """Connections, those on their way and those that are being closed, too."""
        return len(self._connections) + self._opening + self._closing

    @property
    def active(self) -> int:
        """Connections with streams on them."""
        return sum(connection.active > 0 for connection in self._connections)

    @property
    def idle(self) -> int:
        """Connections that are ready for a stream, and have none."""
        return sum(connection.active == 0 and connection.free > 0 for connection in self._connections)

    @property
    def opening(self) -> int:
        """Connections on their way."""
        return self._opening

    @property
    def parting(self) -> int:
        """Cancelled streams that the vendor has not done with."""
        return sum(connection.parting for connection in self._connections)

    @property
    def waiting(self) -> int:
        """Turns that wait for a connection."""
        return len(self._waiting)

    async def close(self) -> None:
        """Close every connection; whoever waits for one is told."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        self._fail_waiting(self._error("the worker stops"))
        for connection in list(self._connections):
            self._drop(connection)
        for opening in self._openings:
            opening.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSE_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def warmed(self) -> None:
        """Wait until the fewest connections that are kept are ready.

        Raises:
            VendorError: the first of them could not be opened, and waiting will not help.
        """
        while sum(connection.free > 0 for connection in self._connections) < self._least().min:
            if self.error and not self.error.retryable:
                raise self.error
            self._news.clear()
            await self._news.wait()

    async def acquire(self) -> tuple[Connection, bool]:
        """Reserve a place on a warm connection, or on the first that becomes free; tell whether one was ready.

        Raises:
            VendorError: there is none, and waiting will not help.
        """
        now = time.monotonic()
        idle = not self._connections and not self._opening and now < self._open_at
        if self.error and not self.error.retryable and idle:
            raise self.error  # nothing has changed since, and the next try is not yet due
        if self._closed:
            raise self._error("the worker stops")
        self._pace.arrived(now)
        self._asked_at = now
        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self.act()
        warm = future.done()
        try:
            return await asyncio.shield(future), warm
        except asyncio.CancelledError:
            if future in self._waiting:
                self._waiting.remove(future)
            elif not future.cancelled() and future.exception() is None:  # given in the very moment in which we gave up
                future.result().give_back()
            raise

    def refuse(self, error: VendorError) -> None:
        """The account does not ask the vendor for now: tell those who wait. When it asks again is its own decision."""
        self._backoff.succeeded()
        self._open_at = 0.0
        self._fail_waiting(error)
        self.act()

    def cede(self) -> bool:
        """Give up a connection that nobody uses, for another pool whose turns wait; tell whether there is one."""
        unused = [connection for connection in self._connections if not connection.active and not connection.parting]
        if not unused or self._waiting:
            return False
        self._drop(min(unused, key=lambda connection: connection.idle_since))
        return True

    def doubt(self) -> None:
        """Replace what waits unused: one connection has gone silent, and a wire may have forgotten all of them."""
        unheard_since = time.monotonic() - _DOUBT_S
        for connection in list(self._connections):
            if not connection.active and connection.idle_since < unheard_since:
                self._drop(connection)
        self.act()

    def act(self) -> None:
        """Decide and do it; called whenever a turn, a connection or a moment has come or gone."""
        self._news.set()
        if self._closed:
            return
        now = time.monotonic()
        if self._settles:
            self._learn(now)
        connections = list(self._connections)
        room = max(0, self._owner.room(self) - self._closing)
        limits = self._least()
        expected = demand(self._pace.rate_hz(now), self._pace.connect_s, limits)
        decision = decide(
            connections,
            len(self._waiting),
            self._opening,
            now,
            replace(limits, max=room, demand=expected),
            open_at=max(self._open_at, self._owner.opens_at(now)),
            at_once=self._owner.at_once(now),
            one_turn=self._one_turn,
        )
        self._carry_out(decision, connections, now)

    def _least(self) -> PoolLimits:
        """Return the limits: nothing is kept for a binding that no voice has, when nobody asks for it any more."""
        forgotten = time.monotonic() - self._asked_at >= self.provider.settings.max_idle_s
        return replace(self._limits, min=0) if forgotten and not self.kept else self._limits

    def _carry_out(self, decision: Decision, connections: list[Connection], now: float) -> None:
        for number in decision.give:
            connections[number].reserve()
            self._waiting.popleft().set_result(connections[number])
        for number in decision.retire:
            self._drop(connections[number])
        for _ in range(decision.open):
            self._opening += 1
            opening = self._background(self._open())
            self._openings.add(opening)
            opening.add_done_callback(self._openings.discard)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if decision.wake_at is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, decision.wake_at - now) + 0.001, self.act)
        self.starving = decision.lacking > 0
        if self.starving and self._waiting:
            self._owner.lacks_room(self)

    def _learn(self, now: float) -> None:
        for connection in self._connections:
            if connection.proving and connection.ready_at <= now:
                connection.proving = self._one_turn = False  # it has stayed open

    async def _open(self) -> None:
        ticket, began = self._owner.ticket(), time.monotonic()
        try:
            connection = await self._connect()
        except VendorError as error:
            self._opening -= 1
            self._owner.not_connected(self, ticket, error)
            self._failed(error)
        except BaseException:
            self._opening -= 1
            raise
        else:
            self._opening -= 1
            self._connections[connection] = None
            self.error = None
            self._pace.connected(time.monotonic() - began)
            log.debug("= connected to %s", self.provider.name)
            if connection.error is not None:
                self._changed(connection)
        self.act()
        self._owner.has_room(self)

    async def _connect(self) -> Connection:
        connection = await Connection.open(self.provider, self.binding, self._changed)
        try:
            await connection.prepare(self.usual)
        except asyncio.CancelledError:
            await connection.close()
            raise
        return connection

    def _changed(self, connection: Connection) -> None:
        """A place has become free, or the connection is lost."""
        if connection not in self._connections:
            return
        error = connection.error
        if error is None:
            self._backoff.succeeded()
            self.error = None
        else:
            self._drop(connection)
            if connection.proving:
                self._one_turn = True
            if connection.turns == 0:
                self._owner.lost(error)
                if time.monotonic() - connection.opened_at < _SOON_S:
                    self._failed(error)
        self.act()
        if not self._waiting:
            self._owner.has_room(self)

    def _failed(self, error: VendorError) -> None:
        """A connection could not be opened, or was lost before it was of any use: try again later, and later still.

        Who waits is told, unless there are others to wait for: another voice may be able to go on at once.
        """
        if self._closed:
            return
        now = time.monotonic()
        self.error = error
        self._open_at = now + self._backoff.failed()
        pause_s = max(self._open_at, self._owner.opens_at(now)) - now
        log.warning("! no connection to %s: %s; trying again in %.1f s", self.provider.name, error, pause_s)
        if not error.retryable or not (self._connections or self._opening):
            self._fail_waiting(error)

    def _fail_waiting(self, error: VendorError) -> None:
        while self._waiting:
            self._waiting.popleft().set_exception(error)

    def _drop(self, connection: Connection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self._closing += 1
            self._background(self._close(connection))

    async def _close(self, connection: Connection) -> None:
        try:
            await connection.close()
        finally:
            self._closing -= 1
            self._owner.has_room(self)  # first, for it may have been closed for the sake of another pool
            self.act()

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"{self.provider.name} pool")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _error(self, text: str) -> VendorError:
        return VendorError(self.provider.vendor, text, scope=Scope.SOCKET, action=Action.RETRY_LATER)

    def __repr__(self) -> str:
        name = f"{self.provider.name} {self.binding}".rstrip()
        return (
            f"<Pool {name} [connections: {self.active} active, {len(self._connections) - self.active} idle, "
            f"{self._opening} opening | turns waiting: {len(self._waiting)}, parting: {self.parting}]>"
        )
