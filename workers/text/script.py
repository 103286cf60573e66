"""A turn's text as it is to be spoken: filtered once, for all streams of speech that it takes."""

from saystream.workers.text.pipeline import Pipeline
from saystream.workers.text.run import Flush, Item
from saystream.workers.turn_text import TurnText

#: Characters that are filtered at a time.
_MOST_CHARS = 1024


class Script:
    """The items of one attempt at a turn.

    Args:
        text: as the producer writes it; `read` follows it.
        pipeline: what is done to it.

    Attributes:
        items: what is to be spoken, so far.
        read_to: how much of the producer's text they stand for.
        ended: nothing more comes.
    """

    def __init__(self, text: TurnText, pipeline: Pipeline) -> None:
        self._text, self._pipeline = text, pipeline
        self.items: list[Item] = []
        self.read_to = 0
        self.ended = False
        self._flushed = 0
        self._settled_at = -1  # `read_to` when nothing more could be let go of

    def read(self) -> bool:
        """Take what has come, a little at a time; tell whether there is more."""
        text = self._text
        flush_at = text.flushes[self._flushed] if self._flushed < len(text.flushes) else None
        there = max(self.read_to, len(text.text) if flush_at is None else flush_at)
        end = min(there, self.read_to + _MOST_CHARS)
        if end > self.read_to:
            self.items += self._pipeline.feed(text.text[self.read_to : end])
            self.read_to = end
        if end < there:
            return True
        if flush_at is not None:
            self._flushed += 1
            self.flush()
            self.items.append(Flush(flush_at, flush_at))
            return True
        if text.ended and not self.ended:
            self.flush()
            self.ended = True
        return False

    @property
    def held(self) -> bool:
        """Whether text waits for more, and `settle` might let go of it: it cannot twice in the same place."""
        return self._pipeline.held > 0 and self._settled_at != self.read_to

    def settle(self) -> None:
        """Let go of what is whole as it stands: the LLM pauses."""
        self._settled_at = self.read_to
        self.items += self._pipeline.settle()

    def flush(self) -> None:
        """Let nothing wait for more text: it is to be spoken now."""
        self.items += self._pipeline.flush()
