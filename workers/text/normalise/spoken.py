"""What was read: numbers, nouns that are counted, and how long the reading is."""

import unicodedata
from typing import NamedTuple


class Number(NamedTuple):
    """A number as it was written, in ASCII digits."""

    whole: str
    fraction: str = ""
    negative: bool = False
    point: str = ""  # what stands in front of the fraction

    @property
    def is_one(self) -> bool:
        return self.whole == "1" and not self.fraction

    @property
    def below_two(self) -> bool:
        return self.whole in {"0", "1"}


class Noun(NamedTuple):
    """A noun that is counted. ``two`` and ``few`` (three to ten) are for languages that have such forms."""

    one: str
    many: str
    gender: str = "m"
    two: str = ""
    few: str = ""


class Reading(NamedTuple):
    """So many characters, and what is said for them."""

    end: int
    text: str


def ascii_digits(text: str) -> str:
    """Return digits of any script as ASCII ones."""
    return text if text.isascii() else "".join(str(unicodedata.decimal(char)) for char in text)
