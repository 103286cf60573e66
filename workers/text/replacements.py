"""Words and phrases of the settings, and what is said in their place.

The longest that fits is taken, with capitals as given. A word is replaced only whole, where its script has blanks
between words. What takes its place is not replaced again, but goes through the filters that follow.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

from saystream.workers.text.characters import is_mark, is_unspaced, is_word
from saystream.workers.text.clean import clean
from saystream.workers.text.rewriter import Replacement, Rewriter, Verdict


class Replacements(Rewriter):
    """Replaces words and phrases.

    Args:
        words: what is replaced, and what takes its place.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__()
        cleaned = {clean(word): said for word, said in words.items()}
        self._words = {word: said for word, said in cleaned.items() if word}
        by_first: dict[str, list[str]] = defaultdict(list)
        for word in sorted(self._words, key=len, reverse=True):
            by_first[word[0]].append(word)
        self._by_first = dict(by_first)
        self.trigger = re.compile(f"[{re.escape(''.join(by_first))}]" if by_first else "(?!)")
        self.look_ahead = max(map(len, self._words), default=0) + 1

    def decide(self, text: str, at: int, before: str, *, final: bool) -> Replacement | Verdict:
        if is_word(before) and is_word(text[at]):
            return Verdict.NOTHING
        rest = len(text) - at
        for word in self._by_first[text[at]]:
            if len(word) < rest:
                if text.startswith(word, at) and _ends(word, text[at + len(word)]):
                    return Replacement(len(word), self._words[word])
            elif word.startswith(text[at:]):
                if final and len(word) == rest:
                    return Replacement(rest, self._words[word])
                if not final:
                    return Verdict.MORE
        return Verdict.NOTHING


def _ends(word: str, following: str) -> bool:
    """Tell whether a word ends in front of a character."""
    if is_mark(following):
        return False
    return not (is_word(word[-1]) and is_word(following)) or is_unspaced(word[-1])
