"""The text of one stream of speech on its way to the vendor: a turn's script, from a given place on."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum

from saystream.workers.connection import Stream
from saystream.workers.idle import Idle
from saystream.workers.providers.base import Capabilities
from saystream.workers.text.lowering import lower
from saystream.workers.text.phraser import Phrase, Phraser
from saystream.workers.text.run import Flush, Item, Pause, Run
from saystream.workers.text.script import Script
from saystream.workers.turn_text import TurnText

#: The LLM pauses when it has sent nothing for so long, in seconds.
_PAUSE_S = 0.04


class Rest(Enum):
    """What there may be to say behind what was sent."""

    NOTHING = "the turn's text has ended"
    LATER = "the LLM pauses for longer than the vendor waits, or we do"
    SILENCE = "silence that the vendor cannot make"


class Sender:
    """Sends text as it comes.

    Args:
        stream: of speech.
        script, text: the turn's.
        abilities: the vendor's.
        language: of the voice.
        start: character of the producer's text at which the stream begins.
        idle: how long the text may pause.
        sent: told of all that is sent, before it is.
        told: called when the vendor has been told to speak: with True at the end, with False in the middle.

    Attributes:
        any: whether there was anything to say.
        finishing: no more is sent.
        rest: why no more was sent.
        reached: how much of the producer's text has been dealt with, in characters.
        silence: that is to be made here; None if there is none.
    """

    def __init__(
        self,
        stream: Stream,
        script: Script,
        text: TurnText,
        abilities: Capabilities,
        language: str | None,
        start: int,
        idle: Idle,
        sent: Callable[[Run], None],
        told: Callable[[bool], None],
    ) -> None:
        self._stream, self._script, self._text, self._abilities = stream, script, text, abilities
        self._language, self._idle, self._sent, self._told = language, idle, sent, told
        self._phraser = Phraser(abilities.phrases, language) if abilities.phrases else None
        self._start, self._next = start, 0
        self._sent_at = 0.0  # when text was last sent
        self._seen, self._seen_at = -1, 0.0  # the last change of the text that left something waiting, and when
        self.any = self.finishing = False
        self.rest = Rest.NOTHING
        self.reached = start
        self.silence: Pause | None = None

    async def run(self) -> None:
        """Send all there is to say in this stream, and finish it; nothing is sent if there is nothing to say."""
        while True:
            seen = self._text.changes
            more = self._script.read()
            await self._send(self._new())
            if self.silence is not None:
                self.rest = Rest.SILENCE
                break
            if more:
                await asyncio.sleep(0)  # a long text that is there at once must not keep the other turns waiting
            elif self._script.ended:
                break
            elif not await self._wait(seen):
                self._script.flush()
                await self._send(self._new())
                self.rest = Rest.LATER
                break
        await self._finish()

    async def _finish(self) -> None:
        last = list(self._phraser.flush()) if self._phraser and self.silence is None else []
        phrases = [phrase for phrase in last if isinstance(phrase, Phrase)]
        for phrase in phrases:
            self._note(phrase.runs)
        self.reached = self.silence.start if self.silence else self._script.read_to
        self.finishing = True
        if self.any:
            await self._stream.finish(" ".join(phrase.text for phrase in phrases))
            self._told(True)

    def _new(self) -> list[Phrase | Pause | Flush]:
        """Return what has come for the vendor since the last call."""
        items = self._script.items
        behind = _from(items[self._next :], self._start, self._text.text)
        new = lower(behind, self._abilities.tags, self._language)
        self._next = len(items)
        if self._phraser is None:
            return list(_pieces(new))
        now = time.monotonic()
        return self._phraser.poll(now) + (self._phraser.feed(new, now) if new else [])

    async def _send(self, new: Sequence[Phrase | Pause | Flush]) -> None:
        for item in new:
            if isinstance(item, Phrase):
                if item.text.strip() or self.any:  # a turn does not begin with blanks
                    self._note(item.runs)
                    await self._stream.text(item.text)
            elif isinstance(item, Pause):
                self.silence = item
                return
            elif self.any:
                await self._stream.flush("")
                self._told(False)

    def _note(self, runs: Iterable[Run]) -> None:
        self.any, self._sent_at = True, time.monotonic()
        for run in runs:
            self._sent(run)

    async def _wait(self, seen: int) -> bool:
        """Wait for more text, or until a phrase is due; False when the LLM pauses for longer than the vendor waits.

        Or for longer than we do: then `Idle.passed`, which may also raise.
        """
        while (due := self._idle.due(seen)) <= time.monotonic():
            if await self._idle.passed():
                return False
        gap_s, alive_s = self._abilities.text_gap_s, self._abilities.keep_alive_s
        if self._phraser and (phrase_due := self._phraser.due) is not None:
            due = min(due, phrase_due)
        if self._script.held:
            now = time.monotonic()
            if seen == self._seen and now - self._seen_at >= _PAUSE_S:
                self._script.settle()
                return True
            if seen != self._seen:
                self._seen, self._seen_at = seen, now
            due = min(due, self._seen_at + _PAUSE_S)
        if self.any and (gap_s or alive_s):
            now = time.monotonic()
            if gap_s:
                if now - self._sent_at >= gap_s:
                    return False
                due = min(due, self._sent_at + gap_s)
            elif alive_s:
                if now - self._sent_at >= alive_s:
                    await self._stream.keep_alive()
                    self._sent_at = now
                due = min(due, self._sent_at + alive_s)
        await self._text.more(seen, due)
        return True


def _from(items: Sequence[Item], start: int, text: str) -> Iterator[Item]:
    """Leave out what lies before a place of the producer's text, which has been spoken.

    A filter that sees at once what came with a pause between may make one of what was spoken and what was not: then the
    rest of it is said as it was written.
    """
    for item in items:
        if start and item.start == item.end == start and isinstance(item, Run) and not any(map(str.isalnum, item.text)):
            continue  # a mark that a filter has put behind the last word
        if item.start >= start and (item.end > start or isinstance(item, Run) or not start):
            yield item
        elif isinstance(item, Run) and item.end > start:
            as_written = len(item.text) == item.end - item.start
            rest = item.text[start - item.start :] if as_written else text[start : item.end]
            yield Run(rest, start, item.end)


def _pieces(items: Iterable[Item]) -> Iterator[Phrase | Pause | Flush]:
    """Put text together for a vendor that forms phrases itself."""
    runs: list[Run] = []
    for item in items:
        if isinstance(item, Pause | Flush):
            if runs:
                yield _piece(runs)
            runs = []
            yield item
        else:
            runs.append(Run(item.text, item.start, item.end))
    if runs:
        yield _piece(runs)


def _piece(runs: list[Run]) -> Phrase:
    return Phrase("".join(run.text for run in runs), tuple(runs), runs[0].start, runs[-1].end)
