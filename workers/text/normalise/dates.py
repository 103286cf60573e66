"""Dates: in digits by the language's order, or with the month's name in front or behind."""

from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.reader import Reader, is_word
from saystream.workers.text.normalise.spoken import Reading, ascii_digits

_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_CENTURY_FROM = 50  # 50 is 1950, 49 is 2049


def read(reader: Reader, language: Language) -> Reading | None:
    """Read a date that begins with a digit."""
    end = reader.digits(0)
    if end not in (1, 2, 4):
        return None
    return _in_digits(reader, end, language) or (_day_first(reader, end, language) if end < 4 else None)


def month_first(reader: Reader, language: Language) -> Reading | None:
    """Read "May 1st, 2024"."""
    if not language.month_first or reader(0) not in language.month_initials:
        return None
    month = language.month_names.read(reader, 0)
    if month is None or reader.gap(month[0]) == month[0]:
        return None
    start = month[0] + 1
    end = reader.digits(start)
    if not 1 <= end - start <= 2:
        return None
    day = _number(reader, start, end)
    rank = language.ordinals.read(reader, end)
    end = rank[0] if rank else end
    if not _is_date(day, month[1]) or _goes_on(reader, end):
        return None
    comma = end + 1 if reader(end) == "," else end
    year_end, year = _year(reader, comma)
    return Reading(year_end if year else end, language.date(day, month[1], year, month_first=True))


def _in_digits(reader: Reader, first_end: int, language: Language) -> Reading | None:
    sign = reader(first_end)
    if not sign or sign not in "-/.":
        return None
    second_end = reader.digits(first_end + 1)
    if not 1 <= second_end - first_end - 1 <= 2 or reader(second_end) != sign:
        return None
    third_end = reader.digits(second_end + 1)
    first, second = _number(reader, 0, first_end), _number(reader, first_end + 1, second_end)
    length = third_end - second_end - 1
    if length == 0:  # "1.5."
        if sign == "." and language.dotted_ordinals and first_end < 4 and _is_date(first, second):
            return Reading(second_end + 1, language.date(first, second, None))
        return None
    third = _number(reader, second_end + 1, third_end)
    if first_end == 4:
        year, month, day = first, second, third
        if length > 2:
            return None
    elif length == 4 or (length == 2 and sign != "-"):
        day, month, year = first, second, third
        if language.date_order == "mdy" and sign != ".":
            day, month = second, first
        if not _is_date(day, month):
            day, month = month, day
        if length == 2:
            year += 1900 if year >= _CENTURY_FROM else 2000
    else:
        return None
    end = third_end
    if not year:
        return None
    if reader(end) == "T" and reader(end + 1).isdecimal():  # a time follows
        return Reading(end + 1, language.date(day, month, year) + " ") if _is_date(day, month) else None
    if not _is_date(day, month) or _goes_on(reader, end) or (reader(end) == sign and reader(end + 1).isdecimal()):
        return None
    return Reading(end, language.date(day, month, year))


def _day_first(reader: Reader, end: int, language: Language) -> Reading | None:
    """Read "1 May 2024", "3. Mai", "1 de mayo de 2024"."""
    day = _number(reader, 0, end)
    if reader(end) == "." and language.dotted_ordinals:
        end += 1
        ranked = True
    else:
        rank = language.ordinals.read(reader, end)
        ranked = rank is not None
        end = rank[0] if rank else end
    start = reader.gap(end)
    if start == end and not (ranked and language.dotted_ordinals):
        return None
    month = language.month_names.read(reader, _link(reader, start, language))
    if month is None or not _is_date(day, month[1]):
        return None
    comma = month[0] + 1 if reader(month[0]) == "," else month[0]
    year_start = reader.gap(comma)
    linked = _link(reader, year_start, language)
    year_end, year = _year(reader, linked - 1 if year_start > comma else linked)
    return Reading(year_end if year else month[0], language.date(day, month[1], year, month_first=False, ranked=ranked))


def _link(reader: Reader, place: int, language: Language) -> int:
    """Return the place behind the word that links a date's parts, if it stands here."""
    link = language.date_link
    if link and reader.follows(place, link) and reader.gap(place + len(link)) > place + len(link):
        return place + len(link) + 1
    return place


def _year(reader: Reader, place: int) -> tuple[int, int | None]:
    start = reader.gap(place)
    if start == place:
        return place, None
    end = reader.digits(start)
    if end - start != 4 or reader.text(start, start + 1) == "0" or _goes_on(reader, end):
        return place, None
    return end, _number(reader, start, end)


def _goes_on(reader: Reader, place: int) -> bool:
    """Say whether what was read is only the beginning of another thing."""
    char = reader(place)
    return is_word(char) or (bool(char) and char in ".,:/" and reader(place + 1).isdecimal())


def _is_date(day: int, month: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month]


def _number(reader: Reader, first: int, last: int) -> int:
    return int(ascii_digits(reader.text(first, last)))
