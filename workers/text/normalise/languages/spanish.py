"""Spanish: of Spain, or with the decimal point of Mexico and the United States."""

from typing import ClassVar

from saystream.workers.text.normalise.languages.base import CldrLanguage
from saystream.workers.text.normalise.spoken import Noun

_DECIMAL_POINT = frozenset("419 MX US PR GT HN SV NI PA DO".split())


class Spanish(CldrLanguage):
    """A number in front of a noun loses its last vowel: un, veintiún."""

    code = "es"
    cardinal_rules: ClassVar = {"m": "cardinal-masculine", "f": "cardinal-feminine"}
    ordinal_rules: ClassVar = {"m": "-masculine", "f": "-feminine", "a": "-masculine-adjective"}
    decimal_signs = ","
    group_signs = "."
    digit_words = tuple("cero uno dos tres cuatro cinco seis siete ocho nueve".split())
    point = "coma"
    points: ClassVar = {".": "punto"}
    minus = "menos"
    percent = "por ciento"
    permille = "por mil"
    to = "a"
    ratio = "a"
    over = "partido por"
    per = "por"
    whole_fractions = True
    fractions: ClassVar = {
        (1, 2): "un medio",
        (1, 3): "un tercio",
        (2, 3): "dos tercios",
        (1, 4): "un cuarto",
        (3, 4): "tres cuartos",
    }
    months = tuple("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split())
    month_signs: ClassVar = {"setiembre": 9}
    date_link = "de"
    h_hours = True
    half_signs: ClassVar = {
        "am": "am", "a.m.": "am", "a. m.": "am", "AM": "am", "pm": "pm", "p.m.": "pm", "p. m.": "pm", "PM": "pm",
    }  # fmt: skip
    symbols: ClassVar = {
        "&": "y", "+": "más", "=": "igual a", "%": "por ciento", "−": "menos", "±": "más o menos", "×": "por",
        "÷": "dividido por", "≈": "aproximadamente", "≠": "distinto de", "≤": "como máximo", "≥": "como mínimo",
        "°": "grados",
    }  # fmt: skip
    number_sign = "número"
    section_sign = "sección"
    currencies: ClassVar = {
        "USD": Noun("dólar", "dólares"),
        "EUR": Noun("euro", "euros"),
        "GBP": Noun("libra", "libras", "f"),
        "JPY": Noun("yen", "yenes"),
        "CNY": Noun("yuan", "yuanes"),
        "INR": Noun("rupia", "rupias", "f"),
        "BRL": Noun("real", "reales"),
        "CHF": Noun("franco suizo", "francos suizos"),
        "CAD": Noun("dólar canadiense", "dólares canadienses"),
        "AUD": Noun("dólar australiano", "dólares australianos"),
        "MXN": Noun("peso", "pesos"),
        "RUB": Noun("rublo", "rublos"),
    }
    minor: ClassVar = {
        **dict.fromkeys(("USD", "MXN", "CAD", "AUD", "BRL"), Noun("centavo", "centavos")),
        "EUR": Noun("céntimo", "céntimos"),
        "CHF": Noun("céntimo", "céntimos"),
        "GBP": Noun("penique", "peniques"),
    }
    money_joint = "con"
    scale_of = "de"
    scales: ClassVar = {
        **dict.fromkeys(("k", "K", "mil"), (1000, Noun("mil", "mil"))),
        **dict.fromkeys(("M", "millón", "millones"), (10**6, Noun("millón", "millones"))),
        "mil millones": (10**9, Noun("mil millones", "mil millones")),
    }
    prefixes: ClassVar = {
        "k": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta", "c": "centi", "d": "deci", "m": "mili",
        "µ": "micro", "n": "nano", "h": "hecto",
    }  # fmt: skip
    bases: ClassVar = {
        "m": Noun("metro", "metros"),
        "g": Noun("gramo", "gramos"),
        "l": Noun("litro", "litros"),
        "Hz": Noun("hercio", "hercios"),
        "W": Noun("vatio", "vatios"),
        "Wh": Noun("vatio hora", "vatios hora"),
        "B": Noun("byte", "bytes"),
        "bit": Noun("bit", "bits"),
        "V": Noun("voltio", "voltios"),
        "Pa": Noun("pascal", "pascales"),
        "cal": Noun("caloría", "calorías", "f"),
        "J": Noun("julio", "julios"),
        "Ah": Noun("amperio hora", "amperios hora"),
        "s": Noun("segundo", "segundos"),
        "h": Noun("hora", "horas", "f"),
        "min": Noun("minuto", "minutos"),
    }
    units: ClassVar = {
        "km": Noun("kilómetro", "kilómetros"),
        "cm": Noun("centímetro", "centímetros"),
        "mm": Noun("milímetro", "milímetros"),
        "°C": Noun("grado Celsius", "grados Celsius"),
        "°F": Noun("grado Fahrenheit", "grados Fahrenheit"),
        "°": Noun("grado", "grados"),
        "m²": Noun("metro cuadrado", "metros cuadrados"),
        "km²": Noun("kilómetro cuadrado", "kilómetros cuadrados"),
        "m³": Noun("metro cúbico", "metros cúbicos"),
        "t": Noun("tonelada", "toneladas", "f"),
        "ha": Noun("hectárea", "hectáreas", "f"),
        "dB": Noun("decibelio", "decibelios"),
        "px": Noun("píxel", "píxeles"),
    }
    per_units: ClassVar = {"h": "hora", "s": "segundo", "min": "minuto"}
    ordinal_signs: ClassVar = {
        **dict.fromkeys(("º", ".º", "ro", "do", "to"), "m"),
        **dict.fromkeys(("ª", ".ª", "ra", "da"), "f"),
        **dict.fromkeys(("er", ".er"), "a"),
    }
    small_words = frozenset(
        "a al ay bar bien como con cosa da dar de del di dos el en era eres es esa ese eso esta este esto fe fin "
        "fue gas gol gran ha han has hay hoy ir la las le les ley lo los luz mal mar me mes mi mil mis muy más ni "
        "no nos o oh ojo oro os oí pan par paz pie por que qué red rey ríe río sal se ser si sin sol son su sur "
        "sus sé sí te ti tu tú un una uno va van ve ver vez vi voy y ya yo él".split()
    )

    def __init__(self, region: str) -> None:
        if region in _DECIMAL_POINT:
            self.decimal_signs, self.group_signs = ".", ","
        if region == "MX":
            self.dollar = "MXN"
        super().__init__()

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        number = "primero" if ranked and day == 1 else self.cardinal(day)
        return f"{number} de {self.months[month - 1]}" + (f" de {self.year(year)}" if year else "")

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        words = [self.cardinal(hour, "f")]
        if minute:
            words += ["y", self.cardinal(minute)]
        elif not half:
            words.append("en punto")
        if second:
            words += ["y", self.cardinal(second, "m"), "segundo" if second == 1 else "segundos"]
        if half == "am":
            words.append("de la mañana")
        elif half:
            words.append("de la tarde" if hour < 8 or hour == 12 else "de la noche")
        return " ".join(words)
