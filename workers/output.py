"""One attempt's part of the session's output: audio, words and splices, in the order in which they are published."""

from collections import deque

from saystream.common.events import Word, encode_audio, encode_splice, encode_words
from saystream.workers.line import Line
from saystream.workers.timeline import Chunk, Timeline


class Output:
    """What an attempt publishes. Words wait for the next audio, so that they cost no entry of their own sooner.

    Args:
        line: to the output stream; each method raises what `Line.put` raises.
        turn: whose.
    """

    def __init__(self, line: Line, turn: str) -> None:
        self._line, self._turn = line, turn
        self._words: deque[Word] = deque()

    def words(self, words: list[Word]) -> None:
        """Take words whose times are known."""
        self._words.extend(words)

    def audio(self, timeline: Timeline, chunk: Chunk) -> None:
        """Publish audio that the timeline has taken, behind the words that wait."""
        if chunk.samples:
            fields = encode_audio(self._turn, chunk.offset, chunk.samples, timeline.spoken, timeline.cut, chunk.data)
            self._line.put(fields, len(chunk.data), urgent=chunk.offset == 0)

    def publish_words(self, timeline: Timeline) -> None:
        """Publish the words that wait, if there are any."""
        if self._words:
            self.checkpoint(timeline)

    def checkpoint(self, timeline: Timeline) -> None:
        """Publish how far the text is spoken, with the words that wait."""
        words = tuple(self._words)
        self._line.put(encode_words(self._turn, timeline.position, timeline.spoken, timeline.cut, words))
        self._words.clear()  # not sooner: where the line is full they wait

    def close(self, timeline: Timeline) -> None:
        """Publish the words that wait and are whole; the stream of speech they belong to has ended."""
        self._words = deque(word for word in self._words if word.last_sample <= timeline.cut)
        self.publish_words(timeline)

    def go_back(self, timeline: Timeline, voice: str, cause: str) -> None:
        """Go on from the timeline's cut with another stream of speech: what was published behind it is replaced."""
        self.close(timeline)
        self._line.put(encode_splice(self._turn, timeline.cut, timeline.spoken, cause, voice))
