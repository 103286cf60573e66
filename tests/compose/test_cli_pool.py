"""Whoever runs workers sees how their connections are: in a table that moves, in one that does not, or as objects."""

import asyncio
import contextlib
import io
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import redis
from rich.console import Console

from saystream.common.keys import REPORTED
from saystream.common.redis_client import call, connect
from saystream.common.reports import PoolReport, Reports, Roll, WorkerReport
from saystream.compose.cli.pool import SPARE, Board, add_up, fields
from tests.compose.cli_process import House, house, objects

ONE = PoolReport(
    provider="acme",
    vendor="gradium",
    binding="fast",
    active=3,
    idle=1,
    opening=1,
    waiting=2,
    most=8,
    limit=50,
    held=11,
    queued=4,
    streams=200,
    warm=190,
    hedges=3,
    hedges_won=1,
)
SLOW = ONE.model_copy(update={"binding": "slow", "active": 1, "hedges": 0, "hedges_won": 0, "streams": 0, "warm": 0})
BROKEN = ONE.model_copy(update={"breaker": "open", "error": "[red]too many[/]", "held": 12, "limit": 9})
ALLSPARE = "hedges, warm, opening, of, queued"
FREE = PoolReport(provider="kugelaudio", vendor="kugelaudio", idle=2, most=4)
WORKERS = (
    WorkerReport(worker="w1", at_ms=9_000, turns=3, slots=8, pools=(ONE, SLOW, FREE)),
    WorkerReport(worker="w2", at_ms=10_000, turns=4, slots=8, pools=(BROKEN,)),
)


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    with house() as made:
        yield made


def publish(url: str, *reports: WorkerReport) -> None:
    async def publish_all() -> None:
        async with contextlib.aclosing(connect(url)) as client:
            for report in reports:
                await Reports(client).publish(report)
                # From the future, so that however slow a machine is, it does not find them old.
                await call(client, "ZADD", REPORTED, "INCR", 60_000, report.worker)

    asyncio.run(publish_all())


def drawn(roll: Roll, note: str = "", height: int = 50, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, no_color=True)
    with console.capture() as captured:
        console.print(Board(roll, note))
    return captured.get()


def cells(picture: str, label: str) -> list[str]:
    """The line of a picture that begins with a label, in its columns; fails if there is none, or more than one."""
    plain = [line.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "") for line in picture.splitlines()]
    [line] = [line for line in plain if line.strip().startswith(label)]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


# sums


def test_connections_are_added_up_and_what_is_the_accounts_counts_once_for_each_worker() -> None:
    figures = add_up([(WORKERS[0], ONE), (WORKERS[0], SLOW), (WORKERS[1], BROKEN)])
    assert (figures.active, figures.idle, figures.opening, figures.waiting) == (7, 3, 3, 6)
    assert (figures.most, figures.queued) == (16, 8)
    assert (figures.hedges, figures.hedges_won) == (6, 2)
    assert figures.warm_share == 0.95
    assert figures.breaker == "1 open, 1 closed"


def test_of_the_account_the_last_report_is_believed() -> None:
    assert (add_up([(WORKERS[0], ONE)]).held, add_up([(WORKERS[0], ONE)]).limit) == (11, 50)
    figures = add_up([(WORKERS[1], BROKEN), (WORKERS[0], ONE)])
    assert (figures.held, figures.limit) == (12, 9)


def test_an_account_without_a_limit_and_without_a_stream_says_so() -> None:
    figures = add_up([(WORKERS[0], FREE)])
    assert (figures.limit, figures.held, figures.warm_share) == (None, None, None)


# the table


def test_the_table_has_a_line_for_each_account_binding_and_worker() -> None:
    picture = drawn(Roll(10_000, WORKERS))
    assert picture.splitlines()[0] == "2 workers, 7 of 16 turns"
    assert cells(picture, "acme (gradium)")[1:9] == ["7", "3", "3", "16", "6", "12 of 9", "8", "1 open, 1 closed"]
    assert cells(picture, "acme (gradium)")[9:] == ["95%", "6, 2 won"]
    assert cells(picture, "fast") == ["fast", "6", "2", "2", "4", "95%"]
    assert cells(picture, "slow") == ["slow", "1", "1", "1", "2", "–"]
    assert cells(picture, "kugelaudio") == ["kugelaudio", "0", "2", "0", "4", "0", "0", "closed", "–", "0"]
    assert picture.count("  w1") == 3
    assert "[red]too many[/]" in picture
    assert "(w2)" in picture


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(140, ""), (100, "hedges, warm"), (90, "hedges, warm, opening"), (80, ALLSPARE), (60, ALLSPARE)],
)
def test_a_narrow_terminal_still_shows_the_breaker_and_says_what_it_does_not(width: int, left_out: str) -> None:
    long = BROKEN.model_copy(update={"provider": "standin-kugelaudio", "vendor": "kugelaudio", "error": ""})
    workers = (WORKERS[0], WORKERS[1].model_copy(update={"pools": (long,)}))
    picture = drawn(Roll(10_000, workers), width=width)
    shown = picture.splitlines()[1].split()
    assert [name for name in (*SPARE, "breaker") if name not in shown] == [
        name for name in left_out.split(", ") if name
    ]
    assert "open" in cells(picture, "standin-kuge")
    assert ("Not shown here" in picture) == bool(left_out)
    assert left_out in picture.replace("\n", " ")


