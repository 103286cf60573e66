"""The figures of a run, read from its evidence and from the workers' logs.

Silence is measured at the live edge: a player starts with a turn's first audio, plays in real time, has what has
arrived as its buffer, and at a splice drops what it has not played. Whenever it has run out of audio it is silent
until the next audio comes. Not counted is silence before all of the turn's text was accepted, which may be the text's
own, and what comes before a turn's first audio or after its last.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saystream.common.events import Audio, Begin, End, Splice
from saystream.common.states import State
from tests.chaos.evidence import EndAcknowledged, Evidence, FaultKind, FaultOver, FaultSet, FinalTurn, Heard, Run

_ATTEMPT = re.compile(r"→ (\S+) attempt (\d+),")
_FENCED = re.compile(r"Another attempt speaks this turn now|\bfenced\b")
#: Numbers in a cause tell nothing about its kind.
_NUMBER = re.compile(r"\d+(\.\d+)?")
#: What may cost a worker its turns.
_LOSSES = (FaultKind.WORKER_KILLED, FaultKind.WORKER_FROZEN, FaultKind.WORKER_CUT_OFF, FaultKind.WORKER_TERMINATED)
#: Who writes down the faults of the schedule.
HARNESS = "harness"
#: So long after its end a fault may still be felt.
_AFTERMATH_S = 1.0


@dataclass(frozen=True, slots=True)
class Silence:
    """A player had nothing to play.

    Args:
        at_s: when it began.
        attempt: the attempt that ended it, if the turn was taken over meanwhile; else 0.
        vendors: how often one stream of speech followed another in it, because a vendor had failed.
    """

    turn: str
    at_s: float
    length_s: float
    attempt: int
    vendors: int


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A turn that another attempt went on with.

    Args:
        fault: what its worker had met; None: it lost the turn without a fault of its own.
        alone: nothing else went wrong meanwhile that a listener can hear.
        waited_s: from the fault to the splice.
        silence_s: how long a player had nothing to play.
    """

    turn: str
    attempt: int
    fault: FaultSet | None
    alone: bool
    waited_s: float
    silence_s: float


@dataclass
class Player:
    """Plays a turn as it arrives."""

    turn: str
    text_s: float  # when all of its text was accepted
    rate: int = 0
    samples: int = 0
    dry_s: float = 0.0  # when the buffer is played, as far as it is known; 0 before the first audio
    attempt: int = 0
    vendors: int = 0
    silences: list[Silence] = field(default_factory=list)

    def hear(self, heard: Heard) -> None:
        """Take the next event of the turn."""
        match heard.event:
            case Begin(format=format):
                self.rate = format.sample_rate
            case Splice() as splice:
                self._drop(splice.offset, heard.at_s)
                if splice.cursor.seq == 0:
                    self.attempt = splice.cursor.attempt
                else:
                    self.vendors += 1
            case Audio(samples=samples) if self.rate:
                if self.dry_s and heard.at_s > self.dry_s:
                    self._silent(heard.at_s)
                self.dry_s = max(self.dry_s, heard.at_s) + samples / self.rate
                self.samples += samples
                self.attempt = self.vendors = 0
            case End():
                self.rate = 0

    def _drop(self, offset: int, now_s: float) -> None:
        if self.rate:
            unplayed = round(max(0.0, self.dry_s - now_s) * self.rate)
            dropped = min(unplayed, self.samples - offset)
            self.samples, self.dry_s = offset, self.dry_s - dropped / self.rate

    def _silent(self, until_s: float) -> None:
        since_s = max(self.dry_s, self.text_s)
        if since_s < until_s:
            self.silences.append(Silence(self.turn, since_s, until_s - since_s, self.attempt, self.vendors))


