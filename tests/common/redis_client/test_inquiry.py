"""However many want to know, one asks; and whoever leaves takes the answer from nobody."""

import asyncio

import pytest

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client.inquiry import Inquiry


class Oracle:
    """Answers when it is told to, or fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self) -> None:
        self.asked += 1
        await self.answer.wait()
        if self.error:
            raise self.error


async def test_one_question_serves_all_who_wait() -> None:
    oracle = Oracle()
    inquiry = Inquiry(oracle.ask)
    waiting = [asyncio.create_task(inquiry.answered()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    oracle.answer.set()
    await asyncio.gather(*waiting[1:])
    assert oracle.asked == 1
    await inquiry.answered()
    assert oracle.asked == 2


async def test_an_error_reaches_who_waits_and_the_next_one_asks_again() -> None:
    oracle = Oracle()
    oracle.answer.set()
    oracle.error = RuntimeError("no answer")
    inquiry = Inquiry(oracle.ask)
    with pytest.raises(RuntimeError):
        await inquiry.answered()
    await asyncio.wait([inquiry.begin()])  # nobody waits for this one, and nothing is said of it
    oracle.error = None
    await inquiry.answered()
    assert oracle.asked == 3


async def test_closing_ends_the_waiting_without_cancelling_who_waits() -> None:
    oracle = Oracle()
    inquiry = Inquiry(oracle.ask)
    await inquiry.close()
    waiting = asyncio.create_task(inquiry.answered())
    await asyncio.sleep(0)
    await inquiry.close()
    with pytest.raises(RedisUnavailable, match="closed"):
        await waiting
