"""Phrases for vendors whose client forms them: whole words with their marks, the first one early.

A plain object without a clock of its own: items go in with the time at which they came, phrases come out. With the
clock standing still the phrases depend on the text alone, not on how it was cut into tokens: a place is decided when
all that the decision may look at (`_AHEAD` characters) is there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from saystream.workers.text.abbreviations import Bond, lexicon
from saystream.workers.text.boundaries import BARE, FIXED_BLANKS, forced, seam, splits_cluster
from saystream.workers.text.run import Flush, Item, Pause, Run, Spell, Stretch, Whole

#: Characters of text that offers no place at all to end a phrase, before it is parted by force: vendors refuse words of
#: about a thousand.
MOST = 400
_AHEAD = 24  # characters behind a place that decide it
_LEADING = 24  # blanks that are kept in front of a phrase; more are dropped
_MOST_WORDS = 64
_SHORTEST = 3  # characters of a phrase that ends where no blank is

_CLOSERS = "\"'”’“‘»«›‹)\\]}」』）》〉】〗］｝*_`"
_OPENERS = "\"'“„‚‘‟«»‹›([{（「『《〈【〖［｛¿¡*_`"
_WIDE_MARKS = "。！？；：，、…—｡､．"
#: Where a word may have ended: at a blank; behind a mark of a script without blanks, or another one after its letters.
_BLANKS = "".join(char for char in map(chr, range(0x3001)) if char.isspace() and char not in FIXED_BLANKS)
_MARKS = ",.!?;:"
_FIRST_BARE = BARE[0]  # what lies before it is no letter of a script without blanks
_CANDIDATE = re.compile(rf"[{_BLANKS}{_WIDE_MARKS}{_MARKS}]")  # one class: half as dear as alternatives
#: Behind a colon a quotation begins; “ and « only close where there are blanks.
_WIDE_END = re.compile(rf"[:：]|[{_WIDE_MARKS},.!?;:~～]+[\"'”’»›)\]}}」』）》〉】〗］｝]*")
_BARE = re.compile(rf"[{BARE}]")
_ADDRESS = re.compile(r"://|@|^www\.")
_CLAUSE_END = re.compile(rf"[.!?…:;,。！？；：，、｡､．،؟؛۔।॥—։።፣។၊။‽;][{_CLOSERS}]*(?:\s+[»”\"›]+)?$")
_SENTENCE_END = re.compile(rf"[.!?…。！？｡．؟۔।॥‽][{_CLOSERS}]*$")
_LINE_ENDS = frozenset("\n\r\v\f\x85\u2028\u2029")
_LOOSE_MARKS = "!?:;»›%€"
#: One letter, or several, each with a full stop.
_INITIALS = re.compile(r"(?:[^\W\d_][\u0300-\u036f\u0900-\u0903\u093a-\u094f]*\.-?)+")
_HALF_OF_DAY = re.compile(r"\b[ap]\.\s?m\.\W*$")
_ORDINAL = re.compile(r"(?:\d{1,3}|[IVXL]{1,6})\.")
#: The number of an item, at the beginning of a phrase.
_ENUMERATOR = re.compile(r"\(?(?:\d{1,2}|[a-zA-Z])[.)]")
_DAY = re.compile(r"\d{1,2},")
_YEAR = re.compile(r"\d{4}(?!\d)")
_NUMBER = re.compile(r"[(~≈]?[-+−±$€£¥₹]?\.?\d")
_RANGE = re.compile(r"[-–−+/×÷=*x]\s*\d")
_SIGNS = frozenset("-–−+/×÷=*x")
_CURRENCIES = "$€£¥₹₽₩₪₺₫฿%‰°"
#: What belongs to a number behind it, alone or at the end of a word (``US$``).
_BEFORE_NUMBER = frozenset("$€£¥₹₽₩₪₺₫฿#№§±≈~+-−–/×÷=*^<>")
_TOKEN = re.compile(r"\S+")
_ONLY_OPENERS = re.compile(r"[“„‚‘‟«‹(\[{（「『《〈【〖［｛¿¡]+")


class _Joint(Enum):
    """What a place between two words is."""

    FREE = "a phrase may end here"
    CLAUSE = "a clause ends here"
    GROUP = "between groups of one number: only a phrase that is too long ends here"
    GLUED = "the words belong together"
    NONE = "nothing ends here"
    MORE = "more text decides"


#: Short names: looking one up in the enumeration costs as much as a search in a token.
_FREE, _CLAUSE, _GROUP, _GLUED, _NONE, _MORE = _Joint


@dataclass(frozen=True, slots=True)
class PhraseRule:
    """How phrases grow.

    Args:
        first_words: words in the first phrase; each later one may have twice as many as the one before.
        most_chars: a phrase is not made longer than this if it can be helped.
        pause_ms: whole words go out when the LLM pauses for so long.
        sentence_ms: so does a sentence whose end has not been followed by a blank yet.
        first_ms: the first phrase goes out so long after its first token, though tokens keep coming.
    """

    first_words: int = 1
    most_chars: int = 80
    pause_ms: int = 40
    sentence_ms: int = 120
    first_ms: int = 100


@dataclass(frozen=True, slots=True)
class Phrase:
    """Text for the vendor (blanks folded, none at its ends) and the characters of the producer's text that it covers.

    ``runs``: what it is made of, with all blanks.
    """

    text: str
    runs: tuple[Run, ...]
    start: int
    end: int

    @property
    def whole(self) -> str:
        """Its text as it came in, with all blanks."""
        return "".join(run.text for run in self.runs)


class Phraser:
    """Cuts a turn's text into phrases.

    Args:
        rule: how phrases grow.
        language: of the text, as a tag (``de``, ``pt-BR``); None if it is not known.
    """

    def __init__(self, rule: PhraseRule, language: str | None) -> None:
        self._rule = rule
        self._lexicon = lexicon(language)
        #: Words to look at closely; None where all are, for what follows them.
        self._bound = None if self._lexicon.loose_marks else self._lexicon.bonds
        self._pending = Stretch()
        self._parting: tuple[Run, ...] = ()  # blanks at a mark, which part the phrase before it from the next one
        self._wholes: list[tuple[int, int]] = []  # where in what is pending a `Whole` lies
        self._behind_whole = False
        self._wanted = rule.first_words
        self._fed_at = 0.0
        self._first_at: float | None = None  # when the first text came; None again when the first phrase has gone out
        self._early = True  # no phrase has gone out
        self._restart()

    def _restart(self) -> None:
        """Begin to look at what is pending."""
        self._lead = 0  # blanks in front
        self._scanned = 0  # no undecided place before this character
        self._word_at = 0  # where the word begins that is being looked at
        self._words = 0  # before `_scanned`
        self._best = 0  # the last place where a phrase may end; 0 if there is none
        self._group = 0  # the last place between groups of a number
        self._seamless = False  # whether a seam was looked for in vain

    @property
    def due(self) -> float | None:
        """When to `poll`, on the caller's clock, in seconds; None if that would bring nothing."""
        waiting = self._waiting()
        return waiting[0] if waiting else None

    def feed(self, items: Sequence[Item], now: float) -> list[Phrase | Pause | Flush]:
        """Take items; return the phrases that are complete with them, and the marks at their places."""
        given: list[Phrase | Pause | Flush] = []
        for item in items:
            if isinstance(item, Run):
                self._append(item)
            elif isinstance(item, Whole | Spell):
                self._append_whole(item)
            else:
                self._take(len(self._pending.text), given)
                if not self._parting and not self._early:
                    self._parting = (Run(" ", item.start, item.start),)
                given.append(item)
                continue
            self._advance(given)
        self._fed_at = now
        if self._early and len(self._pending.text) > self._lead:
            if self._first_at is None:
                self._first_at = now
            elif self._best and now >= self._first_at + self._rule.first_ms / 1000:
                self._end(self._best, given)
        return given

    def poll(self, now: float) -> list[Phrase | Pause | Flush]:
        """Return the whole words that have waited for long enough."""
        given: list[Phrase | Pause | Flush] = []
        while (waiting := self._waiting()) and now >= waiting[0]:
            self._end(waiting[1], given)
        return given

    def flush(self) -> list[Phrase | Pause | Flush]:
        """Return all that is left: the turn's text ends here, or the producer wants it spoken now."""
        given: list[Phrase | Pause | Flush] = []
        self._take(len(self._pending.text), given)
        return given

    # text comes in

    def _append(self, run: Run) -> None:
        pending, text = self._pending, run.text
        if self._behind_whole and text:
            self._behind_whole = False
            if not text[0].isspace():
                pending.append(Run(" ", run.start, run.start))
        if self._lead == len(pending.text):  # nothing but blanks so far
            blanks = len(text) - len(text.lstrip())
            kept = min(blanks, _LEADING - self._lead)
            if kept < blanks:
                pending.append(run.piece(0, kept))
                run = run.piece(blanks, len(text))
            self._lead += kept
            self._word_at = self._scanned = self._lead
        pending.append(run)

    def _append_whole(self, item: Whole | Spell) -> None:
        text = self._pending.text
        if self._behind_whole or (text and not text[-1].isspace()):
            self._pending.append(Run(" ", item.start, item.start))
            text = self._pending.text
        self._wholes.append((len(text), len(text) + len(item.text)))
        self._pending.append(Run(item.text, item.start, item.end))
        self._behind_whole = True

    # phrases go out

    def _advance(self, given: list[Phrase | Pause | Flush]) -> None:
        while end := self._next_end():
            self._take(end, given)
            self._wanted = min(self._wanted * 2, _MOST_WORDS)

    def _end(self, end: int, given: list[Phrase | Pause | Flush]) -> None:
        self._take(end, given)
        self._advance(given)

    def _take(self, end: int, given: list[Phrase | Pause | Flush]) -> None:
        runs = tuple(self._pending.take(end))
        if text := " ".join("".join([run.text for run in runs]).split()):
            given.append(Phrase(text, (*self._parting, *runs), _first(runs), _last(runs)))
            self._early, self._first_at, self._parting = False, None, ()
        elif runs:
            self._parting = runs
        rest = self._pending.text
        lead = len(rest) - len(rest.lstrip())
        if lead > _LEADING:
            kept = self._pending.take(_LEADING)
            self._pending.take(lead - _LEADING)
            self._pending = Stretch([*kept, *self._pending.take(len(rest) - lead)])
            end += lead - _LEADING
            lead = _LEADING
        self._wholes = [(first - end, last - end) for first, last in self._wholes if last > end]
        self._behind_whole = self._behind_whole and bool(rest)
        self._restart()
        self._lead = self._scanned = self._word_at = lead

    def _waiting(self) -> tuple[float, int] | None:
        """Return when what waits is to go out, and how many characters of it."""
        rule = self._rule
        if self._best:
            at = self._fed_at + rule.pause_ms / 1000
            if self._first_at is not None:
                at = min(at, self._first_at + rule.first_ms / 1000)
            return at, self._best
        if self._sentence_ends():
            return self._fed_at + rule.sentence_ms / 1000, len(self._pending.text)
        return None

    def _sentence_ends(self) -> bool:
        """Tell whether what is pending ends with a sentence's end for all that can be seen."""
        text = self._pending.text
        if not text or self._behind_whole or not (found := _SENTENCE_END.search(text, max(0, len(text) - _AHEAD))):
            return False
        word = text[self._word_at : found.start()].lstrip(_OPENERS)
        if text[found.start()] != ".":
            return bool(word)
        plain = word.replace("'", "").replace("’", "").replace("-", "")
        if len(plain) < 2 or plain[-1].isdigit() or "." in plain:  # initials, a number, an address: they may go on
            return False
        return f"{word.lower()}." not in self._lexicon.bonds

    # places

    def _next_end(self) -> int:
        """Find where the next phrase ends: the first place that is good enough; 0 if there is none yet."""
        text = self._pending.text
        most = self._lead + self._rule.most_chars
        while True:
            found = _CANDIDATE.search(text, self._scanned)
            at = found.start() if found else len(text)
            if at > most and (end := self._long_end(text, most, at)):
                return end
            if found is None:
                self._scanned = at
                return 0
            inside = self._whole_around(at) if self._wholes else 0
            if inside > at:
                self._scanned = inside
                continue
            place, following, counts = at, at + 1, True
            if not text[at].isspace():
                if text[at] in _MARKS and text[at - 1 : at] < _FIRST_BARE:
                    self._scanned = following
                    continue
                joint, place = self._wide_joint(text, at)
                following = place
            elif at == self._word_at:
                self._scanned = self._word_at = following
                continue
            else:
                word = text[self._word_at : at]
                if inside:
                    joint, counts = _FREE, False
                elif word.isalpha() and self._bound is not None and word.lower() not in self._bound:  # most words
                    joint = _CLAUSE if text[at] in _LINE_ENDS else _FREE
                else:
                    joint, counts = self._joint(text, at, word), any(map(str.isalnum, word))
            if joint is _MORE:
                return 0
            if joint is _NONE:
                self._scanned = place
                continue
            if place > most and (end := self._long_end(text, most, place)):
                return end
            self._words += counts
            self._scanned = self._word_at = following
            if joint is _GROUP:
                self._group = place
            elif joint is not _GLUED and (self._words or place > most):
                if joint is _CLAUSE or self._words >= self._wanted or place >= most:
                    return place
                self._best = place

    def _long_end(self, text: str, most: int, place: int) -> int:
        """Find where a phrase ends that is too long, the next place being the one given; 0 to let it grow."""
        if self._best:
            return self._best
        if not self._seamless:
            found = seam(text, self._lead + self._rule.most_chars // 2, most)
            if found and not self._whole_around(found):
                return found
            self._seamless = True
        if self._group:
            return self._group
        if place <= self._lead + MOST:
            return 0
        end = forced(text, self._lead + MOST // 2, self._lead + MOST)
        for first, last in self._wholes:
            if first < end < last:
                return first if first > self._lead else last
        return end

    def _whole_around(self, at: int) -> int:
        """Return the end of the `Whole` in which a place lies, or behind which; 0 if there is none."""
        return next((last for first, last in self._wholes if first <= at <= last), 0)

    def _joint(self, text: str, at: int, word: str) -> _Joint:
        """Say what the blank at a place is, behind the word before it."""
        know = self._lexicon
        free = _CLAUSE if text[at] in _LINE_ENDS else _FREE
        bare = word if word[0].isalnum() else word.lstrip(_OPENERS)
        if not self._words and _ENUMERATOR.fullmatch(bare):
            return _GLUED
        if word[-1].isalpha():
            bond = know.bonds.get(bare.lower())
            if bond is None:
                return self._before_marks(text, at, free) if know.loose_marks else free
        else:
            bare = bare.rstrip(_CLOSERS)
            if bare[-1:].isdigit():
                return self._behind_number(text, at, bare, free)
            bond = know.bonds.get(word.lower()) or know.bonds.get(bare.lower())
        if bond is Bond.NEXT or _ONLY_OPENERS.fullmatch(word) or (know.ordinals and _ORDINAL.fullmatch(bare)):
            return _GLUED
        if bond is not Bond.ENDS and _INITIALS.fullmatch(bare):
            return free if _HALF_OF_DAY.search(text, max(0, at - 5), at) else _GLUED
        if bond is Bond.NUMBER or word[-1] in _BEFORE_NUMBER or _DAY.fullmatch(bare):
            pattern, enough = (_YEAR, 5) if _DAY.fullmatch(bare) else (_NUMBER, 3)
            gap, rest, more = _ahead(text, at)
            if pattern.match(rest) and not _LINE_ENDS.intersection(gap):
                return _GLUED
            if more and (not rest or (len(rest) < enough and not rest[-1].isspace() and not rest[0].isalpha())):
                return _MORE
        if bond is not Bond.ENDS and not word[-1].isalnum() and _CLAUSE_END.search(text, max(self._lead, at - 8), at):
            free = _CLAUSE
        return self._before_marks(text, at, free) if know.loose_marks else free

    def _before_marks(self, text: str, at: int, free: _Joint) -> _Joint:
        """Say what a place is in a language that puts blanks before marks."""
        gap, rest, more = _ahead(text, at)
        if not rest:
            return _MORE if more else free
        return _GLUED if rest[0] in _LOOSE_MARKS and not _LINE_ENDS.intersection(gap) else free

    def _behind_number(self, text: str, at: int, bare: str, free: _Joint) -> _Joint:
        """Say what a place behind a number is: its next group, its unit, or another number may follow."""
        gap, rest, more = _ahead(text, at)
        if not rest or _LINE_ENDS.intersection(gap):
            return _MORE if more and not _LINE_ENDS.intersection(gap) else free
        if rest[0].isdigit():
            if len(bare) > 1 or rest[1:2].isdigit():
                return _GROUP
            return _MORE if more and len(rest) < 2 else free
        if rest[0] == "(" and bare[0] == "+":
            return _GROUP
        if rest[0] in _CURRENCIES:
            return _GLUED
        if rest[0] in _SIGNS:
            if _RANGE.match(rest):
                return _GLUED
            if more and not rest[1:].strip():
                return _MORE
        token = _TOKEN.match(rest)
        unit = token[0].lower() if token else ""
        if more and len(unit) == len(rest) and unit in self._lexicon.beginnings:
            return _MORE
        if unit in self._lexicon.units or unit.rstrip(_CLOSERS + ".,;:!?…") in self._lexicon.units:
            return _GLUED
        return self._before_marks(text, at, free) if self._lexicon.loose_marks else free

    def _wide_joint(self, text: str, at: int) -> tuple[_Joint, int]:
        """Say what a mark is, and where it ends: between letters of a script without blanks it ends a clause."""
        wide = text[at] in _WIDE_MARKS
        marks = _WIDE_END.match(text, at, at + _AHEAD)
        end = marks.end() if marks else at + 1
        if end == len(text):
            return _MORE, end
        before, after = text[at - 1] if at else "", text[end]
        beside = (_BARE.match(before), _BARE.match(after))
        if (
            after.isspace()
            or not (any(beside) if wide else all(beside))
            or (before.isdigit() and after.isdigit())
            or (not wide and _ADDRESS.search(text[self._word_at : at]))
            or end - self._lead < _SHORTEST
            or splits_cluster(text, end)
        ):
            return _NONE, end
        return _CLAUSE, end


def _ahead(text: str, at: int) -> tuple[str, str, bool]:
    """Return the blanks at a place, what follows them, and whether more may come that counts."""
    ahead = text[at : at + _AHEAD]
    rest = ahead.lstrip()
    return ahead[: len(ahead) - len(rest)], rest, len(ahead) < _AHEAD


def _first(runs: Sequence[Run]) -> int:
    """Return where in the source the first character begins that is no blank."""
    run = next(run for run in runs if run.text.strip())
    return run.piece(len(run.text) - len(run.text.lstrip()), len(run.text)).start


def _last(runs: Sequence[Run]) -> int:
    """Return where in the source the last character ends that is no blank."""
    run = next(run for run in reversed(runs) if run.text.strip())
    blanks = len(run.text) - len(run.text.rstrip())
    return run.end - blanks if len(run.text) == run.end - run.start else run.end
