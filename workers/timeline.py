"""One turn's clock: samples published, words spoken, and the place where a stream of speech can be taken up again.

A plain object: vendor audio and word times go in, what is to be published comes out.
"""

from collections import deque
from dataclasses import dataclass

from saystream.common.audio import AudioFormat
from saystream.common.events import Word
from saystream.workers.providers.base import WordTime

#: How far ahead a word of the vendor is looked for in the text when it is not the next one (it rewrites numbers, say).
_LOOK_AHEAD = 64
#: A word that is found only by looking ahead has at least so many letters: a short one could be found by accident.
_LETTERS = 3


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio to be published: whole samples from sample ``offset`` of the turn."""

    offset: int
    samples: int
    data: bytes


class Timeline:
    """The clock of one attempt at a turn.

    Args:
        format: of the turn's audio.
        cut: sample at which this attempt goes on.
        spoken: character of the text at which it goes on.

    Attributes:
        position: samples published.
        spoken: characters of the text that the samples before ``cut`` cover.
        cut: the sample where a stream that takes over would start.
    """

    def __init__(self, format: AudioFormat, cut: int = 0, spoken: int = 0) -> None:
        self.format = format
        self.position = self.cut = cut
        self.spoken = spoken
        self._base = cut  # where the present stream of speech starts
        self._text = _Text(spoken)
        self._coming: deque[Word] = deque()  # words whose end has not been published
        self._odd = b""

    @property
    def text_sent(self) -> bool:
        """Whether the present stream of speech was given any text."""
        return self._text.end > self._text.start

    @property
    def silent(self) -> bool:
        """Whether the present stream was given words and has answered with no audio."""
        return self.position == self._base and self._text.has_words

    def sent(self, text: str) -> None:
        """Note that the vendor has been given the next piece of the turn's text, as the producer wrote it."""
        self._text.append(text)

    def words(self, times: tuple[WordTime, ...]) -> list[Word]:
        """Take word times of the present stream; return the words with their places in text and audio."""
        words: list[Word] = []
        for spelled, start_s, end_s in times:
            first = self._base + round(start_s * self.format.sample_rate)
            last = max(first, self._base + round(end_s * self.format.sample_rate))
            start, end = self._text.find(spelled)
            word = Word(spelled, start, end, first, last)
            self._coming.append(word)
            words.append(word)
        self._settle()
        return words

    def audio(self, data: bytes) -> Chunk:
        """Take audio of the present stream; a sample that is not whole waits for its other half."""
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

    def restart(self) -> None:
        """Go back to the end of the last whole word: a new stream of speech continues there."""
        self.position = self._base = self.cut
        self._text = _Text(self.spoken)
        self._coming.clear()
        self._odd = b""

    def _settle(self) -> None:
        while self._coming and self._coming[0].last_sample <= self.position:
            word = self._coming.popleft()
            if word.end > self.spoken:
                self.spoken, self.cut = word.end, word.last_sample


class _Text:
    """The text that a stream of speech was given, and how far its words have been found in it."""

    def __init__(self, start: int) -> None:
        self.start = start  # of `_text` in the turn's text
        self._text = ""
        self._at = 0  # behind the last word that was found
        self._guess: int | None = None  # behind a word that was found by looking ahead

    @property
    def end(self) -> int:
        return self.start + len(self._text)

    @property
    def has_words(self) -> bool:
        return bool(_letters(self._text))

    def append(self, text: str) -> None:
        self._text += text

    def find(self, spelled: str) -> tuple[int, int]:
        """Return where a word of the vendor stands; an empty range behind the last one if it is not in the text."""
        letters = _letters(spelled)
        at = self._skip_blanks(self._at)
        end = self._match(at, letters or spelled.strip(), exact=not letters)
        if end is None and letters:  # the vendor may say nothing of marks that stand alone
            letter = self._skip_marks(at)
            end = self._match(letter, letters, exact=False)
            if end is not None:
                at = self._start_of_word(letter)
        if end is None and letters and self._guess is not None:  # two words in a row are no accident
            at = self._skip_blanks(self._guess)
            end = self._match(at, letters, exact=False)
        if end is None:
            self._guess = self._look_ahead(letters) if len(letters) >= _LETTERS else None
            return self.start + self._at, self.start + self._at
        self._guess = None
        while end < len(self._text) and not self._text[end].isalnum() and not self._text[end].isspace():
            end += 1  # punctuation stays with its word
        self._at = end
        return self.start + at, self.start + end

    def _look_ahead(self, letters: str) -> int | None:
        """Return the end of the next place where a word stands. Only a guess: the vendor may mean another one."""
        for later in range(self._at + 1, min(self._at + _LOOK_AHEAD, len(self._text))):
            starts_word = self._text[later].isalnum() and not self._text[later - 1].isalnum()
            if starts_word and (end := self._match(later, letters, exact=False)) is not None:
                while end < len(self._text) and not self._text[end].isalnum() and not self._text[end].isspace():
                    end += 1
                return end
        return None

    def _skip_blanks(self, at: int) -> int:
        while at < len(self._text) and self._text[at].isspace():
            at += 1
        return at

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
        if text[at : at + 1].isalnum() and text[at - 1 : at + 1].isascii():
            return None  # the beginning of a longer word is not the word
        return at


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum()).casefold()
