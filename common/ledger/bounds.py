"""The bounds that the ledger keeps, in its own units."""

from dataclasses import dataclass
from typing import Self

from saystream.common.settings import LimitSettings


@dataclass(frozen=True, slots=True)
class Bounds:
    """What `LimitSettings` says, for those limits that the ledger keeps.

    Args:
        retention_ms: how long what is opened outlives its last change.
        waiting_turns: how many turns may wait in one session.
        ready_turns: how many turns may wait for a worker, in one shard.
        output_ms, output_bytes: for how long, and how much of, the audio of ended turns stays in the output.
        held_ms, held_bytes: for how long, and how much of it, stays for listeners who have not read it.
    """

    retention_ms: int
    waiting_turns: int
    ready_turns: int
    output_ms: int
    output_bytes: int
    held_ms: int
    held_bytes: int

    @classmethod
    def of(cls, limits: LimitSettings) -> Self:
        """Read them from the settings."""
        return cls(
            retention_ms=round(limits.retention_s * 1000),
            waiting_turns=limits.waiting_turns,
            ready_turns=limits.ready_turns,
            output_ms=round(limits.output_s * 1000),
            output_bytes=limits.output_bytes,
            held_ms=round(limits.held_s * 1000),
            held_bytes=limits.held_bytes,
        )
