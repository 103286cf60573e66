"""One attempt at one turn: tokens to the vendor, audio to the output stream, until its end or another's attempt."""

import asyncio
import logging
import time
from collections import deque

from saystream.common.backoff import Backoff
from saystream.common.errors import Action, Fenced, InvalidToken, RedisUnavailable, SaystreamError, Scope, VendorError
from saystream.common.events import Word, encode_audio, encode_splice, encode_words
from saystream.common.ledger import Claim, Ledger
from saystream.common.states import State
from saystream.workers.connection import Stream
from saystream.workers.providers.base import AudioData, Finished, Started, WordTimes
from saystream.workers.text.phrases import Phrase, Phraser
from saystream.workers.timeline import Timeline
from saystream.workers.turn_text import Sealed, TurnText
from saystream.workers.voices import Voice
from saystream.workers.writer import Line

log = logging.getLogger(__name__)

#: First and longest pause before another stream of speech after a vendor that is busy, in seconds.
_BACKOFF_S = (0.2, 5.0)
#: Characters that are made into phrases at a time.
_MOST_CHARS = 1024
#: How long a turn that is given back may take to publish what it has.
_GIVE_BACK_S = 1.0


class Attempt:
    """One worker's try at a turn.

    Args:
        claim: the right to publish.
        voice: that speaks.
        ledger, line, text: where the turn's end, its audio and its tokens go to and come from.
        streams: how many streams of speech it may take.
    """

    def __init__(self, claim: Claim, voice: Voice, ledger: Ledger, line: Line, text: TurnText, streams: int) -> None:
        self._claim, self._voice, self._ledger, self._line, self._text = claim, voice, ledger, line, text
        self._streams = streams
        self._timeline = Timeline(claim.format, claim.cut, claim.spoken)
        self._words: deque[Word] = deque()  # to be published with the next audio
        self._finish_sent = False
        self._owed_since: float | None = None  # the vendor was told to speak and has not since
        self._silence_s = voice.pool.provider.settings.silence_s

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
        backoff = Backoff(*_BACKOFF_S)
        for number in range(1, self._streams + 1):
            try:
                await self._speak_once()
            except VendorError as error:
                if not error.retryable or number == self._streams:
                    return State.FAILED, str(error)
                log.info("↻ %s: %s; going on at sample %d", self._claim.ref.turn, error, self._timeline.cut)
                self._go_back()
                if error.action is Action.RETRY_LATER or number > 1:  # the first time, another socket is there at once
                    await asyncio.sleep(backoff.failed())
            else:
                break
        return State.DONE, ""

    def _go_back(self) -> None:
        """Make ready for another stream of speech from the end of the last whole word."""
        timeline = self._timeline
        if timeline.position > timeline.cut:
            self._line.put(encode_splice(self._claim.ref.turn, timeline.cut, timeline.spoken))
        # Words that are whole stay; the others will be spoken again.
        self._words = deque(word for word in self._words if word.last_sample <= timeline.cut)
        timeline.restart()
        self._publish_words()
        self._finish_sent = False
        self._owed_since = None

    async def _speak_once(self) -> None:
        """Speak what has not been spoken, in one stream of speech.

        Raises:
            VendorError: it failed.
        """
        stream = await self._voice.pool.stream(self._voice.spec(self._claim.format))
        failures: list[SaystreamError] = []
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send(stream), name=f"text of {self._claim.ref.turn}")
                receiving = group.create_task(self._receive(stream), name=f"audio of {self._claim.ref.turn}")
                if not await sending:
                    receiving.cancel()  # there was nothing to say
        except* SaystreamError as failed:
            failures.append(_first(failed))
        finally:
            stream.cancel()
        if failures:
            raise failures[0]

    # text to the vendor

    async def _send(self, stream: Stream) -> bool:
        """Send the text as it comes, to its end; tell whether there was any."""
        rule = self._voice.pool.provider.capabilities.phrases
        text = self._text
        at = start = self._timeline.spoken
        outgoing = _Outgoing(stream, self._timeline, text, at)
        phraser = Phraser(rule, at) if rule else None
        flushed = 0
        while True:
            text.grown.clear()
            flush_at = text.flushes[flushed] if flushed < len(text.flushes) else None
            there = max(at, len(text.text) if flush_at is None else flush_at)
            end = min(there, at + _MOST_CHARS)
            new, at = text.text[at:end], end
            for phrase in _phrases(phraser, new, at):
                await outgoing.send(phrase)
            if end < there:
                await asyncio.sleep(0)  # a long text that is there at once must not keep the other turns waiting
            elif flush_at is not None:
                flushed += 1
                if flush_at > start:
                    self._owed_since = time.monotonic()
                    await outgoing.flush(phraser.flush() if phraser else [])
            elif text.ended and at >= len(text.text):
                self._finish_sent, self._owed_since = True, time.monotonic()
                return await outgoing.finish(phraser.flush() if phraser else [])
            else:
                await text.more(phraser.due if phraser else None)

    # audio from the vendor

    async def _receive(self, stream: Stream) -> None:
        """Publish what the vendor says, until it has said all.

        Raises:
            VendorError: it failed, fell silent, or said nothing where there was something to say.
        """
        while True:
            events = await stream.events(self._silence_s)
            if events:  # after the flush at the end, it owes more until it says that this was all
                self._owed_since = time.monotonic() if self._finish_sent else None
            elif self._owed_since and time.monotonic() - self._owed_since >= self._silence_s:
                raise self._vendor_error(f"no audio for {self._silence_s:g} s", Action.RECONNECT)
            for event in events:
                match event:
                    case AudioData(data=data):
                        self._publish_audio(data)
                    case WordTimes(words=times):
                        self._words.extend(self._timeline.words(times))
                    case Started(sample_rate=rate) if rate != self._claim.format.sample_rate:
                        text = f"answers at {rate} Hz where {self._claim.format.sample_rate} Hz were asked for"
                        raise self._vendor_error(text, Action.FIX_CONFIGURATION)
                    case Finished() if not self._finish_sent:
                        raise self._vendor_error("ended the stream before the text had ended", Action.RECONNECT)
                    case Finished():
                        self._publish_rest()
                        return

    def _publish_audio(self, data: bytes) -> None:
        timeline, turn = self._timeline, self._claim.ref.turn
        first = timeline.position == 0
        self._publish_words()
        chunk = timeline.audio(data)
        if chunk.samples:
            fields = encode_audio(turn, chunk.offset, chunk.samples, timeline.spoken, timeline.cut, chunk.data)
            self._line.put(fields, len(chunk.data), urgent=first)

    def _publish_words(self) -> None:
        if self._words:
            timeline, words = self._timeline, tuple(self._words)
            self._words.clear()
            turn = self._claim.ref.turn
            self._line.put(encode_words(turn, timeline.position, timeline.spoken, timeline.cut, words))

    def _publish_rest(self) -> None:
        """The vendor has said all: so all the text is spoken, whatever it reported of words."""
        timeline = self._timeline
        if timeline.silent:
            raise self._vendor_error("no audio for a text that has words", Action.RECONNECT)
        timeline.finished()
        turn, words = self._claim.ref.turn, tuple(self._words)
        self._line.put(encode_words(turn, timeline.position, timeline.spoken, timeline.cut, words))

    def _vendor_error(self, text: str, action: Action) -> VendorError:
        return VendorError(self._voice.pool.provider.vendor, text, scope=Scope.STREAM, action=action)

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


