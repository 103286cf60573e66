"""Money: signs and codes in front of an amount or behind it, and the "million" between them."""

from saystream.workers.text.normalise.figures import number_at
from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.reader import Reader, Signs, is_word
from saystream.workers.text.normalise.spoken import Noun, Number, Reading

_CODES = "USD EUR GBP JPY CNY INR BRL CHF CAD AUD MXN RUB KRW SAR AED EGP".split()
_SIGNS = {code: code for code in _CODES} | {
    "$": "$",
    "€": "EUR",
    "£": "GBP",
    "¥": "¥",
    "￥": "¥",
    "₹": "INR",
    "Rs.": "INR",
    "Rs": "INR",
    "R$": "BRL",
    "US$": "USD",
    "CA$": "CAD",
    "C$": "CAD",
    "AU$": "AUD",
    "A$": "AUD",
    "MX$": "MXN",
    "₽": "RUB",
    "₩": "KRW",
    "RMB": "CNY",
}
_CURRENCIES = Signs(_SIGNS)
#: Characters that a sign in front of an amount can begin with, beside the capitals.
SYMBOLS = frozenset("$€£¥￥₹₽₩")


def in_front(reader: Reader, place: int, language: Language, *, negative: bool = False) -> Reading | None:
    """Read "$3.50", "EUR 20", "£5m", "$3-5"."""
    found = _CURRENCIES.read(reader, place)
    if found is None:
        return None
    currency = _meant(found[1], language)
    amount = number_at(reader, reader.gap(found[0]), language)
    if currency is None or amount is None:
        return None
    end, number = amount
    number = number._replace(negative=negative)
    sign = reader(end)
    if sign and sign in "-–" and reader(end + 1).isdecimal():
        last = number_at(reader, end + 1, language)
        if last is not None and not negative and int(number.whole) < int(last[1].whole):
            end, scale = _scale(reader, last[0], language)
            text = language.money(last[1], currency, scale)
            return Reading(end, language.join(language.number(number), language.to, text))
    end, scale = _scale(reader, end, language)
    return Reading(end, language.money(number, currency, scale))


def behind(reader: Reader, place: int, number: Number, language: Language) -> Reading | None:
    """Read the rest of "3,50 €", "20 USD", "5 Mio. €", "5 Mio."."""
    after, scale = _scale(reader, place, language, alone=True)
    found = _CURRENCIES.read(reader, reader.gap(after))
    if found is not None:
        currency = _meant(found[1], language)
        # "5 $10": the sign belongs to what follows
        if currency is not None and not reader(found[0]).isdecimal():
            return Reading(found[0], language.money(number, currency, scale))
    if scale is not None and reader.text(place, after).lstrip() in language.lone_scales:
        return Reading(after, language.count(number, scale[1]))
    return None


def begins(reader: Reader, place: int) -> bool:
    """Say whether a currency's sign stands here."""
    return reader(place) in SYMBOLS


def _scale(
    reader: Reader, place: int, language: Language, *, alone: bool = False
) -> tuple[int, tuple[int, Noun] | None]:
    found = language.scale_signs.read(reader, reader.gap(place))
    if found is None:
        return place, None
    end, scale = found
    if not alone and is_word(reader(end)):
        return place, None
    return end, scale


def _meant(currency: str, language: Language) -> str | None:
    if currency == "$":
        currency = language.dollar
    elif currency == "¥":
        currency = "CNY" if language.code == "zh" else "JPY"
    return currency if currency in language.currencies else None
