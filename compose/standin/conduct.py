"""How the whole stand-in behaves just now, and what it counts over all its sockets."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from saystream.compose.standin.behaviour import Behaviour, Fault
from saystream.compose.standin.stats import Stats
from saystream.compose.standin.voices import EngineChoice


class Account(NamedTuple):
    """Whose streams of speech are counted together."""

    vendor: str
    api_key: str


@dataclass(frozen=True, slots=True)
class Slots:
    """The streams of speech that are open now, and were at most, by account."""

    open: Counter[Account] = field(default_factory=Counter)
    peak: Counter[Account] = field(default_factory=Counter)

    def take(self, account: Account, most: int | None) -> bool:
        """Open one more, unless `most` are open already."""
        if most is not None and self.open[account] >= most:
            return False
        self.open[account] += 1
        self.peak[account] = max(self.peak[account], self.open[account])
        return True

    def give_back(self, account: Account) -> None:
        self.open[account] -= 1

    @staticmethod
    def by_vendor(counted: Mapping[Account, int]) -> dict[str, int]:
        """Add up accounts of the same vendor; keys are left out, because they are secrets."""
        total: Counter[str] = Counter()
        for account, count in counted.items():
            total[account.vendor] += count
        return dict(total)


class Conduct:
    """What all sockets of a stand-in share."""

    def __init__(self, behaviour: Behaviour, engine: EngineChoice) -> None:
        self.engine: EngineChoice = engine
        self.stats = Stats()
        self.slots = Slots()
        self.behaviour = behaviour

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves; setting it also starts the count of `faulty_requests` anew."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._faults_left = behaviour.faulty_requests

    def next_fault(self) -> Fault | None:
        """What the request that begins now meets; it is counted."""
        fault = self.behaviour.fault
        if fault is None or self._faults_left is None:
            return fault
        self._faults_left -= 1
        return fault if self._faults_left >= 0 else None
