"""Captions: which words of a session are due at a moment, each of them once."""

from saystream.common.events import Audio, Begin, End, Splice, Word, Words
from saystream.consumer import Event


class Captions:
    """The words of the turn that speaks. A plain object: events go in, words that are due come out.

    A word is due when the position has reached its first sample. One that was given out before, and is spoken again by
    the attempt that took over, is not given out again.
    """

    def __init__(self) -> None:
        self._coming: list[Word] = []
        self._shown_end = 0
        self.position = 0

    def __repr__(self) -> str:
        return f"<Captions [{len(self._coming)} words to come, at sample {self.position}]>"

    def take(self, event: Event) -> None:
        """Take a listener's next event."""
        match event:
            case Begin():
                self._coming, self._shown_end, self.position = [], 0, 0
            case Words():
                self._coming.extend(event.words)
            case Audio():
                self.position = event.offset + event.samples
            case Splice():
                self._coming = [word for word in self._coming if word.end <= event.spoken]
                self.position = event.offset
            case End():
                self._coming = [word for word in self._coming if word.first_sample < event.samples]

    def due(self, sample: int) -> list[Word]:
        """Return the words that begin up to this sample of the turn, and were not given out before."""
        due = [word for word in self._coming if word.first_sample <= sample]
        self._coming = [word for word in self._coming if word.first_sample > sample]
        fresh: list[Word] = []
        for word in due:
            # A word that is not in the text has an empty place: whether it is the same one cannot be told.
            if word.start == word.end or word.end > self._shown_end:
                fresh.append(word)
                self._shown_end = max(self._shown_end, word.end)
        return fresh
