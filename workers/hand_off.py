"""What becomes of running turns when a worker is told to stop: others go on with them, as soon as others are there."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.reports import Reports, WorkerReport
from saystream.workers.leases import Held

log = logging.getLogger(__name__)

#: When a worker that drains looks first whether others are there, and how often then, in seconds. Not at once: where
#: all are told to stop together they have to say so first, or each would leave its turns to the others.
_FIRST_LOOK_S = 0.2
_LOOK_S = 0.3
#: A worker that has not reported for so long, in seconds, may be dead: nothing is handed over to it.
_FRESH_S = 2.5


def placed(turns: Iterable[Held], others: Sequence[WorkerReport]) -> list[Held]:
    """Return those turns that others have room for: each knows the turn's voice, and is well enough to speak it."""
    room = {other.worker: other.room for other in others}
    found = []
    for turn in turns:
        able = [other.worker for other in others if turn.message.voice in other.voices and room[other.worker] > 0]
        if able:
            room[max(able, key=lambda worker: room[worker])] -= 1
            found.append(turn)
    return found


class HandOff:
    """Hands a worker's turns over, each at the end of a word. Where nobody has room for them they are spoken on.

    Args:
        reports: of all workers.
        worker: this one's name.
        held: returns the turns that it still has.
        hand_off_s: how long a turn may take to come to the end of a word.
    """

    def __init__(self, reports: Reports, worker: str, held: Callable[[], Sequence[Held]], hand_off_s: float) -> None:
        self._reports, self._worker, self._held, self._hand_off_s = reports, worker, held, hand_off_s
        self._going: dict[Held, asyncio.Task[None]] = {}
        self._filled: set[tuple[str, int]] = set()  # reports whose room has been used

    async def run(self, most_s: float) -> None:
        """Return when all turns have ended or been handed over, or after ``most_s``."""
        until = time.monotonic() + most_s
        try:
            await self._ends(min(_FIRST_LOOK_S, most_s))
            while (held := self._held()) and (now := time.monotonic()) < until:
                self._hand_over([turn for turn in held if turn not in self._going], await self._others(until - now))
                await self._ends(min(_LOOK_S, until - now))
        finally:
            for task in self._going.values():
                task.cancel()
            if self._going:
                await asyncio.wait(self._going.values())

    async def _ends(self, most_s: float) -> None:
        """Wait for the turns' ends, but no longer than that."""
        if ends := [turn.task for turn in self._held() if turn.task]:
            await asyncio.wait(ends, timeout=most_s)

    async def _others(self, most_s: float) -> list[WorkerReport]:
        """Return the other workers, each with room that has not been used."""
        try:
            async with asyncio.timeout(most_s):
                roll = await self._reports.read(_FRESH_S)
        except (RedisUnavailable, ResponseError, TimeoutError) as error:
            log.info("! cannot see whether another worker is there: %s", str(error) or "no answer in time")
            return []
        return [other for other in roll.beside(self._worker) if (other.worker, other.at_ms) not in self._filled]

    def _hand_over(self, turns: Sequence[Held], others: Sequence[WorkerReport]) -> None:
        # A turn that is being claimed is not ours to give yet, and one that ends now needs nobody to go on with it.
        ours = [turn for turn in turns if turn.attempt and not turn.attempt.ending]
        if going := placed(ours, others):
            log.info("= handing over %d turns of %d", len(going), len(turns))
            self._filled |= {(other.worker, other.at_ms) for other in others}
        for turn in going:
            self._going[turn] = asyncio.create_task(self._give(turn), name=f"hand over {turn.message.ref.turn}")

    async def _give(self, turn: Held) -> None:
        if turn.attempt and turn.task:
            await turn.attempt.at_word(self._hand_off_s)
            if not turn.attempt.ending:
                turn.task.cancel()
