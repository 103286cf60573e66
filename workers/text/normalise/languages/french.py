"""French."""

from typing import ClassVar

from saystream.workers.text.normalise.languages.base import CldrLanguage
from saystream.workers.text.normalise.spoken import Noun, Number


class French(CldrLanguage):
    """Nouns stay in the singular below two."""

    code = "fr"
    cardinal_rules: ClassVar = {"m": "cardinal-masculine", "f": "cardinal-feminine"}
    ordinal_rules: ClassVar = {"m": "-masculine", "f": "-feminine"}
    decimal_signs = ","
    group_signs = ". "
    digit_words = tuple("zéro un deux trois quatre cinq six sept huit neuf".split())
    point = "virgule"
    points: ClassVar = {".": "point"}
    minus = "moins"
    percent = "pour cent"
    permille = "pour mille"
    to = "à"
    ratio = "contre"
    over = "sur"
    per = "par"
    whole_fractions = True
    fractions: ClassVar = {
        (1, 2): "un demi",
        (1, 3): "un tiers",
        (2, 3): "deux tiers",
        (1, 4): "un quart",
        (3, 4): "trois quarts",
    }
    months = tuple("janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split())
    month_signs: ClassVar = {
        "janv.": 1,
        "févr.": 2,
        "avr.": 4,
        "juil.": 7,
        "sept.": 9,
        "oct.": 10,
        "nov.": 11,
        "déc.": 12,
    }
    h_hours = True
    symbols: ClassVar = {
        "&": "et", "+": "plus", "=": "égale", "%": "pour cent", "−": "moins", "±": "plus ou moins", "×": "fois",
        "÷": "divisé par", "≈": "environ", "≠": "différent de", "≤": "au plus", "≥": "au moins", "°": "degrés",
    }  # fmt: skip
    number_sign = "numéro"
    section_sign = "paragraphe"
    currencies: ClassVar = {
        "USD": Noun("dollar", "dollars"),
        "EUR": Noun("euro", "euros"),
        "GBP": Noun("livre", "livres", "f"),
        "JPY": Noun("yen", "yens"),
        "CNY": Noun("yuan", "yuans"),
        "INR": Noun("roupie", "roupies", "f"),
        "BRL": Noun("réal", "réals"),
        "CHF": Noun("franc suisse", "francs suisses"),
        "CAD": Noun("dollar canadien", "dollars canadiens"),
        "AUD": Noun("dollar australien", "dollars australiens"),
        "RUB": Noun("rouble", "roubles"),
        "KRW": Noun("won", "wons"),
    }
    minor: ClassVar = {
        **dict.fromkeys(("USD", "CAD", "AUD"), Noun("cent", "cents")),
        "EUR": Noun("centime", "centimes"),
        "CHF": Noun("centime", "centimes"),
        "GBP": Noun("penny", "pence"),
    }
    money_names_minor = False
    scale_of = "de"
    scales: ClassVar = {
        **dict.fromkeys(("k", "mille"), (1000, Noun("mille", "mille"))),
        **dict.fromkeys(("M", "million", "millions"), (10**6, Noun("million", "millions"))),
        **dict.fromkeys(("Md", "Mds", "Mrd", "milliard", "milliards"), (10**9, Noun("milliard", "milliards"))),
    }
    lone_scales = frozenset(("Md", "Mds", "Mrd"))
    prefixes: ClassVar = {
        "k": "kilo", "M": "méga", "G": "giga", "T": "téra", "P": "péta", "c": "centi", "d": "déci", "m": "milli",
        "µ": "micro", "n": "nano", "h": "hecto",
    }  # fmt: skip
    bases: ClassVar = {
        "m": Noun("mètre", "mètres"),
        "g": Noun("gramme", "grammes"),
        "l": Noun("litre", "litres"),
        "Hz": Noun("hertz", "hertz"),
        "W": Noun("watt", "watts"),
        "Wh": Noun("wattheure", "wattheures"),
        "B": Noun("octet", "octets"),
        "bit": Noun("bit", "bits"),
        "V": Noun("volt", "volts"),
        "Pa": Noun("pascal", "pascals"),
        "cal": Noun("calorie", "calories", "f"),
        "J": Noun("joule", "joules"),
        "Ah": Noun("ampère-heure", "ampères-heures"),
        "s": Noun("seconde", "secondes", "f"),
        "h": Noun("heure", "heures", "f"),
        "min": Noun("minute", "minutes", "f"),
    }
    units: ClassVar = {
        "°C": Noun("degré Celsius", "degrés Celsius"),
        "°F": Noun("degré Fahrenheit", "degrés Fahrenheit"),
        "°": Noun("degré", "degrés"),
        "m²": Noun("mètre carré", "mètres carrés"),
        "km²": Noun("kilomètre carré", "kilomètres carrés"),
        "m³": Noun("mètre cube", "mètres cubes"),
        "ko": Noun("kilooctet", "kilooctets"),
        "Ko": Noun("kilooctet", "kilooctets"),
        "Mo": Noun("mégaoctet", "mégaoctets"),
        "Go": Noun("gigaoctet", "gigaoctets"),
        "To": Noun("téraoctet", "téraoctets"),
        "t": Noun("tonne", "tonnes", "f"),
        "ha": Noun("hectare", "hectares"),
        "dB": Noun("décibel", "décibels"),
        "px": Noun("pixel", "pixels"),
    }
    per_units: ClassVar = {"h": "heure", "s": "seconde", "min": "minute"}
    ordinal_signs: ClassVar = {
        **dict.fromkeys("er e ème eme nd".split(), "m"),
        **dict.fromkeys("re ère nde".split(), "f"),
    }
    phone_pairs = True
    small_words = frozenset(
        "ah au aux bon car ce ces cet dans de des du eau elle en est et eu feu fin fou ici il ils je la le les "
        "loi lui là ma mai mal me mer mes moi mon mot ne ni non nos nous nul on or ou oui où par pas peu peur qu "
        "que qui roi rue sa se ses si six soi son sur ta te tes toi ton tous tu un une va vie vin vol vos vous vu "
        "y à".split()
    )

    def __init__(self, region: str) -> None:
        super().__init__()
        if region == "CA":
            self.dollar = "CAD"

    def cardinal(self, number: int, gender: str = "") -> str:
        return super().cardinal(number, gender).replace("-et-", " et ")

    def form(self, number: Number, noun: Noun) -> str:
        return noun.one if number.below_two else noun.many

    def scaled(self, number: Number, scale: tuple[int, Noun], noun: Noun) -> str:
        if scale[0] == 1000:
            return self.join(self.count(number, scale[1]), noun.many)
        of = "d'" if noun.many[0] in "aeiouy" and not noun.many.startswith("y") else "de "
        return self.join(self.count(number, scale[1]), of + noun.many)

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        number = "premier" if day == 1 else self.cardinal(day)
        return self.join(number, self.months[month - 1], self.year(year) if year else "")

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        words = [self.cardinal(hour, "f"), "heure" if hour < 2 else "heures"]
        if minute or second:
            words.append(self.cardinal(minute, "f"))
        if second:
            words += ["et", self.cardinal(second, "f"), "seconde" if second == 1 else "secondes"]
        return " ".join(words)
