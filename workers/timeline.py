"""One stream of speech on its turn's clock: samples published, words spoken, and the place where another can go on.

A plain object: vendor audio and word times go in, what is to be published comes out.
"""

import math
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from saystream.common.audio import AudioFormat
from saystream.common.errors import SaystreamError
from saystream.common.events import Word
from saystream.workers.providers.base import OpenWord, WordTime
from saystream.workers.text.alignment import Alignment, goes_on
from saystream.workers.text.run import Run

#: A word that ends less than this before the audio, in seconds, may have been cut short.
_DOUBT_S = 0.03
#: Audio that ends so much before the end of a word that was reported, in seconds, does not hold all of it.
_SHORT_S = 0.02


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio to be published: whole samples from sample ``offset`` of the turn."""

    offset: int
    samples: int
    data: bytes


class TurnTooLong(SaystreamError):
    """The audio of the turn gets longer than allowed."""


class _Coming(NamedTuple):
    """A word that is announced: how far the text is spoken with it, and where it stands in the audio.

    Of a word that is not in the text, or ends within rewritten text, ``end`` is that of the last whole word before it.
    ``last`` is None until its end is told, by the beginning of the next.
    """

    end: int
    first: int
    last: int | None


class Timeline:
    """One stream of speech.

    Args:
        format: of the turn's audio; what the vendor sends otherwise is converted before it comes here.
        cut: sample of the turn at which the stream begins.
        spoken: character of the turn's text at which it begins.
        most_s: how long the turn's audio may get, in seconds.
        short_at: character behind which the word was cut short, with which the stream before this one has ended.

    Attributes:
        position: samples of the turn that are published.
        spoken: characters of the text that the samples before ``cut`` cover.
        cut: the sample where a stream that takes over would start.
        halted: it has come to the end of the word at which it was to end, and takes no more.
    """

    def __init__(
        self, format: AudioFormat, cut: int = 0, spoken: int = 0, most_s: float = math.inf, short_at: int = -1
    ) -> None:
        self.format, self._most_s, self.short_at = format, most_s, short_at
        self.position = self.cut = cut
        self.spoken = spoken
        self.halted = False
        self._at_halt: Callable[[], None] | None = None
        self._base = cut
        self._before_last = spoken, cut  # before the last word
        self._text = Alignment(spoken)
        self._coming: deque[_Coming] = deque()  # words that are not wholly published
        self._rewritten = False  # behind `cut`, words are published that are not in the text: a half of something
        self._words_until = -1  # last sample of the words that were reported
        self._odd = b""

    @property
    def found(self) -> int:
        """How many characters that the vendor was given lie before the end of the last word that it has reported."""
        return self._text.found

    def silent(self, unspoken: re.Pattern[str] | None = None) -> bool:
        """Tell whether the stream was given words, beside what is ``unspoken``, and has answered with no audio."""
        return self.position == self._base and self._text.has_words(unspoken)

    def missing(self, unspoken: re.Pattern[str] | None = None) -> bool:
        """Tell, at the end, whether the vendor has left out the last words.

        So it is if it has reported words and there are more behind the last of them. Where the vendor has reported
        further words, which are not in the text, it has rewritten what is there (``$3.50``): they stand for as much
        text as can be spoken in their time.
        """
        if self._coming and self._coming[-1].last is None:  # it goes on to the end of the audio
            self._text.went_on(self.format.seconds(max(0, self.position - self._coming[-1].first)))
        return self._words_until >= 0 and self._text.left_out(unspoken)

    def cut_short(self) -> bool:
        """Tell, at the end, whether the audio breaks off in the last word, as the vendor itself has reported it.

        Only once for each word: where it happens again, this vendor's times reach beyond its audio.
        """
        last = self._coming[-1].last if self._coming else None
        if last is None or self.format.seconds(last - self.position) < _SHORT_S:
            return False
        again, self.short_at = self.short_at == self.spoken, self.spoken
        return not again

    def sent(self, run: Run) -> None:
        """Note that the vendor has been given more text."""
        self._text.append(run)

    def words(self, times: tuple[WordTime, ...]) -> list[Word]:
        """Take word times; return the words with their places in text and audio."""
        words: list[Word] = []
        for time in times:
            spelled, start_s, end_s = time
            is_open = isinstance(time, OpenWord)
            first = self._sample(start_s)
            last = max(first, self._sample(end_s))
            self._end_open_words(first, last, is_open=is_open)
            start, end = self._text.find(spelled, max(0.0, end_s - start_s))
            self._coming.append(_Coming(self._text.whole, first, None if is_open else last))
            self._words_until = max(self._words_until, last)
            # Until its end is told it has at least one sample, or it would count as whole where the one before ends.
            words.append(Word(spelled, start, end, first, last + is_open))
        self._settle()
        return words

    def chunk(self, text: str, start_s: float, end_s: float) -> None:
        """Take a piece of the text that is spoken from here to there, where the vendor reports no words of it."""
        if self._words_until > self._sample(start_s) or not text:
            return
        if (end := self._text.find_piece(text, max(0.0, end_s - start_s))) is not None:
            first, last = self._sample(start_s), self._sample(end_s)
            self._end_open_words(first, last, is_open=False)
            self._coming.append(_Coming(end, first, last))
            self._settle()

    def audio(self, data: bytes) -> Chunk:
        """Take audio; a sample that is not whole waits for its other half.

        Raises:
            TurnTooLong: with it the turn would be. It was not taken.
        """
        if self._odd or len(data) % self.format.sample_bytes:
            data = self._odd + data
            whole = len(data) - len(data) % self.format.sample_bytes
            data, self._odd = data[:whole], data[whole:]
        if self._at_halt is not None and (room := self._room()) is not None:
            data = data[: room * self.format.sample_bytes]
        chunk = Chunk(self.position, self.format.samples(len(data)), data)
        if self.format.seconds(self.position + chunk.samples) > self._most_s:
            raise TurnTooLong(f"the audio gets longer than limits.turn_s = {self._most_s:g} allows")
        self.position += chunk.samples
        self._settle()
        return chunk

    def finished(self, spoken: int) -> None:
        """Note that the vendor has spoken all that it was given: the turn's text up to a character."""
        self.cut, self.spoken = self.position, max(self.spoken, spoken)
        self._coming.clear()
        self._halt()

    def silence(self, seconds: float) -> Chunk:
        """Put silence behind what the vendor has spoken."""
        return self.audio(bytes(round(seconds * self.format.sample_rate) * self.format.sample_bytes))

    def doubt_the_end(self) -> None:
        """Note that the vendor has broken off: a word that ends where the audio ends may be a part of one."""
        if self.format.seconds(self.position - self.cut) < _DOUBT_S:
            self.spoken, self.cut = self._before_last

    def take_back(self, text: str) -> None:
        """Note that the last word goes on in the ``text``, which was taken for ended: it is to be spoken as one word.

        Where the vendor has not told where that word begins, it stays in two parts.
        """
        spoken, cut = self._before_last
        if goes_on(text, self.spoken) and len(text[spoken : self.spoken].split()) == 1:
            self.spoken, self.cut = spoken, cut

    def halt_at_word(self, halted: Callable[[], None]) -> None:
        """Take no more audio than to the end of the word that is being spoken, and tell when that is published.

        Where the vendor says too late, or never, where a word ends, that may never be.
        """
        self._at_halt = halted
        self._halt()

    @property
    def _whole(self) -> bool:
        """Whether no word is published in part, as far as the vendor has said."""
        if self.cut == self.position:
            return True
        return not self._rewritten and bool(self._coming) and self._coming[0].first >= self.position

    def _halt(self) -> None:
        if self._at_halt is not None and not self.halted and self._whole:
            self.halted = True
            self._at_halt()

    def _room(self) -> int | None:
        """Return how many samples there are to the end of a word; None if nobody knows."""
        if self.halted:
            return 0
        words = (word for word in self._coming if word.last is None or word.last > self.position)
        last = next((word.last for word in words if word.end > self.spoken), None)
        return None if last is None else last - self.position

    def _sample(self, at_s: float) -> int:
        return self._base + round(at_s * self.format.sample_rate)

    def _end_open_words(self, first: int, last: int, *, is_open: bool) -> None:
        """End words whose end the vendor has not told where the next one begins, or ends if that does not tell.

        Behind a word that ``is_open`` itself they may stay so, and behind no other: all open words are the last ones.
        """
        for at in range(len(self._coming) - 1, -1, -1):
            word = self._coming[at]
            if word.last is not None:
                break
            end = first if first > word.first else max(last, word.first)
            if end > word.first or not is_open:
                self._coming[at] = word._replace(last=end)
                self._text.went_on(self.format.seconds(end - word.first))

    def _settle(self) -> None:
        while self._coming and (last := self._coming[0].last) is not None and last <= self.position:
            word = self._coming.popleft()
            self._rewritten = word.end <= self.spoken
            if word.end > self.spoken:
                self._before_last = self.spoken, self.cut
                self.spoken, self.cut = word.end, last
        self._halt()
