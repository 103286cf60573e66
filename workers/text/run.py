"""Text on its way to the vendor, which knows at every step which characters of the producer's text it stands for."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Run(NamedTuple):
    """Text that is to be spoken, for the characters ``start`` to ``end`` (exclusive) of the producer's text.

    Where both are of the same length, each character stands for its own; else all of the text for all of the range.
    """

    text: str
    start: int
    end: int

    def piece(self, first: int, last: int) -> "Run":
        """Return a part of it. A part of rewritten text that is not its end stands for nothing: its end counts."""
        if len(self.text) == self.end - self.start:
            return Run(self.text[first:last], self.start + first, self.start + last)
        at_end = last >= len(self.text)
        return Run(self.text[first:last], self.start, self.end if at_end else self.start)


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence that the text asks for, of exactly so many seconds."""

    seconds: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Flush:
    """What came before is to be spoken at once."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Whole:
    """Text that is to reach the vendor in one piece, such as a tag of its own: it is no word, and no phrase ends in it.

    ``spoken``: whether it holds words at all (``<spell>ABC</spell>``), or none (``<break time="1s"/>``).
    """

    text: str
    start: int
    end: int
    spoken: bool


@dataclass(frozen=True, slots=True)
class Spell:
    """Text that is to be spelled out; the vendor's abilities decide how (`lowering`)."""

    text: str
    start: int
    end: int


Item = Run | Pause | Flush | Whole | Spell


class Verbatim(Run):
    """Text in which no tag is looked for, such as code. The filter of tags passes it on as an ordinary run."""

    __slots__ = ()


class Stretch:
    """Runs one behind the other, as one text: it grows at its end and is taken away from its front."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.text = ""
        self._runs: deque[Run] = deque()
        for run in runs:
            self.append(run)

    @property
    def start(self) -> int:
        """Where the first character stands in the producer's text; there has to be one."""
        return self._runs[0].start

    def append(self, run: Run) -> None:
        """Take a run."""
        if run.text:
            self.text += run.text
            self._runs.append(run)

    def take(self, chars: int) -> list[Run]:
        """Give away so many characters from the front."""
        runs = self._runs
        if chars == len(self.text):
            taken = list(runs)
            runs.clear()
            self.text = ""
            return taken
        taken = []
        self.text = self.text[chars:]
        while chars > 0:
            run = runs.popleft()
            if len(run.text) <= chars:
                taken.append(run)
            else:
                taken.append(run.piece(0, chars))
                runs.appendleft(run.piece(chars, len(run.text)))
            chars -= len(run.text)
        return taken

    def replace(self, chars: int, text: str) -> Run:
        """Give away so many characters from the front as one run with another text."""
        return rewritten(self.take(chars), text)


def rewritten(runs: Sequence[Run], text: str) -> Run:
    """Return one run with another text for all that some runs stand for."""
    return Run(text, runs[0].start, runs[-1].end)


def spread(run: Run) -> list[Run]:
    """Return a run as runs that mean the same wherever they are cut again later: none, if there is no text.

    Of rewritten text only the last character stands for the range, as in `Run.piece`; the rest stands for nothing.
    """
    text, start, end = run
    if len(text) < 2 or len(text) == end - start or start == end:
        return [run] if text else []
    return [Run(text[:-1], start, start), Run(text[-1], start, end)]


def text_of(items: Iterable[Item]) -> str:
    """Return the text of items, marks left out."""
    return "".join(item.text for item in items if isinstance(item, Run | Whole | Spell))
