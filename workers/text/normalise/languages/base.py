"""What a language says for what was read: the rules that most share, and the words that each fills in."""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar

from saystream.common.errors import InvalidSettings
from saystream.workers.text.normalise.reader import Signs
from saystream.workers.text.normalise.spoken import Noun, Number

_CARDINAL_DIGITS = 15  # beyond, numbers are said digit by digit
#: Prefixes and base units that go together.
_COMPOSED = (
    "km cm mm µm nm kg mg µg ml cl dl kHz MHz GHz THz kW mW MW GW Wh kWh MWh GWh kB KB MB GB TB PB kbit Mbit Gbit "
    "ms µs ns mV kV hPa kPa MPa kcal kJ MJ mAh m g l Hz W V Pa cal bit s h min"
).split()
_RATES = [(of, by) for of in "km m MB GB kB Mbit Gbit kbit l".split() for by in "h s min".split()]
_SHORT_RATES = {"kbps": "kbit/s", "Mbps": "Mbit/s", "Gbps": "Gbit/s"}


class Language:
    """How one language says it. A subclass per language; a region may differ in a few settings.

    Numbers come as they were written (`Number`), words go out; what is looked for in the text is in here as well,
    since each language writes with its own signs.
    """

    code: ClassVar[str]
    blank: ClassVar[str] = " "
    decimal_signs: str = "."
    group_signs: str = ","
    groups: tuple[int, ...] = (3,)
    date_order: str = "dmy"
    digit_words: ClassVar[tuple[str, ...]]
    point: ClassVar[str]
    points: ClassVar[Mapping[str, str]] = {}  # for signs that are said in another way
    minus: ClassVar[str]
    percent: ClassVar[str]
    permille: ClassVar[str]
    to: ClassVar[str]
    ratio: ClassVar[str]
    over: ClassVar[str]
    per: ClassVar[str]
    whole_fractions: ClassVar[bool] = False  # 3,14 is "trois virgule quatorze"
    fractions: ClassVar[Mapping[tuple[int, int], str]]
    months: ClassVar[tuple[str, ...]]
    month_signs: ClassVar[Mapping[str, int]] = {}  # other ways to write them
    symbols: ClassVar[Mapping[str, str]]
    number_sign: ClassVar[str]
    section_sign: ClassVar[str]
    currencies: ClassVar[Mapping[str, Noun]]
    minor: ClassVar[Mapping[str, Noun]] = {}
    scales: ClassVar[Mapping[str, tuple[int, Noun]]] = {}
    prefixes: ClassVar[Mapping[str, str]]
    bases: ClassVar[Mapping[str, Noun]]
    units: ClassVar[Mapping[str, Noun]] = {}
    per_units: ClassVar[Mapping[str, str]] = {}
    ordinal_signs: ClassVar[Mapping[str, str]] = {}  # "rd": the gender that it stands for
    phone_pairs: ClassVar[bool] = False
    small_words: ClassVar[frozenset[str]] = frozenset()  # short words in capitals that are no acronyms
    endings: ClassVar[frozenset[str]] = frozenset()  # "90er": a number's own ending
    list_sign: ClassVar[str] = ", "
    dollar: str = "USD"
    lone_scales: ClassVar[frozenset[str]] = frozenset()  # those that are rewritten without a currency, too
    dotted_ordinals: ClassVar[bool] = False  # "3. Mai", "1.5."
    month_first: ClassVar[bool] = False  # "May 1st"
    date_link: ClassVar[str] = ""  # "1 de mayo de 2024"
    hour_word: ClassVar[str] = ""  # "18 Uhr"
    h_hours: ClassVar[bool] = False  # "14h30"
    half_signs: ClassVar[Mapping[str, str]] = {}  # "a.m.": "am"

    def __init__(self) -> None:
        self.unit_signs = Signs(self._all_units())
        self.scale_signs = Signs(self.scales)
        self.ending_signs = Signs({ending: ending for ending in self.endings})
        self.halves = Signs(self.half_signs)
        self.hour_signs = Signs({self.hour_word: True})
        self.ordinals = Signs(self.ordinal_signs)
        names = {name: number for number, name in enumerate(self.months, 1)}
        self.month_names = Signs({**names, **self.month_signs})
        self.month_initials = frozenset(name[0] for name in [*names, *self.month_signs])
        self.number_text = lru_cache(2048)(self._number_text)

    # -- numbers -------------------------------------------------------------------------------------------------------

    def cardinal(self, number: int, gender: str = "") -> str:
        """Return a number in words; ``gender`` (m, f, n) that of the noun behind it, '' if there is none."""
        raise NotImplementedError

    def ordinal(self, number: int, gender: str = "m") -> str:
        """Return an ordinal number in words."""
        raise NotImplementedError

    def year(self, number: int) -> str:
        """Return a year in words."""
        return self.cardinal(number)

    def spell(self, digits: str) -> str:
        """Return digits one by one."""
        return self.blank.join(self.digit_words[int(digit)] for digit in digits)

    def number(self, number: Number, gender: str = "") -> str:
        """Return a number in words, as it was written: with its fraction, and zeros in front digit by digit."""
        text = self.number_text(number.whole, number.fraction, number.point, gender)
        return f"{self.minus}{self.blank}{text}" if number.negative else text

    def _number_text(self, whole: str, fraction: str, point: str, gender: str) -> str:
        if len(whole) > _CARDINAL_DIGITS or (len(whole) > 1 and whole[0] == "0"):
            text = self.spell(whole)
        else:
            text = self.cardinal(int(whole), "" if fraction else gender)
        if not fraction:
            return text
        if self.whole_fractions and len(fraction) == 2 and fraction[0] != "0" and not self.points.get(point):
            behind = self.cardinal(int(fraction))
        else:
            behind = self.spell(fraction)
        return self.join(text, self.points.get(point, self.point), behind)

    def plain(self, number: Number, before: str, behind: str, *, noun_begins: str = "") -> str:
        """Return a number that stands on its own; four digits may be a year.

        ``before``, ``behind``: the characters around it; ``noun_begins``: the one behind a blank, if it ends in 1.
        """
        if not number.fraction and not number.negative and len(number.whole) == 4 and number.whole[0] in "12":
            return self.year(int(number.whole))
        return self.number(number, "m" if self.is_noun(noun_begins) else "")

    def is_noun(self, first: str) -> bool:
        """Say whether a word that begins so is taken for a noun that the number in front of it counts."""
        return first.isalpha()

    def is_phone(self, digits: str) -> bool:
        """Say whether digits without a blank between them are taken for a phone number."""
        return digits[0] == "0" and len(digits) >= 9

    def phone_group(self, digits: str) -> str:
        """Return a group of a phone number's digits."""
        return (
            self.cardinal(int(digits))
            if self.phone_pairs and len(digits) == 2 and digits[0] != "0"
            else self.spell(digits)
        )

    def join(self, *words: str) -> str:
        """Return words one behind the other, as the language writes them."""
        return self.blank.join(word for word in words if word)

    def count(self, number: Number, noun: Noun) -> str:
        """Return a number with the noun that it counts, in the right form."""
        return self.join(self.number(number, noun.gender), self.form(number, noun))

    def form(self, number: Number, noun: Noun) -> str:
        """Return the noun's form behind a number."""
        return noun.one if number.is_one else noun.many

    def percentage(self, number: Number) -> str:
        return self.join(self.number(number), self.percent)

    def fraction(self, upper: int, lower: int) -> str:
        """Return a fraction such as 1/2."""
        known = self.fractions.get((upper, lower))
        return known or self.join(self.cardinal(upper), self.over, self.cardinal(lower))

    def decade(self, number: int) -> str | None:
        """Return what is said for "1990s", where such a form is written."""
        return None

    # -- money ---------------------------------------------------------------------------------------------------------

    money_joint: ClassVar[str] = ""
    money_names_minor: ClassVar[bool] = True
    scale_of: ClassVar[str] = ""  # the word between "cinq millions" and "euros"

    def money(self, number: Number, currency: str, scale: tuple[int, Noun] | None) -> str:
        """Return an amount of money; ``scale`` is the "million" that was written behind the number."""
        noun = self.currencies[currency]
        if scale is not None:
            return self.scaled(number, scale, noun)
        minor = self.minor.get(currency)
        if len(number.fraction) != 2 or minor is None:
            fraction = number.fraction.rstrip("0")
            return self.count(number._replace(fraction=fraction), noun)
        cents = Number(number.fraction.lstrip("0") or "0", negative=number.negative and not int(number.whole))
        if cents.whole == "0":
            return self.count(number._replace(fraction=""), noun)
        if not int(number.whole):
            return self.count(cents, minor)
        whole = self.count(number._replace(fraction=""), noun)
        return self.with_minor(whole, self.count(cents, minor) if self.money_names_minor else self.number(cents))

    def with_minor(self, whole: str, minor: str) -> str:
        """Return an amount with its cents."""
        return self.join(whole, self.money_joint, minor)

    def scaled(self, number: Number, scale: tuple[int, Noun], noun: Noun) -> str:
        """Return "three million euros"."""
        thousands = scale[0] == 1000
        return self.join(self.count(number, scale[1]), "" if thousands else self.scale_of, noun.many)

    def multiplied(self, number: Number, scale: tuple[int, Noun], noun: Noun) -> str:
        """The same for languages whose numbers have other steps: 5 m is 500 万."""
        value = Decimal(f"{number.whole}.{number.fraction or 0}") * scale[0]
        whole, _, fraction = f"{value.normalize():f}".partition(".")
        return self.count(Number(whole, fraction, number.negative, "."), noun)

    # -- times ---------------------------------------------------------------------------------------------------------

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        """Return a date in words; ``month_first`` as it was written (None: in digits), ``ranked``: "1st May"."""
        raise NotImplementedError

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        """Return a time of day; ``half`` is "am" or "pm" if that was written."""
        raise NotImplementedError

    # -- units ---------------------------------------------------------------------------------------------------------

    def _all_units(self) -> dict[str, Noun]:
        units: dict[str, Noun] = {}
        for sign in _COMPOSED:
            if sign in self.bases:
                units[sign] = self.bases[sign]
            elif sign[1:] in self.bases and sign[0].replace("K", "k") in self.prefixes:
                units[sign] = _prefixed(self.prefixes[sign[0].replace("K", "k")], self.bases[sign[1:]])
        units.update(self.units)
        for of, by in _RATES:
            if of in units and by in self.per_units:
                units[f"{of}/{by}"] = self.rate(units[of], self.per_units[by])
        units |= {short: units[long] for short, long in _SHORT_RATES.items() if long in units}
        units |= {sign.replace("µ", "μ"): noun for sign, noun in units.items() if "µ" in sign}
        units |= {sign.replace("l", "L"): noun for sign, noun in units.items() if sign in ("l", "ml", "cl", "dl")}
        return units

    def rate(self, noun: Noun, per: str) -> Noun:
        """Return "kilometers per hour"."""
        one, many, two, few = (
            form and self.join(form, self.per, per) for form in (noun.one, noun.many, noun.two, noun.few)
        )
        return Noun(one, many, noun.gender, two, few)


