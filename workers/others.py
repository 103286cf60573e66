"""What a worker knows of the others: who is there, and which voices they speak."""

import asyncio
import time

from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.reports import FRESH_S, Reports, WorkerReport

#: For so long, in seconds, one look at the roll serves all who ask.
_SERVES_S = 0.25


class Others:
    """The other workers that take turns, as they last reported.

    Args:
        reports: of all workers.
        worker: this one's name.
    """

    def __init__(self, reports: Reports, worker: str) -> None:
        self._reports, self._worker = reports, worker
        self._last: tuple[WorkerReport, ...] | None = None  # what we saw when we last looked
        self._looked_at = float("-inf")
        self._known: tuple[WorkerReport, ...] = ()  # what we saw when we could last see
        self._known_at = float("-inf")
        self._looking = asyncio.Lock()

    async def now(self) -> tuple[WorkerReport, ...] | None:
        """Return those that have reported of late; None: it cannot be seen now, which does not say that none has."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= _SERVES_S:
                try:
                    self._last = self._known = (await self._reports.read()).beside(self._worker)
                    self._known_at = time.monotonic()
                except (RedisUnavailable, ResponseError):
                    self._last = None
                self._looked_at = time.monotonic()
            return self._last

    async def lately(self) -> tuple[WorkerReport, ...]:
        """Return those that were last seen; nobody, where that is too long ago."""
        others = await self.now()
        if others is None:
            others = self._known if time.monotonic() - self._known_at < FRESH_S else ()
        return others
