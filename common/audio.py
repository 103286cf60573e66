"""What audio is made of: encoding, sample rate, channels; samples and bytes."""

from dataclasses import dataclass
from typing import Self

from saystream.common.errors import InvalidInput

#: Bytes that one sample of one channel takes.
_WIDTHS = {"pcm_s16le": 2}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """The format of a turn's audio. A *sample* here is one instant: all channels together.

    Args:
        encoding: ``pcm_s16le`` (signed 16-bit, little-endian, channels interleaved).
        sample_rate: samples a second.
        channels: how many.
    """

    encoding: str = "pcm_s16le"
    sample_rate: int = 24_000
    channels: int = 1

    def __post_init__(self) -> None:
        if self.encoding not in _WIDTHS:
            raise InvalidInput(f"audio encoding {self.encoding!r} is not known: use one of {', '.join(_WIDTHS)}")
        if not (8_000 <= self.sample_rate <= 192_000 and self.channels in (1, 2)):
            raise InvalidInput(f"{self.sample_rate} Hz with {self.channels} channels is not a usable audio format")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` writes, such as ``pcm_s16le/24000/1``; raises InvalidInput."""
        try:
            encoding, rate, channels = text.split("/")
            return cls(encoding, int(rate), int(channels))
        except ValueError as error:
            raise InvalidInput(f"{text!r} is not an audio format such as pcm_s16le/24000/1") from error

    def __str__(self) -> str:
        return f"{self.encoding}/{self.sample_rate}/{self.channels}"

    @property
    def sample_bytes(self) -> int:
        """Bytes in one sample."""
        return _WIDTHS[self.encoding] * self.channels

    def samples(self, data_bytes: int) -> int:
        """How many whole samples so many bytes hold."""
        return data_bytes // self.sample_bytes

    def seconds(self, samples: int) -> float:
        """How long so many samples last, in seconds."""
        return samples / self.sample_rate
