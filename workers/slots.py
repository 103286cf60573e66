"""A worker's slots: how many turns it may still take."""

import asyncio


class Slots:
    """A number of slots; who asks for turns reserves them first, so that no more are claimed than there are.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.free = count
        self._changed = asyncio.Event()
        self._closed = False

    async def reserve(self, most: int) -> int:
        """Take up to ``most`` slots, at least one; waits for it. Returns 0 when there will be no more."""
        while not self.free and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        if self._closed:
            return 0
        taken = min(most, self.free)
        self.free -= taken
        return taken

    def give_back(self, count: int = 1) -> None:
        """Free slots."""
        self.free += count
        self._changed.set()

    def close(self) -> None:
        """Give out no more."""
        self._closed = True
        self._changed.set()
