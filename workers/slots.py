"""A worker's slots: how many turns it may still take."""

import asyncio


class Slots:
    """A number of slots; who takes turns reserves them first, so that no more are claimed than there are.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = asyncio.Semaphore(count)  # a fair one: no shard waits for ever behind another

    async def free(self) -> None:
        """Wait until there is a free slot, and leave it free."""
        async with self._free:
            pass

    async def reserve(self, most: int) -> int:
        """Take up to ``most`` slots, at least one; waits for the first."""
        await self._free.acquire()
        taken = 1
        while taken < most and not self._free.locked():
            await self._free.acquire()
            taken += 1
        return taken

    def give_back(self, count: int = 1) -> None:
        """Free slots."""
        for _ in range(count):
            self._free.release()
