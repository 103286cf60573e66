"""Workers that share one vendor account, each behind a wire of its own that can be cut."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.common.quota.crew import Crew


@pytest.fixture
async def crew(redis_url: str) -> AsyncIterator[Crew]:
    async with contextlib.AsyncExitStack() as stack:
        yield Crew(redis_url, stack)
