"""From a turn in this worker's hands to its end: claim it, have it spoken by the voice that it asks for."""

import asyncio
import itertools
import logging
from collections.abc import Mapping, Sequence

from redis.exceptions import ResponseError

from saystream.common.audio import AudioFormat
from saystream.common.backoff import DICE
from saystream.common.errors import InvalidInput, RedisUnavailable
from saystream.common.ledger import Claim, Ledger, Message, Refusal
from saystream.common.reports import Reports, WorkerReport
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.workers.leases import Held
from saystream.workers.text.pipeline import Pipeline
from saystream.workers.text.script import Script
from saystream.workers.tokens import TokenReader
from saystream.workers.turn import Attempt
from saystream.workers.voices import Voice
from saystream.workers.writer import Writer

log = logging.getLogger(__name__)

#: Before a turn is left to a worker that knows its voice: a moment, in seconds, in which that one can come to ask; and
#: the attempts for which this is done.
_PASS_ON_S = (0.05, 0.2)
_PASS_ON_ATTEMPTS = 20


class Service:
    """Has turns spoken.

    Args:
        worker: its name.
        settings, voices, ledger, reports, writer, reader: the worker's.
    """

    def __init__(
        self,
        worker: str,
        settings: Settings,
        voices: Mapping[str, Voice],
        ledger: Ledger,
        reports: Reports,
        writer: Writer,
        reader: TokenReader,
    ) -> None:
        self._worker, self._settings, self._voices = worker, settings, voices
        self._ledger, self._reports, self._writer, self._reader = ledger, reports, writer, reader
        self._claims = itertools.count(1)

    async def speak(self, held: Held) -> str:
        """Have a turn spoken; returns in a few words how it went.

        Raises:
            LeaseLost, Fenced, OutboxFull, RedisUnavailable: it was dropped, and its lease ends.
            CancelledError: the worker stops.
        """
        message = held.message
        voice = self._voices.get(message.voice)
        if voice is None:
            return await self._leave_or_fail(message)
        claim = await self._claim(message, voice.format, held)
        if isinstance(claim, Refusal):
            return f"not taken: {claim}"
        log.info("→ %s attempt %d, from sample %d", message.ref.turn, claim.attempt, claim.cut)
        try:
            rules = voice.settings.text.model_copy(update=claim.request.text)
            pipeline = Pipeline(rules, voice.settings.language)
        except InvalidInput as error:
            return await self._fail(claim, str(error))
        text = await self._reader.add(message.ref)
        try:
            if held.lost:
                raise held.lost
            limits, streams = self._settings.limits, self._settings.worker.streams
            line = self._writer.line(claim, limits.outbox_bytes, text.stop)
            script = Script(text, pipeline)
            held.attempt = Attempt(claim, voice, self._ledger, line, text, script, limits, streams)
            return await held.attempt.run()
        finally:
            self._reader.remove(text)

    async def _claim(self, message: Message, format: AudioFormat, held: Held | None = None) -> Claim | Refusal:
        """Claim, and again after a lost reply, if the turn is still ``held``: the owner's name makes that harmless."""
        owner, attempts = f"{self._worker}/{next(self._claims)}", self._settings.worker.attempts
        try:
            return await self._ledger.claim(message, owner, attempts=attempts, format=format)
        except RedisUnavailable:
            await asyncio.sleep(DICE.uniform(0.05, 0.2))
            if held and held.lost:
                raise held.lost from None
            return await self._ledger.claim(message, owner, attempts=attempts, format=format)

    async def _leave_or_fail(self, message: Message) -> str:
        """Leave a turn to a worker that knows its voice, in the format that it has there; it fails if there is none."""
        others = await self.others()
        rates = [other.voices[message.voice] for other in others if message.voice in other.voices]
        if rates:
            await asyncio.sleep(DICE.uniform(*_PASS_ON_S))
        claim = await self._claim(message, AudioFormat(sample_rate=rates[0]) if rates else AudioFormat())
        if isinstance(claim, Refusal):
            return f"not taken: {claim}"
        if rates and claim.attempt <= _PASS_ON_ATTEMPTS:
            await self._ledger.release(claim)
            return f"left to others: voice {message.voice!r} is not known here"
        return await self._fail(claim, f"voice {message.voice!r} is none of: {', '.join(sorted(self._voices))}")

    async def _fail(self, claim: Claim, cause: str) -> str:
        """End a turn before any of it is spoken."""
        await self._ledger.finish(claim, 1, State.FAILED, claim.cut, claim.spoken, cause)
        return f"failed: {cause}"

    async def pass_on(self, messages: Sequence[Message]) -> None:
        """Let other workers have turns that were given to us, and that we have not begun."""
        for message in messages:
            voice = self._voices.get(message.voice)
            try:
                claim = await self._claim(message, voice.format if voice else AudioFormat())
                if isinstance(claim, Claim):
                    await self._ledger.release(claim)
            except RedisUnavailable as error:
                log.info("! turns not given back, their lease will end: %s", error)
                return
            except Exception as error:  # whatever it is, it is about this turn alone
                log.warning("! %s not given back, its lease will end: %s", message.ref.turn, error)

    async def others(self) -> tuple[WorkerReport, ...]:
        """Return the other workers that are there, as far as we can know."""
        try:
            return (await self._reports.read()).beside(self._worker)
        except (RedisUnavailable, ResponseError):
            return ()
