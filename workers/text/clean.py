"""Unicode made ready for speech: composed (NFC), without what is invisible, all blanks alike.

**What waits.** A letter, digit, ``#`` or ``*`` at the end of a token may be the base of a combining mark that comes
with the next one (``e`` + U+0301 is ``é``), so it waits for the next token: one character, together with the marks that
follow it, 17 at most. Blanks and punctuation never wait, nor do Han characters. Nothing is spoken later for it: a word
whose last letter waits is not known to be complete without the next token anyway; and a pause of the LLM ends the wait
(`Pipeline.settle`). This is the price of the law that the result does not depend on the cut: what is out cannot be
composed any more.

A base and its marks (at most 16) are composed; further marks, and marks that stand on none of these bases, are put in
order among themselves and pass. What stood on both sides of something dropped is not composed, but for the invisible.
"""

import re
import unicodedata
from itertools import pairwise

from saystream.workers.text.characters import marks
from saystream.workers.text.run import Run, spread

_MOST_MARKS = 16
#: Joiners say how letters of these scripts are written, and make one emoji of several.
_JOINING = re.compile(
    "[\u0600-\u0dff\u1000-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc"
    "\u2190-\u2bff\u3030\u303d\u3297\u3299\u20e3\ufe0f\U0001f000-\U0001faff]"
)
_JOINERS = "\u200c\u200d"
_FLAG, _TAGS = "\U0001f3f4", ("\U000e0020", "\U000e007f")
#: Dropped: soft hyphen, zero-width, directions, controls, byte-order mark, what stands for an object or for an error.
_INVISIBLE = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\uffff\U000e0001"
)
_INVISIBLE_CHAR = re.compile(f"[{_INVISIBLE}]")
_BLANKS = "\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_BLANK_CHAR = re.compile(f"[{_BLANKS}]")
_LINE_ENDS = "\x0b\x0c\r\x85\u2028\u2029"
#: What is neither changed nor part of anything: most of what is written. Only to be quick; a test checks it.
PLAIN = (
    "\n -~\u00a1-\u00ac\u00ae-\u02af\u0391-\u03a1\u03a3-\u03ff\u0400-\u0482\u048a-\u052f\u05d0-\u05ea\u0620-\u064a"
    "\u0904-\u0939\u0964-\u0970\u1e00-\u1eff\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u2328\u232b-\u2adb\u2add-\u2bff"
    "\u3001-\u3029\u3041-\u3096\u309b-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff01-\uff60\U0001f300-\U0001faff"
)
_NOT_PLAIN = re.compile(f"[^{PLAIN}]")
_EXTENDING = f"{marks()}{_INVISIBLE}"
_HAN = "\u2e80-\u2fdf\u3400-\u9fff\uf900-\ufaff"
_BASE = f"(?![{_HAN}])[^\\W_]|[#*]"
_BASE_CHAR = re.compile(_BASE)
_EXTENDING_CHAR = re.compile(f"[{_EXTENDING}]")
#: A base with what extends it; what extends nothing; a surrogate with its other half; one character to look at.
_PLACE = re.compile(
    f"(?:{_BASE})[{_EXTENDING}]{{1,{_MOST_MARKS}}}|[{_EXTENDING}]{{1,{_MOST_MARKS}}}"
    f"|[\ud800-\udbff][\udc00-\udfff]|[^{PLAIN}]"
)
_HIGH, _LOW = ("\ud800", "\udbff"), ("\udc00", "\udfff")


class Clean:
    """The first step: takes the turn's text from its first character, and gives out runs."""

    suspects = _NOT_PLAIN

    def __init__(self) -> None:
        self.waiting = ""  # the end of what has come
        self._at = 0  # where that begins in the turn's text
        self._last = ""  # the last character that was given out
        self._returned = False  # the last character of the source was a carriage return

    @property
    def calm(self) -> bool:
        """Whether plain text would pass unchanged."""
        return not self._returned

    def feed(self, text: str) -> list[Run]:
        """Take text; give out what is decided with it."""
        return self._cleaned(self.waiting + text, final=False)

    def flush(self) -> list[Run]:
        """Give out what waits."""
        return self._cleaned(self.waiting, final=True)

    def pass_plain(self, text: str) -> Run:
        """Do `feed` for plain text, given together with what is `waiting`; the run's text may be empty."""
        at, last = self._at, text[-1]
        if (last.isalnum() and not "\u3400" <= last <= "\u9fff") or last in "#*":
            self.waiting, text = last, text[:-1]
        else:
            self.waiting = ""
        self._at = end = at + len(text)
        if text:
            self._last = text[-1]
        return Run(text, at, end)

    def _cleaned(self, text: str, *, final: bool) -> list[Run]:
        places = [(place.start(), place.end()) for place in _PLACE.finditer(text)]
        end = len(text) if final else _decided(text, places)
        if places and places[-1][0] >= end:
            places.pop()
        at, given = self._at, list[Run]()
        for (_, begin), (first, last) in pairwise([(0, 0), *places, (end, end)]):
            if begin < first:
                self._pass(given, text[begin:first], at + begin)
            if first < last:
                self._treat(given, text[first:last], at + first)
        self.waiting, self._at = text[end:], at + end
        return given

    def _pass(self, given: list[Run], text: str, start: int) -> None:
        if self._returned and text[0] == "\n":
            text, start = text[1:], start + 1
        self._returned = False
        if text:
            self._last = text[-1]
            given.append(Run(text, start, start + len(text)))

    def _treat(self, given: list[Run], raw: str, start: int) -> None:
        text = self._treated(raw)
        self._returned = raw == "\r"
        if text:
            self._last = text[-1]
            given += spread(Run(text, start, start + len(raw)))

    def _treated(self, raw: str) -> str:
        if len(raw) > 1 and _HIGH[0] <= raw[0] <= _HIGH[1]:
            return raw.encode("utf-16", "surrogatepass").decode("utf-16")
        if len(raw) == 1:
            if raw in _JOINERS:
                return raw if _JOINING.match(self._last) else ""
            if raw in _LINE_ENDS:
                return "\n"
            if _TAGS[0] <= raw <= _TAGS[1]:
                return raw if self._last == _FLAG or _TAGS[0] <= self._last <= _TAGS[1] else ""
        return clean(raw)


def _decided(text: str, places: list[tuple[int, int]]) -> int:
    """Return how much of a text does not depend on what comes behind it."""
    end = len(text)
    if not end:
        return 0
    first, last = places[-1] if places else (0, 0)
    if last < end:
        return end - 1 if _BASE_CHAR.match(text[-1]) else end
    extending = end - first - (1 if _BASE_CHAR.match(text[first]) else 0)
    may_go_on = _EXTENDING_CHAR.match(text[-1]) or _BASE_CHAR.match(text[-1]) or _HIGH[0] <= text[-1] <= _HIGH[1]
    return first if may_go_on and extending < _MOST_MARKS else end


def clean(text: str) -> str:
    """Return a whole text cleaned, joiners and the ends of lines aside."""
    text = _INVISIBLE_CHAR.sub("", text)
    text = _BLANK_CHAR.sub(" ", text)
    return unicodedata.normalize("NFC", "".join(char for char in text if not _HIGH[0] <= char <= _LOW[1]))
