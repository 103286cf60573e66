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
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.workers.leases import Held
from saystream.workers.others import Others
from saystream.workers.text.pipeline import Pipeline
from saystream.workers.text.script import Script
from saystream.workers.tokens import TokenReader
from saystream.workers.turn import Attempt
from saystream.workers.voices import Voice
from saystream.workers.writer import Writer

log = logging.getLogger(__name__)

#: A turn whose voice we do not know stays here for a moment, in seconds, before it is left to others: one that knows
#: the voice, and has room, can come to ask meanwhile. Where none has room, or we cannot tell, it will take longer, and
#: nobody is to be kept busy with it.
_ROOM_S = (0.05, 0.2)
_NO_ROOM_S = (0.3, 0.6)
#: Such a turn fails when for so long, in seconds, no worker has been there that speaks its voice. The first is for a
#: voice that none has ever spoken, as far as is known; the second for one that some have, who may be on their way
#: back, as may their vendors.
_UNKNOWN_S = 5.0
_GONE_S = 60.0


class Service:
    """Has turns spoken.

    Args:
        worker: its name.
        settings, voices, ledger, others, writer, reader: the worker's.
    """

    def __init__(
        self,
        worker: str,
        settings: Settings,
        voices: Mapping[str, Voice],
        ledger: Ledger,
        others: Others,
        writer: Writer,
        reader: TokenReader,
    ) -> None:
        self._worker, self._settings, self._voices = worker, settings, voices
        self._ledger, self._others, self._writer, self._reader = ledger, others, writer, reader
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
        """Leave a turn to workers that know its voice; it fails if for some time none has been there that does."""
        name = message.voice
        others = await self._others.now()
        speaking = [other for other in others or () if name in other.voices]
        patience_s = None if others is None or speaking else await self._patience_s(name)
        room = any(other.room for other in speaking)
        await asyncio.sleep(DICE.uniform(*(_ROOM_S if room else _NO_ROOM_S)))
        nobody_ms = None if patience_s is None else round(patience_s * 1000)
        if await self._ledger.pass_on(message, self._worker, nobody_ms=nobody_ms):
            return f"left to others: voice {name!r} is not known here"
        claim = await self._claim(message, AudioFormat())
        if isinstance(claim, Refusal):
            return f"not taken: {claim}"
        return await self._fail(claim, f"voice {name!r} is none of: {', '.join(sorted(self._voices))}")

    async def _patience_s(self, voice: str) -> float | None:
        """Return how long a turn waits for somebody who speaks its voice; None: we cannot know that now."""
        try:
            return _GONE_S if voice in await self._ledger.voices() else _UNKNOWN_S
        except (RedisUnavailable, ResponseError):
            return None

    async def _fail(self, claim: Claim, cause: str) -> str:
        """End a turn before any of it is spoken."""
        await self._ledger.finish(claim, 1, State.FAILED, claim.cut, claim.spoken, cause)
        return f"failed: {cause}"

    async def pass_on(self, messages: Sequence[Message]) -> None:
        """Let other workers have turns that were given to us, and that we have not begun."""
        for message in messages:
            try:
                await self._ledger.pass_on(message, self._worker)
            except RedisUnavailable as error:
                log.info("! turns not given back, their lease will end: %s", error)
                return
            except Exception as error:  # whatever it is, it is about this turn alone
                log.warning("! %s not given back, its lease will end: %s", message.ref.turn, error)
