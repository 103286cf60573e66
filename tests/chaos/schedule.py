"""The fault schedule: what goes wrong, when, for whom and for how long, drawn from a seed. No I/O.

There are lanes, one for each part of the system that can fail. In a lane one fault follows another and never overlaps
it; lanes know nothing of one another, so that faults of different parts meet by chance. As the workers' lane holds one
fault at a time, two of three workers are always well by its doing.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from saystream.compose.standin import Kind
from tests.chaos.evidence import FaultKind

#: Before the first fault, in seconds: all processes are there, and speak.
QUIET_S = 2.0
#: How much of its lane's slot a fault may take.
SHARE = 0.8
#: In half an hour each fault of a lane comes so many times.
ROUNDS = 22
_ROUNDS_S = 1800.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to fail.

    Args:
        shortest_s, longest_s: how long it lasts.
    """

    kind: FaultKind
    detail: str = ""
    shortest_s: float = 0.0
    longest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault that will be.

    Args:
        at_s: when, from the run's beginning.
        target: a process; "" for all of a kind.
        length_s: until it is over, or until what was killed is started again.
        draw: a number from 0 to 1, for what is left to choose.
    """

    at_s: float
    kind: FaultKind
    detail: str
    target: str
    length_s: float
    draw: float

    @property
    def name(self) -> str:
        """The kind, and which of its ways."""
        return f"{self.kind}: {self.detail}" if self.detail else str(self.kind)


@dataclass(frozen=True, slots=True)
class Lane:
    """A part of the system, and how it fails.

    Args:
        targets: one of them is hit; the names of processes.
    """

    name: str
    targets: Sequence[str]
    ways: Sequence[Way]


def _cut_off(kind: FaultKind) -> tuple[Way, ...]:
    return (
        Way(kind, "cut"),
        Way(kind, "refused", 0.5, 2.5),
        Way(kind, "silent", 1.5, 3.0),
        Way(kind, "slow", 2.0, 4.0),
    )


#: What the stand-in is told to do beside the faults that a request can meet: how all of it behaves, for a while.
VENDOR_SPELLS = ("upgrades refused", "draining", "slow handshakes", "late audio")
#: What happens at once to all its open connections, or to those of one vendor.
VENDOR_BLOWS = ("all cut", "one silent")

WORKERS = ("worker-1", "worker-2", "worker-3")
PRODUCERS = ("producer-1", "producer-2")
STEADY, MORTAL = "consumer-steady", "consumer-mortal"

LANES = (
    Lane(
        "workers",
        WORKERS,
        (
            Way(FaultKind.WORKER_KILLED, "", 0.5, 2.0),
            Way(FaultKind.WORKER_FROZEN, "", 1.5, 3.5),
            Way(FaultKind.WORKER_TERMINATED, "", 0.1, 1.0),
            *_cut_off(FaultKind.WORKER_CUT_OFF),
        ),
    ),
    Lane("producers", PRODUCERS, (Way(FaultKind.PRODUCER_KILLED, "", 0.2, 1.5), *_cut_off(FaultKind.PRODUCER_CUT_OFF))),
    Lane("consumers", (MORTAL,), (Way(FaultKind.CONSUMER_KILLED, "", 0.1, 3.0), *_cut_off(FaultKind.CONSUMER_CUT_OFF))),
    Lane(
        "redis",
        ("redis",),
        (
            Way(FaultKind.REDIS_RESTARTED, "killed", 0.1, 1.0),
            Way(FaultKind.REDIS_RESTARTED, "terminated", 0.1, 1.0),
            Way(FaultKind.REDIS_SLOW, "frozen", 0.3, 1.5),
            Way(FaultKind.REDIS_SLOW, "full", 0.3, 1.5),
            Way(FaultKind.REDIS_SLOW, "read-only", 0.3, 1.5),
            Way(FaultKind.SCRIPTS_FLUSHED),
        ),
    ),
    Lane(
        "vendor",
        ("",),
        (
            *(Way(FaultKind.VENDOR, kind.value) for kind in Kind),
            *(Way(FaultKind.VENDOR, spell, 0.5, 1.5) for spell in VENDOR_SPELLS),
            *(Way(FaultKind.VENDOR, blow) for blow in VENDOR_BLOWS),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """All faults of a run, by lane, each in the order of time."""

    lanes: dict[str, list[Planned]] = field(default_factory=dict)

    @property
    def faults(self) -> list[Planned]:
        """All of them, by time."""
        return sorted((fault for lane in self.lanes.values() for fault in lane), key=lambda fault: fault.at_s)


def draw(seed: int, seconds: float) -> Schedule:
    """Draw the faults of a run that lasts so long: in each round of a lane each of its ways once, in any order."""
    rounds = max(1, round(ROUNDS * seconds / _ROUNDS_S))
    return Schedule({lane.name: _lane(random.Random(f"{seed}/{lane.name}"), lane, seconds, rounds) for lane in LANES})


def _lane(dice: random.Random, lane: Lane, seconds: float, rounds: int) -> list[Planned]:
    ways = [way for _ in range(rounds) for way in dice.sample(lane.ways, len(lane.ways))]
    slot_s = (seconds - QUIET_S) / len(ways)
    faults = []
    for place, way in enumerate(ways):
        length_s = min(dice.uniform(way.shortest_s, way.longest_s), max(way.shortest_s, slot_s * SHARE))
        at_s = QUIET_S + place * slot_s + dice.uniform(0, max(0.0, slot_s - length_s))
        fault = Planned(at_s, way.kind, way.detail, dice.choice(lane.targets), length_s, dice.random())
        faults.append(fault)
    return faults
