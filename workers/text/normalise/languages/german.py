"""German: of Germany, Austria and Switzerland."""

from typing import ClassVar

from saystream.workers.text.normalise.languages.base import CldrLanguage
from saystream.workers.text.normalise.spoken import Noun


class German(CldrLanguage):
    """Ordinal numbers are said in the form that stands behind "am", "im" and "den"."""

    code = "de"
    cardinal_rules: ClassVar = {"m": "cardinal-masculine", "f": "cardinal-feminine", "n": "cardinal-neuter"}
    ordinal_rules: ClassVar = {"m": "-n"}
    decimal_signs = ","
    group_signs = ".'’"
    digit_words = tuple("null eins zwei drei vier fünf sechs sieben acht neun".split())
    point = "Komma"
    points: ClassVar = {".": "Punkt"}
    minus = "minus"
    percent = "Prozent"
    permille = "Promille"
    to = "bis"
    ratio = "zu"
    over = "durch"
    per = "pro"
    fractions: ClassVar = {
        (1, 2): "ein halb",
        (1, 3): "ein Drittel",
        (2, 3): "zwei Drittel",
        (1, 4): "ein Viertel",
        (3, 4): "drei Viertel",
    }
    months = tuple("Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split())
    month_signs: ClassVar = {
        "Jänner": 1, "Jan.": 1, "Feb.": 2, "Apr.": 4, "Jun.": 6, "Jul.": 7, "Aug.": 8, "Sep.": 9, "Sept.": 9,
        "Okt.": 10, "Nov.": 11, "Dez.": 12,
    }  # fmt: skip
    dotted_ordinals = True
    endings = frozenset(("er", "ern", "fach", "mal"))
    hour_word = "Uhr"
    symbols: ClassVar = {
        "&": "und", "+": "plus", "=": "gleich", "%": "Prozent", "−": "minus", "±": "plus minus", "×": "mal",
        "÷": "geteilt durch", "≈": "ungefähr", "≠": "ungleich", "≤": "höchstens", "≥": "mindestens", "°": "Grad",
    }  # fmt: skip
    number_sign = "Nummer"
    section_sign = "Paragraf"
    currencies: ClassVar = {
        "USD": Noun("Dollar", "Dollar"),
        "EUR": Noun("Euro", "Euro"),
        "GBP": Noun("Pfund", "Pfund", "n"),
        "JPY": Noun("Yen", "Yen"),
        "CNY": Noun("Yuan", "Yuan"),
        "INR": Noun("Rupie", "Rupien", "f"),
        "BRL": Noun("Real", "Real"),
        "CHF": Noun("Franken", "Franken"),
        "CAD": Noun("kanadischer Dollar", "kanadische Dollar"),
        "AUD": Noun("australischer Dollar", "australische Dollar"),
        "RUB": Noun("Rubel", "Rubel"),
        "KRW": Noun("Won", "Won"),
    }
    minor: ClassVar = {
        **dict.fromkeys(("USD", "EUR", "CAD", "AUD"), Noun("Cent", "Cent")),
        "GBP": Noun("Penny", "Pence"),
        "CHF": Noun("Rappen", "Rappen"),
    }
    money_names_minor = False
    scales: ClassVar = {
        **dict.fromkeys(("Tsd.", "Tausend", "tausend"), (1000, Noun("tausend", "tausend", "n"))),
        **dict.fromkeys(("Mio.", "Mio", "Million", "Millionen"), (10**6, Noun("Million", "Millionen", "f"))),
        **dict.fromkeys(("Mrd.", "Mrd", "Milliarde", "Milliarden"), (10**9, Noun("Milliarde", "Milliarden", "f"))),
        **dict.fromkeys(("Billion", "Billionen"), (10**12, Noun("Billion", "Billionen", "f"))),
    }
    lone_scales = frozenset(scales)
    prefixes: ClassVar = {
        "k": "Kilo", "M": "Mega", "G": "Giga", "T": "Tera", "P": "Peta", "c": "Zenti", "d": "Dezi", "m": "Milli",
        "µ": "Mikro", "n": "Nano", "h": "Hekto",
    }  # fmt: skip
    bases: ClassVar = {
        "m": Noun("Meter", "Meter"),
        "g": Noun("Gramm", "Gramm", "n"),
        "l": Noun("Liter", "Liter"),
        "Hz": Noun("Hertz", "Hertz", "n"),
        "W": Noun("Watt", "Watt", "n"),
        "Wh": Noun("Wattstunde", "Wattstunden", "f"),
        "B": Noun("Byte", "Byte", "n"),
        "bit": Noun("Bit", "Bit", "n"),
        "V": Noun("Volt", "Volt", "n"),
        "Pa": Noun("Pascal", "Pascal", "n"),
        "cal": Noun("Kalorie", "Kalorien", "f"),
        "J": Noun("Joule", "Joule", "n"),
        "Ah": Noun("Amperestunde", "Amperestunden", "f"),
        "s": Noun("Sekunde", "Sekunden", "f"),
        "h": Noun("Stunde", "Stunden", "f"),
        "min": Noun("Minute", "Minuten", "f"),
    }
    units: ClassVar = {
        "°C": Noun("Grad Celsius", "Grad Celsius", "n"),
        "°F": Noun("Grad Fahrenheit", "Grad Fahrenheit", "n"),
        "°": Noun("Grad", "Grad", "n"),
        "m²": Noun("Quadratmeter", "Quadratmeter"),
        "km²": Noun("Quadratkilometer", "Quadratkilometer"),
        "m³": Noun("Kubikmeter", "Kubikmeter"),
        "t": Noun("Tonne", "Tonnen", "f"),
        "ha": Noun("Hektar", "Hektar"),
        "Min.": Noun("Minute", "Minuten", "f"),
        "Std.": Noun("Stunde", "Stunden", "f"),
        "Sek.": Noun("Sekunde", "Sekunden", "f"),
        "dB": Noun("Dezibel", "Dezibel", "n"),
        "PS": Noun("PS", "P S", "n"),
        "px": Noun("Pixel", "Pixel"),
    }
    per_units: ClassVar = {"h": "Stunde", "s": "Sekunde", "min": "Minute"}
    small_words = frozenset(
        "ab alt am an arm auf aus bei bin bis da das dem den der des die dir du ein er es euch fit für gar gut "
        "hab hat hin ich ihm ihn ihr im in ist ja je kam man mir mit mut nah neu nie nun nur ob oft ohne rot sie "
        "so tag tat tor tot tun um und uns vom von vor wann war was weg wer wie wir wo wut zu zum zur".split()
    )

    def __init__(self, region: str) -> None:
        super().__init__()
        self._first = "Jänner" if region == "AT" else "Januar"

    def is_noun(self, first: str) -> bool:
        return first.isupper()

    def year(self, number: int) -> str:
        hundreds, rest = divmod(number, 100)
        if 1100 <= number < 2000:
            return f"{self.cardinal(hundreds)}hundert{self.cardinal(rest) if rest else ''}"
        return self.cardinal(number)

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        name = self._first if month == 1 else self.months[month - 1]
        return self.join(self.ordinal(day), name, self.year(year) if year else "")

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        words = [self.cardinal(hour, "n"), "Uhr"]
        if minute or second:
            words.append(self.cardinal(minute))
        if second is not None:
            words += ["und", self.cardinal(second, "f"), "Sekunde" if second == 1 else "Sekunden"]
        return " ".join(words)
