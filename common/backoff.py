"""Pauses between tries: longer each time, never in step with others who lost the same thing at the same moment."""

import random
from collections.abc import Callable

#: Our own dice: a program that seeds `random` for its own purposes must not put all its processes in step.
DICE = random.Random()


class Backoff:
    """Jittered exponential pauses, in seconds.

    Args:
        first_s: the longest that the first pause can be; each later one can be twice as long.
        longest_s: no pause is longer.
        jitter: returns a number from 0 to 1; a pause is shortened by up to a half with it.
    """

    def __init__(self, first_s: float, longest_s: float, jitter: Callable[[], float] = DICE.random) -> None:
        self._first_s, self._longest_s, self._jitter = first_s, longest_s, jitter
        self.failures = 0

    def failed(self) -> float:
        """Count a failure; returns how long to wait before the next try."""
        pause_s = min(self._longest_s, self._first_s * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return pause_s * (0.5 + self._jitter() / 2)

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0
