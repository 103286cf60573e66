"""The states of a turn, as a table.

A state's row holds the states that may follow it; a pair that is missing is an error. The ledger's scripts get this
very table, and the picture in ``docs/`` is drawn from it.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a turn is on its way."""

    WAITING = "waiting"  # behind the turn that speaks
    READY = "ready"  # in dispatch, for any worker
    SPEAKING = "speaking"  # claimed by a worker
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    EXPIRED = "expired"  # it could not start in time


NEXT: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.READY, State.INTERRUPTED, State.EXPIRED}),
    State.READY: frozenset({State.SPEAKING, State.FAILED, State.INTERRUPTED, State.EXPIRED}),
    # speaking follows speaking when a turn is taken over; ready follows it when a worker gives the turn back; expired
    # does when no vendor was free for it in time
    State.SPEAKING: frozenset(
        {State.SPEAKING, State.READY, State.DONE, State.FAILED, State.INTERRUPTED, State.EXPIRED}
    ),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.INTERRUPTED: frozenset(),
    State.EXPIRED: frozenset(),
}

FINAL = frozenset(state for state, following in NEXT.items() if not following)
