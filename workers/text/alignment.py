"""Where the words that a vendor reports stand in the text that it was given.

A vendor tells when a word is spoken, and not which one it is: it may say numbers otherwise, leave words out, and report
others late or never.
"""

import re
import unicodedata
from bisect import bisect_right
from collections import deque

from saystream.workers.text.rendered import BARE, BRACKETED, letters_of, rewritable, stands_for
from saystream.workers.text.run import Run

#: How far ahead a word of the vendor is looked for in the text when it is not the next one (it rewrites numbers, say).
_LOOK_AHEAD = 64
#: A word that is found only by looking ahead has at least so many letters: a short one could be found by accident.
_LETTERS = 3
#: So many characters of a script without blanks are found only by looking ahead if they stand together.
_RUN = 4
#: So many words (characters of a script without blanks) in a row are found behind plain ones of which the vendor has
#: said nothing, and so many more for each character that it may have said otherwise: those may be its words.
_ROW, _ROW_BARE, _ROW_MORE = 4, 12, 2
#: So many words that were not found are remembered.
_SAID = 128
#: How far ahead a piece of several words is looked for, in characters beside twice its own: at first, and if it fails.
_PIECE_AHEAD = 64, 2000
#: What words that are not in the text can stand for: so many letters for each second of them, and a few more.
_LETTERS_A_SECOND = 30
_LETTERS_MORE = 8
_LONGEST_BRACKETED = 128
_BLANKS = re.compile(r"\s*")
_MARKS = re.compile(r"[\W_]*")


