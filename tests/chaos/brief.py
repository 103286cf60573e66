"""What the processes of a run are told: one file that the harness writes and each process reads."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.chaos import plan

#: Names the file.
VARIABLE = "SAYSTREAM_CHAOS"


@dataclass(frozen=True, slots=True)
class Brief:
    """A run.

    Args:
        folder: of the run.
        began_s: when the run has begun, by CLOCK_MONOTONIC.
        seed, turns, seconds, producers, words: what `plan.draw` takes.
        redis_url: Redis itself; each process's way to it goes by ``SAYSTREAM_REDIS_URL``.
        settings: of all processes, as `load` takes them.
    """

    folder: str
    began_s: float
    seed: int
    turns: int
    seconds: float
    producers: int
    words: tuple[int, int]
    redis_url: str
    settings: dict[str, Any]

    @classmethod
    def read(cls) -> Self:
        """Read the file that the environment names."""
        values = json.loads(Path(os.environ[VARIABLE]).read_text())
        return cls(**values | {"words": tuple(values["words"])})

    def write(self) -> dict[str, str]:
        """Write the file; returns the environment of a process that is to read it."""
        path = Path(self.folder) / "brief.json"
        path.write_text(json.dumps(asdict(self), indent=1))
        for folder in (self.evidence, self.ended, self.left):
            folder.mkdir(parents=True, exist_ok=True)
        return {VARIABLE: str(path)}

    @property
    def sessions(self) -> tuple[plan.SessionPlan, ...]:
        """What is said."""
        return plan.draw(self.seed, self.turns, self.seconds, self.producers, self.words)

    @property
    def evidence(self) -> Path:
        """The folder of the evidence."""
        return Path(self.folder) / "evidence"

    @property
    def ended(self) -> Path:
        """A folder with an empty file for each turn whose end its producer has seen."""
        return Path(self.folder) / "ended"

    @property
    def left(self) -> Path:
        """A folder with a file for each session in which no turn will be opened any more."""
        return Path(self.folder) / "left"
