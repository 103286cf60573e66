"""Who waits for a listener's events: one at a time, until the listener is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from saystream.common.errors import SaystreamError


class Seat:
    """Has room for one `events()` of a listener.

    Between two events nobody waits, and the next one may sit down. A loop that was left by ``break`` says nothing of
    that until Python has found out that nobody needs it any more: so nobody is asked to get up.

    Attributes:
        closed: nobody waits here any more.
    """

    def __init__(self) -> None:
        self.closed = False
        self._holder: object = None
        self._wait: asyncio.Timeout | None = None  # of the one who waits at this moment
        self._nobody_waits = asyncio.Event()
        self._nobody_waits.set()

    def __repr__(self) -> str:
        return f"<Seat [{'closed' if self.closed else 'free' if self._wait is None else 'somebody waits'}]>"

    def take(self) -> object:
        """Sit down; returns who is sitting here now. Raises SaystreamError if another one waits at this moment."""
        if self._wait is not None:
            raise SaystreamError("A listener has one place: let its events end, or make another listener.")
        self._holder = object()
        return self._holder

    def check(self, holder: object) -> None:
        """Make sure that nobody else has sat down since; raises SaystreamError."""
        if self._holder is not holder:
            raise SaystreamError(
                "A listener has one place, and other events() of this one have gone on from there: let these end, or "
                "make another listener."
            )

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for events in this block; closing the seat ends the block where it is, without an error."""
        self._nobody_waits.clear()
        try:
            async with asyncio.timeout(None) as self._wait:
                yield
        except TimeoutError:
            if not self.closed:
                raise
        finally:
            self._wait = None
            self._nobody_waits.set()

    async def close(self) -> None:
        """Let nobody wait any more; returns when nobody does."""
        self.closed = True
        if self._wait is not None:
            self._wait.reschedule(asyncio.get_running_loop().time())
        await self._nobody_waits.wait()
