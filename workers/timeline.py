"""One stream of speech on its turn's clock: samples published, words spoken, and the place where another can go on.

A plain object: vendor audio and word times go in, what is to be published comes out.
"""

import re
import unicodedata
from collections import deque
from dataclasses import dataclass

from saystream.common.audio import AudioFormat
from saystream.common.events import Word
from saystream.workers.providers.base import WordTime

#: How far ahead a word of the vendor is looked for in the text when it is not the next one (it rewrites numbers, say).
_LOOK_AHEAD = 64
#: A word that is found only by looking ahead has at least so many letters: a short one could be found by accident.
_LETTERS = 3
#: So many characters of a script without blanks are found only by looking ahead if they stand together.
_RUN = 4
#: Scripts that are written without blanks: a part of what stands together may be a word.
_BARE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
#: A word that ends less than this before the audio, in seconds, may have been cut short.
_DOUBT_S = 0.03
#: What a vendor may say nothing of: a tag, a cue.
_BRACKETED = re.compile(r"<[^<>]{0,126}>|\[[^\[\]]{0,126}\]")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio to be published: whole samples from sample ``offset`` of the turn."""

    offset: int
    samples: int
    data: bytes


class Timeline:
    """One stream of speech.

    Args:
        format: of the turn's audio; what the vendor sends otherwise is converted before it comes here.
        cut: sample of the turn at which the stream begins.
        spoken: character of the turn's text at which it begins.

    Attributes:
        position: samples of the turn that are published.
        spoken: characters of the text that the samples before ``cut`` cover.
        cut: the sample where a stream that takes over would start.
    """

    def __init__(self, format: AudioFormat, cut: int = 0, spoken: int = 0) -> None:
        self.format = format
        self.position = self.cut = cut
        self.spoken = spoken
        self._base = cut
        self._before_last = spoken, cut  # before the last word
        self._text = _Text(spoken)
        self._coming: deque[tuple[int, int]] = deque()  # ends of words, in text and audio, that are not published
        self._words_until = -1  # last sample of the words that were reported
        self._odd = b""

    @property
    def text_sent(self) -> bool:
        """Whether the stream was given any text."""
        return self._text.end > self._text.start

    def silent(self, unspoken: re.Pattern[str] | None = None) -> bool:
        """Tell whether the stream was given words, beside what is ``unspoken``, and has answered with no audio."""
        return self.position == self._base and self._text.has_words(unspoken)

    def missing(self, unspoken: re.Pattern[str] | None = None) -> bool:
        """Tell, at the end, whether the vendor has left out the last words.

        So it is if it has reported words and there are more behind the last of them. A vendor that has reported further
        words, which are not in the text, has rewritten what is there (``$3.50``) and left nothing out.
        """
        return self._words_until >= 0 and self._text.left_out(unspoken)

    def sent(self, text: str) -> None:
        """Note that the vendor has been given the next piece of the turn's text, as the producer wrote it."""
        self._text.append(text)

    def words(self, times: tuple[WordTime, ...]) -> list[Word]:
        """Take word times; return the words with their places in text and audio."""
        words: list[Word] = []
        for spelled, start_s, end_s in times:
            first = self._sample(start_s)
            last = max(first, self._sample(end_s))
            start, end = self._text.find(spelled)
            self._coming.append((end, last))
            self._words_until = max(self._words_until, last)
            words.append(Word(spelled, start, end, first, last))
        self._settle()
        return words

    def chunk(self, text: str, start_s: float, end_s: float) -> None:
        """Take a piece of the text that is spoken from here to there, where the vendor reports no words of it."""
        if self._words_until > self._sample(start_s) or not text:
            return
        if (end := self._text.find_piece(text)) is not None:
            self._coming.append((end, self._sample(end_s)))
            self._settle()

    def audio(self, data: bytes) -> Chunk:
        """Take audio; a sample that is not whole waits for its other half."""
        if self._odd or len(data) % self.format.sample_bytes:
            data = self._odd + data
            whole = len(data) - len(data) % self.format.sample_bytes
            data, self._odd = data[:whole], data[whole:]
        chunk = Chunk(self.position, self.format.samples(len(data)), data)
        self.position += chunk.samples
        self._settle()
        return chunk

    def finished(self) -> None:
        """Note that the vendor has spoken all that it was given."""
        self.cut, self.spoken = self.position, max(self.spoken, self._text.end)
        self._coming.clear()

    def doubt_the_end(self) -> None:
        """Note that the vendor has broken off: a word that ends where the audio ends may be a part of one."""
        if self.format.seconds(self.position - self.cut) < _DOUBT_S:
            self.spoken, self.cut = self._before_last

    def _sample(self, at_s: float) -> int:
        return self._base + round(at_s * self.format.sample_rate)

    def _settle(self) -> None:
        while self._coming and self._coming[0][1] <= self.position:
            end, last = self._coming.popleft()
            if end > self.spoken:
                self._before_last = self.spoken, self.cut
                self.spoken, self.cut = end, last


