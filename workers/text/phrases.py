"""Phrases for vendors whose client forms them: whole words with their punctuation, the first one early.

A plain object without a clock of its own: text goes in with the time at which it came, phrases come out.
"""

import re
from dataclasses import dataclass

#: A word that ends with one of these, and perhaps a closing quote or bracket, ends a clause.
_CLAUSE_END = re.compile(r"[.!?…:;,。！？；：，、؟،।—][\"'”’»)\]}]*$")
#: Marks of scripts that are written without blanks; a phrase may end behind one, if so many characters have no blank.
_BARE_MARK = re.compile(r"[。！？；，、]")
#: Words whose full stop does not end a clause, and which belong to the next word.
_ABBREVIATIONS = frozenset(
    (
        "mr. mrs. ms. dr. prof. st. jr. sr. vs. nr. fig. vol. e.g. i.e. z.b. d.h. bzw. ca. art. m. mme. mlle. sra. "
        "dra. gen. col. capt. rev. hon. approx. dept. est."
    ).split()
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+")
_BLANK = re.compile(r"\s")
_BOUNDARY = re.compile(r"[\s。！？；，、]")
_BARE_CHARS = 12
_TAG_LIMIT = 128
_WORD_LIMIT = 128


@dataclass(frozen=True, slots=True)
class PhraseRule:
    """How phrases grow.

    Args:
        first_words: words in the first phrase; each later one may have twice as many as the one before.
        most_chars: a phrase is not made longer than this if it can be helped.
        pause_ms: whole words go out when the LLM pauses for so long.
    """

    first_words: int = 1
    most_chars: int = 80
    pause_ms: int = 40


@dataclass(frozen=True, slots=True)
class Phrase:
    """Text for the vendor (blanks stripped and folded) and what it covers of the turn's text, in characters."""

    text: str
    start: int
    end: int


class Phraser:
    """Cuts a turn's text into phrases.

    Args:
        rule: how phrases grow.
        start: where in the turn's text the first character that is fed stands.
    """

    def __init__(self, rule: PhraseRule, start: int = 0) -> None:
        self._rule = rule
        self._start = start  # of what is pending
        self._pending = ""
        self._scanned = 0  # no end of a phrase before this character of what is pending
        self._words = 0  # whole words before `_scanned`
        self._wanted = rule.first_words
        self._fed_at: float | None = None

    @property
    def due(self) -> float | None:
        """When to `poll`, on the caller's clock, in seconds; None if that would bring nothing."""
        return None if self._fed_at is None else self._fed_at + self._rule.pause_ms / 1000

    def feed(self, text: str, now: float) -> list[Phrase]:
        """Take text; return the phrases that are complete with it."""
        self._pending += text
        self._fed_at = now
        phrases: list[Phrase] = []
        while (end := self._next_end()) is not None:
            self._take(end, phrases)
            self._wanted = min(self._wanted * 2, 64)
        return phrases

    def poll(self, now: float) -> list[Phrase]:
        """Return the whole words that have waited through a pause."""
        if self.due is None or now < self.due:
            return []
        phrases: list[Phrase] = []
        self._take(self._whole_words(), phrases)
        self._fed_at = None  # what is left waits for more text
        return phrases

    def flush(self) -> list[Phrase]:
        """Return all that is left: the turn's text ends here, or the producer wants it spoken now."""
        phrases: list[Phrase] = []
        self._take(len(self._pending), phrases)
        return phrases

    def _next_end(self) -> int | None:
        """Find where the next phrase may end: the first place that is good enough."""
        text, rule = self._pending, self._rule
        if not _BOUNDARY.search(text, self._scanned):  # most tokens are a part of a word
            return None
        for place in _places(text, self._scanned):
            if not _may_cut(text, place):
                continue
            self._words += 1
            self._scanned = place
            if self._words >= self._wanted or place >= rule.most_chars or _CLAUSE_END.search(_last_word(text, place)):
                return place
        return None

    def _whole_words(self) -> int:
        """How many characters of what is pending are whole words."""
        text = self._pending
        end = len(text.rstrip())
        if (
            end
            and _CLAUSE_END.search(word := _last_word(text, end))
            and not _open_ended(word)
            and not _in_tag(text, end)
        ):
            return end
        return max((place for place in _places(text, 0) if _may_cut(text, place)), default=0)

    def _take(self, end: int, phrases: list[Phrase]) -> None:
        raw, self._pending = self._pending[:end], self._pending[end:]
        if text := " ".join(raw.split()):
            phrases.append(Phrase(text, self._start + len(raw) - len(raw.lstrip()), self._start + len(raw.rstrip())))
        self._start += end
        self._scanned = self._words = 0
        if not self._pending.strip():
            self._fed_at = None


def _places(text: str, behind: int) -> list[int]:
    """Return the places where a word has ended: a blank follows, or a mark of a script that has none."""
    ends = {found.start() for found in _BLANK.finditer(text, behind)}
    marks = {
        end
        for found in _BARE_MARK.finditer(text, behind)
        if (end := found.end()) < len(text) and end - _last_blank(text, end) > _BARE_CHARS
    }
    return sorted(place for place in ends | marks if place > behind and not text[place - 1].isspace())


def _last_blank(text: str, place: int) -> int:
    return max((found.end() for found in _BLANK.finditer(text, 0, place)), default=0)


def _may_cut(text: str, place: int) -> bool:
    """Tell whether a phrase may end at ``place``: not in a tag, nor between words that belong together."""
    if _in_tag(text, place):
        return False
    word, following = _last_word(text, place), text[place:].lstrip()[:1]
    return not (_open_ended(word) if not following else _glued(word, following))


def _last_word(text: str, place: int) -> str:
    return (text[max(0, place - _WORD_LIMIT) : place].split() or [""])[-1]


def _glued(word: str, following: str) -> bool:
    """Tell whether a word belongs to the one behind it: an abbreviation, initials, groups of one number."""
    bare = word.strip("\"'“”‘’«»()[]{}").lower()
    if bare in _ABBREVIATIONS or _INITIALS.fullmatch(bare):
        return True
    return bare[-1:].isdigit() and following.isdigit()


def _open_ended(word: str) -> bool:
    """Tell whether what follows a word decides if it is complete, and has not come."""
    return _glued(word, "") or word.rstrip(".,:")[-1:].isdigit()


def _in_tag(text: str, place: int) -> bool:
    """Tell whether ``place`` lies between ``<`` and ``>``; a ``<`` that is not closed soon is only a character."""
    opened = text.rfind("<", max(0, place - _TAG_LIMIT), place)
    if opened < 0 or text.find(">", opened, place) >= 0:
        return False
    following = text[opened + 1 : opened + 2]
    return following in ("", "/") or following.isalpha()
