"""Japanese. Numbers stay in the characters that a voice reads by their place, which digits would not be."""

from typing import ClassVar

from saystream.workers.text.normalise.languages.base import Language
from saystream.workers.text.normalise.spoken import Noun, Number

_MYRIADS = ("", "万", "億", "兆")
_PLACES = ("", "十", "百", "千")


def _unit(name: str) -> Noun:
    return Noun(name, name)


class Japanese(Language):
    """One is left out in front of ten, hundred and thousand."""

    code = "ja"
    blank = ""
    list_sign = "、"
    group_signs = ",，"
    decimal_signs = ".．"
    digit_words = ("ゼロ", *"一二三四五六七八九")
    point = "点"
    minus = "マイナス"
    percent = "パーセント"
    permille = "パーミル"
    to = "から"
    ratio = "対"
    over = "分の"
    per = "毎"
    fractions: ClassVar = {}
    months = tuple(f"{month}月" for month in "一 二 三 四 五 六 七 八 九 十 十一 十二".split())
    half_signs: ClassVar = {"am": "am", "AM": "am", "pm": "pm", "PM": "pm"}
    symbols: ClassVar = {
        "&": "アンド", "+": "プラス", "=": "イコール", "%": "パーセント", "−": "マイナス", "±": "プラスマイナス",
        "×": "かける", "÷": "わる", "≈": "約", "≠": "ノットイコール", "≤": "以下", "≥": "以上", "°": "度",
    }  # fmt: skip
    number_sign = "ナンバー"
    section_sign = "セクション"
    currencies: ClassVar = {
        "USD": _unit("ドル"),
        "EUR": _unit("ユーロ"),
        "GBP": _unit("ポンド"),
        "JPY": _unit("円"),
        "CNY": _unit("元"),
        "INR": _unit("ルピー"),
        "BRL": _unit("レアル"),
        "CHF": _unit("スイスフラン"),
        "CAD": _unit("カナダドル"),
        "AUD": _unit("オーストラリアドル"),
        "RUB": _unit("ルーブル"),
        "KRW": _unit("ウォン"),
    }
    scales: ClassVar = {
        **dict.fromkeys(("k", "K", "千"), (1000, _unit("千"))),
        "万": (10**4, _unit("万")),
        **dict.fromkeys(("m", "M", "百万"), (10**6, _unit("百万"))),
        "億": (10**8, _unit("億")),
        **dict.fromkeys(("b", "B", "bn"), (10**9, _unit("十億"))),
    }
    prefixes: ClassVar = {
        "k": "キロ", "M": "メガ", "G": "ギガ", "T": "テラ", "P": "ペタ", "c": "センチ", "d": "デシ", "m": "ミリ",
        "µ": "マイクロ", "n": "ナノ", "h": "ヘクト",
    }  # fmt: skip
    bases: ClassVar = {
        "m": _unit("メートル"),
        "g": _unit("グラム"),
        "l": _unit("リットル"),
        "Hz": _unit("ヘルツ"),
        "W": _unit("ワット"),
        "Wh": _unit("ワット時"),
        "B": _unit("バイト"),
        "bit": _unit("ビット"),
        "V": _unit("ボルト"),
        "Pa": _unit("パスカル"),
        "cal": _unit("カロリー"),
        "J": _unit("ジュール"),
        "Ah": _unit("アンペア時"),
        "s": _unit("秒"),
        "h": _unit("時間"),
        "min": _unit("分"),
    }
    units: ClassVar = {
        "°C": _unit("度"), "℃": _unit("度"), "°F": _unit("華氏度"), "°": _unit("度"), "m²": _unit("平方メートル"),
        "㎡": _unit("平方メートル"), "km²": _unit("平方キロメートル"), "m³": _unit("立方メートル"), "t": _unit("トン"),
        "dB": _unit("デシベル"), "px": _unit("ピクセル"), "㎞": _unit("キロメートル"), "㎏": _unit("キログラム"),
    }  # fmt: skip
    per_units: ClassVar = {"h": "時", "s": "秒", "min": "分"}

    def __init__(self, region: str) -> None:
        super().__init__()

    def cardinal(self, number: int, gender: str = "") -> str:
        if not number:
            return "ゼロ"
        words = ""
        for myriad in (3, 2, 1, 0):
            group = number // 10_000**myriad % 10_000
            if not group:
                continue
            for place in (3, 2, 1, 0):
                digit = group // 10**place % 10
                if digit:
                    one_is_said = not place or (myriad and group == 1000)
                    words += ("" if digit == 1 and not one_is_said else self.digit_words[digit]) + _PLACES[place]
            words += _MYRIADS[myriad]
        return words

    def ordinal(self, number: int, gender: str = "m") -> str:
        return "第" + self.cardinal(number)

    def plain(self, number: Number, before: str, behind: str, *, noun_begins: str = "") -> str:
        return self.number(number)

    def fraction(self, upper: int, lower: int) -> str:
        return f"{self.cardinal(lower)}分の{self.cardinal(upper)}"

    def scaled(self, number: Number, scale: tuple[int, Noun], noun: Noun) -> str:
        return self.multiplied(number, scale, noun)

    def date(
        self, day: int, month: int, year: int | None, *, month_first: bool | None = None, ranked: bool = False
    ) -> str:
        years = f"{self.year(year)}年" if year else ""
        return f"{years}{self.cardinal(month)}月{self.cardinal(day)}日"

    def clock(self, hour: int, minute: int, second: int | None, half: str) -> str:
        words = f"{ {'am': '午前', 'pm': '午後'}.get(half, '') }{self.cardinal(hour)}時"
        if minute or second:
            words += f"{self.cardinal(minute)}分"
        if second:
            words += f"{self.cardinal(second)}秒"
        return words
