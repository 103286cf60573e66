"""The one unit of time in tests, and waiting for what no event announces."""

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

# Seconds in a millisecond of test time. A slow machine sets SAYSTREAM_TEST_MS to how many real ones it shall last.
MS = max(0.001 * float(os.environ.get("SAYSTREAM_TEST_MS", "1")), time.get_clock_info("monotonic").resolution)

POLL_SECONDS = 0.005


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], timeout: float = ...) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], timeout: float = ...) -> T: ...
async def eventually(predicate: Callable[[], object], timeout: float = 5000 * MS) -> object:
    """Return the predicate's first true answer; fail with its last one if there is none in time.

    For what no event announces, such as the end of somebody else's process. Where there is an event, await that.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {timeout:.1f} s"
        await asyncio.sleep(POLL_SECONDS)
