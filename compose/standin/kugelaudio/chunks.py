"""Cuts the growing text of a turn into sentences, each as soon as what follows it shows that it is one."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

from saystream.compose.standin.kugelaudio.tags import BEGUN_TAG, TAG

_CLOSERS = "[\"')\\]\u2019\u201d\u00bb]*"
_SENTENCE_END = rf"(?:[.!?\u2026]+{_CLOSERS}|[\u3002\uff01\uff1f]+)"
_PLACES = re.compile(
    rf"(?P<tag>{TAG})"
    rf"|(?P<sentence>[.!?\u2026]+{_CLOSERS}\s+(?=\S)|[\u3002\uff01\uff1f]++\s*+(?=\S))"
    r"|(?P<blank>\s+)",
    re.IGNORECASE,
)
_ENDS_SENTENCE = re.compile(rf"{_SENTENCE_END}\s*\Z")


@dataclass(slots=True)
class _Places:
    """Where a text may be cut."""

    sentences: list[int] = field(default_factory=list)
    """Ends of sentences behind which more has come."""
    blanks: list[int] = field(default_factory=list)
    """Ends of words, where it may be cut if it must."""
    held: int | None = None
    """From here on nothing may go out yet: a `<spell>` is open, or a tag has only begun."""


class Chunker:
    """Takes text in pieces of any kind, gives sentences.

    Args:
        longest: so many characters are a chunk of their own, sentence or not
    """

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self._text = ""

    def __len__(self) -> int:
        """How many characters wait."""
        return len(self._text)

    @property
    def unconfirmed(self) -> bool:
        """What waits ends like a sentence, and only time can tell that it is one."""
        return bool(_ENDS_SENTENCE.search(self._text)) and _places(self._text).held is None

    def add(self, text: str) -> list[str]:
        """Append text; return the chunks that are complete now."""
        self._text += text
        places = _places(self._text)
        cuts = [0]
        for end in (*places.sentences, None):
            while (end or len(self._text) + 1) - cuts[-1] > self.longest:
                cuts.append(self._forced_cut(cuts[-1], places))
            if end is not None:
                cuts.append(end)
        chunks = [self._text[first:last] for first, last in pairwise(cuts)]
        self._text = self._text[cuts[-1] :]
        return chunks

    def flush(self) -> list[str]:
        """Return what waits, whatever it is."""
        text, self._text = self._text, ""
        return [text] if text else []

    def _forced_cut(self, start: int, places: _Places) -> int:
        """Where the buffer's length ends a chunk that begins at `start`: between words, if there is such a place."""
        last = start + self.longest
        fitting = bisect_right(places.blanks, last)
        if fitting and places.blanks[fitting - 1] > start:
            return places.blanks[fitting - 1]
        return places.held if places.held is not None and start < places.held < last else last


def _places(text: str) -> _Places:
    places = _Places()
    begun = BEGUN_TAG.search(text)
    end = len(text) if begun is None else begun.start()
    spelling: int | None = None
    for found in _PLACES.finditer(text, 0, end):
        if found["tag"]:
            if found["name"].lower() == "spell":
                spelling = None if found["end"] else found.start()
        elif spelling is None:
            (places.sentences if found["sentence"] else places.blanks).append(found.end())
    if spelling is not None:
        places.held = spelling
    elif begun is not None:
        places.held = end
    return places
