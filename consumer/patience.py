"""How soon to try again, and when to give up."""

from collections.abc import Callable

from saystream.common.backoff import DICE, Backoff

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 2.0


class Patience:
    """Jittered exponential backoff with an end.

    Args:
        limit_s: how long, in seconds, failures may go on without a success between them.
        jitter: returns a number from 0 to 1; listeners that lost Redis together shall not come back together.
    """

    def __init__(self, limit_s: float, jitter: Callable[[], float] = DICE.random) -> None:
        self.limit_s = limit_s
        self._backoff = Backoff(FIRST_DELAY_S, LONGEST_DELAY_S, jitter)
        self._failing_since_s: float | None = None

    def succeeded(self) -> None:
        """Forget the failures."""
        self._failing_since_s = None
        self._backoff.succeeded()

    def failed(self, now_s: float) -> float:
        """Count a failure; returns in how many seconds to try again, 0 if patience is at its end."""
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        remaining_s = self._failing_since_s + self.limit_s - now_s
        return max(0.0, min(self._backoff.failed(), remaining_s))
