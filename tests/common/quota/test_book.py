"""What a worker takes from the answers of Redis, whose clock may step back."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from saystream.common.keys import QuotaKeys
from saystream.common.quota.book import GIVE, REFUSE, RENEW, TAKE, Book
from saystream.common.redis_client import Client, Command, call
from saystream.common.redis_client.server import Server
from saystream.common.redis_client.topology import Single
from tests.common.quota.crew import LEASE_S, Crew
from tests.timing import MS, eventually

KEYS = QuotaKeys("acme")
_, HELD, WAITING, PATIENCE = KEYS.all

SetClock = Callable[[int], Awaitable[None]]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch, client: Client) -> SetClock:
    """Have the quota's steps see a clock of Redis that goes wrong by so many seconds."""
    for script in (TAKE, RENEW, GIVE, REFUSE):
        before, ask, after = script.source.partition("redis.call('TIME')\n")
        assert ask
        wrong = "time[1] = time[1] + (redis.call('GET', 'wrong_s') or 0)\n"
        source = f"{before}{ask}{wrong}{after}"
        monkeypatch.setattr(script, "source", source)
        monkeypatch.setattr(script, "digest", hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())

    async def set_clock(wrong_s: int) -> None:
        await call(client, "SET", "wrong_s", wrong_s)

    return set_clock


def book(redis: Client, worker: str = "w", limit: int = 5) -> Book:
    return Book(redis, KEYS, worker, limit, LEASE_S)


async def test_answers_count_though_redis_clock_has_stepped_back(client: Client, set_clock: SetClock) -> None:
    seen = book(client)
    await seen.take("1@w")
    await set_clock(-20)
    await seen.take("2@w")
    assert seen.held == 2
    assert seen.next_at is not None
    assert seen.next_at > time.monotonic() - 1.0


async def test_while_redis_clock_has_stepped_back_nobody_asks_more_often(
    crew: Crew, client: Client, set_clock: SetClock
) -> None:
    async def scripts() -> int:
        return int((await call(client, "INFO", "commandstats"))["cmdstat_evalsha"]["calls"])

    holder, waiter = await crew.hire(1), await crew.hire(1)
    await holder.quota.take()
    waiting = await waiter.waiting()
    await set_clock(-20)
    await _more(scripts, 12)  # by now, what was told before the step is past
    began = time.monotonic()
    await _more(scripts, 20)
    assert time.monotonic() - began > 200 * MS  # each of the two is due five times a lease
    waiting.cancel()


async def _more(count: Callable[[], Awaitable[int]], by: int) -> None:
    target = await count() + by

    async def reached() -> bool:
        return await count() >= target

    await eventually(reached)


async def test_what_is_renewed_as_held_waits_no_longer(client: Client) -> None:
    """A worker may hold what Redis has forgotten and put in line again; such a place must not be given twice."""
    seen = book(client, limit=1)
    await seen.take("1@w")
    ticket = await seen.take("2@w")
    await seen.renew(["1@w", "2@w"], {})
    assert [await call(client, "ZCARD", key) for key in (HELD, WAITING, PATIENCE)] == [2, 0, 0]
    assert await seen.renew([], {"2@w": ticket}) == {"2@w"}
    assert [await call(client, "ZCARD", key) for key in (HELD, WAITING, PATIENCE)] == [2, 0, 0]


class Oracle(Client):
    """Answers when and as it is told to."""

    def __init__(self) -> None:
        super().__init__(Single(Server("redis://nowhere", 1.0, 1)), "nowhere", 1.0, 0)
        self.asked: list[asyncio.Future[list[Any]]] = []

    async def run(self, commands: Sequence[Command], replicated: bool = False, slot: int | None = None) -> list[Any]:
        self.asked.append(asyncio.get_running_loop().create_future())
        return [await self.asked[-1]]


async def test_an_answer_that_has_been_overtaken_changes_nothing() -> None:
    oracle = Oracle()
    seen = book(oracle)
    async with asyncio.TaskGroup() as steps:
        first = steps.create_task(seen.take("1@w"))
        second = steps.create_task(seen.take("2@w"))
        await eventually(lambda: len(oracle.asked) == 2)
        oracle.asked[1].set_result([b"later", 2, 4, 0, 0])
        assert await second == 0
        oracle.asked[0].set_result([b"earlier", 1, 5, 1000, 7])
        assert await first == 7
    assert (seen.held, seen.limit, seen.next_at) == (2, 4, None)


async def test_however_soon_something_changes_there_is_a_pause_before_it_is_looked_at() -> None:
    oracle = Oracle()
    seen = book(oracle)
    taking = asyncio.create_task(seen.take("1@w"))
    await eventually(lambda: oracle.asked)
    answered_at = time.monotonic()
    oracle.asked[0].set_result([b"generation", 1, 5, 1, 0])
    await taking
    assert seen.next_at is not None
    assert seen.next_at - answered_at >= 0.01
