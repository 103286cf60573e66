"""Tags in the text: a small portable set, whole however they are cut into tokens.

- ``<flush>``: what came before is spoken at once.
- ``<break time="1.5s"/>``, ``<break time="400ms"/>``, ``<break/>`` (200 ms), ``<break strength="strong"/>``: silence.
- ``<spell>ABC-1</spell>``: spelled out. Closed by us at the end of the turn, or after 256 characters.

Names and attributes may be in capitals, values in any quotes or none. Other tags are dropped, passed to the vendor or
spoken, as the rules say; a dropped ``<br>``, ``<p>``, … leaves a blank. ``a < b``, ``<3``, ``->``, ``1<2>0`` are text,
and so is what follows a word directly (``List<String>``), unless it is a tag that we or HTML know. A tag of more than
256 characters is text. What begins like a tag at the end of the turn and is not finished is dropped if it can only
become one of ours (``<bre``, ``<break time="1``), else it is text.
"""

import re
from collections.abc import Sequence
from typing import Literal

from saystream.workers.text.characters import is_word
from saystream.workers.text.rewriter import Filter, Verdict
from saystream.workers.text.run import Flush, Item, Pause, Run, Spell, Stretch, Verbatim, Whole, spread

LONGEST = 256
LONGEST_PAUSE_S = 10.0
DEFAULT_PAUSE_S = 0.2

_QUOTES = "\"'“”„‘’«»"
_NAME = r"[A-Za-z][\w:.-]{0,40}"
_ATTRIBUTE = rf"\s+[A-Za-z_:][\w:.-]{{0,40}}\s*=\s*(?:[{_QUOTES}][^{_QUOTES}<>]*[{_QUOTES}]|[^\s{_QUOTES}<>]+)"
_TAG = re.compile(rf"<(/?)({_NAME})((?:{_ATTRIBUTE})*)\s*/?>|<\|[^|<>\n]+\|>|<!--(?:[^-]|-(?!->))*-->")
_PARTIAL_ATTRIBUTE = rf"\s+(?:[A-Za-z_:][\w:.-]{{0,40}}\s*(?:=\s*(?:[{_QUOTES}][^{_QUOTES}<>]*|[^\s{_QUOTES}<>]*))?)?"
_PARTIAL = re.compile(
    rf"<(?:/?(?:({_NAME})(?:{_ATTRIBUTE})*(?:{_PARTIAL_ATTRIBUTE})?\s*/?)?|\|[^|<>\n]*\|?|!(?:-(?:-(?:[^-]|-(?!->))*)?)?)\Z"
)
_ATTRIBUTES = re.compile(rf"([A-Za-z_:][\w:.-]*)\s*=\s*(?:[{_QUOTES}]([^{_QUOTES}<>]*)[{_QUOTES}]|([^\s{_QUOTES}<>]+))")
_TIME = re.compile(r"\+?(\d{0,6}(?:[.,]\d{1,6})?)\s*(ms|s|sec|seconds?)?/?", re.IGNORECASE)
_STRENGTH_S = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.8, "x-strong": 1.2}
_OURS = ("flush", "break", "spell")
_BREAKING = frozenset("br p div li ul ol tr td th table hr h1 h2 h3 h4 h5 h6 blockquote pre section article".split())
_HTML = _BREAKING | frozenset(
    "a abbr audio b big body button cite code del details dfn em figure font form head header footer html i iframe img "
    "input ins kbd label link main mark meta nav option q s samp script select small source span strike strong style "
    "sub summary sup svg tbody textarea tfoot thead time title tt u var video wbr speak prosody emphasis phoneme "
    "say-as voice audio lang".split()
)


def scan(text: str, at: int, before: str, *, final: bool) -> int | Verdict:
    """Tell how long the tag is that begins at ``at``, where a ``<`` stands behind ``before``."""
    seen = text[at : at + LONGEST]
    if (found := _TAG.match(seen)) is not None:
        name = (found[2] or "").lower()
        if name and not found[1] and is_word(before) and name not in _HTML and name not in _OURS:
            return Verdict.NOTHING
        return found.end()
    if final or len(seen) == LONGEST or _PARTIAL.match(seen) is None:
        return Verdict.NOTHING
    return Verdict.MORE