class _Text:
    """The text that a stream of speech was given, and how far its words have been found in it."""

    def __init__(self, start: int) -> None:
        self.start = start  # of `_text` in the turn's text
        self._text = ""
        self._at = 0  # behind the last word that was found
        self._guess: int | None = None  # behind a word that was found by looking ahead
        self._run = ""  # the last characters that were not found, of a script without blanks
        self._unknown = False  # words were reported since that are not in the text

    @property
    def end(self) -> int:
        return self.start + len(self._text)

    def has_words(self, unspoken: re.Pattern[str] | None) -> bool:
        return _has_letters(self._text, unspoken)

    def left_out(self, unspoken: re.Pattern[str] | None) -> bool:
        """Tell whether there are words behind the last one that was found, and no other was reported since."""
        return not self._unknown and _has_letters(self._text[self._at :], unspoken)

    def append(self, text: str) -> None:
        self._text += text

    def find(self, spelled: str) -> tuple[int, int]:
        """Return where a word of the vendor stands; an empty range behind the last one if it is not in the text."""
        if len(parts := spelled.split()) > 1:  # a segment of several words
            places = [self.find(part) for part in parts]
            return places[0][0], places[-1][1]
        letters = _letters(spelled)
        place = self._find_next(letters, spelled) or self._find_guessed(letters) or self._find_run(letters)
        if place is None:
            self._guess = self._look_ahead(letters) if len(letters) >= _LETTERS else None
            self._unknown = self._unknown or bool(letters)
            return self.start + self._at, self.start + self._at
        start, end = place
        self._found(end)
        return self.start + start, self.start + self._at

    def find_piece(self, piece: str) -> int | None:
        """Return the end of a piece of several words, the next one or one further on; None if it is not there."""
        wanted = _letters(piece)
        if not wanted:
            return None
        letters, ends = "", []
        for at in range(self._at, len(self._text)):
            more = _letters(self._text[at])
            letters += more
            ends += [at + 1] * len(more)
        # Further on only if the piece before was rewritten; the first place may be too early, never too late.
        if (first := letters.find(wanted)) < 0:
            return None
        self._found(ends[first + len(wanted) - 1])
        return self.start + self._at

    def _find_next(self, letters: str, spelled: str) -> tuple[int, int] | None:
        at = self._skip_blanks(self._at)
        if not letters:
            end = self._match(at, spelled.strip(), exact=True)
            return None if end is None else (at, end)
        while True:
            if (end := self._match(at, letters, exact=False)) is not None:
                return at, end
            letter = self._skip_marks(at)  # the vendor may say nothing of marks that stand alone
            if (end := self._match(letter, letters, exact=False)) is not None:
                return self._start_of_word(letter), end
            bracketed = self._next_bracketed(at)
            if bracketed is None:
                return None
            at = self._skip_blanks(bracketed)

    def _find_guessed(self, letters: str) -> tuple[int, int] | None:
        """Two words in a row that are found by looking ahead are no accident."""
        if self._guess is None or not letters:
            return None
        at = self._skip_blanks(self._guess)
        end = self._match(at, letters, exact=False)
        return None if end is None else (at, end)

    def _find_run(self, letters: str) -> tuple[int, int] | None:
        """Characters of a script without blanks, reported one by one or nearly so, are found together further on."""
        self._run = (self._run + letters)[-_RUN:] if _BARE.match(letters) else ""
        if len(self._run) < _RUN:
            return None
        for later in range(self._at + 1, min(self._at + _LOOK_AHEAD, len(self._text))):
            if self._text[later].isalnum() and (end := self._match(later, self._run, exact=False)) is not None:
                return max(later, end - len(letters)), end
        return None

    def _found(self, end: int) -> None:
        self._at = self._behind_marks(end)
        self._guess, self._run, self._unknown = None, "", False

    def _look_ahead(self, letters: str) -> int | None:
        """Return the end of the next place where a word stands. Only a guess: the vendor may mean another one."""
        for later in range(self._at + 1, min(self._at + _LOOK_AHEAD, len(self._text))):
            starts_word = self._text[later].isalnum() and not self._text[later - 1].isalnum()
            if starts_word and (end := self._match(later, letters, exact=False)) is not None:
                return self._behind_marks(end)
        return None

    def _behind_marks(self, end: int) -> int:
        """Punctuation stays with its word; what opens a tag or a cue does not."""
        while end < len(self._text) and not self._text[end].isalnum() and not self._text[end].isspace():
            if self._text[end] in "<[":
                break
            end += 1
        return end

    def _skip_blanks(self, at: int) -> int:
        while at < len(self._text) and self._text[at].isspace():
            at += 1
        return at

    def _next_bracketed(self, at: int) -> int | None:
        """Return the end of the tag or cue that comes next, before any word."""
        while at < len(self._text) and not self._text[at].isalnum():
            if bracketed := _BRACKETED.match(self._text, at):
                return bracketed.end()
            at += 1
        return None

    def _start_of_word(self, at: int) -> int:
        while at > self._at and not self._text[at - 1].isspace():
            at -= 1
        return at

    def _skip_marks(self, at: int) -> int:
        while at < len(self._text) and not self._text[at].isalnum():
            at += 1
        return at

    def _match(self, at: int, wanted: str, *, exact: bool) -> int | None:
        """Return the end of what stands at ``at`` if it is what is wanted: the same letters, unless ``exact``."""
        text = self._text
        if exact:
            return at + len(wanted) if wanted and text.startswith(wanted, at) else None
        found = 0
        while found < len(wanted):
            if at >= len(text):
                return None
            if letters := _letters(text[at]):
                if not wanted.startswith(letters, found):
                    return None
                found += len(letters)
            elif text[at].isspace():
                return None
            at += 1
        return None if _goes_on(text, at) else at


def _goes_on(text: str, at: int) -> bool:
    """Tell whether a word goes on at ``at``: then what stands before is only the beginning of a longer one."""
    before, after = text[at - 1 : at], text[at : at + 1]
    if unicodedata.combining(after or " "):
        return False
    return after.isalnum() and before.isalnum() and not _BARE.match(before) and not _BARE.match(after)


def _has_letters(text: str, unspoken: re.Pattern[str] | None) -> bool:
    return bool(_letters(unspoken.sub(" ", text) if unspoken else text))


def _letters(text: str) -> str:
    """Return what makes a word the same word: without marks, accents and capitals."""
    plain = text if text.isascii() else unicodedata.normalize("NFKD", text)
    return "".join(char for char in plain if char.isalnum()).casefold()
