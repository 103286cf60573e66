"""Reading ahead, so that a decision never depends on text that has not come: who asks for it hears `More`."""

import unicodedata
from collections.abc import Mapping
from typing import Generic, TypeVar

#: A reading looks at no more characters than these; behind them, the text counts as ended.
LOOK_AHEAD = 64
BLANKS = frozenset(" \u00a0\u2009\u202f")

_Meaning = TypeVar("_Meaning")


class More(Exception):
    """The text that would decide has not come yet."""


class Reader:
    """The text from one place on: character 0 is the one in question, ``before`` the one in front of it."""

    __slots__ = ("_at", "_final", "_text", "before")

    def __init__(self, text: str, at: int, before: str, *, final: bool) -> None:
        self._text = text
        self._at = at
        self._final = final
        self.before = before

    def __call__(self, place: int) -> str:
        """Return the character at a place, '' behind the end.

        Raises:
            More: it has not come, but may.
        """
        if place >= LOOK_AHEAD:
            return ""
        at = self._at + place
        if at < len(self._text):
            return self._text[at]
        if self._final:
            return ""
        raise More

    def text(self, first: int, last: int) -> str:
        """Return text that was read."""
        return self._text[self._at + first : self._at + last]

    def digits(self, place: int) -> int:
        """Return where the digits that begin here end."""
        while self(place).isdecimal():
            place += 1
        return place

    def gap(self, place: int) -> int:
        """Return the place behind a blank, if there is one here."""
        return place + 1 if self(place) in BLANKS else place

    def follows(self, place: int, text: str) -> bool:
        """Say whether this text stands here."""
        return all(self(place + number) == char for number, char in enumerate(text))


class Signs(Generic[_Meaning]):
    """Fixed texts (signs, abbreviations, names), each with its meaning; the longest that stands at a place counts."""

    def __init__(self, meanings: Mapping[str, _Meaning]) -> None:
        self._meanings = {text: meaning for text, meaning in meanings.items() if text}
        self._beginnings = frozenset(text[:end] for text in self._meanings for end in range(1, len(text) + 1))

    def read(self, reader: Reader, place: int) -> tuple[int, _Meaning] | None:
        """Return where the sign at a place ends, and its meaning. A sign does not end within a word."""
        found: tuple[int, _Meaning] | None = None
        text = ""
        while (char := reader(place)) and (text + char) in self._beginnings:
            text += char
            place += 1
            if text in self._meanings and not (is_word(char) and is_word(reader(place))):
                found = place, self._meanings[text]
        return found


def is_word(char: str) -> bool:
    """Say whether a character goes on a word that stands in front of it; scripts without blanks have no such words."""
    if not char:
        return False
    if char <= "z":  # the usual case
        return char.isalnum()
    return (char.isalnum() and not is_bare(char)) or extends(char)


def is_bare(char: str) -> bool:
    """Say whether a character is of a script that is written without blanks (Chinese, Japanese)."""
    return "\u2e80" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or char >= "\U00020000"


def extends(char: str) -> bool:
    """Say whether a character belongs to the one in front of it: they are one grapheme cluster."""
    return bool(char) and char > "z" and (char in "\u200c\u200d\uff9e\uff9f" or unicodedata.category(char)[0] == "M")
