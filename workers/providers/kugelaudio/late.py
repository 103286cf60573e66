"""Word times lag behind their chunk, and each session numbers its chunks anew: whose are those that come now?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: A shorter word could stand in any text as a part of another one.
_LETTERS = 3
#: Where there is but one text to compare with, so much of the words' letters must be in it.
_HALF = 0.5


@dataclass(slots=True)
class Owed:
    """A chunk of a session that is over.

    Args:
        text: of it; empty where the vendor has not told it.
        begun: whether words of it have come: of two that have the same text, it comes first.
    """

    text: str
    begun: bool = False


class Late:
    """The chunks of a socket's last session whose words may still come.

    Nothing but the words themselves tells them from those of the chunk that now has the number. Words are judged as
    they came, together: some of them may be rewritten (``$3.50``), and be in no text.
    """

    def __init__(self) -> None:
        self._owed: dict[Any, Owed] = {}

    def session_ended(self, owed: Mapping[Any, Owed]) -> None:
        """Expect these; what an earlier session owed does not come any more."""
        self._owed = dict(owed)

    def passed(self, message: Mapping[str, Any]) -> None:
        """Note a frame of a turn that is over: it may announce a chunk, or be one's words."""
        number = message.get("chunk_id")
        if not isinstance(number, int | float | str | None):
            return
        if message.get("generation_started"):
            self._owed[number] = Owed(str(message.get("text") or ""))
        elif message.get("word_timestamps"):
            self.dropped(number)

    def dropped(self, number: Any) -> None:
        """Note words that cannot be of this session."""
        if (owed := self._owed.get(number)) is not None:
            owed.begun = True

    def are_own(self, number: Any, text: str, words: Sequence[str]) -> bool:
        """Tell whether words are of this session's chunk, whose text this is; empty where it is not known."""
        owed = self._owed.get(number)
        if owed is None:
            return True
        own, old = _share(words, text), _share(words, owed.text)
        if not text:
            mine = not owed.text or old < _HALF
        elif not owed.text:
            mine = own >= _HALF
        else:
            mine = own > old or (own == old and owed.begun)
        if not mine:
            owed.begun = True
        return mine


def letters(text: str) -> str:
    """Return what makes a text the same text: without blanks, marks and capitals."""
    return "".join(char for char in text if char.isalnum()).casefold()


def _share(words: Sequence[str], text: str) -> float:
    """Return how much of the words is in a text, by their letters."""
    parts, whole = {letters(part) for part in text.split()}, letters(text)
    spelled = [word for given in words if (word := letters(given))]
    found = sum(
        len(word)
        for word in spelled
        if word in parts or ((len(word) >= _LETTERS or not word.isascii()) and word in whole)
    )
    return found / total if (total := sum(map(len, spelled))) else 1.0
