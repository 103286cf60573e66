"""Phone numbers and the like: digits in groups, said one by one."""

from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.reader import Reader, is_word
from saystream.workers.text.normalise.spoken import Reading, ascii_digits

_MOST_CHARS = 28
_FEWEST_DIGITS = 7
_MOST_DIGITS = 15


def read(reader: Reader, language: Language) -> Reading | None:
    """Read a phone number: "+49 171 2345678", "(555) 123-4567", "555-123-4567", "01 23 45 67 89"."""
    first = reader(0)
    place = 1 if first == "+" else 0
    signs = "-. /" if first in ("+", "0", "٠", "०", "(") else "-"
    groups: list[str] = []
    used = ""
    while place < _MOST_CHARS:
        bracket = reader(place) == "(" and reader(place + 1).isdecimal()
        end = reader.digits(place + bracket)
        if end == place + bracket or (bracket and reader(end) != ")"):
            break
        groups.append(ascii_digits(reader.text(place + bracket, end)))
        last = end = end + bracket
        sign = reader(end)
        if sign and sign in signs and (reader(end + 1).isdecimal() or reader(end + 1) == "("):
            used, place = used + sign, end + 1
        elif sign == "(" or (bracket and sign.isdecimal()):
            place = end
        else:
            break
    else:
        return None
    if not groups or is_word(reader(last)) or not _is_phone(first, groups, used, language):
        return None
    said = language.list_sign.join(language.phone_group(group) for group in groups)
    return Reading(last, language.join(language.symbols["+"], said) if first == "+" else said)


def _is_phone(first: str, groups: list[str], signs: str, language: Language) -> bool:
    digits = sum(map(len, groups))
    if not _FEWEST_DIGITS <= digits <= _MOST_DIGITS:
        return False
    if first == "+":
        return digits > _FEWEST_DIGITS
    if first == "(":
        return len(groups) > 1
    if len(groups) == 1:
        return language.is_phone(groups[0])
    if groups[0][0] == "0":
        return "." not in signs or (signs == "." * len(signs) and len(groups) > 3)
    lengths = [len(group) for group in groups]
    return len(groups) > 2 or lengths == [3, 4]
