"""Places where text without blanks can be parted: between grapheme clusters, in scripts that have none, by force."""

import re
import unicodedata

#: Letters of scripts that have no blanks between words: Thai, Lao, Tibetan, Myanmar, Khmer, kana, bopomofo, Han.
BARE = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0ecf\u0f40-\u0fbc\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
    "\u3005-\u3007\u3041-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
#: Blanks at which text must not be parted: what stands around them belongs together.
FIXED_BLANKS = "\u00a0\u2007\u202f"

_REGIONAL = re.compile("[\U0001f1e6-\U0001f1ff]*$")
_PREPENDED = re.compile(
    "[\u0d4e\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a\U00011a84-\U00011a89\U00011d46\U00011f02]"
)
_JAMO_FIRST = re.compile("[\u1100-\u115f\ua960-\ua97c]")
_JAMO_LATER = re.compile("[\u1160-\u11ff\ud7b0-\ud7fb]")
_HANGUL = re.compile("[\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb\uac00-\ud7a3]")
_EXTENDING = re.compile("[\U0001f3fb-\U0001f3ff\uff9e\uff9f\u200c\u200d\u0e33\u0eb3]")
_NEAR = 16  # characters that are looked back at for a virama


def splits_cluster(text: str, at: int) -> bool:
    """Tell whether a place between two characters lies within a grapheme cluster.

    It is careful: it never denies it of a place that is none of Unicode's boundaries, but says it of some that are
    (behind format characters, before characters that this Python does not know). It looks one character ahead.
    """
    before, after = text[at - 1], text[at]
    if before < "\u0300" and after < "\u0300":
        return before == "\xad" or after == "\xad" or (before == "\r" and after == "\n")
    kind = unicodedata.category(after)
    if kind[0] == "M" or kind in ("Cf", "Cn") or _EXTENDING.match(after):
        return True
    if unicodedata.category(before) == "Cf" or _PREPENDED.match(before):
        return True
    if "\U0001f1e6" <= after <= "\U0001f1ff":
        flags = _REGIONAL.search(text, max(0, at - 1024), at)
        return flags is not None and len(flags[0]) % 2 == 1
    if _JAMO_LATER.match(after):
        return _HANGUL.match(before) is not None
    if _JAMO_FIRST.match(before):
        return _HANGUL.match(after) is not None
    return kind == "Lo" and _joins(text, at)


def _joins(text: str, at: int) -> bool:
    """Tell whether a virama before a place joins the letter behind it to the one before."""
    for place in range(at - 1, max(-1, at - 1 - _NEAR), -1):
        if unicodedata.combining(text[place]) == 9:
            return True
        if unicodedata.category(text[place])[0] != "M":
            return False
    return False


#: What does not begin a piece: vowels that follow, small kana, marks of length and repetition, closing marks; what does
#: not end one: vowels that stand in front, opening brackets.
_NOT_FIRST = (
    "\u0e2f\u0e30\u0e32\u0e33\u0e45\u0e46\u0eb0\u0eb2\u0eb3ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶー々〻ゝゞヽヾ"
    "。！？；：，、…—」』）》〉】〗］｝"
)
_NOT_LAST = "\u0e40-\u0e44\u0ec0-\u0ec4「『（《〈【〖［｛"
#: Where a run without blanks is parted, the best first: each pattern matches the place itself.
_SEAMS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<=[{BARE}][。！？；：，、…—・」』）》〉】])|(?<=[。！？；：，、…—・」』）》〉】])(?=[{BARE}])",
        r"(?<=[\u3041-\u309f])(?=[\u30a1-\u30fa\u3400-\u9fff])",  # Japanese: a word begins where kana end
        r"(?<=[的了着过過吗嗎呢吧们們])(?=[\u3400-\u9fff])|(?<=[\u3400-\u9fff])(?=[和与與在是但而也都就从從把被让讓对對因所])",
        r"(?<=[\u0e01-\u0e4e\u0e80-\u0ecf])(?=[\u0e40-\u0e44\u0ec0-\u0ec4])",  # Thai, Lao: a syllable begins
        rf"(?<=[{BARE}])(?=[^\W{BARE}])|(?<=[^\W{BARE}])(?=[{BARE}])",
        rf"(?<=[{BARE}])(?=[{BARE}])",
    )
)
_SEAM_FORBIDDEN = re.compile(rf"(?<=[{_NOT_LAST}])|(?=[{_NOT_FIRST}])|(?<=[\u30a1-\u30fa])(?=[\u30a1-\u30fa])")
#: An address reaches to the next blank or wide mark, whatever its letters.
_ADDRESS = re.compile(r"(?:://|\bwww\.|@)[^\s。！？；，、）」』》]*$")

_FORCED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<=\S)(?=[^\S{FIXED_BLANKS}])",
        rf"(?<=\S)(?=[{FIXED_BLANKS}])",
        r"(?<=[。！？；：，、…—।॥.,;:!?\-‐–/\\_|&=+~\u200b])(?=[^\W\d_])",
    )
)


def seam(text: str, first: int, last: int) -> int | None:
    """Return where a run without blanks is best parted, from ``first`` to ``last``: where a word ends if one shows."""
    for pattern in _SEAMS:
        for found in reversed(list(pattern.finditer(text, first, last + 1))):
            at = found.start()
            if not first <= at <= last or splits_cluster(text, at) or _SEAM_FORBIDDEN.match(text, at):
                continue
            if not _ADDRESS.search(text, 0, at):
                return at
    return None


def forced(text: str, first: int, last: int) -> int:
    """Return where text that offers no place at all is parted, from ``first`` to ``last``.

    At a blank, behind a mark, where the script changes, else between any clusters; a cluster longer than all this is
    parted.
    """
    for pattern in _FORCED:
        for found in reversed(list(pattern.finditer(text, first, last + 1))):
            if first <= found.start() <= last and not splits_cluster(text, found.start()):
                return found.start()
    between = [at for at in range(last, first - 1, -1) if not splits_cluster(text, at)]
    for at in between:
        if _script(text[at - 1]) != _script(text[at]):
            return at
    return between[0] if between else last


def _script(char: str) -> str:
    """Return the first word of a character's name, which is that of its script (LATIN, CYRILLIC, DIGIT, CJK)."""
    return unicodedata.name(char, "").partition(" ")[0]
