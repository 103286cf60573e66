"""Times of day: 10:30, 7pm, 14h30, 18 Uhr."""

from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.reader import Reader, is_word
from saystream.workers.text.normalise.spoken import Reading, ascii_digits


def read(reader: Reader, language: Language) -> Reading | None:
    """Read a time of day that begins with a digit."""
    end = reader.digits(0)
    if not 1 <= end <= 2:
        return None
    hour = int(ascii_digits(reader.text(0, end)))
    if hour > 24:
        return None
    if reader(end) in (":", "："):
        return _with_minutes(reader, end, hour, language)
    if reader(end) == "." and language.hour_word:
        return _dotted(reader, end, hour, language)
    if reader(end) == "h" and language.h_hours:
        return _with_h(reader, end, hour, language)
    return _full_hour(reader, end, hour, language)


def _with_minutes(reader: Reader, place: int, hour: int, language: Language) -> Reading | None:
    end = reader.digits(place + 1)
    minute = _sixtieths(reader, place + 1, end)
    if minute is None:
        return None
    second: int | None = None
    if reader(end) == reader(place) and reader(end + 1).isdecimal():
        last = reader.digits(end + 1)
        second = _sixtieths(reader, end + 1, last)
        if second is None:
            return None
        end = last
    if is_word(reader(end)) and not language.halves.read(reader, end):
        return None
    end, half = _half(reader, end, language)
    if not half and language.hour_word:
        word = language.hour_signs.read(reader, reader.gap(end))
        end = word[0] if word else end
    return Reading(end, language.clock(hour, minute, second, half))


def _dotted(reader: Reader, place: int, hour: int, language: Language) -> Reading | None:
    """Read "10.30 Uhr"."""
    end = reader.digits(place + 1)
    minute = _sixtieths(reader, place + 1, end)
    word = language.hour_signs.read(reader, reader.gap(end)) if minute is not None else None
    return Reading(word[0], language.clock(hour, minute or 0, None, "")) if word else None


def _with_h(reader: Reader, place: int, hour: int, language: Language) -> Reading | None:
    end = reader.digits(place + 1)
    if end == place + 1:
        return None if is_word(reader(end)) else Reading(end, language.clock(hour, 0, None, ""))
    minute = _sixtieths(reader, place + 1, end)
    if minute is None:
        return None
    if reader(end) == "m" and reader(end + 1) != "m":
        end = end + 3 if reader.follows(end, "min") else end + 1
    return None if is_word(reader(end)) else Reading(end, language.clock(hour, minute, None, ""))


def _full_hour(reader: Reader, place: int, hour: int, language: Language) -> Reading | None:
    end, half = _half(reader, place, language)
    if half and 1 <= hour <= 12:
        return Reading(end, language.clock(hour, 0, None, half))
    if language.hour_word:
        word = language.hour_signs.read(reader, reader.gap(place))
        if word is not None:
            return Reading(word[0], language.clock(hour, 0, None, ""))
    return None


def _half(reader: Reader, place: int, language: Language) -> tuple[int, str]:
    found = language.halves.read(reader, reader.gap(place))
    return found or (place, "")


def _sixtieths(reader: Reader, first: int, last: int) -> int | None:
    if last - first != 2:
        return None
    number = int(ascii_digits(reader.text(first, last)))
    return number if number < 60 else None
