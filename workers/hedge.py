"""A race of two streams of speech: the second starts when the first is late; the first to speak wins."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from saystream.common.errors import VendorError
from saystream.workers.speech import Ending, Speech

log = logging.getLogger(__name__)


class Race:
    """Lets one stream of speech begin.

    Args:
        won: called with the winner, before its first audio is published.
    """

    def __init__(self, won: Callable[[Speech], None]) -> None:
        self._won = won
        self.winner: Speech | None = None
        self.over = asyncio.Event()

    async def begins(self, speech: Speech) -> None:
        """Return if the stream may speak: it is the first. For any other this never returns."""
        if self.winner is None:
            self.winner = speech
            self.over.set()
            self._won(speech)
        if self.winner is not speech:
            await asyncio.Event().wait()  # until it is cancelled


async def run(race: Race, first: Speech, second: Callable[[], Speech], after_s: float) -> Ending:
    """Run a stream of speech, and another beside it if the vendor has owed the first one's audio for ``after_s``.

    Both are counted by the first one's account.

    Raises:
        VendorError: of the winner, or of the first where nobody has won.
    """
    counts = first.voice.account.counts
    runs = {asyncio.create_task(first.run(), name="speech"): first}
    late, won = asyncio.create_task(_late(first, after_s)), asyncio.create_task(race.over.wait())
    hedged, error = False, None
    try:
        while runs:
            await asyncio.wait(
                [*runs, *(moment for moment in (late, won) if not moment.done())], return_when=asyncio.FIRST_COMPLETED
            )
            if race.winner is not None:
                losers = [run for run, speech in runs.items() if speech is not race.winner]
                await _drop(losers)
                runs = {run: speech for run, speech in runs.items() if run not in losers}
            elif late.done() and not hedged:
                hedged, other = True, second()
                counts.hedges += 1
                log.info("= no audio from %s yet: %s races it", first.voice.name, other.voice.name)
                runs[asyncio.create_task(other.run(), name="hedge")] = other
            for run in [run for run in runs if run.done()]:
                del runs[run]
                try:
                    return run.result()
                except VendorError as failed:
                    error = error or failed
        assert error is not None
        raise error
    finally:
        counts.hedges_won += race.winner not in (None, first)
        await _drop([late, won, *runs])


async def _late(speech: Speech, after_s: float) -> None:
    await speech.owes.wait()
    await asyncio.sleep(after_s)


async def _drop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # it has lost: what became of it is of no interest
