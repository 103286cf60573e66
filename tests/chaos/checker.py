"""The judge of the chaos test: holds the evidence of a run against every promise, for every turn."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.case import Case, Promise, Violation
from tests.chaos.checks import bounds, order, resume, retries, silence, waiting, words
from tests.chaos.evidence import Complete, Evidence, Run
from tests.chaos.plan import said

_OF_A_SESSION = (words, silence, order, retries, resume, waiting)


@dataclass
class Verdict:
    """What a run has come to.

    Attributes:
        violations: none, if all promises were kept.
        turns: how many there are in each state.
        words: how many were sent in all.
    """

    run: Run
    violations: list[Violation] = field(default_factory=list)
    turns: Counter[str] = field(default_factory=Counter)
    words: int = 0

    def __str__(self) -> str:
        return "\n".join(map(str, self.violations)) or f"all promises were kept for {sum(self.turns.values())} turns"

    @property
    def broken(self) -> set[Promise]:
        """The promises that were not kept."""
        return {violation.promise for violation in self.violations}


def judge(folder: Path) -> Verdict:
    """Read the evidence of a run and judge it.

    Raises:
        ValueError: it is not complete.
    """
    evidence = Evidence(folder)
    if not evidence.of(Complete) or len(evidence.of(Run)) != 1:
        raise ValueError(f"the evidence in {folder} is not that of one complete run")
    case = Case.of(evidence)
    verdict = Verdict(case.run)
    for session in case.sessions():
        for promise in _OF_A_SESSION:
            verdict.violations += promise.check(case, session)
        verdict.turns.update(turn.state for turn in session.turns.values())
        verdict.words += sum(len(said(turn.text)) for turn in session.turns.values())
    verdict.violations += bounds.check(case)
    return verdict
