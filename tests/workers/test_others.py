"""What a worker knows of the others, also where their reports cannot be read."""

import asyncio
from typing import cast

import pytest
from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.reports import Reports, Roll, WorkerReport
from saystream.workers import others as module
from saystream.workers.others import Others

US, OTHER = WorkerReport(worker="us"), WorkerReport(worker="other", voices={"narrator": 24_000})


class FakeReports:
    """A roll that can be read, or not; and how often it was."""

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self.reads = 0

    async def read(self) -> Roll:
        self.reads += 1
        await asyncio.sleep(0)
        if self.broken:
            raise self.broken
        return Roll(0, (US, OTHER))


@pytest.fixture
def reports() -> FakeReports:
    return FakeReports()


@pytest.fixture
def others(reports: FakeReports) -> Others:
    return Others(cast(Reports, reports), "us")


async def test_those_that_report_are_known_and_we_are_not_among_them(others: Others) -> None:
    assert await others.now() == (OTHER,)
    assert await others.lately() == (OTHER,)


async def test_one_look_serves_all_who_ask_whether_it_sees_anything_or_not(
    others: Others, reports: FakeReports
) -> None:
    await asyncio.gather(*(others.now() for _ in range(5)))
    assert reports.reads == 1
    blind = Others(cast(Reports, reports), "us")
    reports.broken = RedisUnavailable()
    assert await asyncio.gather(*(blind.now() for _ in range(5))) == [None] * 5
    assert reports.reads == 2


@pytest.mark.parametrize("error", [RedisUnavailable(), ResponseError("WRONGTYPE")])
async def test_a_roll_that_cannot_be_read_says_nothing_and_what_was_known_holds_for_a_while(
    others: Others, reports: FakeReports, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(module, "_SERVES_S", 0.0)
    assert await others.now() == (OTHER,)
    reports.broken = error
    assert await others.now() is None
    assert await others.lately() == (OTHER,)
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    assert await others.lately() == ()
    reports.broken = None
    assert await others.now() == (OTHER,)


async def test_a_roll_that_was_never_read_has_nobody_on_it(others: Others, reports: FakeReports) -> None:
    reports.broken = RedisUnavailable()
    assert await others.now() is None
    assert await others.lately() == ()
