"""One attempt at one turn: tokens to the vendor, audio to the output stream, until its end or another's attempt."""

import asyncio
import contextlib
import logging
import time

from saystream.common.backoff import Backoff
from saystream.common.errors import (
    AudioLost,
    Fenced,
    InvalidToken,
    RedisUnavailable,
    SaystreamError,
    VendorError,
)
from saystream.common.ids import EntryId
from saystream.common.ledger import Claim, Ledger
from saystream.common.loop import drop
from saystream.common.redis_client import call_raw
from saystream.common.settings import LimitSettings
from saystream.common.states import State
from saystream.workers.breaker import NotAsked
from saystream.workers.hedge import Race
from saystream.workers.hedge import run as hedged
from saystream.workers.idle import Idle, TextPaused
from saystream.workers.line import Line
from saystream.workers.output import Output
from saystream.workers.route import Route, Step
from saystream.workers.sender import Rest
from saystream.workers.speech import Speech
from saystream.workers.text.script import Script
from saystream.workers.timeline import Timeline, TurnTooLong
from saystream.workers.turn_text import Sealed, TurnText
from saystream.workers.voices import Voice

log = logging.getLogger(__name__)

#: How long a turn that is given back may take to publish what it has.
_GIVE_BACK_S = 1.0
#: What ends a turn as failed: no other attempt would get any further.
_FATAL = (InvalidToken, TurnTooLong)


class TooLate(SaystreamError):
    """The turn could not begin to be spoken in time."""