class _Outgoing:
    """The text of one stream of speech on its way out; the timeline is told of all that is sent."""

    def __init__(self, stream: Stream, timeline: Timeline, text: TurnText, start: int) -> None:
        self._stream, self._timeline, self._text, self._told = stream, timeline, text, start

    async def send(self, phrase: Phrase) -> None:
        self._tell(phrase)
        await self._stream.text(phrase.text)

    async def flush(self, phrases: list[Phrase]) -> None:
        await self._stream.flush(self._join(phrases))

    async def finish(self, phrases: list[Phrase]) -> bool:
        last = self._join(phrases)
        if not last and not self._timeline.text_sent:
            return False
        await self._stream.finish(last)
        return True

    def _join(self, phrases: list[Phrase]) -> str:
        for phrase in phrases:
            self._tell(phrase)
        return " ".join(phrase.text for phrase in phrases)

    def _tell(self, phrase: Phrase) -> None:
        self._timeline.sent(self._text.text[self._told : phrase.end])
        self._told = phrase.end


def _first(group: BaseExceptionGroup[SaystreamError]) -> SaystreamError:
    """Return the first error of a group, however deep it lies."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _phrases(phraser: Phraser | None, new: str, end: int) -> list[Phrase]:
    """Return what can be sent now; a vendor that forms phrases itself gets the text as it is."""
    if phraser is None:
        return [Phrase(new, end - len(new), end)] if new else []
    now = time.monotonic()
    return phraser.poll(now) + (phraser.feed(new, now) if new else [])
