"""A race of two streams of speech: the second starts when the first is late; the first to speak wins."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from saystream.common.errors import VendorError
from saystream.common.loop import drop
from saystream.workers.sender import Rest
from saystream.workers.speech import Speech

log = logging.getLogger(__name__)


class Race:
    """Lets one stream of speech begin.

    Args:
        won: called with the winner, before its first audio is published.

    Attributes:
        winner: who has begun.
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


async def run(
    race: Race, first: Speech, second: Callable[[], Speech], text: Callable[[], Awaitable[bool]], after_s: float
) -> Rest:
    """Run a stream of speech, and another beside it if the first one's audio has been late for ``after_s``.

    Both are counted by the first one's account.

    Args:
        text: waits for something to say; False if there is none to come.

    Raises:
        VendorError: of the winner, or of the first where nobody has won.
    """
    counts = first.voice.account.counts
    runs = {asyncio.create_task(first.run(), name="speech"): first}
    late, won = asyncio.create_task(_late(first, text, after_s)), asyncio.create_task(race.over.wait())
    hedged, errors = False, dict[Speech, VendorError]()
    try:
        while runs:
            await asyncio.wait(
                [*runs, *(moment for moment in (late, won) if not moment.done())], return_when=asyncio.FIRST_COMPLETED
            )
            if race.winner is not None:
                losers = [run for run, speech in runs.items() if speech is not race.winner]
                await drop(losers)
                runs = {run: speech for run, speech in runs.items() if run not in losers}
            elif late.done() and not hedged and (other := second()).voice.account.usable:
                hedged = True
                counts.hedges += 1
                log.info("= no audio from %s yet: %s races it", first.voice.name, other.voice.name)
                runs[asyncio.create_task(other.run(), name="hedge")] = other
            for run in [run for run in runs if run.done()]:
                speech = runs.pop(run)
                try:
                    return run.result()
                except VendorError as failed:
                    errors[speech] = failed
        raise errors[race.winner or first]
    finally:
        counts.hedges_won += race.winner not in (None, first)
        await drop([late, won, *runs])


async def _late(speech: Speech, text: Callable[[], Awaitable[bool]], after_s: float) -> None:
    """Wait until text has waited for its audio for ``after_s``: for a stream, or with a vendor that owes audio.

    Between the two nobody is late: a vendor may wait for more text.
    """
    got, there = asyncio.create_task(speech.got.wait()), asyncio.ensure_future(text())
    try:
        await asyncio.wait([got, there], return_when=asyncio.FIRST_COMPLETED)
        if not got.done() and there.result():
            since = time.monotonic()
            await asyncio.wait([got], timeout=after_s)
            if not got.done():
                return
            after_s -= time.monotonic() - since
    finally:
        await drop([got, there])
    await speech.owes.wait()
    await asyncio.sleep(after_s)
