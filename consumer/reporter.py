"""What a listener tells Redis: where it is, and what has been played; on a connection that no reading holds up."""

import asyncio
import logging
from collections.abc import Callable

from saystream.common.ids import EntryId, SessionId, TurnId, TurnRef
from saystream.common.ledger import Ledger

logger = logging.getLogger(__name__)

#: How often a listener with a name says where it is, in seconds.
PERIOD_S = 1.0
#: How long its last word may take, in seconds: leaving must not wait for a Redis that is away.
LAST_WORD_S = 1.0


class Reporter:
    """Speaks for one listener.

    Args:
        ledger: over a connection that is not used for reading.
        session: what is listened to.
        name: the listener's; None if it does not say where it is.
    """

    def __init__(self, ledger: Ledger, session: SessionId, name: str | None) -> None:
        self._ledger, self._session, self._name = ledger, session, name
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    def start(self, where: Callable[[], EntryId | None]) -> None:
        """Say from now on where the listener is; ``where`` returns None while that is not known."""
        if self._name is not None:
            self._task = asyncio.create_task(self._repeat(where), name=f"saystream listener {self._name}")

    async def close(self, where: EntryId | None) -> None:
        """Say for the last time where it is, as far as possible, and disconnect."""
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
                await self._tell(where)
        finally:
            await self._ledger.redis.aclose()

    async def played(self, turn: TurnId, sample: int, heard: int) -> None:
        """Tell what has been played of a turn; raises UnknownTurn, RedisUnavailable."""
        await self._ledger.played(TurnRef(self._session, turn), sample, heard)

    async def _repeat(self, where: Callable[[], EntryId | None]) -> None:
        while True:
            await self._tell(where())
            await asyncio.sleep(PERIOD_S)

    async def _tell(self, where: EntryId | None) -> None:
        """Say where it is. That this fails is no reason to hear less: nothing is kept for the listener then."""
        if where is None or self._name is None:
            return
        try:
            async with asyncio.timeout(LAST_WORD_S):
                await self._ledger.report_cursor(self._session, self._name, where)
        except Exception as error:
            if not self._failing:
                problem = str(error) or "no reply in time"
                logger.warning("! listener %s: what it has not read may be trimmed: %s", self._name, problem)
            self._failing = True
        else:
            self._failing = False
