"""One stream of speech: a turn's text to the vendor from a given place on, and the vendor's audio to the output."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from saystream.common.errors import Action, SaystreamError, Scope, VendorError
from saystream.common.events import Word
from saystream.common.loop import drop
from saystream.workers.connection import Stream
from saystream.workers.idle import Idle
from saystream.workers.output import Output
from saystream.workers.progress import Meter, Patience, Progress
from saystream.workers.providers.base import (
    AudioData,
    ChunkSpoken,
    ChunkStarted,
    Finished,
    Started,
    VendorEvent,
    WordTimes,
)
from saystream.workers.resample import Resampler
from saystream.workers.sender import Rest, Sender
from saystream.workers.text.alignment import has_words
from saystream.workers.text.run import Pause, Run
from saystream.workers.text.script import Script
from saystream.workers.timeline import Timeline
from saystream.workers.turn_text import TurnText
from saystream.workers.voices import Voice

log = logging.getLogger(__name__)

#: Silence that is published at a time, in seconds; and audio, in bytes: a vendor's frame may hold minutes.
_SILENCE_S = 0.5
_MOST_BYTES = 1 << 16
#: A vendor may report so many words, and one for each character that it was given; more are a fault.
_MOST_WORDS = 1000
#: An overdue vendor is given so long, in seconds, to turn out to be only unread: this process may have been held up.
_GRACE_S = 0.05
#: A moment that is so much nearer, in seconds, is worth setting the timer anew.
_SOONER_S = 0.05
#: How soon audio has to follow, in seconds, to carry how far the text is spoken; else an entry of its own does.
_TELL_S = 0.1


class Speech:
    """One stream of speech.

    Args:
        voice: that speaks.
        text, script: of the turn; it is spoken from the timeline's ``spoken`` on.
        timeline: made for this stream.
        output: where the audio goes, in the timeline's format.
        idle: is told of all that passes between us and the vendor.
        begins: awaited before the first audio is published; it may never return, for one that has lost a race.
    """

    def __init__(
        self,
        voice: Voice,
        text: TurnText,
        script: Script,
        timeline: Timeline,
        output: Output,
        idle: Idle,
        begins: Callable[["Speech"], Awaitable[None]],
    ) -> None:
        self.voice, self.timeline = voice, timeline
        self._text, self._script, self._output, self._begins = text, script, output, begins
        self._idle = idle
        provider = voice.account.provider
        settings, self._abilities = provider.settings, provider.capabilities
        self._progress = Progress(
            Patience(settings.first_audio_s, settings.pause_s, settings.stall_s, self._abilities.holds_chars)
        )
        self._meter = Meter(self._abilities.unspoken)
        self._rate = self._abilities.nearest_rate(timeline.format.sample_rate)  # what the vendor sends
        self._resampler: Resampler | None = None
        self._odd = b""  # half a sample, which waits for its other half
        self._early: list[Word] = []  # words that came before the first audio
        self._words = self._chars = 0  # that were reported, and sent
        self._begun = False
        self._timer: asyncio.TimerHandle | None = None  # for what is due
        self._timer_at = 0.0
        self._telling: asyncio.TimerHandle | None = None
        self._stream: Stream | None = None
        self.got = asyncio.Event()  # there is a stream to send text to
        self.owes = asyncio.Event()  # the vendor has had enough text to speak

    async def run(self) -> Rest:
        """Speak.

        Raises:
            VendorError: it failed, stalled, or left something unsaid.
        """
        stream = self._stream = await self.voice.account.stream(self.voice.spec(self.timeline.format))
        self.got.set()
        sender = Sender(
            stream,
            self._script,
            self._text,
            self._abilities,
            self.voice.settings.language,
            self.timeline.spoken,
            self._idle,
            self._sent,
            self._told,
        )
        receiving = asyncio.create_task(self._receive(stream, sender), name="audio")
        sending = asyncio.create_task(self._send(sender, receiving), name="text")
        try:  # no TaskGroup: before Python 3.13 an error within one can hide that we are cancelled
            await asyncio.wait([receiving, sending], return_when=asyncio.FIRST_EXCEPTION)
            for task in (receiving, sending):
                if task.done() and not task.cancelled():
                    task.result()
        finally:
            for timer in (self._timer, self._telling):
                if timer:
                    timer.cancel()
            stream.cancel()
            await drop([receiving, sending])
        if sender.silence is not None:
            await self._keep_silent(sender.silence)
        elif sender.rest is Rest.LATER and not sender.any:
            await self._leave_out(sender.reached)
        return sender.rest

    # text to the vendor

    async def _send(self, sender: Sender, receiving: "asyncio.Task[None]") -> None:
        await sender.run()
        if not sender.any:
            receiving.cancel()  # there was nothing to say

    def _sent(self, run: Run) -> None:
        self.timeline.sent(run)
        self._chars += len(run.text)
        self._idle.stir()
        self._progress.sent(self._meter.sent(run.text), time.monotonic())
        self._watch()

    def _told(self, finished: bool) -> None:
        now = time.monotonic()
        self._progress.sent(self._meter.told(), now)
        if finished:
            self._progress.finished(now)
        else:
            self._progress.flushed(now)
        self._watch()

    # audio from the vendor

    async def _receive(self, stream: Stream, sender: Sender) -> None:
        """Publish what the vendor says, until it has said all.

        Raises:
            VendorError: it failed, or said nothing where there was something to say.
        """
        while True:
            for event in await stream.events():
                if isinstance(event, Finished):
                    await self._publish_rest(sender)
                    return
                await self._take(event)

    async def _take(self, event: VendorEvent) -> None:
        timeline, progress = self.timeline, self._progress
        match event:
            case AudioData(data=data):
                for at in range(0, len(data), _MOST_BYTES):
                    await self._publish(data[at : at + _MOST_BYTES])
                self._watch()
            case WordTimes(words=times) if times:
                self._words += len(times)
                if self._words > _MOST_WORDS + self._chars:
                    raise self._error("reports more words than it was given characters", Scope.SOCKET)
                before, words = timeline.spoken, timeline.words(times)
                if self._begun:
                    self._output.words(words)
                    self._tell_later(before)
                else:
                    self._early += words
                progress.words(times[-1].end_s, timeline.found, time.monotonic())
                self._watch()
            case Started(sample_rate=rate):
                self._rate = rate
            case ChunkStarted():
                progress.chunk(True, time.monotonic())
                self._watch()
            case ChunkSpoken(silent=text) if has_words(text, self._abilities.unspoken):
                raise self._error("no audio for a text that has words")
            case ChunkSpoken(text=text, start_s=start_s, end_s=end_s):
                # What the converter still holds back is the end of the silence behind a piece.
                held_s = self._resampler.look_ahead_s if self._resampler else 0.0
                before = timeline.spoken
                timeline.chunk(text, start_s, max(start_s, end_s - held_s))
                self._tell_later(before)
                progress.chunk(False, time.monotonic())
            case _:
                pass

    async def _publish(self, data: bytes) -> None:
        if not self._begun:
            await self._begin()
        timeline = self.timeline
        if self._resampler:
            data = self._odd + data
            whole = len(data) - len(data) % timeline.format.sample_bytes
            self._odd = data[whole:]
            data = self._resampler.feed(data[:whole])
        if self._telling:
            self._telling.cancel()
            self._telling = None
        self._output.publish_words(timeline)
        chunk = timeline.audio(data)
        self._idle.stir()
        self._progress.audio(timeline.format.seconds(chunk.samples), time.monotonic())
        self._output.audio(timeline, chunk)
        await self._unless_halted()

    async def _unless_halted(self) -> None:
        """Never return where the turn is being handed over: what the vendor says from then on is said by another."""
        if self.timeline.halted:
            await asyncio.Event().wait()  # until it is cancelled

    def _tell_later(self, before: int) -> None:
        """Publish how far the text is spoken, if that has moved, unless the next audio does it soon."""
        if self.timeline.spoken > before and self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_S, self._tell)

    def _tell(self) -> None:
        self._telling = None
        try:
            self._output.checkpoint(self.timeline)
        except SaystreamError as error:  # the turn is not ours any more, and its attempt knows
            log.debug("! nothing more is published: %s", error)

    async def _begin(self) -> None:
        await self._begins(self)
        self._begun = True
        self._output.words(self._early)
        if self._rate != (rate := self.timeline.format.sample_rate):
            try:
                self._resampler = Resampler(self._rate, rate)
            except ValueError as error:
                raise self._error(f"{self._rate} Hz cannot be converted to {rate} Hz: {error}") from error

    async def _publish_rest(self, sender: Sender) -> None:
        """The vendor has said all: so all the text is spoken, unless it shows that some is not."""
        await self._unless_halted()
        timeline, unspoken = self.timeline, self._abilities.unspoken
        if not sender.finishing:
            raise self._error("ended the stream before the text had ended")
        if timeline.silent(unspoken):
            raise self._error("no audio for a text that has words")
        if not self._begun:
            await self._begin()
        if self._resampler:
            self._output.audio(timeline, timeline.audio(self._resampler.flush()))
            await self._unless_halted()
        if (cut_short := timeline.cut_short()) or timeline.missing(unspoken):
            if not cut_short:
                timeline.doubt_the_end()
            raise self._error("the last words are missing")
        timeline.finished(sender.reached)
        self._output.checkpoint(timeline)

    async def _keep_silent(self, pause: Pause) -> None:
        """Make the silence that the text asks for, and the vendor cannot make."""
        if not self._begun:
            await self._begin()
        timeline, left_s = self.timeline, pause.seconds
        while left_s > 0:
            await self._unless_halted()
            self._output.audio(timeline, timeline.silence(min(left_s, _SILENCE_S)))
            left_s -= _SILENCE_S
        timeline.finished(pause.end)
        self._output.checkpoint(timeline)

    async def _leave_out(self, end: int) -> None:
        """The text up to ``end`` holds nothing to say: so it has been spoken."""
        if not self._begun:
            await self._begin()
        self.timeline.finished(end)
        self._output.checkpoint(self.timeline)

    # the deadline

    def _watch(self) -> None:
        """See to it that an overdue vendor is noticed."""
        due = self._progress.due()
        if due is None or (self._timer is not None and due > self._timer_at - _SOONER_S):
            return
        self.owes.set()
        self._look_at(due, grace=True)

    def _look_at(self, moment_s: float, *, grace: bool) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer_at = moment_s
        delay_s = moment_s - time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(delay_s, lambda: self._look(grace=grace))

    def _look(self, *, grace: bool) -> None:
        self._timer, due = None, self._progress.due()
        if due is None or self._stream is None:
            return
        now = time.monotonic()
        if now < due:
            self._look_at(due, grace=True)
        elif grace:
            self._look_at(now + _GRACE_S, grace=False)
        else:
            self._stream.fail(self._error("stalled: its audio is overdue", Scope.SOCKET))

    def _error(self, text: str, scope: Scope = Scope.STREAM) -> VendorError:
        return VendorError(self.voice.account.provider.vendor, text, scope=scope, action=Action.RECONNECT)
