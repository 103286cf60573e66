"""English: of the United States, or with the day first elsewhere."""

from typing import ClassVar

from saystream.workers.text.normalise.languages.base import CldrLanguage
from saystream.workers.text.normalise.spoken import Noun

_MONTH_FIRST = {"", "US", "PH"}
_DOLLARS = {"CA": "CAD", "AU": "AUD"}


class English(CldrLanguage):
    """Years are said in pairs, times with the hour's bare number."""

    code = "en"
    digit_words = tuple("zero one two three four five six seven eight nine".split())
    point = "point"
    minus = "minus"
    percent = "percent"
    permille = "per mille"
    to = "to"
    ratio = "to"
    over = "over"
    per = "per"
    fractions: ClassVar = {
        (1, 2): "one half",
        (1, 3): "one third",
        (2, 3): "two thirds",
        (1, 4): "one quarter",
        (3, 4): "three quarters",
    }
    months = tuple("January February March April May June July August September October November December".split())
    month_signs: ClassVar = {
        "Jan": 1, "Jan.": 1, "Feb": 2, "Feb.": 2, "Mar": 3, "Mar.": 3, "Apr": 4, "Apr.": 4, "Jun": 6, "Jun.": 6,
        "Jul": 7, "Jul.": 7, "Aug": 8, "Aug.": 8, "Sep": 9, "Sep.": 9, "Sept": 9, "Sept.": 9, "Oct": 10, "Oct.": 10,
        "Nov": 11, "Nov.": 11, "Dec": 12, "Dec.": 12,
    }  # fmt: skip
    month_first = True
    half_signs: ClassVar = {
        sign: half for half in ("am", "pm") for sign in (half, half.upper(), f"{half[0]}.m.", f"{half[0].upper()}.M.")
    }
    symbols: ClassVar = {
        "&": "and", "+": "plus", "=": "equals", "%": "percent", "−": "minus", "±": "plus or minus", "×": "times",
        "÷": "divided by", "≈": "about", "≠": "is not equal to", "≤": "at most", "≥": "at least", "°": "degrees",
    }  # fmt: skip
    number_sign = "number"
    section_sign = "section"
    currencies: ClassVar = {
        "USD": Noun("dollar", "dollars"),
        "EUR": Noun("euro", "euros"),
        "GBP": Noun("pound", "pounds"),
        "JPY": Noun("yen", "yen"),
        "CNY": Noun("yuan", "yuan"),
        "INR": Noun("rupee", "rupees"),
        "BRL": Noun("real", "reais"),
        "CHF": Noun("Swiss franc", "Swiss francs"),
        "CAD": Noun("Canadian dollar", "Canadian dollars"),
        "AUD": Noun("Australian dollar", "Australian dollars"),
        "MXN": Noun("Mexican peso", "Mexican pesos"),
        "RUB": Noun("ruble", "rubles"),
        "KRW": Noun("won", "won"),
        "SAR": Noun("Saudi riyal", "Saudi riyals"),
        "AED": Noun("dirham", "dirhams"),
        "EGP": Noun("Egyptian pound", "Egyptian pounds"),
    }
    minor: ClassVar = {
        **dict.fromkeys(("USD", "EUR", "CAD", "AUD"), Noun("cent", "cents")),
        "GBP": Noun("penny", "pence"),
        "INR": Noun("paisa", "paise"),
        "BRL": Noun("centavo", "centavos"),
        "MXN": Noun("centavo", "centavos"),
        "CHF": Noun("centime", "centimes"),
    }
    money_joint = "and"
    scales: ClassVar = {
        **dict.fromkeys(("k", "K", "thousand"), (1000, Noun("thousand", "thousand"))),
        **dict.fromkeys(("m", "M", "mn", "mm", "million"), (10**6, Noun("million", "million"))),
        **dict.fromkeys(("b", "B", "bn", "billion"), (10**9, Noun("billion", "billion"))),
        **dict.fromkeys(("t", "T", "tn", "trillion"), (10**12, Noun("trillion", "trillion"))),
    }
    lone_scales = frozenset(("bn", "mn"))
    prefixes: ClassVar = {
        "k": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta", "c": "centi", "d": "deci", "m": "milli",
        "µ": "micro", "n": "nano", "h": "hecto",
    }  # fmt: skip
    bases: ClassVar = {
        "m": Noun("meter", "meters"),
        "g": Noun("gram", "grams"),
        "l": Noun("liter", "liters"),
        "Hz": Noun("hertz", "hertz"),
        "W": Noun("watt", "watts"),
        "Wh": Noun("watt hour", "watt hours"),
        "B": Noun("byte", "bytes"),
        "bit": Noun("bit", "bits"),
        "V": Noun("volt", "volts"),
        "Pa": Noun("pascal", "pascals"),
        "cal": Noun("calorie", "calories"),
        "J": Noun("joule", "joules"),
        "Ah": Noun("amp hour", "amp hours"),
        "s": Noun("second", "seconds"),
        "h": Noun("hour", "hours"),
        "min": Noun("minute", "minutes"),
    }
    units: ClassVar = {
        "°C": Noun("degree Celsius", "degrees Celsius"),
        "°F": Noun("degree Fahrenheit", "degrees Fahrenheit"),
        "°": Noun("degree", "degrees"),
        "m²": Noun("square meter", "square meters"),
        "km²": Noun("square kilometer", "square kilometers"),
        "cm²": Noun("square centimeter", "square centimeters"),
        "m³": Noun("cubic meter", "cubic meters"),
        "cm³": Noun("cubic centimeter", "cubic centimeters"),
        "mph": Noun("mile per hour", "miles per hour"),
        "kph": Noun("kilometer per hour", "kilometers per hour"),
        "ft": Noun("foot", "feet"),
        "yd": Noun("yard", "yards"),
        "mi": Noun("mile", "miles"),
        "lb": Noun("pound", "pounds"),
        "lbs": Noun("pound", "pounds"),
        "oz": Noun("ounce", "ounces"),
        "hrs": Noun("hour", "hours"),
        "hr": Noun("hour", "hours"),
        "mins": Noun("minute", "minutes"),
        "sec": Noun("second", "seconds"),
        "secs": Noun("second", "seconds"),
        "dB": Noun("decibel", "decibels"),
        "px": Noun("pixel", "pixels"),
        "fps": Noun("frame per second", "frames per second"),
        "rpm": Noun("revolution per minute", "revolutions per minute"),
        "ha": Noun("hectare", "hectares"),
    }
    per_units: ClassVar = {"h": "hour", "s": "second", "min": "minute"}
    ordinal_signs: ClassVar = dict.fromkeys(("st", "nd", "rd", "th"), "m")
    small_words = frozenset(
        "a add ago ah aha air all am an and any are arm art as ask at bad bag be bed big bit box boy but buy by "
        "can car cat cry cut dad day did do dog don due ear eat egg end eye far few fix fly for fun gas get go "
        "god got gun ha had has he her hey hi him his hit hot how i ice if in is it its job key la law leg let "
        "lie lot low mad man map max may me men mid min mix mom my net new no non nor not now of off oh oil ok "
        "old on one or our out own pay per put ran raw red run sad saw say sea see set sex she sir sit six sky so "
        "son sun tax tea ten the tie tip to too top try two up us use very via war was way we web wet who why win "
        "won wow ya yes yet you zoo".split()
    )

    def __init__(self, region: str) -> None:
        self.date_order = "mdy" if region in _MONTH_FIRST else "dmy"
        self.groups = (2, 3) if region == "IN" else (3,)
        self.dollar = _DOLLARS.get(region, "USD")
        super().__init__()

    def is_phone(self, digits: str) -> bool:
        return len(digits) == 10 or super().is_phone(digits)

    def year(self, number: int) -> str:
        hundreds, rest = divmod(number, 100)
        if 2000 <= number < 2010 or number % 1000 == 0:
            return self.cardinal(number)
        if not rest:
            return f"{self.cardinal(hundreds)} hundred"
        return f"{self.cardinal(hundreds)} {'oh ' if rest < 10 else ''}{self.cardinal(rest)}"

    def decade(self, number: int) -> str | None:
        if number < 60 or (number > 99 and not 1100 <= number < 3000):
            return None
        words = self.year(number) if number > 99 else self.cardinal(number)
        return words[:-1] + "ies" if words.endswith("y") else words + "s"

    def fraction(self, upper: int, lower: int) -> str:
        known = self.fractions.get((upper, lower))
        if known or lower > 20 or lower < 4 or upper >= lower:
            return known or super().fraction(upper, lower)
        return f"{self.cardinal(upper)} {self.ordinal(lower)}{'' if upper == 1 else 's'}"

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        name, rank = self.months[month - 1], self.ordinal(day)
        if month_first or (month_first is None and self.date_order == "mdy" and not ranked and year is not None):
            return f"{name} {rank}, {self.year(year)}" if year else f"{name} {rank}"
        return self.join(f"{'' if ranked else 'the '}{rank} of {name}", self.year(year) if year else "")

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        words = [self.cardinal(hour)]
        if minute:
            words.append(f"oh {self.cardinal(minute)}" if minute < 10 else self.cardinal(minute))
        elif not half:
            words.append("o'clock" if 1 <= hour <= 12 else "hundred hours")
        if second:
            words.append(f"and {self.cardinal(second)} {'second' if second == 1 else 'seconds'}")
        if half:
            words.append(" ".join(half.upper()))
        return " ".join(words)
