"""Samples as bytes: PCM, a WAV stream of unknown length, G.711."""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from saystream.compose.standin.sound import Samples

Encoding = Literal["pcm", "wav", "ulaw", "alaw"]

_UNKNOWN_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How one request's audio leaves: mono, 16 bits a sample in `pcm` and `wav`, 8 in `ulaw` and `alaw`."""

    encoding: Encoding
    rate: int
    """Samples a second."""

    @property
    def sample_bytes(self) -> int:
        """How many bytes one sample takes."""
        return 1 if self.encoding in ("ulaw", "alaw") else 2

    def header(self) -> bytes:
        """What stands before the first sample: a WAV header whose lengths are placeholders, or nothing."""
        if self.encoding != "wav":
            return b""
        layout = struct.pack("<IHHIIHH", 16, 1, 1, self.rate, 2 * self.rate, 2, 16)
        length = struct.pack("<I", _UNKNOWN_LENGTH)
        return b"RIFF" + length + b"WAVEfmt " + layout + b"data" + length

    def encode(self, samples: Samples) -> bytes:
        """Return the bytes of `samples`."""
        if self.encoding in ("ulaw", "alaw"):
            table = _ulaw_table() if self.encoding == "ulaw" else _alaw_table()
            return table[samples.view(np.uint16)].tobytes()
        return samples.astype("<i2", copy=False).tobytes()


# Both tables after ITU-T G.711: sign, three bits of exponent, four of mantissa, by the bits of the sample.


@lru_cache(maxsize=1)
def _ulaw_table() -> npt.NDArray[np.uint8]:
    value = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(value), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(value < 0, 0x80, 0)
    table: npt.NDArray[np.uint8] = (~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8)
    return table


@lru_cache(maxsize=1)
def _alaw_table() -> npt.NDArray[np.uint8]:
    value = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(value < 0, -value - 1, value) >> 3  # 12 bits
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    mantissa = (magnitude >> np.maximum(exponent, 1)) & 0x0F  # the first two segments have steps of the same size
    sign = np.where(value < 0, 0, 0x80)
    table: npt.NDArray[np.uint8] = ((sign | exponent << 4 | mantissa) ^ 0x55).astype(np.uint8)
    return table
