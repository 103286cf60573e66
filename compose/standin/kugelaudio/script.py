"""What is to be spoken of a chunk of text: words and pauses, and where in the text without tags each word stands."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from saystream.compose.standin.kugelaudio.tags import TAG
from saystream.compose.standin.orders import Pause

BREAKS_MS = (200, 400, 500)
"""The pauses that there are; what is asked for snaps to the nearest."""

_TAGS = re.compile(TAG, re.IGNORECASE)
_TIME = re.compile(r"""time\s*=\s*["']?\s*(\d+(?:\.\d+)?)\s*(ms|s)\b""", re.IGNORECASE)
_WORD = re.compile(r"\S+")

# The documents have only this symbol; here all others are spoken as they are.
_AT: Final[Mapping[str, str]] = {"en": "at", "de": "ät", "fr": "arobase", "es": "arroba"}


@dataclass(frozen=True, slots=True)
class Script:
    """The items to speak, and of each word among them where it begins and ends (exclusive) in `text`."""

    text: str
    items: tuple[str | Pause, ...]
    spans: tuple[tuple[int, int], ...]


def script(text: str, language: str | None = None) -> Script:
    """Read a chunk of text: breaks become pauses, what is in `<spell>` letters, other tags nothing."""
    plain = ""
    pauses: list[tuple[int, Pause]] = []
    spelling = spelled = False
    at = 0
    for tag in (*_TAGS.finditer(text), None):
        piece = text[at : tag.start()] if tag else text[at:]
        if spelling:
            plain = _apart(plain) + " ".join(_letter(letter, language) for letter in piece if not letter.isspace())
        else:
            plain = (_apart(plain) if spelled and piece[:1].isalnum() else plain) + piece
        if piece:
            spelled = spelling
        if tag is None:
            break
        at = tag.end()
        match tag["name"].lower():
            case "break" if not tag["end"]:
                plain = _apart(plain)
                pauses.append((len(plain), _pause(tag["attributes"])))
            case "spell":
                spelling = not tag["end"]
    return _script(plain, pauses)


def _script(plain: str, pauses: list[tuple[int, Pause]]) -> Script:
    items: list[str | Pause] = []
    spans = []
    waiting = iter([*pauses, (len(plain) + 1, Pause(0.0))])
    place, pause = next(waiting)
    for word in _WORD.finditer(plain):
        while place <= word.start():
            items.append(pause)
            place, pause = next(waiting)
        items.append(word[0])
        spans.append(word.span())
    while place <= len(plain):
        items.append(pause)
        place, pause = next(waiting)
    return Script(plain, tuple(items), tuple(spans))


def _apart(text: str) -> str:
    """The text with a blank behind it, so that what follows is a word of its own."""
    return text if not text or text[-1].isspace() else f"{text} "


def _letter(letter: str, language: str | None) -> str:
    return _AT.get(language or "en", letter) if letter == "@" else letter


def _pause(attributes: str) -> Pause:
    asked = _TIME.search(attributes)
    if asked is None:
        return Pause(BREAKS_MS[0] / 1000)
    asked_ms = float(asked[1]) * (1 if asked[2].lower() == "ms" else 1000)
    return Pause(min(BREAKS_MS, key=lambda known_ms: abs(known_ms - asked_ms)) / 1000)
