"""Whoever asks sees every worker that is there, as it last described itself, and none that has gone."""

from saystream.common.keys import REPORTED, REPORTS
from saystream.common.redis_client import Client, call
from saystream.common.reports import PoolReport, Reports, Roll, WorkerReport
from tests.timing import MS, eventually

POOL = PoolReport(provider="acme", vendor="gradium", active=2, idle=1, most=8, limit=50, held=17, error="ü {}")


async def test_a_report_is_read_as_it_was_published_at_the_time_of_redis(client: Client) -> None:
    reports = Reports(client)
    given = [WorkerReport(worker=name, at_ms=1, turns=3, slots=9, pools=(POOL,)) for name in ("w2", "w/1 ü")]
    seconds, _ = await call(client, "TIME")
    for report in given:
        await reports.publish(report)
    roll = await reports.read()
    assert [report.model_copy(update={"at_ms": 1}) for report in roll.workers] == given[::-1]
    assert all(seconds * 1000 <= report.at_ms <= roll.now_ms for report in roll.workers)
    assert all(0 <= roll.age_s(report) < 5 for report in roll.workers)


async def test_only_the_last_report_of_a_worker_counts(client: Client) -> None:
    reports = Reports(client)
    for turns in (1, 2, 2):
        await reports.publish(WorkerReport(worker="w", turns=turns))
    [report] = (await reports.read()).workers
    assert report.turns == 2


async def test_a_worker_that_has_fallen_silent_vanishes(client: Client) -> None:
    reports = Reports(client)
    await reports.publish(WorkerReport(worker="dead"))
    assert (await reports.read()).workers

    async def gone() -> bool:
        await reports.publish(WorkerReport(worker="living"))
        return [report.worker for report in (await reports.read(100 * MS)).workers] == ["living"]

    await eventually(gone)


async def test_what_silent_workers_said_is_not_kept_for_ever(client: Client) -> None:
    reports = Reports(client)
    await reports.publish(WorkerReport(worker="dead"))
    await call(client, "ZADD", REPORTED, 1, "dead")
    await reports.publish(WorkerReport(worker="living"))
    assert await call(client, "HKEYS", REPORTS) == await call(client, "ZRANGE", REPORTED, 0, -1) == [b"living"]
    for key in (REPORTS, REPORTED):
        assert await call(client, "PTTL", key) > 0


async def test_a_worker_that_ends_is_off_the_roll_at_once(client: Client) -> None:
    reports = Reports(client)
    await reports.publish(WorkerReport(worker="w"))
    for _ in range(2):
        await reports.withdraw("w")
        assert (await reports.read()).workers == ()


async def test_a_report_of_another_version_does_no_harm(client: Client) -> None:
    reports = Reports(client)
    await reports.publish(WorkerReport(worker="ours"))
    await reports.publish(WorkerReport(worker="theirs"))
    await call(client, "HSET", REPORTS, "theirs", '{"worker": "theirs", "turns": "many"}')
    await reports.publish(WorkerReport(worker="newer"))
    await call(
        client,
        "HSET",
        REPORTS,
        "newer",
        '{"worker": "newer", "mood": "good", "pools": [{"provider": "a", "vendor": "b", "x": 1}]}',
    )
    assert [report.worker for report in (await reports.read()).workers] == ["newer", "ours"]


def test_a_report_is_never_younger_than_nothing() -> None:
    assert Roll(1000).age_s(WorkerReport(worker="w", at_ms=2000)) == 0
    assert Roll(3500).age_s(WorkerReport(worker="w", at_ms=2000)) == 1.5
