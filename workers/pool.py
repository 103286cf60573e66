"""Warm connections to one vendor account, handed to turns as they come."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

from saystream.common.backoff import Backoff
from saystream.common.errors import Action, Scope, VendorError
from saystream.workers.connection import Connection, Stream
from saystream.workers.pool_policy import Decision, PoolLimits, View, decide
from saystream.workers.providers.base import Provider, StreamSpec

log = logging.getLogger(__name__)

#: First and longest pause before another try to connect, in seconds; each is shortened by up to a half at random.
_BACKOFF_S = (0.2, 30.0)
#: A connection that is lost unused within so many seconds was never good; a later loss is the vendor's idle limit.
_SOON_S = 5.0


class Pool:
    """The connections of one account. Use as a context manager: they are opened on entering and closed on leaving.

    Args:
        provider: whose account.
    """

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._limits = PoolLimits(provider.settings.warm, provider.settings.max)
        self._connections: dict[Connection, float] = {}  # and when each is retired
        self._opening = 0
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._backoff = Backoff(*_BACKOFF_S)
        self._open_at = 0.0
        self._last_error: VendorError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._news = asyncio.Event()  # something has changed

    async def __aenter__(self) -> "Pool":
        self._act()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._closing = True
        if self._timer:
            self._timer.cancel()
        for future in self._waiting:
            future.cancel()
        for connection in list(self._connections):
            self._background(connection.close())
        self._connections.clear()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=5)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def warmed(self) -> None:
        """Wait until the warm connections are ready.

        Raises:
            VendorError: the first of them could not be opened, and waiting will not help.
        """
        while sum(connection.free > 0 for connection in self._connections) < self._limits.warm:
            if self._last_error and not self._last_error.retryable:
                raise self._last_error
            self._news.clear()
            await self._news.wait()

    async def stream(self, spec: StreamSpec, timeout_s: float | None = None) -> Stream:
        """Start a stream of speech on a warm connection, or on the first that becomes free.

        Raises:
            VendorError: none became free in time (by default, the provider's time to connect), or the vendor refuses.
        """
        connection = await self._acquire(timeout_s or self.provider.settings.connect_timeout_s)
        return await connection.start(spec)

    async def _acquire(self, timeout_s: float) -> Connection:
        error = self._last_error
        waits = not self._connections and not self._opening and time.monotonic() < self._open_at
        if error and not error.retryable and waits:
            raise error  # nothing has changed since, and the next try is not yet due
        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._act()
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(future)
        except (TimeoutError, asyncio.CancelledError) as stopped:
            if future in self._waiting:
                self._waiting.remove(future)
            elif not future.cancelled() and future.exception() is None:  # given in the very moment in which we gave up
                future.result().give_back()
            if isinstance(stopped, asyncio.CancelledError):
                raise
            text = f"no connection became free within {timeout_s:g} s"
            late = VendorError(self.provider.vendor, text, scope=Scope.SOCKET, action=Action.RETRY_LATER)
            raise self._last_error or late from None

    def _act(self) -> None:
        """Decide and do it; called whenever a turn, a connection or a moment has come or gone."""
        self._news.set()
        if self._closing:
            return
        now = time.monotonic()
        connections = list(self._connections)
        views = [
            View(number, connection.active, connection.free, connection.idle_since, self._retire_at(connection))
            for number, connection in enumerate(connections)
        ]
        decision = decide(views, len(self._waiting), self._opening, now, self._limits, self._open_at)
        self._carry_out(decision, connections, now)

    def _carry_out(self, decision: Decision, connections: list[Connection], now: float) -> None:
        for number in decision.give:
            connections[number].reserve()
            self._waiting.popleft().set_result(connections[number])
        for number in decision.retire:
            self._drop(connections[number])
        for _ in range(decision.open):
            self._opening += 1
            self._background(self._open())
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if decision.wake_at is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, decision.wake_at - now) + 0.001, self._act)

    def _retire_at(self, connection: Connection) -> float:
        return min(self._connections[connection], connection.idle_since + self.provider.settings.max_idle_s)

    async def _open(self) -> None:
        try:
            connection = await Connection.open(self.provider, self._changed)
        except VendorError as error:
            self._failed(error)
        else:
            self._last_error = None
            if self._closing:
                await connection.close()
                return
            # Those that were opened together do not retire together.
            age_s = self.provider.settings.max_age_s * random.uniform(0.8, 1.0)
            self._connections[connection] = connection.opened_at + age_s
            log.debug("= connected to %s", self.provider.name)
            if connection.error is not None:
                self._changed(connection)
        finally:
            self._opening -= 1
            self._act()

    def _changed(self, connection: Connection) -> None:
        """A stream has ended, or the connection is lost."""
        if connection not in self._connections:
            return
        if connection.error is None:
            self._backoff.succeeded()
            self._last_error = None
        else:
            self._drop(connection)
            if connection.turns == 0 and time.monotonic() - connection.opened_at < _SOON_S:
                self._failed(connection.error)
        self._act()

    def _failed(self, error: VendorError) -> None:
        """A connection could not be opened, or was lost before it was of any use: try again later, and later still."""
        self._last_error = error
        pause_s = self._backoff.failed()
        self._open_at = time.monotonic() + pause_s
        if not self._closing:
            log.warning("! no connection to %s: %s; trying again in %.1f s", self.provider.name, error, pause_s)
        if not error.retryable:
            while self._waiting:
                self._waiting.popleft().set_exception(error)

    def _drop(self, connection: Connection) -> None:
        if self._connections.pop(connection, None) is not None:
            self._background(connection.close())

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def __repr__(self) -> str:
        active = sum(connection.active > 0 for connection in self._connections)
        return (
            f"<Pool {self.provider.name} [connections: {active} active, {len(self._connections) - active} idle, "
            f"{self._opening} opening | turns waiting: {len(self._waiting)}]>"
        )
