"""All seven promises at once, under every fault: the short form of ``make chaos``."""

import itertools
from pathlib import Path

import pytest

from tests.chaos.checker import judge
from tests.chaos.evidence import Evidence, FaultSet
from tests.chaos.figures import name_of
from tests.chaos.run import Order, chaos
from tests.chaos.schedule import LANES, draw

#: Half a minute on a machine that is idle; each fault comes once, at the same time in every run.
SHORT = Order(seed=7, seconds=20.0, turns=16, words=(4, 16))


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_every_promise_is_kept_while_everything_breaks(tmp_path: Path) -> None:
    assert await chaos(SHORT, tmp_path) == []
    assert list(map(str, judge(tmp_path / "evidence").violations)) == []
    met = {name_of(fault) for fault in Evidence(tmp_path / "evidence").of(FaultSet)}
    wanted = {f"{way.kind}: {way.detail}" if way.detail else str(way.kind) for lane in LANES for way in lane.ways}
    # A producer that has done its part is not there to be killed.
    assert wanted - met <= {"producer killed"}


def test_a_seed_gives_the_same_faults_again() -> None:
    assert draw(1, 600.0) == draw(1, 600.0) != draw(2, 600.0)


def test_each_fault_comes_twenty_times_in_half_an_hour_and_those_of_a_lane_never_overlap() -> None:
    for lane in draw(3, 1800.0).lanes.values():
        for before, after in itertools.pairwise(lane):
            assert before.at_s + before.length_s <= after.at_s
        names = [fault.name for fault in lane]
        assert min(map(names.count, names)) >= 20
