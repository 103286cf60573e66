"""URLs and e-mail addresses become words: ``example.com/docs`` is "example dot com slash docs".

- With a scheme: all of it, its scheme and what follows ``?`` or ``#`` left out.
- Without: ``.`` between a word and a well-known top-level domain, however many labels there are; ``a@example.com`` with
  any. Words that are domains, too (``in``, ``it``, ``me``), count only with a path behind them: in "done.in" a blank is
  missing.
- Punctuation at its end, and a bracket that it did not open, are not part of an address.

The word in front of the first ``.`` or ``@`` is not waited for: it is spoken as it stands. An address is spoken up to
its 256th character; the rest of it is left out.
"""

import re
from typing import NamedTuple

from saystream.workers.text.characters import UNSPACED, is_word
from saystream.workers.text.rewriter import Replacement, Rewriter, Verdict
from saystream.workers.text.run import Item


class Spoken(NamedTuple):
    """How the signs of an address are called."""

    dot: str
    at: str
    slash: str
    dash: str
    underscore: str
    plus: str
    colon: str


SPOKEN = {
    "en": Spoken("dot", "at", "slash", "dash", "underscore", "plus", "colon"),
    "de": Spoken("Punkt", "at", "Schrägstrich", "Minus", "Unterstrich", "plus", "Doppelpunkt"),
    "fr": Spoken("point", "arobase", "barre oblique", "tiret", "tiret bas", "plus", "deux-points"),
    "es": Spoken("punto", "arroba", "barra", "guion", "guion bajo", "más", "dos puntos"),
    "pt": Spoken("ponto", "arroba", "barra", "hífen", "sublinhado", "mais", "dois pontos"),
    "it": Spoken("punto", "chiocciola", "barra", "trattino", "trattino basso", "più", "due punti"),
    "nl": Spoken("punt", "apenstaartje", "slash", "streepje", "laag streepje", "plus", "dubbele punt"),
    "zh": Spoken("点", "艾特", "斜杠", "横杠", "下划线", "加", "冒号"),
    "ja": Spoken("ドット", "アットマーク", "スラッシュ", "ハイフン", "アンダーバー", "プラス", "コロン"),
    "ar": Spoken("نقطة", "آت", "شرطة مائلة", "شرطة", "شرطة سفلية", "زائد", "نقطتان"),
    "hi": Spoken("डॉट", "ऐट", "स्लैश", "डैश", "अंडरस्कोर", "प्लस", "कोलन"),
}

_LONGEST = 256
_DOMAINS = frozenset(
    "com org net edu gov mil int info biz io ai dev app co tv xyz tech online site store shop blog cloud page news "
    "wiki uk de fr es pt br cn jp eu ca au ch nl se dk fi pl cz ru ua kr tw hk sg nz ie mx ar cl za tr gr hu".split()
)
#: Domains that are words, too.
_WORDS_TOO = frozenset("in it at is be no so to my us am as me pm do la".split())
_LETTER = "A-Za-z0-9\u00c0-\u024f"
_LABEL = f"[{_LETTER}](?:[{_LETTER}-]{{0,61}}[{_LETTER}])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})+"
_PART = rf"[^\s<>\"“”„«»`|\\^{{}}，。、；：！？（）【】「」『』{UNSPACED}]"
_PART_CHAR = re.compile(_PART)
_WORD = re.compile(f"{_PART}+")
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_URL = re.compile(rf"https?://[^\s/?#]{_PART}*", re.IGNORECASE)
_BARE = re.compile(rf"(?:\.{_LABEL})+(?::[0-9]{{1,5}})?(?:[/?#]{_PART}*)?")
_MAIL = re.compile(rf"[._+][{_LETTER}._+-]{{0,64}}@{_HOST}|@{_HOST}")
_TRAILING = ".,;:!?…'’*_~"
_BRACKETS = {")": "(", "]": "["}


