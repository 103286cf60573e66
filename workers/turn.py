"""One attempt at one turn: tokens to the vendor, audio to the output stream, until its end or another's attempt."""

import asyncio
import logging
import time

from saystream.common.backoff import Backoff
from saystream.common.errors import Fenced, InvalidToken, RedisUnavailable, SaystreamError, VendorError
from saystream.common.ledger import Claim, Ledger
from saystream.common.states import State
from saystream.workers.hedge import Race
from saystream.workers.hedge import run as hedged
from saystream.workers.output import Output
from saystream.workers.route import Route
from saystream.workers.speech import Ending, Speech
from saystream.workers.timeline import Timeline
from saystream.workers.turn_text import Sealed, TurnText
from saystream.workers.voices import Voice
from saystream.workers.writer import Line

log = logging.getLogger(__name__)

#: How long a turn that is given back may take to publish what it has.
_GIVE_BACK_S = 1.0


class Attempt:
    """One worker's try at a turn.

    Args:
        claim: the right to publish.
        voice: that speaks.
        ledger, line, text: where the turn's end, its audio and its tokens go to and come from.
        streams: so many streams of speech may bring nothing, one after the other, before the turn is given up.
    """

    def __init__(self, claim: Claim, voice: Voice, ledger: Ledger, line: Line, text: TurnText, streams: int) -> None:
        self._claim, self._voice, self._ledger, self._line, self._text = claim, voice, ledger, line, text
        self._streams = streams
        self._timeline = Timeline(claim.format, claim.cut, claim.spoken)
        self._output = Output(line, claim.ref.turn)
        self._spoke = voice.name  # who listeners think speaks

    async def run(self) -> str:
        """Speak; returns in a few words how it went.

        Raises:
            CancelledError: the worker stops; the turn has been given back for another worker to go on with it.
        """
        try:
            reason, cause = await self._speak_until_stopped()
            await self._finish(reason, cause)
        except (Sealed, Fenced) as stopped:
            return f"stopped: {stopped}"
        except asyncio.CancelledError:
            await self._give_back()
            raise
        finally:
            self._line.close()
            self._text.close()
        return f"{reason}: {cause}" if cause else str(reason)

    async def _speak_until_stopped(self) -> tuple[State, str]:
        """Speak while following the tokens; returns how the turn ends and why.

        Raises:
            Sealed, Fenced: the turn is not ours any more.
            SaystreamError: what else its text or its line was broken by.
        """
        stopped: list[SaystreamError] = []
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._text.until_stopped(), name=f"end of {self._claim.ref.turn}")
                how = await self._speak()
                watching.cancel()
                return how
        except* SaystreamError as failed:
            stopped.append(_first(failed))
        if isinstance(stopped[0], InvalidToken):  # it will not be one at the next attempt either
            return State.FAILED, str(stopped[0])
        raise stopped[0]

    async def _speak(self) -> tuple[State, str]:
        """Have the text spoken by the voice, or by those that go on when it fails."""
        voices = (self._voice, *self._voice.fallbacks)
        route = Route([voice.name for voice in voices], self._streams, lambda at: voices[at].account.retry_at)
        step, cause = route.first(time.monotonic()), ""
        while True:
            if step.wait_s:
                await asyncio.sleep(step.wait_s)
            before = self._timeline.cut
            try:
                ending = await self._speak_once(voices[step.voice], cause)
            except VendorError as error:
                further, cause = self._timeline.cut > before, str(error)
                following = route.failed(error, further=further, now=time.monotonic())
                if following is None:
                    return State.FAILED, route.cause
                step = following
                log.info(
                    "↻ %s: %s; %s goes on at sample %d",
                    self._claim.ref.turn,
                    error,
                    voices[step.voice].name,
                    self._timeline.cut,
                )
            else:
                if ending is Ending.ALL or not await self._more_text():
                    self._output.close(self._timeline)  # words of a stream that broke behind its last audio
                    return State.DONE, ""
                cause = "the text had paused"

    async def _speak_once(self, voice: Voice, cause: str) -> Ending:
        """Speak what has not been spoken, in one stream of speech; ``cause`` says why the one before has ended.

        Raises:
            VendorError: it failed.
        """
        start = self._timeline

        def speech(voice: Voice) -> Speech:
            timeline = Timeline(self._claim.format, start.cut, start.spoken)
            return Speech(voice, self._text, timeline, self._output, race.begins)

        def begin(winner: Speech) -> None:
            self._timeline, name = winner.timeline, winner.voice.name
            if cause or name != self._spoke:
                self._output.go_back(self._timeline, name, cause or f"{self._spoke} was late")
            self._spoke = name

        race = Race(begin)
        first, hedge, after_ms = speech(voice), voice.hedge, voice.settings.hedge_ms
        if hedge is None or after_ms is None:
            return await first.run()
        return await hedged(race, first, lambda: speech(hedge), after_ms / 1000)

    async def _more_text(self) -> bool:
        """Wait for text behind what is spoken; False if there is none to come."""
        text = self._text
        while not text.ended and len(text.text) <= self._timeline.spoken:
            await text.more(text.changes)
        return bool(text.text[self._timeline.spoken :].strip())

    # the end

    async def _finish(self, reason: State, cause: str = "") -> None:
        """End the turn, as soon as Redis lets us: repeating is harmless."""
        await self._line.drained()
        timeline, backoff = self._timeline, Backoff(0.05, 1.0)
        while True:
            try:
                await self._ledger.finish(
                    self._claim, self._line.seq, reason, timeline.position, timeline.spoken, cause
                )
                return
            except RedisUnavailable:
                await asyncio.sleep(backoff.failed())

    async def _give_back(self) -> None:
        """Publish what there is and let another worker go on."""
        try:
            async with asyncio.timeout(_GIVE_BACK_S):
                await self._line.drained()
                await self._ledger.release(self._claim)
                log.info("↻ %s given back at sample %d", self._claim.ref.turn, self._timeline.cut)
        except (TimeoutError, SaystreamError) as error:
            log.info("! %s not given back, its lease will end: %s", self._claim.ref.turn, error)


def _first(group: BaseExceptionGroup[SaystreamError]) -> SaystreamError:
    """Return the first error of a group, however deep it lies."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
