"""Word times lag behind their chunk, and each session numbers its chunks anew: whose are those that come now?"""

from collections.abc import Mapping, Sequence
from typing import Any

#: A shorter word could stand in any text as a part of another one.
_LETTERS = 3
#: Where only the text before is known, words of which so much is in it, by their letters, are its.
_HALF = 0.5


class Late:
    """The chunks of a socket's last session, whose words may still come.

    Nothing but the words themselves tells them from those of the chunk that now has the number. Words are judged as
    they came, together: some of them may be rewritten (``$3.50``), and be in no text. In doubt they are the chunk's
    own: a turn that is tried again says the same once more, and would be taken for cut short without its words.
    """

    def __init__(self) -> None:
        self._texts: dict[Any, str] = {}  # by number; empty where the vendor has not told it

    def session_ended(self, texts: Mapping[Any, str]) -> None:
        """Expect words of these; what an earlier session owed does not come any more."""
        self._texts = dict(texts)

    def passed(self, message: Mapping[str, Any]) -> None:
        """Note a frame of a turn that is over: it may announce one more chunk."""
        number = message.get("chunk_id")
        if message.get("generation_started") and isinstance(number, int | float | str | None):
            self._texts[number] = str(message.get("text") or "")

    def are_own(self, number: Any, text: str, words: Sequence[str]) -> bool:
        """Tell whether words are of this session's chunk, whose text this is; empty where it is not known."""
        before = self._texts.get(number)
        if before is None:
            return True
        own, late = _share(words, text), _share(words, before)
        if not text:
            return not before or late < _HALF
        return own >= late if before else own > 0


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
