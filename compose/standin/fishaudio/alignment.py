"""What the events of `/with-timestamp` say beside their audio: which chunk, and when its words are heard.

All of it may be late, and a client must live with that:

- The first event after a chunk's end is still labelled with that chunk, though its bytes are the next one's; only
  this event tells the chunk's last words for good. The chunk's own first words come with the event after it.
- A snapshot holds all words of its chunk so far and replaces the one before it. The end of its last word is as far
  as the audio goes, and moves with the next snapshot. Where no word has begun, the alignment is null.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from saystream.compose.standin.orders import Sound
from saystream.compose.standin.sound import SpokenWord

_WITHOUT_BLANKS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_DECIMALS = 6  # of a second: a sample at any rate is told apart


@dataclass(eq=False, slots=True)
class _Chunk:
    seq: int
    text: str
    first_sample: int = 0
    last_sample: int = 0
    words: list[SpokenWord] = field(default_factory=list)
    changed: bool = False
    """Words have begun since the last snapshot."""
    ended: bool = False


class Alignment:
    """The chunks of one request, in the order in which they are spoken.

    Args:
        rate: samples a second
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._count = 0
        self._coming: deque[_Chunk] = deque()
        self._chunk: _Chunk | None = None
        self._before: _Chunk | None = None
        """The chunk before this one, while its last snapshot has not been told."""

    @property
    def quiet(self) -> bool:
        """All that was to be spoken has been spoken."""
        return not self._coming and (self._chunk is None or self._chunk.ended)

    def add(self, text: str) -> int:
        """Put a chunk behind the others; return its number."""
        self._coming.append(_Chunk(self._count, text))
        self._count += 1
        return self._count - 1

    def heard(self, sound: Sound) -> None:
        """Take in a piece of audio; `labels` tells of it."""
        if (self._chunk is None or self._chunk.ended) and self._coming:
            self._next(sound.first_sample)
        chunk = self._chunk
        if chunk is not None:
            chunk.words += sound.words
            chunk.last_sample = max(chunk.last_sample, sound.last_sample)
            chunk.changed |= bool(sound.words)

    def reached(self, seq: int, sample: int) -> None:
        """A chunk has been spoken, up to this sample."""
        while (self._chunk is None or self._chunk.seq < seq) and self._coming:
            self._next(sample)
        if self._chunk is not None:
            self._chunk.ended = True
            self._chunk.last_sample = sample

    def labels(self) -> dict[str, Any]:
        """What the next audio event says beside its audio."""
        chunk, self._before = self._before or self._chunk, None
        return {} if chunk is None else self._snapshot(chunk)

    def last(self) -> Iterator[dict[str, Any]]:
        """What the events behind all audio say."""
        for chunk in (self._before, self._chunk):
            if chunk is not None and chunk.words:
                chunk.changed = True
                yield self._snapshot(chunk)
        self._before = None

    def _next(self, first_sample: int) -> None:
        if self._chunk is not None and self._chunk.words:
            self._chunk.changed = True  # its last word's end is known only now
            self._before = self._chunk
        self._chunk = self._coming.popleft()
        self._chunk.first_sample = self._chunk.last_sample = first_sample

    def _snapshot(self, chunk: _Chunk) -> dict[str, Any]:
        alignment = None
        if chunk.changed:
            chunk.changed = False
            alignment = {
                "segments": [segment for word in chunk.words for segment in self._segments(chunk, word)],
                "audio_duration": self._seconds(chunk.last_sample - chunk.first_sample),
            }
        return {
            "content": chunk.text,
            "alignment": alignment,
            "chunk_seq": chunk.seq,
            "chunk_audio_offset_sec": self._seconds(chunk.first_sample),
        }

    def _segments(self, chunk: _Chunk, word: SpokenWord) -> Iterator[dict[str, Any]]:
        """A word is one segment; Chinese and Japanese are told by characters, here of equal length."""
        letters = _letters(word.text)
        parts = list(letters) if _WITHOUT_BLANKS.search(letters) else [letters] if letters else []
        first, last = word.first_sample, min(word.last_sample, chunk.last_sample)
        for index, part in enumerate(parts):
            start = first + (last - first) * index / len(parts) - chunk.first_sample
            end = first + (last - first) * (index + 1) / len(parts) - chunk.first_sample
            yield {"text": part, "start": self._seconds(start), "end": self._seconds(end)}

    def _seconds(self, samples: float) -> float:
        return round(samples / self._rate, _DECIMALS)


def _letters(word: str) -> str:
    """The word without punctuation and apostrophes: letters, their marks, and digits."""
    return "".join(character for character in word if unicodedata.category(character)[0] in "LMN")
