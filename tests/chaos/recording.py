"""What a turn sounds like: its entries put together by the splice rule, and the words in them."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from saystream.common.events import Audio, Begin, End, OutputEvent, Splice, Word, Words
from saystream.compose.standin.marker import Decoded, decode


@dataclass
class Recording:
    """A turn put together.

    Attributes:
        rate: samples a second; 0 where nothing has begun.
        audio: 16 bit samples.
        captions: the words that were reported of it, in their order.
        end: how it ended; None if it has not.
        problems: where an entry does not fit to what stands before it.
    """

    rate: int = 0
    audio: bytearray = field(default_factory=bytearray)
    captions: list[Word] = field(default_factory=list)
    end: End | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def samples(self) -> int:
        return len(self.audio) // 2

    def decoded(self) -> Decoded:
        """Return the words."""
        return words_of(bytes(self.audio), self.rate)

    def add(self, event: OutputEvent) -> None:
        """Take the next entry."""
        match event:
            case Begin():
                self.rate = event.format.sample_rate
            case Audio():
                if event.offset != self.samples:
                    self.problems.append(f"audio {event.cursor} is for sample {event.offset}, not for {self.samples}")
                if len(event.data) != 2 * event.samples:
                    self.problems.append(
                        f"audio {event.cursor} has {len(event.data)} bytes for {event.samples} samples"
                    )
                self.audio += event.data
            case Words():
                self.captions += event.words
            case Splice():
                if event.offset > self.samples:
                    self.problems.append(f"splice {event.cursor} is at {event.offset}, behind the end {self.samples}")
                del self.audio[2 * event.offset :]
                self.captions = [word for word in self.captions if word.end <= event.spoken]
            case End():
                self.end = event


def put_together(entries: list[OutputEvent]) -> Recording:
    """Put a turn together."""
    recording = Recording()
    for event in entries:
        recording.add(event)
    return recording


@lru_cache(maxsize=8)  # consumers of one session have the same recordings
def words_of(audio: bytes, rate: int) -> Decoded:
    """Read the words of a recording."""
    if not audio or not rate:
        return Decoded()
    return decode(np.frombuffer(audio, np.int16), rate)