def _prefixed(prefix: str, noun: Noun) -> Noun:
    def joined(form: str) -> str:
        # German writes nouns with a capital, and one only
        return form and ((prefix + form).capitalize() if prefix.istitle() else prefix + form)

    return Noun(joined(noun.one), joined(noun.many), noun.gender, joined(noun.two), joined(noun.few))


class Speller:
    """Numbers in words by the rules of Unicode's CLDR, of `unicode-rbnf`.

    Args:
        language: such as "en".
        cardinals: the rule set for each gender, and for '' (no noun behind it).
        ordinals: the same for ordinal numbers.

    Raises:
        InvalidSettings: the library is not installed.
    """

    def __init__(self, language: str, cardinals: Mapping[str, str], ordinals: Mapping[str, str]) -> None:
        try:
            from unicode_rbnf import RbnfEngine
        except ImportError as error:
            raise InvalidSettings(
                f'To normalise text of the language "{language}", install saystream[normalise].'
            ) from error
        self._engine = RbnfEngine.for_language(language)
        self._cardinals = cardinals
        self._ordinals = ordinals

    def cardinal(self, number: int, gender: str = "") -> str:
        return self._said(number, "spellout-" + self._cardinals.get(gender, "numbering"))

    def ordinal(self, number: int, gender: str = "m") -> str:
        return self._said(number, "spellout-ordinal" + self._ordinals.get(gender, ""))

    def _said(self, number: int, rules: str) -> str:
        text = self._engine.format_number(number, ruleset_names=[rules]).text
        return text.replace("\u00ad", "").replace("  ", " ")


class CldrLanguage(Language):
    """A language whose numbers the library knows well enough."""

    cardinal_rules: ClassVar[Mapping[str, str]] = {}
    ordinal_rules: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        super().__init__()
        self._speller = Speller(self.code, self.cardinal_rules, self.ordinal_rules)

    def cardinal(self, number: int, gender: str = "") -> str:
        return self._speller.cardinal(number, gender)

    def ordinal(self, number: int, gender: str = "m") -> str:
        return self._speller.ordinal(number, gender)
