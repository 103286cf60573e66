"""Figures as they are written: digits in groups, with a fraction, or as a version."""

from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.reader import Reader
from saystream.workers.text.normalise.spoken import Number, Reading, ascii_digits

_THIN_BLANKS = "\u00a0\u2009\u202f"


def number_at(reader: Reader, place: int, language: Language) -> tuple[int, Number] | None:
    """Read digits in groups, with a fraction."""
    end = reader.digits(place)
    if end == place:
        return None
    digits = reader.text(place, end)
    sign = reader(end)
    if sign and len(digits) <= 3 and (sign in language.group_signs or sign in _THIN_BLANKS):
        end = _groups(reader, end, sign, language)
        digits = "".join(char for char in reader.text(place, end) if char.isdecimal())
    sign = reader(end)
    fraction = ""
    if sign and (sign in language.decimal_signs or sign == ".") and reader(end + 1).isdecimal():
        last = reader.digits(end + 1)
        if not (reader(last) == sign and reader(last + 1).isdecimal()):  # "1,2,3" is a list
            fraction = reader.text(end + 1, last)
            end = last
    return end, Number(ascii_digits(digits), ascii_digits(fraction), point=sign if fraction else "")


def _groups(reader: Reader, place: int, sign: str, language: Language) -> int:
    """Return where groups of digits end, which is here if what follows are none."""
    end, sizes = place, []
    while reader(end) == sign and reader(end + 1).isdecimal():
        last = reader.digits(end + 1)
        sizes.append(last - end - 1)
        if sizes[-1] not in language.groups:
            return place
        end = last
    return end if sizes and sizes[-1] == 3 else place


def version(reader: Reader, place: int, language: Language) -> Reading | None:
    """Read "1.2.3": each part on its own."""
    ends = [reader.digits(place)]
    while reader(ends[-1]) == "." and reader(ends[-1] + 1).isdecimal():
        ends.append(reader.digits(ends[-1] + 1))
    if len(ends) < 3:
        return None
    parts = ascii_digits(reader.text(place, ends[-1])).split(".")
    if "." in language.group_signs and len(parts[0]) <= 3 and all(len(part) == 3 for part in parts[1:]):
        return None
    said = (
        language.cardinal(int(part)) if len(part) < 3 and part[0] != "0" else language.spell(part) for part in parts
    )
    point = language.points.get(".", language.point)
    return Reading(ends[-1], language.join(*[word for part in said for word in (point, part)][1:]))