@dataclass
class Figures:
    """What a run has come to."""

    seed: int
    lease_s: float
    states: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)  # by cause
    faults: Counter[str] = field(default_factory=Counter)
    splices: Counter[str] = field(default_factory=Counter)
    fenced: int = 0
    longest: list[float] = field(default_factory=list)  # silence of each turn with audio
    take_overs: list[TakeOver] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "Figures":
        """Read the evidence and the logs in a run's folder."""
        evidence = Evidence(folder / "evidence")
        [run] = evidence.of(Run)
        figures = cls(run.seed, run.lease_s)
        figures.states.update(turn.state for turn in evidence.of(FinalTurn))
        failed = (turn.cause for turn in evidence.of(FinalTurn) if turn.state == State.FAILED)
        figures.failed.update(_NUMBER.sub("…", cause) for cause in failed)
        faults = Faults(evidence)
        figures.faults.update(map(name_of, faults.all))
        owners = figures._read(sorted((folder / "logs").glob("worker-*.log")))
        accepted_s = {record.turn: record.at_s for record in reversed(evidence.of(EndAcknowledged))}
        for session in evidence.sessions:
            for turn, heard in _turns(evidence.heard(session)):
                player = Player(turn, accepted_s.get(turn, float("inf")))
                figures._add(player, heard, owners, faults)
        return figures

    def _read(self, logs: Iterable[Path]) -> dict[tuple[str, int], str]:
        """Count fenced writes; return which worker had which attempt."""
        owners = {}
        for path in logs:
            for line in path.read_text(errors="replace").splitlines():
                self.fenced += bool(_FENCED.search(line))
                if found := _ATTEMPT.search(line):
                    owners[found[1], int(found[2])] = path.stem
        return owners

    def _add(self, player: Player, heard: list[Heard], owners: dict[tuple[str, int], str], faults: "Faults") -> None:
        for one in heard:
            player.hear(one)
        if player.dry_s:
            self.longest.append(max((silence.length_s for silence in player.silences), default=0.0))
        silent = {silence.attempt: silence for silence in player.silences}
        since_s = heard[0].at_s
        for one in heard:
            if not isinstance(splice := one.event, Splice):
                continue
            self.splices[_NUMBER.sub("…", splice.cause)] += 1
            if splice.cursor.seq == 0:
                attempt = splice.cursor.attempt
                fault = faults.of(owners.get((player.turn, attempt - 1), ""), since_s, one.at_s)
                silence = silent.get(attempt)
                alone = fault is not None and faults.alone(fault, one.at_s) and not (silence and silence.vendors)
                waited_s, silence_s = one.at_s - fault.at_s if fault else 0.0, silence.length_s if silence else 0.0
                self.take_overs.append(TakeOver(player.turn, attempt, fault, alone, waited_s, silence_s))
                since_s = one.at_s

    def __str__(self) -> str:
        """The summary that is printed."""
        lines = [f"turns        {sum(self.states.values())}: {_counted(self.states)}"]
        lines += [f"  {count:5}  failed: {cause}" for cause, count in self.failed.most_common()]
        lines += [
            f"faults       {sum(self.faults.values())}, each at least {min(self.faults.values(), default=0)} times"
        ]
        lines += [f"  {count:5}  {name}" for name, count in sorted(self.faults.items())]
        lines += [f"splices      {sum(self.splices.values())}"]
        lines += [f"  {count:5}  {cause or 'taken over'}" for cause, count in self.splices.most_common()]
        lines += [f"fenced       {self.fenced} attempts were refused to go on"]
        lines += [f"silence      longest of a turn: {_spread(self.longest, ' s')}"]
        known = [taken for taken in self.take_overs if taken.fault]
        lines += [f"take-overs   {len(self.take_overs)}, {len(known)} of them from a worker that had met a fault"]
        lines += [f"  {self._lost(name, some)}" for name, some in _by_fault(known)]
        return "\n".join(lines)

    def _lost(self, name: str, taken: list[TakeOver]) -> str:
        """Say what the loss of a worker has cost, in leases."""
        silence = _spread([one.silence_s / self.lease_s for one in taken], "")
        waited = _spread([one.waited_s / self.lease_s for one in taken], "")
        return f"{len(taken):5}  {name}: silence, in leases, {silence}; from fault to splice {waited}"


class Faults:
    """The faults of a run's schedule, by their times."""

    def __init__(self, evidence: Evidence) -> None:
        self.all = [fault for fault in evidence.of(FaultSet) if fault.process == HARNESS]
        self._over_s = {over.fault: over.at_s for over in evidence.of(FaultOver)}

    def of(self, worker: str, since_s: float, until_s: float) -> FaultSet | None:
        """Return the last fault that a worker has met in a time."""
        met = [
            fault
            for fault in self.all
            if fault.kind in _LOSSES and fault.target == worker and self._was(fault, since_s, until_s)
        ]
        return met[-1] if met else None

    def alone(self, fault: FaultSet, until_s: float) -> bool:
        """Tell whether nothing else was wrong between a fault and a time, in what a listener's silence depends on.

        Not counted are faults that requests are to meet: where one does, a splice tells of it.
        """
        return not any(
            other is not fault
            and other.kind not in (FaultKind.CONSUMER_KILLED, FaultKind.CONSUMER_CUT_OFF)
            and "fault.kind=" not in other.detail
            and self._was(other, fault.at_s - _AFTERMATH_S, until_s)
            for other in self.all
        )

    def _was(self, fault: FaultSet, since_s: float, until_s: float) -> bool:
        return fault.at_s <= until_s and self._over_s.get(fault.fault, fault.at_s) >= since_s


def name_of(fault: FaultSet) -> str:
    """Return the kind of a fault and which of its ways, without what it was told."""
    way = re.split(r" \S+=", fault.detail, maxsplit=1)[0]
    return f"{fault.kind}: {way}" if way else str(fault.kind)


def _turns(heard: Iterator[Heard]) -> Iterator[tuple[str, list[Heard]]]:
    """Yield what a steady consumer has heard, by turn."""
    turns: dict[str, list[Heard]] = {}
    for one in heard:
        if "steady" in one.consumer and (turn := getattr(one.event, "turn", "")):
            turns.setdefault(turn, []).append(one)
    yield from turns.items()


def _by_fault(taken: list[TakeOver]) -> Iterator[tuple[str, list[TakeOver]]]:
    yield "whatever else was wrong", taken
    alone = [one for one in taken if one.alone]
    yield "nothing else wrong", alone
    names = {id(one): name_of(one.fault) for one in alone if one.fault}
    for name in sorted(set(names.values())):
        yield f"{name}, nothing else wrong", [one for one in alone if names[id(one)] == name]


def _counted(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {State(name)}" for name, count in counted.most_common())


def _spread(values: list[float], unit: str) -> str:
    if not values:
        return "none"
    middle, late = np.percentile(values, (50, 99))
    return f"p50 {middle:.2f}, p99 {late:.2f}, max {max(values):.2f}{unit}"
