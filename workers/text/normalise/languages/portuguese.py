"""Portuguese: of Brazil, or of Portugal."""

from typing import ClassVar

from saystream.workers.text.normalise.languages.base import CldrLanguage
from saystream.workers.text.normalise.spoken import Noun, Number


class Portuguese(CldrLanguage):
    """Nouns stay in the singular below two."""

    code = "pt"
    cardinal_rules: ClassVar = {"m": "cardinal-masculine", "f": "cardinal-feminine"}
    ordinal_rules: ClassVar = {"m": "-masculine", "f": "-feminine"}
    decimal_signs = ","
    group_signs = "."
    digit_words = tuple("zero um dois três quatro cinco seis sete oito nove".split())
    point = "vírgula"
    points: ClassVar = {".": "ponto"}
    minus = "menos"
    percent = "por cento"
    permille = "por mil"
    to = "a"
    ratio = "a"
    over = "sobre"
    per = "por"
    whole_fractions = True
    fractions: ClassVar = {
        (1, 2): "meio",
        (1, 3): "um terço",
        (2, 3): "dois terços",
        (1, 4): "um quarto",
        (3, 4): "três quartos",
    }
    months = tuple("janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro".split())
    date_link = "de"
    h_hours = True
    symbols: ClassVar = {
        "&": "e", "+": "mais", "=": "igual a", "%": "por cento", "−": "menos", "±": "mais ou menos", "×": "vezes",
        "÷": "dividido por", "≈": "aproximadamente", "≠": "diferente de", "≤": "no máximo", "≥": "no mínimo",
        "°": "graus",
    }  # fmt: skip
    number_sign = "número"
    section_sign = "parágrafo"
    currencies: ClassVar = {
        "USD": Noun("dólar", "dólares"),
        "EUR": Noun("euro", "euros"),
        "GBP": Noun("libra", "libras", "f"),
        "JPY": Noun("iene", "ienes"),
        "CNY": Noun("yuan", "yuans"),
        "INR": Noun("rupia", "rupias", "f"),
        "BRL": Noun("real", "reais"),
        "CHF": Noun("franco suíço", "francos suíços"),
        "CAD": Noun("dólar canadense", "dólares canadenses"),
        "AUD": Noun("dólar australiano", "dólares australianos"),
        "RUB": Noun("rublo", "rublos"),
    }
    minor: ClassVar = {
        **dict.fromkeys(("USD", "BRL", "CAD", "AUD"), Noun("centavo", "centavos")),
        **dict.fromkeys(("EUR", "CHF"), Noun("cêntimo", "cêntimos")),
        "GBP": Noun("pêni", "pence"),
    }
    money_joint = "e"
    scale_of = "de"
    scales: ClassVar = {
        **dict.fromkeys(("k", "K", "mil"), (1000, Noun("mil", "mil"))),
        **dict.fromkeys(("M", "mi", "milhão", "milhões"), (10**6, Noun("milhão", "milhões"))),
        **dict.fromkeys(("bi", "bilhão", "bilhões"), (10**9, Noun("bilhão", "bilhões"))),
    }
    prefixes: ClassVar = {
        "k": "quilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta", "c": "centi", "d": "deci", "m": "mili",
        "µ": "micro", "n": "nano", "h": "hecto",
    }  # fmt: skip
    bases: ClassVar = {
        "m": Noun("metro", "metros"),
        "g": Noun("grama", "gramas"),
        "l": Noun("litro", "litros"),
        "Hz": Noun("hertz", "hertz"),
        "W": Noun("watt", "watts"),
        "Wh": Noun("watt-hora", "watts-hora"),
        "B": Noun("byte", "bytes"),
        "bit": Noun("bit", "bits"),
        "V": Noun("volt", "volts"),
        "Pa": Noun("pascal", "pascais"),
        "cal": Noun("caloria", "calorias", "f"),
        "J": Noun("joule", "joules"),
        "Ah": Noun("ampere-hora", "amperes-hora"),
        "s": Noun("segundo", "segundos"),
        "h": Noun("hora", "horas", "f"),
        "min": Noun("minuto", "minutos"),
    }
    units: ClassVar = {
        "km": Noun("quilômetro", "quilômetros"),
        "cm": Noun("centímetro", "centímetros"),
        "mm": Noun("milímetro", "milímetros"),
        "°C": Noun("grau Celsius", "graus Celsius"),
        "°F": Noun("grau Fahrenheit", "graus Fahrenheit"),
        "°": Noun("grau", "graus"),
        "m²": Noun("metro quadrado", "metros quadrados"),
        "km²": Noun("quilômetro quadrado", "quilômetros quadrados"),
        "m³": Noun("metro cúbico", "metros cúbicos"),
        "kB": Noun("kilobyte", "kilobytes"),
        "KB": Noun("kilobyte", "kilobytes"),
        "t": Noun("tonelada", "toneladas", "f"),
        "ha": Noun("hectare", "hectares"),
        "dB": Noun("decibel", "decibéis"),
        "px": Noun("pixel", "pixels"),
    }
    per_units: ClassVar = {"h": "hora", "s": "segundo", "min": "minuto"}
    ordinal_signs: ClassVar = {**dict.fromkeys(("º", ".º"), "m"), **dict.fromkeys(("ª", ".ª"), "f")}
    small_words = frozenset(
        "a ao as boa bom com cor cá da de dia do dor dá e ela ele em era eu foi for há ir já lei lhe luz lá mais "
        "mal mar mas me meu mil mim mãe mão na nas nem no nos não nós o oh oi os ou pai par paz pois por pra pé "
        "que rei rio rua se sei sem ser seu si sim sol sou sua sul só te tem ter teu ti tu tão um uma vai vem ver "
        "vez vir voz é".split()
    )

    def __init__(self, region: str) -> None:
        super().__init__()
        self._of_portugal = region in {"PT", "AO", "MZ"}

    def form(self, number: Number, noun: Noun) -> str:
        form = noun.one if number.below_two and number.whole != "0" else noun.many
        return form.replace("ôm", "óm") if self._of_portugal else form

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        number = "primeiro" if day == 1 else self.cardinal(day)
        return f"{number} de {self.months[month - 1]}" + (f" de {self.year(year)}" if year else "")

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        words = [self.cardinal(hour, "f"), "hora" if hour < 2 else "horas"]
        if minute or second:
            words += ["e", self.cardinal(minute), "minuto" if minute == 1 else "minutos"]
        if second:
            words += ["e", self.cardinal(second), "segundo" if second == 1 else "segundos"]
        return " ".join(words)
