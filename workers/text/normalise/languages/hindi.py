"""Hindi, with numbers in lakh and crore."""

from typing import ClassVar

from saystream.workers.text.normalise.languages.base import CldrLanguage
from saystream.workers.text.normalise.spoken import Noun


def _unit(name: str, gender: str = "m") -> Noun:
    return Noun(name, name, gender)


class Hindi(CldrLanguage):
    """Units hardly change with their number."""

    code = "hi"
    cardinal_rules: ClassVar = {}
    ordinal_rules: ClassVar = {"m": "-masculine", "f": "-feminine"}
    groups = (2, 3)
    digit_words = tuple("शून्य एक दो तीन चार पाँच छह सात आठ नौ".split())
    point = "दशमलव"
    minus = "माइनस"
    percent = "प्रतिशत"
    permille = "प्रति हज़ार"
    to = "से"
    ratio = "अनुपात"
    over = "बटा"
    per = "प्रति"
    fractions: ClassVar = {
        (1, 2): "आधा",
        (1, 3): "एक तिहाई",
        (2, 3): "दो तिहाई",
        (1, 4): "एक चौथाई",
        (3, 4): "तीन चौथाई",
    }
    months = tuple("जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर".split())
    month_signs: ClassVar = {"फरवरी": 2, "सितम्बर": 9, "अक्तूबर": 10, "नवम्बर": 11, "दिसम्बर": 12}
    half_signs: ClassVar = {"am": "am", "AM": "am", "pm": "pm", "PM": "pm"}
    hour_word = "बजे"
    symbols: ClassVar = {
        "&": "और", "+": "प्लस", "=": "बराबर", "%": "प्रतिशत", "−": "माइनस", "±": "प्लस माइनस", "×": "गुणा", "÷": "भाग",
        "≈": "लगभग", "≠": "बराबर नहीं", "≤": "अधिकतम", "≥": "कम से कम", "°": "डिग्री",
    }  # fmt: skip
    number_sign = "नंबर"
    section_sign = "धारा"
    currencies: ClassVar = {
        "USD": _unit("डॉलर"),
        "EUR": _unit("यूरो"),
        "GBP": _unit("पाउंड"),
        "JPY": _unit("येन"),
        "CNY": _unit("युआन"),
        "INR": Noun("रुपया", "रुपये"),
        "CHF": _unit("स्विस फ़्रैंक"),
        "CAD": _unit("कनाडाई डॉलर"),
        "AUD": _unit("ऑस्ट्रेलियाई डॉलर"),
        "RUB": _unit("रूबल"),
    }
    minor: ClassVar = {"INR": Noun("पैसा", "पैसे"), **dict.fromkeys(("USD", "EUR"), _unit("सेंट"))}
    scales: ClassVar = {
        **dict.fromkeys(("k", "K", "हज़ार", "हजार"), (1000, _unit("हज़ार"))),
        "लाख": (10**5, _unit("लाख")),
        **dict.fromkeys(("m", "M", "मिलियन"), (10**6, _unit("मिलियन"))),
        **dict.fromkeys(("करोड़", "करोड़", "cr", "Cr"), (10**7, _unit("करोड़"))),
        **dict.fromkeys(("b", "B", "bn", "बिलियन"), (10**9, _unit("बिलियन"))),
    }
    prefixes: ClassVar = {
        "k": "किलो", "M": "मेगा", "G": "गीगा", "T": "टेरा", "c": "सेंटी", "m": "मिली", "µ": "माइक्रो", "n": "नैनो",
        "h": "हेक्टो",
    }  # fmt: skip
    bases: ClassVar = {
        "m": _unit("मीटर"),
        "g": _unit("ग्राम"),
        "l": _unit("लीटर"),
        "Hz": _unit("हर्ट्ज़"),
        "W": _unit("वाट"),
        "Wh": _unit("वाट घंटा"),
        "B": _unit("बाइट"),
        "bit": _unit("बिट"),
        "V": _unit("वोल्ट"),
        "Pa": _unit("पास्कल"),
        "cal": _unit("कैलोरी"),
        "J": _unit("जूल"),
        "Ah": _unit("एम्पीयर घंटा"),
        "s": _unit("सेकंड"),
        "h": Noun("घंटा", "घंटे"),
        "min": _unit("मिनट"),
    }
    units: ClassVar = {
        "°C": _unit("डिग्री सेल्सियस"),
        "°F": _unit("डिग्री फ़ारेनहाइट"),
        "°": _unit("डिग्री"),
        "m²": _unit("वर्ग मीटर"),
        "km²": _unit("वर्ग किलोमीटर"),
        "किमी": _unit("किलोमीटर"),
        "किग्रा": _unit("किलोग्राम"),
        "dB": _unit("डेसिबल"),
    }
    per_units: ClassVar = {"h": "घंटा", "s": "सेकंड", "min": "मिनट"}
    ordinal_signs: ClassVar = {
        **dict.fromkeys(("वाँ", "वां", "वा", "ला", "रा", "था", "वें"), "m"),
        **dict.fromkeys(("वीं", "ली", "री", "थी"), "f"),
    }

    def __init__(self, region: str) -> None:
        super().__init__()

    def ordinal(self, number: int, gender: str = "m") -> str:
        words = super().ordinal(number, gender)
        return words + "ं" if words.endswith("वी") else words

    def year(self, number: int) -> str:
        hundreds, rest = divmod(number, 100)
        if 1100 <= number < 2000:
            return self.join(self.cardinal(hundreds), "सौ", self.cardinal(rest) if rest else "")
        return self.cardinal(number)

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        return self.join(self.cardinal(day), self.months[month - 1], self.year(year) if year else "")

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        words = [self.cardinal(hour)]
        if half == "am":
            words.insert(0, "सुबह")
        elif half:
            words.insert(0, "दोपहर" if hour in (12, 1, 2, 3) else "शाम" if hour < 8 else "रात")
        if not minute and not second:
            return self.join(*words, "बजे")
        words += ["बजकर", self.cardinal(minute), "मिनट"]
        if second:
            words += [self.cardinal(second), "सेकंड"]
        return self.join(*words)
