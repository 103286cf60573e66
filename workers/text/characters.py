"""What characters are: parts of words, blanks, scripts that are written without blanks."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache

#: Han, kana, Thai, Lao, Khmer, Burmese: words follow one another without blanks. As the inside of a character class.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSPACED = re.compile(f"[{UNSPACED}]")


def is_mark(char: str) -> bool:
    """Tell whether a character combines with the one in front of it."""
    return bool(char) and char > "\u02ff" and unicodedata.category(char)[0] == "M"


def is_unspaced(char: str) -> bool:
    """Tell whether a character belongs to a script that is written without blanks."""
    return bool(char) and char > "\u0dff" and _UNSPACED.match(char) is not None


def is_word(char: str) -> bool:
    """Tell whether a character is part of a word that blanks or marks surround; '' is not."""
    return (char.isalnum() or is_mark(char)) and not is_unspaced(char)


def is_blank(char: str) -> bool:
    """Tell whether a character is white space, or the end of the text ('')."""
    return not char or char.isspace()


@cache
def marks() -> str:
    """Return all combining marks, and the jamo that follow another, as the inside of a character class.

    Only the planes that have marks are gone through: this takes a few milliseconds.
    """
    return char_class(is_mark, [*range(0x300, 0x20000), *range(0xE0100, 0xE01F0)]) + "\u1160-\u11ff\ud7b0-\ud7fb"


def char_class(wanted: Callable[[str], bool], codes: Iterable[int]) -> str:
    """Return the wanted characters among ``codes`` (in order) as the inside of a character class."""
    ranges: list[list[int]] = []
    for code in codes:
        if not wanted(chr(code)):
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