class Alignment:
    """The text that a stream of speech was given, and how far its words have been found in it.

    What is done for a word does not grow with the text: a turn may be hours long, and all of it may be there at once.

    Attributes:
        whole: character of the producer's text behind the last word that was found, a word within rewritten text not
            counted: the next stream would say all of that text again.
    """

    def __init__(self, start: int) -> None:
        self._start = self.whole = start  # of the stream in the producer's text
        self._text = ""
        self._runs: list[Run] = []  # what `_text` is made of
        self._places: list[int] = []  # where in `_text` each of them begins
        self._at = 0  # behind the last word that was found
        self._guess: int | None = None  # behind a word that was found by looking ahead
        self._row: tuple[int, int] | None = None  # likewise, and how many more in a row have to follow
        self._run = ""  # the last characters that were not found, of a script without blanks
        self._said: deque[str] = deque(maxlen=_SAID)  # words that were reported since, and were not found
        self._rewritten = 0.0  # letters that these can stand for

    @property
    def found(self) -> int:
        """How many characters of what was given lie before the end of the last word that was found."""
        return self._at

    def has_words(self, unspoken: re.Pattern[str] | None) -> bool:
        """Tell whether there is something to hear, beside what is ``unspoken``."""
        return has_words(self._text, unspoken)

    def left_out(self, unspoken: re.Pattern[str] | None) -> bool:
        """Tell whether there is more behind the last word that was found than the words reported since stand for."""
        return _count_letters(self._text[self._at :], unspoken) > self._rewritten

    def append(self, run: Run) -> None:
        """Note that the vendor was given more text."""
        if not run.text:
            return
        self._places.append(len(self._text))
        self._runs.append(run)
        # A string of which there is only this name grows in place; an attribute would be copied each time.
        longer, self._text = self._text, ""
        longer += run.text
        self._text = longer

    def find(self, spelled: str, seconds: float) -> tuple[int, int]:
        """Return where a word of the vendor stands; an empty range behind the last one if it is not in the text."""
        if len(parts := spelled.split()) > 1:
            return self._find_segment(parts, seconds / len(parts))
        letters = letters_of(spelled)
        place = (
            self._find_next(letters, spelled)
            or self._find_guessed(letters)
            or self._find_run(letters)
            or self._find_in_row(letters)
        )
        if place is None:
            self._look_ahead(letters)
            self._not_found(letters, seconds)
            end, _ = self._source_end(self._at)
            return end, end
        start, end = place
        return self._source_start(start), self._found(end)

    def went_on(self, seconds: float) -> None:
        """Note that the last word has lasted so much longer than was told."""
        if self._rewritten:
            self._rewritten += seconds * _LETTERS_A_SECOND

    def _find_segment(self, parts: list[str], seconds: float) -> tuple[int, int]:
        """Return where several words stand of which only one time is told: if the last is whole, so are all."""
        before = self.whole
        places = [self.find(part, seconds) for part in parts[:-1]]
        before_last = self.whole
        places.append(self.find(parts[-1], seconds))
        if self.whole == before_last:
            self.whole = before
        return places[0][0], places[-1][1]

    def find_piece(self, piece: str, seconds: float) -> int | None:
        """Return the end of a piece of several words, the next one or one further on; None if it is not there."""
        if not (wanted := letters_of(piece)):
            return None
        # Further on only if the piece before was rewritten; the first place may be too early, never too late.
        for ahead in _PIECE_AHEAD:
            first = letters_of(self._text[self._at : self._at + 2 * len(piece) + ahead]).find(wanted)
            if first >= 0:
                before = self.whole
                self._found(self._behind_letters(first + len(wanted)))
                return self.whole if self.whole > before else None
        for part in (parts := piece.split()):
            self._not_found(letters_of(part), seconds / len(parts))
        return None

    def _source_start(self, at: int) -> int:
        """Return where in the producer's text the character stands that is spoken as the one at ``at``."""
        number = bisect_right(self._places, at) - 1
        return self._runs[number].piece(at - self._places[number], at - self._places[number] + 1).start

    def _source_end(self, at: int) -> tuple[int, bool]:
        """Return where in the producer's text what is spoken before ``at`` ends, and whether that is all of a range."""
        if at == 0:
            return self._start, True
        number = bisect_right(self._places, at - 1) - 1
        text, start, end = run = self._runs[number]
        into = at - self._places[number]
        if start < end:
            # Each character stands for its own, but not within what goes out as one: <spell>A B</spell>.
            by_character = len(text) == end - start and not (text[0] == "<" and text[-1] == ">")
            return run.piece(0, into).end, by_character or into == len(text)
        # What stands for nothing is the beginning of rewritten text, or a mark that a filter has put there.
        while number and self._runs[number - 1][1:] == (start, start):
            number -= 1
        return start, not any(map(str.isalnum, self._text[self._places[number] : at]))

    def _find_next(self, letters: str, spelled: str) -> tuple[int, int] | None:
        at = self._skip_blanks(self._at)
        if not letters:
            end = self._match(at, spelled.strip(), exact=True)
            return None if end is None else (at, end)
        for _ in range(_LOOK_AHEAD):
            if (end := self._match(at, letters, exact=False)) is not None:
                return at, end
            letter = self._skip_marks(at)  # the vendor may say nothing of marks that stand alone
            if (end := self._match(letter, letters, exact=False)) is not None:
                return self._start_of_word(letter), end
            bracketed = self._next_bracketed(at)
            if bracketed is None:
                break
            at = self._skip_blanks(bracketed)
        return None

    def _find_guessed(self, letters: str) -> tuple[int, int] | None:
        """Two words in a row that are found by looking ahead are no accident."""
        if self._guess is None or not letters:
            return None
        at = self._skip_blanks(self._guess)
        end = self._match(at, letters, exact=False)
        return None if end is None else (at, end)

    def _find_run(self, letters: str) -> tuple[int, int] | None:
        """Characters of a script without blanks, reported one by one or nearly so, are found together further on."""
        self._run = (self._run + letters)[-_RUN:] if BARE.match(letters) else ""
        if len(self._run) < _RUN:
            return None
        for later in range(self._at + 1, min(self._at + _LOOK_AHEAD, len(self._text))):
            if self._text[later].isalnum() and (end := self._match(later, self._run, exact=False)) is not None:
                said = [*self._said, *letters][:-_RUN]
                return (max(later, end - len(letters)), end) if stands_for(said, self._text[self._at : later]) else None
        return None

    def _find_in_row(self, letters: str) -> tuple[int, int] | None:
        """So many words in a row that stand further on are no accident, though some before them were not reported."""
        if self._row is None or not letters:
            return None
        behind, wanted = self._row
        at = self._skip_marks(behind)
        end = self._match(at, letters, exact=False)
        self._row = None if end is None else (end, wanted - 1)
        return (at, end) if end is not None and wanted == 1 else None

    def _found(self, end: int) -> int:
        """Go on behind the last word that was found, which ends there; return where that is in the producer's text."""
        self._at = self._behind_marks(end)
        self._guess, self._row, self._run, self._rewritten = None, None, "", 0.0
        self._said.clear()
        source_end, is_whole = self._source_end(self._at)
        if is_whole:
            self.whole = source_end
        return source_end

    def _not_found(self, letters: str, seconds: float) -> None:
        if letters:
            self._rewritten = (self._rewritten or _LETTERS_MORE) + seconds * _LETTERS_A_SECOND
            self._said.extend(letters if BARE.match(letters) else [letters])

    def _look_ahead(self, letters: str) -> None:
        """Look where a word stands further on. Only a guess: the vendor may mean another one."""
        self._guess = None
        bare = BARE.match(letters)
        place = self._next_place(letters) if bare or len(letters) >= _LETTERS else None
        if place is None:
            return
        later, end = place
        skipped = self._text[self._at : later]
        if len(letters) >= _LETTERS and stands_for(self._said, skipped):
            self._guess = self._behind_marks(end)
        if self._row is None:
            self._row = end, (_ROW_BARE if bare else _ROW) - 1 + _ROW_MORE * rewritable(skipped)

    def _next_place(self, letters: str) -> tuple[int, int] | None:
        for later in range(self._at + 1, min(self._at + _LOOK_AHEAD, len(self._text))):
            char, before = self._text[later], self._text[later - 1]
            starts_word = char.isalnum() and (not before.isalnum() or BARE.match(char))
            if starts_word and (end := self._match(later, letters, exact=False)) is not None:
                return later, end
        return None

    def _behind_marks(self, end: int) -> int:
        """Punctuation stays with its word; what opens a tag or a cue does not."""
        while end < len(self._text) and not self._text[end].isalnum() and not self._text[end].isspace():
            if self._text[end] in "<[":
                break
            end += 1
        return end

    def _behind_letters(self, count: int) -> int:
        """Return the end of so many letters behind the last word that was found."""
        at = self._at
        while count > 0 and at < len(self._text):
            count -= len(letters_of(self._text[at]))
            at += 1
        return at

    def _skip_blanks(self, at: int) -> int:
        return _end(_BLANKS, self._text, at)

    def _next_bracketed(self, at: int) -> int | None:
        """Return the end of the tag or cue that comes next, before any word."""
        letter = self._skip_marks(at)
        bracketed = BRACKETED.search(self._text, at, letter + _LONGEST_BRACKETED)
        return bracketed.end() if bracketed and bracketed.start() < letter else None

    def _start_of_word(self, at: int) -> int:
        while at > self._at and not self._text[at - 1].isspace():
            at -= 1
        return at

    def _skip_marks(self, at: int) -> int:
        return _end(_MARKS, self._text, at)

    def _match(self, at: int, wanted: str, *, exact: bool) -> int | None:
        """Return the end of what stands at ``at`` if it is what is wanted: the same letters, unless ``exact``."""
        text = self._text
        if exact:
            return at + len(wanted) if wanted and text.startswith(wanted, at) else None
        found = 0
        stop = min(len(text), at + 4 * len(wanted) + _LOOK_AHEAD)  # with the marks and accents between its letters
        while found < len(wanted):
            if at >= stop:
                return None
            if letters := letters_of(text[at]):
                if not wanted.startswith(letters, found):
                    return None
                found += len(letters)
            elif text[at].isspace():
                return None
            at += 1
        return None if goes_on(text, at) else at


def goes_on(text: str, at: int) -> bool:
    """Tell whether a word goes on at ``at``: then what stands before is only the beginning of a longer one."""
    before, after = text[at - 1 : at], text[at : at + 1]
    if unicodedata.combining(after or " "):
        return False
    return after.isalnum() and before.isalnum() and not BARE.match(before) and not BARE.match(after)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return the end of what a pattern matches at ``at``, which may be nothing."""
    match = pattern.match(text, at)
    return match.end() if match else at


def has_words(text: str, unspoken: re.Pattern[str] | None) -> bool:
    """Tell whether there is something to hear in a text, beside what is ``unspoken``."""
    return _count_letters(text, unspoken) > 0


def _count_letters(text: str, unspoken: re.Pattern[str] | None) -> int:
    return len(letters_of(unspoken.sub(" ", text) if unspoken else text))
