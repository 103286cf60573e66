"""A log tells of an absence its beginning and its end, however many tries of however many loops fail in between."""

import gc
import logging

import pytest

from saystream.common.outage import Outage

log = logging.getLogger("saystream.test")


class Loop:
    """Something that tries again and again."""


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    found = [(record.levelno, record.getMessage()) for record in caplog.records]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "saystream")


def test_only_the_first_failure_is_a_warning_and_the_first_success_is_told(caplog: pytest.LogCaptureFixture) -> None:
    outage, loop = Outage(log, "it is done again"), Loop()
    for _ in range(2):
        for cause in ("gone", "still gone", "and still"):
            outage.failed(loop, "! cannot: %s", cause)
        assert told(caplog) == [
            (logging.WARNING, "! cannot: gone"),
            (logging.DEBUG, "! cannot: still gone"),
            (logging.DEBUG, "! cannot: and still"),
        ]
        outage.succeeded(loop)
        outage.succeeded(loop)
        assert told(caplog) == [(logging.INFO, "= it is done again")]


def test_where_nothing_fails_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    Outage(log, "it is done again").succeeded(Loop())
    assert told(caplog) == []


def test_loops_that_fail_together_are_well_when_the_last_of_them_is(caplog: pytest.LogCaptureFixture) -> None:
    outage, one, other = Outage(log, "it is done again"), Loop(), Loop()
    outage.failed(one, "! cannot")
    outage.failed(other, "! cannot")
    outage.succeeded(Loop())  # which has never failed
    outage.succeeded(one)
    outage.failed(one, "! cannot")
    assert [level for level, _ in told(caplog)] == [logging.WARNING, logging.DEBUG, logging.DEBUG]
    outage.succeeded(other)
    outage.succeeded(one)
    assert told(caplog) == [(logging.INFO, "= it is done again")]


def test_a_loop_that_has_ended_does_not_fail_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    outage, loop = Outage(log, "it is done again"), Loop()
    outage.failed(loop, "! cannot")
    del loop
    gc.collect()
    outage.failed(Loop(), "! cannot")
    assert [level for level, _ in told(caplog)] == [logging.WARNING, logging.WARNING]