class Tags(Filter):
    """Turns tags into marks.

    Args:
        unknown: what becomes of tags that are none of ours.
    """

    suspects = re.compile("<")

    def __init__(self, unknown: Literal["drop", "pass", "speak"]) -> None:
        self._unknown = unknown
        self._waiting = Stretch()
        self._before = ""
        self._spelling: int | None = None  # where the open `<spell>` begins in the producer's text

    @property
    def held(self) -> int:
        return len(self._waiting.text)

    @property
    def calm(self) -> bool:
        return not self._waiting.text and self._spelling is None

    def pass_by(self, last: str) -> None:
        self._before = last

    def feed(self, items: Sequence[Item]) -> list[Item]:
        given: list[Item] = []
        for item in items:
            if isinstance(item, Verbatim) or not isinstance(item, Run):
                self._decide(given, final=True)
                given.append(Run(*item) if isinstance(item, Verbatim) else item)
            elif self.calm and "<" not in item.text:
                if item.text:
                    given.append(item)
                    self._before = item.text[-1]
            else:
                self._waiting.append(item)
                self._decide(given, final=False)
        return given

    def flush(self) -> list[Item]:
        given: list[Item] = []
        self._decide(given, final=True)
        return given

    def _decide(self, given: list[Item], *, final: bool) -> None:
        while self._waiting.text:
            if not (self._in_spell if self._spelling is not None else self._in_text)(given, final):
                break
        if final and self._spelling is not None:  # nothing came behind `<spell>`
            self._spelling = None

    def _in_text(self, given: list[Item], final: bool) -> bool:
        """Go on to behind the next tag; False if more text decides."""
        text = self._waiting.text
        at = text.find("<")
        if at < 0:
            at = len(text)
        if at:
            self._before = text[at - 1]
            given += self._waiting.take(at)
            return True
        length = scan(text, 0, self._before, final=final)
        if length is Verdict.MORE:
            return False
        self._before = "<"
        if length is Verdict.NOTHING:
            partial = _PARTIAL.match(text[:LONGEST]) if final else None
            if partial is not None and partial[1] and _is_begun(partial[1].lower(), text):
                self._waiting.take(len(text))
            else:
                given += self._waiting.take(1)
            return True
        assert isinstance(length, int)
        raw = text[:length]
        runs = self._waiting.take(length)
        self._before = ">"
        self._treat(given, raw, runs)
        return True

    def _treat(self, given: list[Item], raw: str, runs: list[Run]) -> None:
        found = _TAG.match(raw)
        start, end = runs[0].start, runs[-1].end
        closing, name = (bool(found[1]), (found[2] or "").lower()) if found else (False, "")
        if name in _OURS:
            if closing:
                pass  # `</break>`, or a `</spell>` too many
            elif name == "flush":
                given.append(Flush(start, end))
            elif name == "spell":
                self._spelling = None if raw.endswith("/>") else start
            elif (seconds := pause_s(found[3] if found else "")) > 0:
                given.append(Pause(seconds, start, end))
        elif self._unknown == "speak":
            given += runs
        elif self._unknown == "pass":
            given.append(Whole(raw, start, end, spoken=False))
        elif name in _BREAKING:
            given += spread(Run(" ", start, end))

    def _in_spell(self, given: list[Item], final: bool) -> bool:
        """Take up to the end of the spelled text; False if more text decides."""
        seen = self._waiting.text[:LONGEST]
        begun = seen.lower().find("</spell")
        close = _CLOSE.search(seen)
        if close is None and not final and len(seen) < LONGEST:
            return False
        inner = seen[: close.start()] if close is not None else seen[:begun] if begun >= 0 else seen
        taken = self._waiting.take(close.end() if close is not None else len(seen))
        start, self._spelling = self._spelling, None
        assert start is not None
        if inner.strip():
            given.append(Spell(inner.strip(), start, taken[-1].end))
        self._before = ">"
        return True


_CLOSE = re.compile(r"</spell\s*>", re.IGNORECASE)


def _is_begun(name: str, text: str) -> bool:
    """Tell whether an unfinished tag can only become one of ours."""
    if name in _OURS:
        return True
    return text[-1:].isalpha() and len(name) > 1 and any(ours.startswith(name) for ours in _OURS)


def pause_s(attributes: str) -> float:
    """Return for how many seconds a `<break>` with these attributes is silent: at most `LONGEST_PAUSE_S`."""
    given = {name.lower(): quoted or bare for name, quoted, bare in _ATTRIBUTES.findall(attributes)}
    time = _TIME.fullmatch(given.get("time", "").strip())
    if time is not None and time[1]:
        value = float(time[1].replace(",", "."))
        return min(value / 1000 if (time[2] or "").lower() == "ms" else value, LONGEST_PAUSE_S)
    return _STRENGTH_S.get(given.get("strength", "").strip("/").lower(), DEFAULT_PAUSE_S)
