"""Asking around: once at a time, for everybody who wants to know."""

import asyncio
from collections.abc import Awaitable, Callable

from saystream.common.errors import RedisUnavailable


class Inquiry:
    """A question that is asked once, however many wait for its answer.

    Args:
        ask: asks, and keeps the answer.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[None] | None = None

    def begin(self) -> "asyncio.Task[None]":
        """Ask in the background, unless somebody does already."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._run(), name="who has what in Redis")
            self._asking.add_done_callback(_seen)
        return self._asking

    async def answered(self) -> None:
        """Wait for an answer; who stops waiting takes it from nobody else.

        Raises:
            RedisUnavailable: it is closed.
        """
        asking = self.begin()
        await asyncio.wait([asking])
        if asking.cancelled():
            raise RedisUnavailable("Redis does not answer: the client is closed")
        asking.result()

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _run(self) -> None:
        await self._ask()


def _seen(task: "asyncio.Task[None]") -> None:
    """Take an error that nobody waits for: the next one who wants to know asks again."""
    if not task.cancelled():
        task.exception()
