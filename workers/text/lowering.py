"""Marks lowered to what a vendor understands: its own tags, exact silence, or letters one by one.

A `Pause` becomes the vendor's tag, or stays (the worker then makes exact silence). A `Spell` becomes the vendor's tag,
or the letters and the names of the signs in the voice's language.
"""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from saystream.workers.text.addresses import SPOKEN
from saystream.workers.text.characters import is_mark
from saystream.workers.text.run import Item, Pause, Run, Spell, Whole, spread


@dataclass(frozen=True, slots=True)
class TagRule:
    """What a vendor knows of tags.

    Args:
        breaks: writes a pause of so many seconds in the vendor's tags; None if it cannot, or the vendor cannot at all.
        spell: ``<spell>`` is the vendor's own.
    """

    breaks: Callable[[float], str | None] | None = None
    spell: bool = False


NO_TAGS = TagRule()


_DIGITS = {
    "en": "zero one two three four five six seven eight nine",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "pt": "zero um dois três quatro cinco seis sete oito nove",
    "it": "zero uno due tre quattro cinque sei sette otto nove",
    "nl": "nul een twee drie vier vijf zes zeven acht negen",
    "zh": "零 一 二 三 四 五 六 七 八 九",
    "ja": "ゼロ いち に さん よん ご ろく なな はち きゅう",
    "ar": "صفر واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة",
    "hi": "शून्य एक दो तीन चार पाँच छह सात आठ नौ",
}


def lower(items: Iterable[Item], rule: TagRule, language: str | None) -> list[Item]:
    """Return items with their marks in a vendor's words."""
    lowered: list[Item] = []
    for item in items:
        if isinstance(item, Pause) and rule.breaks and (tag := rule.breaks(item.seconds)):
            lowered.append(Whole(tag, item.start, item.end, spoken=False))
        elif isinstance(item, Spell) and rule.spell:
            lowered.append(Whole(f"<spell>{item.text}</spell>", item.start, item.end, spoken=True))
        elif isinstance(item, Spell):
            lowered += spread(Run(spelled(item.text, language), item.start, item.end))
        else:
            lowered.append(item)
    return lowered


def spelled(text: str, language: str | None) -> str:
    """Return a text letter by letter; a comma stands where it has a blank."""
    code = (language or "en")[:2].lower()
    signs = SPOKEN.get(code, SPOKEN["en"])
    digits = _DIGITS.get(code, _DIGITS["en"]).split()
    names = {".": signs.dot, "@": signs.at, "/": signs.slash, "-": signs.dash, "_": signs.underscore, "+": signs.plus}
    names[":"] = signs.colon
    words: list[str] = []
    for char in text:
        if is_mark(char) and words:
            words[-1] += char
        elif char.isspace():
            if words and words[-1][-1] != ",":
                words[-1] += ","
        elif char.isdecimal():
            words.append(digits[unicodedata.decimal(char)])
        else:
            upper = char.upper()
            words.append(names.get(char) or (upper if len(upper) == 1 else char))
    return " ".join(words)
