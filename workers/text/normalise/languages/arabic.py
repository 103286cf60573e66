"""Arabic, of the written standard. The library joins hundreds and thousands wrongly: its numbers are our own."""

from typing import ClassVar

from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.spoken import Noun, Number

_ONES = {
    "m": "صفر واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة عشرة".split(),
    "f": "صفر واحدة اثنتان ثلاث أربع خمس ست سبع ثمان تسع عشر".split(),
}
_TENS = "عشرون ثلاثون أربعون خمسون ستون سبعون ثمانون تسعون".split()
_HUNDREDS = "مئة مئتان ثلاثمئة أربعمئة خمسمئة ستمئة سبعمئة ثمانمئة تسعمئة".split()
_DAYS = "الأول الثاني الثالث الرابع الخامس السادس السابع الثامن التاسع العاشر".split()
_HOURS = [
    *"الواحدة الثانية الثالثة الرابعة الخامسة السادسة السابعة الثامنة التاسعة العاشرة".split(),
    "الحادية عشرة",
    "الثانية عشرة",
]


def _noun(one: str, few: str = "", two: str = "", gender: str = "m") -> Noun:
    """Return a noun; without a plural it is a loan word that never changes."""
    many = one if not few or one[-1] in "ةاوي" else one + "ا"
    if not two and few:
        two = one[:-1] + "تان" if one[-1] == "ة" else one + "ان"
    return Noun(one, many, gender, two, few or one)


_STEPS = (
    (10**12, _noun("تريليون", "تريليونات")),
    (10**9, _noun("مليار", "مليارات")),
    (10**6, _noun("مليون", "ملايين")),
    (1000, _noun("ألف", "آلاف")),
)


