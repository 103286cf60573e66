"""Cuts a request's clips into frames of equal length, each with the words that begin in it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from saystream.compose.standin.sound import Clip, Samples, SpokenWord


def frame_samples(rate: int, frame_ms: int) -> int:
    """How many samples a frame of so many milliseconds has."""
    return rate * frame_ms // 1000


@dataclass(frozen=True, slots=True)
class Frame:
    """One message's worth of audio; all positions count from the first sample of the request."""

    first_sample: int
    samples: Samples
    words: tuple[SpokenWord, ...]
    """The words that begin in this frame, to be told before it."""


class Framer:
    """Takes clips as they come, gives frames as soon as they are full."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.position = 0
        """Samples given out so far."""
        self._rest: Samples = np.zeros(0, dtype=np.int16)
        self._words: list[SpokenWord] = []

    def add(self, clip: Clip) -> Iterator[Frame]:
        """Append a clip; yield the frames that are full now. The iterator must be exhausted before the next call."""
        end = self.position + len(self._rest)
        self._words += [SpokenWord(w.text, end + w.first_sample, end + w.last_sample) for w in clip.words]
        samples = np.concatenate([self._rest, clip.samples]) if len(self._rest) else clip.samples
        whole = len(samples) // self.size * self.size
        self._rest = samples[whole:]
        for at in range(0, whole, self.size):
            yield self._frame(samples[at : at + self.size])

    def flush(self) -> Iterator[Frame]:
        """Yield what is left as one shorter frame, which may have words but no samples."""
        if len(self._rest) or self._words:
            rest, self._rest = self._rest, self._rest[:0]
            yield self._frame(rest)

    def _frame(self, samples: Samples) -> Frame:
        first, self.position = self.position, self.position + len(samples)
        # A word without sound at the very end begins where the last frame ends: it goes with the flush.
        begun = 0
        while begun < len(self._words) and (self._words[begun].first_sample < self.position or not len(samples)):
            begun += 1
        words, self._words = tuple(self._words[:begun]), self._words[begun:]
        return Frame(first, samples, words)
