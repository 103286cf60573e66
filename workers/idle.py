"""A producer that stops in mid-turn without ending it: how long its text may pause."""

import math
import time
from collections.abc import Awaitable, Callable

from saystream.common.errors import SaystreamError


class TextPaused(SaystreamError):
    """The text has paused for too long."""


class Idle:
    """The idle limit of one attempt.

    It is about the producer, so it counts only while text is waited for: from the last token event, from the claim, or
    from the last thing that passed between us and the vendor, whichever is latest. A turn whose text takes long to
    speak, and whose producer holds back because it is ahead, is never idle.

    Args:
        limit_s: how long the text may pause.
        is_all: tells whether Redis has no more text than was read: a process that was frozen has read none.
        interrupts: whether `passed` raises.
    """

    def __init__(self, limit_s: float, is_all: Callable[[], Awaitable[bool]], *, interrupts: bool) -> None:
        self._limit_s, self._is_all, self._interrupts = limit_s, is_all, interrupts
        self._since = time.monotonic()
        self._seen, self._passed = 0, False

    @property
    def cause(self) -> str:
        """Say what has happened."""
        return f"no text for {self._limit_s:g} s"

    def stir(self) -> None:
        """Something was sent to the vendor, or has come from it."""
        self._since = time.monotonic()

    def due(self, changes: int) -> float:
        """Return when to ask whether it has `passed`, on the monotonic clock; ``changes``: of the text, so far."""
        if changes != self._seen:
            self._seen, self._passed = changes, False
            self.stir()
        return -math.inf if self._passed else self._since + self._limit_s

    async def passed(self) -> bool:
        """Tell, when it is due, whether the text has paused for too long. Once it has, only more text changes that.

        Raises:
            TextPaused: it has, where that interrupts the turn.
        """
        if not self._passed:
            self._passed = await self._is_all()
            self.stir()
        if self._passed and self._interrupts:
            raise TextPaused(self.cause)
        return self._passed
