"""Chinese (Mandarin), in simplified characters. The library says 〇 for 零 and 兆 for 万亿: its numbers are our own."""

from typing import ClassVar

from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.spoken import Noun, Number

_MYRIADS = ("", "万", "亿", "万亿")
_PLACES = ("", "十", "百", "千")
_MEASURE_WORDS = frozenset("个只位本张件次天年周倍种条名台辆家块楼遍岁分小元人份杯瓶斤")


def _unit(name: str) -> Noun:
    return Noun(name, name)


class Chinese(Language):
    """Two is 两 where something is counted; years are said digit by digit."""

    code = "zh"
    blank = ""
    list_sign = "，"
    group_signs = ",，"
    digit_words = tuple("零一二三四五六七八九")
    point = "点"
    minus = "负"
    percent = "百分之"
    permille = "千分之"
    to = "到"
    ratio = "比"
    over = "分之"
    per = "每"
    fractions: ClassVar = {}
    months = tuple(f"{month}月" for month in "一 二 三 四 五 六 七 八 九 十 十一 十二".split())
    half_signs: ClassVar = {"am": "am", "AM": "am", "pm": "pm", "PM": "pm"}
    symbols: ClassVar = {
        "&": "和", "+": "加", "=": "等于", "%": "百分之", "−": "减", "±": "正负", "×": "乘", "÷": "除以", "≈": "约等于",
        "≠": "不等于", "≤": "小于等于", "≥": "大于等于", "°": "度",
    }  # fmt: skip
    number_sign = "第"
    section_sign = "第"
    currencies: ClassVar = {
        "USD": _unit("美元"),
        "EUR": _unit("欧元"),
        "GBP": _unit("英镑"),
        "JPY": _unit("日元"),
        "CNY": _unit("元"),
        "INR": _unit("卢比"),
        "BRL": _unit("雷亚尔"),
        "CHF": _unit("瑞士法郎"),
        "CAD": _unit("加元"),
        "AUD": _unit("澳元"),
        "RUB": _unit("卢布"),
        "KRW": _unit("韩元"),
    }
    scales: ClassVar = {
        **dict.fromkeys(("k", "K", "千"), (1000, _unit("千"))),
        "万": (10**4, _unit("万")),
        **dict.fromkeys(("m", "M", "百万"), (10**6, _unit("百万"))),
        "亿": (10**8, _unit("亿")),
        **dict.fromkeys(("b", "B", "bn"), (10**9, _unit("十亿"))),
    }
    prefixes: ClassVar = {}
    bases: ClassVar = {
        "m": _unit("米"), "km": _unit("公里"), "cm": _unit("厘米"), "mm": _unit("毫米"), "µm": _unit("微米"),
        "nm": _unit("纳米"), "g": _unit("克"), "kg": _unit("公斤"), "mg": _unit("毫克"), "µg": _unit("微克"),
        "l": _unit("升"), "ml": _unit("毫升"), "Hz": _unit("赫兹"), "kHz": _unit("千赫兹"), "MHz": _unit("兆赫兹"),
        "GHz": _unit("吉赫兹"), "W": _unit("瓦"), "kW": _unit("千瓦"), "MW": _unit("兆瓦"), "kWh": _unit("千瓦时"),
        "V": _unit("伏"), "kB": _unit("千字节"), "KB": _unit("千字节"), "MB": _unit("兆字节"), "GB": _unit("吉字节"),
        "TB": _unit("太字节"), "s": _unit("秒"), "ms": _unit("毫秒"), "h": _unit("小时"), "min": _unit("分钟"),
        "kcal": _unit("千卡"), "hPa": _unit("百帕"), "mAh": _unit("毫安时"), "Mbit": _unit("兆比特"),
    }  # fmt: skip
    units: ClassVar = {
        "°C": _unit("摄氏度"), "℃": _unit("摄氏度"), "°F": _unit("华氏度"), "°": _unit("度"), "m²": _unit("平方米"),
        "km²": _unit("平方公里"), "m³": _unit("立方米"), "t": _unit("吨"), "dB": _unit("分贝"), "px": _unit("像素"),
    }  # fmt: skip
    per_units: ClassVar = {"h": "小时", "s": "秒", "min": "分钟"}

    def __init__(self, region: str) -> None:
        super().__init__()

    def cardinal(self, number: int, gender: str = "") -> str:
        if not number:
            return "零"
        words, zero = "", False
        groups = []
        while number:
            number, group = divmod(number, 10_000)
            groups.append(group)
        for place in range(len(groups) - 1, -1, -1):
            group = groups[place]
            if not group:
                zero = bool(words)
                continue
            words += "零" if words and (zero or group < 1000) else ""
            words += ("两" if group == 2 and place else self._thousands(group)) + _MYRIADS[place]
            zero = False
        return words[1:] if words.startswith("一十") else words

    def _thousands(self, number: int) -> str:
        words, zero = "", False
        for place in (3, 2, 1, 0):
            digit = number // 10**place % 10
            if not digit:
                zero = bool(words)
                continue
            words += "零" if zero else ""
            words += ("两" if digit == 2 and place == 3 else self.digit_words[digit]) + _PLACES[place]
            zero = False
        return words

    def ordinal(self, number: int, gender: str = "m") -> str:
        return "第" + self.cardinal(number)

    def year(self, number: int) -> str:
        return self.spell(str(number))

    def plain(self, number: Number, before: str, behind: str, *, noun_begins: str = "") -> str:
        if behind == "年" and len(number.whole) == 4 and not number.fraction:
            return self.spell(number.whole)
        if (
            behind
            and behind in _MEASURE_WORDS | {"点"}
            and before != "第"
            and number.whole == "2"
            and not number.fraction
        ):
            return f"{self.minus}两" if number.negative else "两"
        return self.number(number)

    def count(self, number: Number, noun: Noun) -> str:
        if number.whole == "2" and not number.fraction and noun.one != "摄氏度":
            return (self.minus if number.negative else "") + "两" + noun.one
        return self.number(number) + noun.one

    def percentage(self, number: Number) -> str:
        return self.percent + self.number(number)

    def fraction(self, upper: int, lower: int) -> str:
        return f"{self.cardinal(lower)}分之{self.cardinal(upper)}"

    def scaled(self, number: Number, scale: tuple[int, Noun], noun: Noun) -> str:
        return self.multiplied(number, scale, noun)

    def is_phone(self, digits: str) -> bool:
        return (len(digits) == 11 and digits[0] == "1") or super().is_phone(digits)

    def phone_group(self, digits: str) -> str:
        return self.spell(digits).replace("一", "幺")

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        years = f"{self.year(year)}年" if year else ""
        return f"{years}{self.cardinal(month)}月{self.cardinal(day)}日"

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        words = {"am": "上午", "pm": "下午"}.get(half, "") + ("两" if hour == 2 else self.cardinal(hour)) + "点"
        if minute or second:
            words += ("零" if 0 < minute < 10 else "") + self.cardinal(minute) + "分"
        if second:
            words += self.cardinal(second) + "秒"
        return words
