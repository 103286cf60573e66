"""What a voice hands over: samples, and where in them each word lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int16]
"""Mono sound, 16 bits a sample, shape (samples,)."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word of a clip: its sound is `clip.samples[first_sample:last_sample]`."""

    text: str
    first_sample: int
    last_sample: int


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of speech; the words are in the order in which they are heard."""

    samples: Samples
    words: tuple[SpokenWord, ...] = ()


def silence(seconds: float, rate: int) -> Clip:
    """Return a clip of nothing, rounded to whole samples."""
    return Clip(np.zeros(round(seconds * rate), dtype=np.int16))


class Voice(Protocol):
    """Something that can speak words."""

    def ready(self, words: Sequence[str]) -> int:
        """Say how many of the leading `words` can be spoken now, when more may follow.

        0 asks for more words; at the end of the text the stand-in speaks them all the same.
        """

    async def speak(self, words: Sequence[str], rate: int) -> Clip:
        """Return the sound of `words` at `rate` samples a second.

        Every word is in the clip's `words`, also one that makes no sound.
        """
