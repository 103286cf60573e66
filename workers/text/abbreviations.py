"""Which words belong to a neighbour, by language: read from a table beside this file."""

import tomllib
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files


class Bond(Enum):
    """How a word hangs together with the one behind it."""

    NEXT = "belongs to the next word"
    NUMBER = "belongs to the next word if that is a number"
    ENDS = "is complete, and its full stop is no sign of a sentence's end"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What a language says of words, and of the place of marks.

    Args:
        bonds: words (small letters, with their full stop) and how they hang together with the next.
        units: words that belong to a number in front of them.
        beginnings: how such a word may begin.
        ordinals: a number with a full stop counts (``3. Oktober``); so do Roman ones.
        loose_marks: marks stand behind a blank (``Bonjour !``).
    """

    bonds: dict[str, Bond]
    units: frozenset[str]
    beginnings: frozenset[str]
    ordinals: bool
    loose_marks: bool


_ORDINALS = frozenset("de da nb nn no is fi et lv cs sk sl hr sr bs hu pl tr".split())
_LOOSE_MARKS = frozenset(["fr"])


def lexicon(language: str | None) -> Lexicon:
    """Return what is known for a language tag (``de``, ``de-AT``); for None, the words of all languages."""
    return _lexicon(language.replace("_", "-").partition("-")[0].lower() if language else "")


@cache
def _table() -> dict[str, dict[str, str]]:
    return tomllib.loads(files(__package__).joinpath("abbreviations.toml").read_text("utf-8"))


@cache
def _lexicon(language: str) -> Lexicon:
    table = _table()
    names = ["all", language] if language else list(table)
    bonds: dict[str, Bond] = {}
    units: set[str] = set()
    for part in (table[name] for name in names if name in table):
        for key, bond in (("next", Bond.NEXT), ("number", Bond.NUMBER), ("ends", Bond.ENDS)):
            for word in part.get(key, "").split():
                # without a language: where languages differ ("art.", "max."), it is bound only before a number
                bonds[word] = bond if language or bonds.get(word, bond) is bond else Bond.NUMBER
        units.update(part.get("units", "").split())
    if not language:  # words without a full stop are ordinary words of other languages ("as", "la", "pan")
        bonds = {word: bond for word, bond in bonds.items() if not word.isalpha()}
    return Lexicon(
        bonds,
        frozenset(units),
        frozenset(unit[:end] for unit in units for end in range(1, len(unit) + 1)),
        ordinals=not language or language in _ORDINALS,
        loose_marks=language in _LOOSE_MARKS,
    )
