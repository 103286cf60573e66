"""Numbers and what stands behind them: fractions, ranges, ordinals, percent, money, units."""

from saystream.workers.text.normalise import money
from saystream.workers.text.normalise.figures import number_at, version
from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.reader import Reader, is_word
from saystream.workers.text.normalise.spoken import Number, Reading, ascii_digits

_RANGE_SIGNS = "-–—~〜～"
_PERCENT_SIGNS = "%٪％"
_LARGEST_RANK = 4  # digits of an ordinal number, a decade, or a ratio's part


def read(reader: Reader, place: int, language: Language, *, negative: bool = False) -> Reading | None:
    """Read what begins with a digit; where nothing else fits, the number alone."""
    if place == 0 and reader.before.isdecimal():  # the rest of a number that is too long
        end = reader.digits(place)
        return Reading(end, language.blank + language.spell(ascii_digits(reader.text(place, end))))
    found = version(reader, place, language)
    if found is not None:
        return found
    read_number = number_at(reader, place, language)
    if read_number is None:
        return None
    end, number = read_number
    number = number._replace(negative=negative)
    return (
        _fraction(reader, end, number, language)
        or _ratio(reader, end, number, language)
        or _decade(reader, end, number, language)
        or _range(reader, end, number, language)
        or counted(reader, end, number, language)
        or _rank(reader, end, number, language)
        or _alone(reader, end, number, language)
    )


def counted(reader: Reader, place: int, number: Number, language: Language) -> Reading | None:
    """Read what a number may count: percent, money, a unit."""
    behind = reader.gap(place)
    sign = reader(behind)
    if sign and sign in _PERCENT_SIGNS:
        return Reading(behind + 1, language.percentage(number))
    if sign == "‰":
        return Reading(behind + 1, language.join(language.number(number), language.permille))
    found = money.behind(reader, place, number, language)
    if found is not None:
        return found
    unit = language.unit_signs.read(reader, behind)
    if unit is not None:
        return Reading(unit[0], language.count(number, unit[1]))
    return None


def _fraction(reader: Reader, place: int, number: Number, language: Language) -> Reading | None:
    if reader(place) != "/" or number.fraction or len(number.whole) > 2:
        return None
    end = reader.digits(place + 1)
    if not 1 <= end - place - 1 <= 2 or reader(end) == "/" or is_word(reader(end)):
        return None
    lower = int(reader.text(place + 1, end))
    if number.whole == "24" and lower == 7:
        return Reading(end, language.join(language.cardinal(24), language.cardinal(7)))
    if not lower:
        return None
    text = language.fraction(int(number.whole), lower)
    return Reading(end, language.join(language.minus, text) if number.negative else text)


def _range(reader: Reader, place: int, first: Number, language: Language) -> Reading | None:
    sign = reader(place)
    if not sign or sign not in _RANGE_SIGNS or first.negative:
        return None
    found = number_at(reader, place + 1, language)
    if found is None:
        return None
    end, second = found
    if reader(end) == sign and reader(end + 1).isdecimal():
        return None
    if (len(first.whole), first.whole, first.fraction) >= (len(second.whole), second.whole, second.fraction):
        return None
    rest = counted(reader, end, second, language)
    if rest is None:
        rest = _rank(reader, end, second, language) or _alone(reader, end, second, language)
        return Reading(rest.end, language.join(language.plain(first, "", ""), language.to, rest.text))
    return Reading(rest.end, language.join(language.number(first), language.to, rest.text))


def _rank(reader: Reader, place: int, number: Number, language: Language) -> Reading | None:
    """Read an ordinal number, or one with an ending of its own."""
    if number.fraction or number.negative or len(number.whole) > _LARGEST_RANK:
        return None
    found = language.ordinals.read(reader, place)
    if found is not None:
        return Reading(found[0], language.ordinal(int(number.whole), found[1]))
    ending = language.ending_signs.read(reader, place)
    if ending is not None:
        return Reading(ending[0], language.number(number) + ending[1])
    if not language.dotted_ordinals or reader(place) != "." or len(number.whole) > 2:
        return None
    if reader.gap(place + 1) > place + 1 and reader(place + 2).islower():
        return Reading(place + 1, language.ordinal(int(number.whole)))
    return None


def _decade(reader: Reader, place: int, number: Number, language: Language) -> Reading | None:
    """Read "1990s"; "30s" are seconds."""
    if number.fraction or number.negative or not 2 <= len(number.whole) <= _LARGEST_RANK or number.whole[-1] != "0":
        return None
    if reader(place) != "s" or is_word(reader(place + 1)):
        return None
    text = language.decade(int(number.whole))
    return Reading(place + 1, text) if text is not None else None


def _ratio(reader: Reader, place: int, number: Number, language: Language) -> Reading | None:
    """Read "4:3"."""
    if reader(place) not in (":", "：") or number.fraction or len(number.whole) > _LARGEST_RANK:
        return None
    end = reader.digits(place + 1)
    if not 1 <= end - place - 1 <= 3 or is_word(reader(end)) or reader(end) == ":":
        return None
    if reader(end) in (".", ",") and reader(end + 1).isdecimal():
        return None
    second = Number(ascii_digits(reader.text(place + 1, end)))
    return Reading(end, language.join(language.number(number), language.ratio, language.number(second)))


def _alone(reader: Reader, place: int, number: Number, language: Language) -> Reading:
    behind = reader(place)
    # only "one" has another form in front of a noun; for other numbers nothing more is waited for
    noun_begins = reader(place + 1) if number.whole[-1] == "1" and reader.gap(place) > place else ""
    text = language.plain(number, reader.before, behind, noun_begins=noun_begins)
    return Reading(place, text + language.blank if is_word(behind) else text)


def roman(text: str) -> int:
    """Return the value of a Roman number."""
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}[char] for char in text]
    return sum(-value if value < max(values[at:]) else value for at, value in enumerate(values))