class Arabic(Language):
    """A noun's form depends on the number's last two digits, and the number's on the noun's gender."""

    code = "ar"
    decimal_signs = ".٫"
    group_signs = ",٬"
    digit_words = tuple(_ONES["m"][:10])
    point = "فاصلة"
    minus = "ناقص"
    percent = "بالمئة"
    permille = "بالألف"
    to = "إلى"
    ratio = "إلى"
    over = "على"
    per = "في"
    fractions: ClassVar = {(1, 2): "نصف", (1, 3): "ثلث", (2, 3): "ثلثان", (1, 4): "ربع", (3, 4): "ثلاثة أرباع"}
    months = tuple("يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر".split())
    half_signs: ClassVar = {"ص": "am", "م": "pm", "am": "am", "AM": "am", "pm": "pm", "PM": "pm"}
    symbols: ClassVar = {
        "&": "و", "+": "زائد", "=": "يساوي", "%": "بالمئة", "−": "ناقص", "±": "زائد أو ناقص", "×": "ضرب", "÷": "على",
        "≈": "حوالي", "≠": "لا يساوي", "≤": "على الأكثر", "≥": "على الأقل", "°": "درجة",
    }  # fmt: skip
    number_sign = "رقم"
    section_sign = "فقرة"
    currencies: ClassVar = {
        "USD": _noun("دولار", "دولارات"),
        "EUR": _noun("يورو"),
        "GBP": _noun("جنيه إسترليني"),
        "JPY": _noun("ين"),
        "CNY": _noun("يوان"),
        "INR": _noun("روبية", "روبيات", gender="f"),
        "SAR": _noun("ريال", "ريالات"),
        "AED": _noun("درهم", "دراهم"),
        "EGP": _noun("جنيه", "جنيهات"),
        "CHF": _noun("فرنك", "فرنكات"),
    }
    minor: ClassVar = {
        **dict.fromkeys(("USD", "EUR"), _noun("سنت", "سنتات")),
        "EGP": _noun("قرش", "قروش"),
        "SAR": _noun("هللة", "هللات", gender="f"),
    }
    scales: ClassVar = {
        **dict.fromkeys(("k", "K", "ألف", "آلاف"), (1000, _noun("ألف", "آلاف"))),
        **dict.fromkeys(("m", "M", "مليون", "ملايين"), (10**6, _noun("مليون", "ملايين"))),
        **dict.fromkeys(("b", "B", "bn", "مليار", "مليارات"), (10**9, _noun("مليار", "مليارات"))),
    }
    prefixes: ClassVar = {"k": "كيلو", "M": "ميغا", "G": "غيغا", "T": "تيرا", "c": "سنتي", "m": "ملي"}
    bases: ClassVar = {
        "m": _noun("متر", "أمتار"),
        "km": _noun("كيلومتر", "كيلومترات"),
        "cm": _noun("سنتيمتر", "سنتيمترات"),
        "mm": _noun("مليمتر", "مليمترات"),
        "g": _noun("غرام", "غرامات"),
        "l": _noun("لتر", "لترات"),
        "Hz": _noun("هرتز"),
        "W": _noun("واط"),
        "B": _noun("بايت"),
        "V": _noun("فولت"),
        "cal": _noun("سعرة", "سعرات", gender="f"),
        "s": _noun("ثانية", "ثوان", "ثانيتان", gender="f"),
        "h": _noun("ساعة", "ساعات", gender="f"),
        "min": _noun("دقيقة", "دقائق", gender="f"),
    }
    units: ClassVar = {
        "°C": Noun("درجة مئوية", "درجة مئوية", "f", "درجتان مئويتان", "درجات مئوية"),
        "°F": Noun("درجة فهرنهايت", "درجة فهرنهايت", "f", "درجتان فهرنهايت", "درجات فهرنهايت"),
        "°": _noun("درجة", "درجات", gender="f"),
        "كم": _noun("كيلومتر", "كيلومترات"),
        "كغ": _noun("كيلوغرام", "كيلوغرامات"),
        "كجم": _noun("كيلوغرام", "كيلوغرامات"),
        "سم": _noun("سنتيمتر", "سنتيمترات"),
        "m²": Noun("متر مربع", "مترا مربعا", "m", "متران مربعان", "أمتار مربعة"),
        "كم/س": Noun("كيلومتر في الساعة", "كيلومترا في الساعة", "m", "كيلومتران في الساعة", "كيلومترات في الساعة"),
    }
    per_units: ClassVar = {"h": "الساعة", "s": "الثانية", "min": "الدقيقة"}

    def __init__(self, region: str) -> None:
        super().__init__()

    def cardinal(self, number: int, gender: str = "") -> str:
        if not number:
            return _ONES["m"][0]
        words = []
        for value, noun in _STEPS:
            times, number = divmod(number, value)
            if times:
                words.append(self._times(times, noun))
        if number >= 100:
            words.append(_HUNDREDS[number // 100 - 1])
            number %= 100
        if number:
            words.append(self._below_hundred(number, gender or "m"))
        return " و".join(words)

    def _times(self, times: int, noun: Noun) -> str:
        if times == 1:
            return noun.one
        if times == 2:
            return noun.two
        words = self.cardinal(times)
        if times % 100 == 0 and words.endswith("مئتان"):
            words = words[:-1]
        return f"{words} {self._form(times, noun)}"

    def _below_hundred(self, number: int, gender: str) -> str:
        ones = _ONES[gender]
        if number <= 10:
            return ones[number]
        if number < 20:
            ten = "عشر" if gender == "m" else "عشرة"
            first = {11: ("أحد", "إحدى"), 12: ("اثنا", "اثنتا"), 18: ("ثمانية", "ثماني")}.get(number)
            return f"{first[gender == 'f'] if first else ones[number - 10]} {ten}"
        tens = _TENS[number // 10 - 2]
        return f"{ones[number % 10]} و{tens}" if number % 10 else tens

    def ordinal(self, number: int, gender: str = "m") -> str:
        if number <= 10:
            return _DAYS[number - 1] if number else _ONES["m"][0]
        if number > 99:
            return self.cardinal(number)
        if number < 20:
            return ("الحادي" if number == 11 else _DAYS[number - 11]) + " عشر"
        tens = "ال" + _TENS[number // 10 - 2]
        if not number % 10:
            return tens
        return f"{'الحادي' if number % 10 == 1 else _DAYS[number % 10 - 1]} و{tens}"

    @staticmethod
    def _form(number: int, noun: Noun) -> str:
        rest = number % 100
        if 3 <= rest <= 10:
            return noun.few
        return noun.many if rest > 10 else noun.one

    def count(self, number: Number, noun: Noun) -> str:
        if number.fraction or len(number.whole) > 15:
            return self.join(self.number(number), noun.one)
        value = int(number.whole)
        if number.negative or value not in (1, 2) or not noun.two:
            text = self.number(number, noun.gender)
            if value % 100 == 0 and text.endswith("مئتان"):
                text = text[:-1]
            return self.join(text, self._form(value, noun))
        return noun.two if value == 2 else f"{noun.one} {_ONES[noun.gender][1]}"

    def scaled(self, number: Number, scale: tuple[int, Noun], noun: Noun) -> str:
        if number.fraction:
            return self.join(self.number(number), scale[1].one, noun.one)
        return self.join(self._times(int(number.whole), scale[1]), noun.one)

    def with_minor(self, whole: str, minor: str) -> str:
        return f"{whole} و{minor}"

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        return self.join(self.ordinal(day), "من", self.months[month - 1], self.year(year) if year else "")

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        if not half and hour % 24 != hour % 12:
            half = "pm"
        words = _HOURS[(hour - 1) % 12]
        if minute in (15, 30):
            words += " والربع" if minute == 15 else " والنصف"
        elif minute:
            words += " و" + self.count(Number(str(minute)), self.bases["min"])
        if second:
            words += " و" + self.count(Number(str(second)), self.bases["s"])
        return words + {"am": " صباحا", "pm": " مساء"}.get(half, "")