class Attempt:
    """One worker's try at a turn.

    Args:
        claim: the right to publish.
        voice: that speaks.
        ledger, line, text: where the turn's end, its audio and its tokens go to and come from.
        script: the text as it is to be spoken.
        limits: that the turn has to keep.
        streams: so many streams of speech may bring nothing, one after the other, before the turn is given up.

    Attributes:
        ending: nothing more is to be spoken.
        finishing: Redis is being told of its end, and will answer whether the turn was still ours.
    """

    def __init__(
        self,
        claim: Claim,
        voice: Voice,
        ledger: Ledger,
        line: Line,
        text: TurnText,
        script: Script,
        limits: LimitSettings,
        streams: int,
    ) -> None:
        self._claim, self._ledger, self._line, self._text, self._script = claim, ledger, line, text, script
        self._most_s = limits.turn_s
        self._timeline = Timeline(claim.format, claim.cut, claim.spoken, self._most_s)
        self._output = Output(line, claim.ref.turn)
        self._idle = Idle(limits.idle_s, self._has_all_text, interrupts=limits.on_idle == "interrupt")
        self._voices = [voice, *voice.fallbacks]
        self._route = Route([voice.name for voice in self._voices], streams, self._opens_at)
        self._spoke = voice.name  # who listeners think speaks
        self._at_word: asyncio.Event | None = None  # it is to halt at the end of a word
        self._speeches: list[Speech] = []  # that have been begun, and have not failed
        self.ending = self.finishing = False

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
        except AudioLost as lost:
            await self._ledger.release(self._claim)  # another attempt speaks again from what is left
            return f"given back: {lost}"
        except TextPaused as paused:
            await self._ledger.interrupt(*self._claim.ref, cause=str(paused))
            return f"interrupted: {paused}"
        except asyncio.CancelledError:
            await self._give_back()
            raise
        finally:
            self._line.close()
            self._text.close()
        return f"{reason}: {cause}" if cause else str(reason)

    def drop(self, error: SaystreamError) -> None:
        """Stop at once, for a reason: the turn may be another's. Nothing that waits is published any more."""
        self._text.stop(error)
        self._line.close()

    async def at_word(self, most_s: float) -> None:
        """Publish nothing behind the word that is being spoken; return when that is there, or after ``most_s``."""
        at_word = self._at_word = asyncio.Event()
        self._timeline.halt_at_word(at_word.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await at_word.wait()

    async def _speak_until_stopped(self) -> tuple[State, str]:
        """Speak while following the tokens; returns how the turn ends and why.

        Raises:
            Sealed, Fenced: the turn is not ours any more.
            SaystreamError: what else its text or its line was broken by.
        """
        stopped = asyncio.create_task(self._text.until_stopped(), name=f"end of {self._claim.ref.turn}")
        speaking = asyncio.create_task(self._speak(), name=f"speech of {self._claim.ref.turn}")
        deadline = asyncio.create_task(self._expire(), name=f"deadline of {self._claim.ref.turn}")
        try:  # no TaskGroup: before Python 3.13 an error within one can hide that we are cancelled
            await asyncio.wait([stopped, speaking], return_when=asyncio.FIRST_COMPLETED)
            self.ending = True
            if stopped.done():
                stopped.result()
            return speaking.result()
        except _FATAL as error:
            return State.FAILED, str(error)
        except TooLate as error:
            return State.EXPIRED, str(error)
        finally:
            await drop([stopped, speaking, deadline])

    async def _expire(self) -> None:
        """End a turn that waits for a vendor when it should have begun. How late its text is, is up to its producer."""
        if (left_ms := self._claim.start_within_ms_left) is not None:
            await asyncio.sleep(left_ms / 1000)
            if self._unspoken and not self._started:
                self._text.stop(TooLate("no vendor was free in time"))

    @property
    def _started(self) -> bool:
        """Whether a vendor has been ready to speak."""
        return self._timeline.position > self._claim.cut or any(speech.got.is_set() for speech in self._speeches)

    async def _speak(self) -> tuple[State, str]:
        """Have the text spoken by the voice, or by those that go on when it fails."""
        route = self._route
        step, cause = route.first(time.monotonic()), ""
        not_asked = str(self._voices[0].account.refusal or "")  # tells only why another voice speaks
        while True:
            await self._wait(step)
            before, voice = self._timeline.cut, self._voices[step.voice]
            if not await self._ready(voice):
                break
            try:
                rest = await self._speak_once(voice, cause or (not_asked if voice.name != self._spoke else ""))
            except VendorError as error:
                self._speeches.clear()
                if self._text.ended and not self._unspoken:
                    break  # nothing is missing but the vendor's goodbye
                further = self._timeline.cut > before
                following = route.failed(error, further=further, now=time.monotonic())
                if following is None:
                    return State.FAILED, route.cause
                step = following
                if isinstance(error, NotAsked):
                    not_asked = str(error)
                    continue
                cause, name = str(error), self._voices[step.voice].name
                log.info("↻ %s: %s; %s goes on at sample %d", self._claim.ref.turn, error, name, self._timeline.cut)
            else:
                if rest is Rest.NOTHING or not await self._more_text():
                    break
                step = route.went_well()
                cause = "the text had paused" if rest is Rest.LATER else "silence in the text"
                if rest is Rest.LATER:
                    self._timeline.take_back(self._text.text)
        self._output.close(self._timeline)  # words of a stream that broke behind its last audio
        return State.DONE, "" if self._text.ended else f"{self._idle.cause}: ended with what was there"

    async def _wait(self, step: Step) -> None:
        if step.sooner:
            await self._voices[step.voice].account.until_usable(step.wait_s)
        elif step.wait_s:
            await asyncio.sleep(step.wait_s)

    async def _ready(self, voice: Voice) -> bool:
        """Wait for text, if the stream would be the probe of its account; False: there is none to come.

        Nobody else may ask the vendor until a probe has spoken, so it must not wait for an LLM.
        """
        account = voice.account
        refusal = account.refusal
        if account.healthy or (refusal is not None and not refusal.retryable):
            return True
        return await self._more_text()

    async def _speak_once(self, voice: Voice, cause: str) -> Rest:
        """Speak what has not been spoken, in one stream of speech; ``cause`` says why the one before has ended.

        Raises:
            VendorError: it failed.
        """
        start = self._timeline

        def speech(voice: Voice) -> Speech:
            timeline = Timeline(self._claim.format, start.cut, start.spoken, self._most_s, start.short_at)
            made = Speech(voice, self._text, self._script, timeline, self._output, self._idle, race.begins)
            self._speeches.append(made)
            return made

        def begin(winner: Speech) -> None:
            self._timeline, name = winner.timeline, winner.voice.name
            if self._at_word:
                self._timeline.halt_at_word(self._at_word.set)
            if winner is not first:
                self._take_over(winner.voice)
            if cause or name != self._spoke:
                self._output.go_back(self._timeline, name, cause or f"{voice.name} was late")
            self._spoke = name

        race = Race(begin)
        first, hedge, after_ms = speech(voice), voice.hedge, voice.settings.hedge_ms
        if hedge is None or after_ms is None:
            return await first.run()
        return await hedged(race, first, lambda: speech(hedge), self._any_text, after_ms / 1000)

    def _take_over(self, voice: Voice) -> None:
        if voice not in self._voices:
            self._voices.append(voice)
        self._route.took_over(self._voices.index(voice), voice.name)

    def _opens_at(self, at: int) -> float | None:
        return self._voices[at].account.retry_at

    @property
    def _unspoken(self) -> bool:
        """Whether there is text behind what is spoken."""
        return bool(self._text.text[self._timeline.spoken :].strip())

    async def _any_text(self) -> bool:
        """Wait for text behind what is spoken; False if there is none to come."""
        while not self._unspoken and not self._text.ended:
            await self._text.more(self._text.changes)
        return self._unspoken

    async def _more_text(self) -> bool:
        """Wait for text behind what is spoken; False if there is none to come, or none has come for too long.

        Raises:
            TextPaused: the latter, where that interrupts the turn.
        """
        text, idle = self._text, self._idle
        while not self._unspoken and not text.ended:
            due = idle.due(seen := text.changes)
            if due > time.monotonic():
                await text.more(seen, due)
            elif await idle.passed():
                break
        return self._unspoken

    async def _has_all_text(self) -> bool:
        """Tell whether Redis has no more text of the turn than we have."""
        ours = EntryId.parse(self._text.last)  # what comes while we ask has come in time
        try:
            last = await call_raw(self._ledger.redis, "XREVRANGE", self._text.key, "+", "-", "COUNT", 1)
        except RedisUnavailable:
            return False
        return not last or EntryId.parse(last[0][0]) <= ours  # less, where a failover has lost what we have read

    # the end

    async def _finish(self, reason: State, cause: str = "") -> None:
        """End the turn, as soon as Redis lets us and for as long as it is ours: repeating is harmless."""
        timeline, backoff = self._timeline, Backoff(0.05, 1.0)
        while True:
            await self._line.drained()
            self.finishing = True
            try:
                await self._ledger.finish(
                    self._claim, self._line.seq, reason, timeline.position, timeline.spoken, cause
                )
                return
            except AudioLost:
                self._line.doubt()  # and what is missing is sent again
            except RedisUnavailable:
                pass
            await asyncio.sleep(backoff.failed())

    async def _give_back(self) -> None:
        """Publish what there is and let another worker go on."""
        try:
            async with asyncio.timeout(_GIVE_BACK_S):
                self._output.close(self._timeline)
                self._output.checkpoint(self._timeline)  # what became known as spoken since the last audio
                await self._line.drained()
                await self._ledger.release(self._claim)
                log.info("↻ %s given back at sample %d", self._claim.ref.turn, self._timeline.cut)
        except (TimeoutError, SaystreamError) as error:
            log.info("! %s not given back, its lease will end: %s", self._claim.ref.turn, error)
