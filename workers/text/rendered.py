"""Whether words that a vendor has reported can be what it has made of a text.

A vendor says most words as they are written. Numbers, signs and abbreviations it may say in other words, and in any
number of them: "$5" is "five dollars", "1 000" is "mille".
"""

import re
import unicodedata
from collections.abc import Sequence

from saystream.workers.text.abbreviations import Bond, lexicon

#: Scripts that are written without blanks: a part of what stands together may be a word.
BARE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
#: What a vendor may say nothing of: a tag, a cue.
BRACKETED = re.compile(r"<[^<>]{0,126}>|\[[^\[\]]{0,126}\]")
_WORD = re.compile(rf"{BARE.pattern}|[^\s{BARE.pattern[1:-1]}]+")
_OPENERS, _CLOSERS = "\"'“„‚‘‟«»‹›([{¿¡*_`", "\"'”’“‘»«›‹)]},;:!?…*_`"
_LONGEST_ACRONYM = 5  # capitals; longer ones are a word that is shouted
_THREE_DIGITS = re.compile(r"\d{3}(?!\d)")
#: Signs that are said, beside those that Unicode counts among the symbols.
_SIGNS = frozenset("%‰&@#/\\§")
_CLIPPED = re.compile("[b-df-hj-np-tv-xz]+")  # no vowel, in a script that writes them


def letters_of(text: str) -> str:
    """Return what makes a word the same word: without marks, accents and capitals."""
    plain = text if text.isascii() else unicodedata.normalize("NFKD", text)
    return "".join(char for char in plain if char.isalnum()).casefold()


def stands_for(said: Sequence[str], text: str) -> bool:
    """Tell whether words, given by their letters, can be what is heard of a text whose first word was said otherwise.

    Each plain word of the text has to be among them, in its order, and a word for each number and each sign; so has one
    for the first word, in the place of which they were reported. Behind such words, units, abbreviations and the
    further digits of a number may have been said together with them.
    """
    at, otherwise, before = 0, False, ""
    for number, word in enumerate(_words(text)):
        end = _end_of(letters_of(word), said, at) if number else None
        if number and not may_be_rewritten(word, before):
            if end is None:
                return False
            at, otherwise = end, False
        elif otherwise and (_THREE_DIGITS.match(word) or not _has_digit(word)):
            at = end or at
        elif at < len(said):
            at, otherwise = at + 1, True
        else:
            return False
        before = word
    return True


def rewritable(text: str) -> int:
    """Return how many characters of a text belong to words that a vendor may say otherwise."""
    words = _words(text)
    return sum(len(word) for word, before in zip(words, ["", *words], strict=False) if may_be_rewritten(word, before))


def may_be_rewritten(word: str, before: str) -> bool:
    """Tell whether a word is a number, a sign or an abbreviation; ``before`` is the word in front of it."""
    if word.isalpha() and word.islower() and not _has_digit(before):  # most words
        return _CLIPPED.fullmatch(letters_of(word)) is not None
    bare = word.lstrip(_OPENERS).rstrip(_CLOSERS)
    if _has_digit(bare) or any(char in _SIGNS or unicodedata.category(char)[0] == "S" for char in bare):
        return True
    plain = bare.rstrip(".")
    initials = "." in plain or (len(plain) == 1 and bare != plain)
    if initials or (1 < len(plain) <= _LONGEST_ACRONYM and plain.isupper()) or _CLIPPED.fullmatch(letters_of(plain)):
        return True  # "e.g.", "J.", "NASA", "Mrs."
    know, small = lexicon(None), bare.lower()
    if _has_digit(before) and (small in know.units or plain.lower() in know.units):
        return True
    return know.bonds.get(small, Bond.NUMBER) is not Bond.NUMBER


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(BRACKETED.sub(" ", text)) if letters_of(word)]


def _has_digit(word: str) -> bool:
    return any(map(str.isnumeric, word)) and not BARE.match(word)


def _end_of(word: str, said: Sequence[str], at: int) -> int | None:
    """Return the end of the next place where a word was said, in one or several parts ("x-ray")."""
    for first in range(at, len(said)):
        together = ""
        for last in range(first, len(said)):
            together += said[last]
            if together == word:
                return last + 1
            if not word.startswith(together):
                break
    return None