class Addresses(Rewriter):
    """Speaks addresses.

    Args:
        language: ISO 639-1, perhaps with a region; English if there is no wording for it.
    """

    look_ahead = _LONGEST

    def __init__(self, language: str | None) -> None:
        super().__init__()
        self._spoken = SPOKEN.get((language or "en")[:2].lower(), SPOKEN["en"])
        self.trigger = _TRIGGER
        self._skipping = False  # what is left of an address that is too long

    @property
    def calm(self) -> bool:
        return super().calm and not self._skipping

    def settle(self) -> list[Item]:
        """Do not keep the end of a sentence waiting through a pause."""
        return self.flush() if self._waiting.text in (".", "h", "H") else []

    def decide(self, text: str, at: int, before: str, *, final: bool) -> Replacement | Verdict:
        if self._skipping:
            return self._skip(text, at)
        word = _WORD.match(text, at)
        if word is None or at + 1 == len(text):
            return Verdict.NOTHING if word is None else Verdict.MORE
        following = text[at + 1]
        if text[at] in "hH":
            if is_word(before) or not _may_be(text[at : at + 8].lower()):
                return Verdict.NOTHING
        elif not is_word(before) or not following.isalnum() or (before.isdigit() and following.isdigit()):
            return Verdict.NOTHING
        end = word.end()
        if end == len(text) and end - at < _LONGEST and not final:
            return Verdict.MORE
        length = _length(text[at:end])
        if not length:
            return Verdict.NOTHING
        if length >= _LONGEST:
            self._skipping, self.trigger = True, _ANY
        return Replacement(length, self._words(text[at : at + length]))

    def _skip(self, text: str, at: int) -> Replacement | Verdict:
        if _PART_CHAR.match(text, at):
            return Replacement(1, "")
        self._skipping, self.trigger = False, _TRIGGER
        return Verdict.NOTHING

    def _words(self, address: str) -> str:
        scheme = _SCHEME.match(address)
        rest = re.split(r"[?#]", address[scheme.end() if scheme else 0 :], maxsplit=1)[0].rstrip("/")
        host, slash, path = rest.partition("/")
        if scheme and "@" in host:  # a name and a password
            host = host.rpartition("@")[2]
        path = re.sub(r"%[0-9A-Fa-f]{2}|[^\w./+:]|_", " ", path)
        spoken = self._spoken
        names = {".": spoken.dot, "@": spoken.at, "/": spoken.slash, "_": spoken.underscore, "+": spoken.plus}
        names[":"] = spoken.colon
        words = re.sub(r"[.@/_+:]", lambda sign: f" {names[sign[0]]} ", host + slash + path)
        words = " ".join(words.split())
        return words if scheme else f" {words}"


_TRIGGER = re.compile(r"[.@_+]|(?<![A-Za-z])[hH](?=[tT]|\Z)")
_ANY = re.compile(r"[\s\S]")


def _may_be(begun: str) -> bool:
    """Tell whether a text of eight characters, or fewer, may be the beginning of a URL."""
    return any(url.startswith(begun[: len(url)]) for url in ("http://", "https://"))


def _length(word: str) -> int:
    """Return how much of a word, from its first sign on, is an address; 0 if it is none."""
    if word[0] in "hH":
        url = _URL.match(word)
        return 0 if url is None else _trimmed(word, url.end())
    if (mail := _MAIL.match(word)) is not None:
        return 0 if is_word(word[mail.end() : mail.end() + 1]) else mail.end()
    bare = _BARE.match(word) if word[0] == "." else None
    if (
        bare is None
        or is_word(word[bare.end() : bare.end() + 1])
        or word[bare.end() : bare.end() + 1] in ("@", "_", "-")
    ):
        return 0
    end = _trimmed(word, bare.end())
    return end if _is_domain(word[:end]) else 0


def _is_domain(address: str) -> bool:
    """Tell whether ``.label.label/path`` names a host."""
    host, slash, _ = re.sub(r"[:?#]", "/", address, count=1).partition("/")
    labels = host.split(".")[1:]
    last = labels[-1]
    if last in _DOMAINS:
        return True
    return last in _WORDS_TOO and bool(slash)


def _trimmed(word: str, end: int) -> int:
    """Return where an address ends that may have punctuation behind it."""
    if end >= _LONGEST:
        return end
    while end > 1:
        last = word[end - 1]
        opening = _BRACKETS.get(last)
        if last not in _TRAILING and (opening is None or word.count(last, 0, end) <= word.count(opening, 0, end)):
            break
        end -= 1
    return end
