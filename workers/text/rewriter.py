"""The base of filters: something is looked for in a bounded stretch of text, and replaced or let pass.

What a filter gives out depends on the text alone, never on how it was cut into tokens: a place is decided when all that
the decision may look at is there, or will not come.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from re import Pattern
from typing import NamedTuple

from saystream.workers.text.run import Item, Run, Stretch, spread


class Verdict(Enum):
    """What a filter says of a place where something might begin."""

    MORE = "more text decides"
    NOTHING = "nothing begins here"


class Replacement(NamedTuple):
    """So many characters are replaced by a text, which may be empty."""

    chars: int
    text: str


class Filter(ABC):
    """One step on the text's way. Marks (`Pause`, `Flush`, `Whole`) keep their places: text before them is decided."""

    @abstractmethod
    def feed(self, items: Sequence[Item]) -> list[Item]:
        """Take items; give out what is decided with them."""

    @abstractmethod
    def flush(self) -> list[Item]:
        """Give out all that was held back, as if the text ended here; it may go on."""

    def settle(self) -> list[Item]:
        """Give out what was held back and is whole as it stands: the LLM pauses, and may go on anywhere."""
        return []

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return 0

    @property
    def suspects(self) -> Pattern[str] | None:
        """What has to be fed to this filter when it is calm; other text may `pass_by`. None: all text has to be fed."""
        return None

    @property
    def calm(self) -> bool:
        """Whether nothing is held back, and text without `suspects` would pass unchanged."""
        return False

    def pass_by(self, last: str) -> None:  # noqa: B027 (most filters have nothing to learn)
        """Learn that text was not fed, because it would have passed unchanged; ``last`` is its last character."""


class Rewriter(Filter):
    """A filter that replaces pieces of text.

    A subclass says where something can begin (``trigger``: a pattern that matches exactly one character, for a longer
    one could be cut in two), how much text it may look at (``look_ahead``, in characters; a place that is not decided
    by then is nothing), and decides. A decision must stay the same with more text behind it.
    """

    trigger: Pattern[str]
    look_ahead: int

    def __init__(self) -> None:
        self._waiting = Stretch()
        self._before = ""  # the last character that was passed on, as it came in

    @abstractmethod
    def decide(self, text: str, at: int, before: str, *, final: bool) -> Replacement | Verdict:
        """Say what begins at ``at`` of the text; ``before`` is the character in front of it ('' at the beginning).

        ``final``: no more text comes to decide it; `Verdict.MORE` then counts as `Verdict.NOTHING`.
        """

    @property
    def held(self) -> int:
        return len(self._waiting.text)

    @property
    def suspects(self) -> Pattern[str] | None:
        return self.trigger

    @property
    def calm(self) -> bool:
        return not self._waiting.text

    def pass_by(self, last: str) -> None:
        self._before = last

    def feed(self, items: Sequence[Item]) -> list[Item]:
        given: list[Item] = []
        for item in items:
            if not isinstance(item, Run):
                given += self._decided(final=True)
                given.append(item)
            elif not self._waiting.text and self.trigger.search(item.text) is None:  # most tokens hold nothing
                if item.text:
                    given.append(item)
                    self._before = item.text[-1]
            else:
                self._waiting.append(item)
                given += self._decided(final=False)
        return given

    def flush(self) -> list[Item]:
        return self._decided(final=True)

    def _decided(self, *, final: bool) -> list[Item]:
        given: list[Item] = []
        waiting, at = self._waiting, 0
        while (found := self.trigger.search(waiting.text, at)) is not None:
            at = found.start()
            before = waiting.text[at - 1] if at else self._before
            seen = waiting.text[
                : at + self.look_ahead
            ]  # no more, or a decision would depend on what has come by chance
            verdict = self.decide(seen, at, before, final=final)
            if verdict is Verdict.MORE and not final and len(seen) - at < self.look_ahead:
                break
            if isinstance(verdict, Replacement):
                self._pass(given, at)
                taken = waiting.text[: verdict.chars]
                given += spread(waiting.replace(verdict.chars, verdict.text))
                self._before, at = taken[-1:], 0
            else:
                at += 1
        else:
            at = len(waiting.text)
        self._pass(given, at)
        return given

    def _pass(self, given: list[Item], chars: int) -> None:
        if chars:
            self._before = self._waiting.text[chars - 1]
            given += self._waiting.take(chars)
