"""A studio on an empty Redis."""

from collections.abc import AsyncIterator

import pytest

from tests.consumer.studio import Studio, studio_at


@pytest.fixture
async def studio(redis_url: str) -> AsyncIterator[Studio]:
    async with studio_at(redis_url) as made:
        yield made
