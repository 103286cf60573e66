"""How long a producer repeats what Redis has not acknowledged, and how it rests in between."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from saystream.common.backoff import Backoff
from saystream.common.errors import InvalidInput, NotAcknowledged, RedisUnavailable

T = TypeVar("T")

FIRST_REST_S = 0.02
LONGEST_REST_S = 0.5
#: How many tries fit into one patience if each of them hears nothing.
TRIES = 4


@dataclass(frozen=True, slots=True)
class Patience:
    """The time in which Redis has to acknowledge something.

    Repeating is harmless, because every step and every append carries its id; so a try may end early, and the next one
    finds another connection, or another primary.

    Args:
        seconds: from the first try to giving up.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not isinstance(self.seconds, int | float):
            raise InvalidInput(f"a patience is a number of seconds, not {self.seconds!r}")
        if not 0 < self.seconds < math.inf:
            raise InvalidInput(f"a patience of {self.seconds:g} s is none: give more than 0, and an end")

    @property
    def try_s(self) -> float:
        """How long one try may take, in seconds."""
        return self.seconds / TRIES

    def backoff(self) -> Backoff:
        """Return the pauses between tries."""
        return Backoff(FIRST_REST_S, LONGEST_REST_S)

    async def repeat(self, what: str, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step that may be repeated, until Redis has answered.

        Raises:
            NotAcknowledged: Redis has not answered in time; names ``what``.
        """
        now = asyncio.get_running_loop().time
        deadline_s = now() + self.seconds
        backoff = self.backoff()
        while True:
            try:
                async with asyncio.timeout_at(deadline_s):
                    return await step()
            except (RedisUnavailable, TimeoutError) as error:
                rest_s = backoff.failed()
                if now() + rest_s >= deadline_s:
                    raise self.exhausted(what, error) from error
            await asyncio.sleep(rest_s)

    def exhausted(self, what: str, error: Exception) -> NotAcknowledged:
        """Make the error that says what was not acknowledged."""
        cause = str(error).rstrip(".") or "Redis does not answer: no reply in time"
        return NotAcknowledged(
            f"{what}: not acknowledged within {self.seconds:g} s. {cause}. "
            "It may or may not have happened; repeating it is harmless."
        )
