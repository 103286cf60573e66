"""Signs that stand for words: &, +, =, №, §."""

from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.reader import BLANKS, Reader, is_word
from saystream.workers.text.normalise.spoken import Reading

_CLOSING = frozenset(".,;:!?)]}»”’\"'。，、；：！？）")


def read(reader: Reader, language: Language) -> Reading | None:
    """Read a sign."""
    sign, before, behind = reader(0), reader.before, reader(1)
    if sign in "#№":
        if not behind.isdecimal() and not (sign == "№" and behind in BLANKS):
            return None
        word = language.number_sign
    elif sign == "§":
        word = language.section_sign
    elif sign in "=&" and (sign in (before, behind) or (before and before in "<>!:")):
        return None  # "==", "&&", "<=": a line, or a program
    elif (sign == "=" and behind == ">") or (sign == "+" and before == "+" == behind):
        return None
    elif sign == "%" and (is_word(before) or behind.isdecimal()):
        return None  # part of an address
    else:
        word = language.symbols.get(sign, "")
    return Reading(1, spaced(word, before, behind, language)) if word else None


def spaced(word: str, before: str, behind: str, language: Language) -> str:
    """Return a word with the blanks that part it from its neighbours."""
    if not language.blank:
        return word
    front = " " if before and not before.isspace() and before not in "([{«“‘\"'" else ""
    back = " " if behind and not behind.isspace() and behind not in _CLOSING and behind not in language.symbols else ""
    return front + word + back