def test_a_worker_with_one_place_has_one_turn() -> None:
    alone = WorkerReport(worker="w1", at_ms=10_000, turns=1, slots=1, pools=(FREE,))
    assert drawn(Roll(10_000, (alone,))).splitlines()[0] == "1 worker, 1 of 1 turn"


def test_a_worker_whose_report_is_late_is_marked() -> None:
    assert "w1 (4 s ago)" in drawn(Roll(13_000, WORKERS[:1]))
    assert "ago" not in drawn(Roll(10_000, WORKERS))


def test_a_worker_that_drains_is_marked_and_has_no_room_for_other_turns() -> None:
    leaving = WORKERS[0].model_copy(update={"draining": True})
    picture = drawn(Roll(10_000, (leaving, WORKERS[1])))
    assert picture.splitlines()[0] == "2 workers, 1 draining, 7 of 11 turns"
    assert "w1 (draining)" in picture
    assert "w2 (draining)" not in picture
    assert "w1 (draining, 4 s ago)" in drawn(Roll(13_000, (leaving,)))


def test_an_error_names_its_account_once() -> None:
    def told(provider: str) -> str:
        broken = BROKEN.model_copy(update={"provider": provider, "error": "gradium: no luck (code 500)"})
        return drawn(Roll(10_000, (WORKERS[1].model_copy(update={"pools": (broken,)}),))).splitlines()[-1]

    assert "gradium: gradium" not in told("gradium").replace("\x1b[0m", "")
    assert "no luck (code 500)" in told("gradium")
    assert "gradium: no luck (code 500)" in told("acme")  # an account of another name: whose vendor it is, too


def test_where_the_terminal_has_no_room_for_workers_there_are_their_sums() -> None:
    many = tuple(WorkerReport(worker=f"w{number}", at_ms=10_000, pools=(ONE,)) for number in range(40))
    picture = drawn(Roll(10_000, many), height=24)
    assert len(picture.splitlines()) < 24
    assert cells(picture, "acme (gradium)")[1] == "120"


def test_old_figures_are_called_old_and_nobody_is_a_sentence() -> None:
    assert "No worker reports" in drawn(Roll(0))
    noted = drawn(Roll(10_000, WORKERS), "These figures are old.")
    assert "acme" in noted
    assert "These figures are old." in noted


def test_what_machines_get_is_what_there_is() -> None:
    described = fields(Roll(10_500, WORKERS))
    acme, free = described["accounts"]
    assert (acme["provider"], acme["vendor"], acme["held"], acme["limit"]) == ("acme", "gradium", 12, 9)
    assert (acme["warm_share"], free["warm_share"], free["limit"]) == (0.95, None, None)
    assert [(worker["worker"], worker["age_s"]) for worker in described["workers"]] == [("w1", 1.5), ("w2", 0.5)]
    assert described["workers"][1]["pools"][0]["error"] == "[red]too many[/]"


# the command


def test_its_help_shows_an_example(home: House) -> None:
    shown = home.run("pool", "--help")
    assert shown.returncode == 0
    assert "saystream pool --once --json" in shown.stdout


def test_where_there_is_no_terminal_it_is_shown_once(home: House, redis_url: str) -> None:
    publish(redis_url, *WORKERS)
    shown = home.run("pool", "--redis", redis_url)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert cells(shown.stdout, "acme (gradium)")[8:] == ["1 open, 1 closed", "95%", "6, 2 won"]


def test_objects_come_each_second_until_ctrl_c_or_once(home: House, redis_url: str) -> None:
    publish(redis_url, *WORKERS)
    with home.start("pool", "--json", "--redis", redis_url) as running:
        first, second = running.object(), running.object()
        assert [len(said["workers"]) for said in (first, second)] == [2, 2]
        assert second["at_ms"] > first["at_ms"]
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 130
        assert running.errors() == ""
    [only] = objects(home.run("pool", "--json", "--once", "--redis", redis_url).stdout)
    assert len(only["accounts"]) == 2


def test_no_worker_is_a_sentence_and_exit_code_1(home: House, redis_url: str) -> None:
    shown = home.run("pool", "--once", "--redis", redis_url)
    assert shown.returncode == 1
    assert "`saystream worker` starts one" in shown.stdout
    shown = home.run("pool", "--once", "--json", "--redis", redis_url)
    assert shown.returncode == 1
    assert [(said["accounts"], said["workers"]) for said in objects(shown.stdout)] == [([], [])]


def test_no_redis_is_a_sentence_too(home: House) -> None:
    failed = home.run("pool", "--redis", "redis://localhost:1")
    assert failed.returncode == 1
    assert "Redis at redis://localhost:1 cannot be used" in failed.stderr


def test_on_a_terminal_the_table_moves_until_ctrl_c(home: House, redis_url: str) -> None:
    publish(redis_url, *WORKERS)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "saystream.compose.cli", "pool", "--redis", redis_url]
    environment = home.environment | {"TERM": "xterm", "COLUMNS": "150", "LINES": "40"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        try:
            os.close(theirs)
            shown = b""
            while shown.count(b"acme (gradium)") < 2:
                shown += os.read(ours, 65536)
            with redis.Redis.from_url(redis_url) as client:
                client.flushall()
            while b"No worker reports" not in shown:
                shown += os.read(ours, 65536)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        finally:
            process.kill()
            os.close(ours)
