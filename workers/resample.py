"""Converts a stream of audio from one sample rate to another, a chunk at a time."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, gcd
from typing import Final

import numpy as np
import numpy.typing as npt

MOST_PHASES: Final = 1000
"""How large the terms of the reduced ratio may be; every two multiples of 50 Hz up to 50 kHz stay below it."""

# The filter, in parts of half the lower rate: what lies below the first passes, what lies above the second does not.
_PASSES, _STOPS = 0.9, 1.0
_STOP_DB = 80.0
_BETA = 0.1102 * (_STOP_DB - 8.7)  # of the Kaiser window, after J. F. Kaiser
# Coefficients have so many bits behind the point. With samples of 16 bits every product and every sum then fits the
# 53 bits of a float exactly: the order in which a sum is formed, and so the cutting of the input, has no effect.
_COEFFICIENT_BITS = 28
# A matrix product works on blocks; in shorter ones the overlap costs more, in longer ones the zeros do.
_SHORTEST_BLOCK = 64
# Multiplications in one matrix product: the library spreads larger ones on threads, which then fight for the cores.
_MOST_AT_ONCE = 750_000

_Floats = npt.NDArray[np.float64]


class Resampler:
    """One stream of 16-bit mono samples, little-endian, on its way to another rate.

    Output sample k is the sound at input time k · from_rate/to_rate: the filter is symmetric, and its delay is taken
    out. After n input samples and a `flush`, exactly n · to_rate/from_rate samples have come out in all, rounded half
    up; they are the same bits however the input was cut. Before the flush the output stays behind by `look_ahead_s`.

    Frequencies up to 90 % of half the lower rate pass unchanged; those above half the lower rate are taken out
    (by more than 70 dB). What overshoots 16 bits is limited.

    100 ms of audio take 50 to 80 µs of one core between 22.05, 24, 44.1 and 48 kHz, fed 100 ms at a time.

    Args:
        from_rate: samples a second of the input
        to_rate: samples a second of the output; the same rate passes everything through

    Raises:
        ValueError: a rate is not positive, or their ratio has terms above `MOST_PHASES`.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise ValueError(f"rates must be positive, not {from_rate} and {to_rate}")
        divisor = gcd(from_rate, to_rate)
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._up, self._down = to_rate // divisor, from_rate // divisor
        if max(self._up, self._down) > MOST_PHASES:
            raise ValueError(f"{from_rate} to {to_rate} samples a second is no simple ratio: {self._up}/{self._down}")
        self._filter = _filter(self._up, self._down)
        self._taken = self._given = 0
        self._input = self._before()

    def __repr__(self) -> str:
        return f"<Resampler {self.from_rate} to {self.to_rate} Hz, {self._taken} samples in, {self._given} out>"

    @property
    def look_ahead_s(self) -> float:
        """Input needed behind a moment to know the output at it: about 2.1 ms if the lower rate is 24 kHz."""
        return 0.0 if self._up == self._down else self._filter.reach / self.from_rate

    def position(self, sample: int) -> int:
        """Return the output sample at which what begins at an input sample is heard."""
        return (2 * sample * self._up + self._down) // (2 * self._down)

    def feed(self, samples: bytes) -> bytes:
        """Take in whole samples; return those that are ready now, maybe none.

        Raises:
            ValueError: the bytes end inside a sample.
        """
        if len(samples) % 2:
            raise ValueError(f"{len(samples)} bytes are not whole samples")
        if self._up == self._down:
            return samples
        self._taken += len(samples) // 2
        self._input = np.concatenate([self._input, np.frombuffer(samples, dtype="<i2")])
        # An output sample is ready when the last input sample that its filter reaches is there.
        return self._give(max(-(-(self._taken - self._filter.reach) * self._up // self._down), 0))

    def flush(self) -> bytes:
        """Return the tail, as if silence followed; what is fed next begins a new stream."""
        if self._up == self._down:
            return b""
        tail = self._give(self.position(self._taken))
        self._taken = self._given = 0
        self._input = self._before()
        return tail

    def _before(self) -> _Floats:
        """The silence before the stream: `_input` begins where the filter of its block's first output sample does."""
        return np.zeros(self._filter.reach - 1)

    def _give(self, end: int) -> bytes:
        """Give out the samples up to output sample `end`; input that is not there yet counts as silence."""
        if end <= self._given:
            return b""
        matrix, block_in, block_out = self._filter.matrix, self._filter.block_in, self._filter.block_out
        first = self._given // block_out
        blocks = -(-end // block_out) - first
        missing = (blocks - 1) * block_in + len(matrix) - len(self._input)
        padded = np.concatenate([self._input, np.zeros(missing)]) if missing > 0 else self._input
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(matrix))[::block_in][:blocks]
        rows = max(_MOST_AT_ONCE // matrix.size, 1)
        parts = [windows[at : at + rows] @ matrix for at in range(0, blocks, rows)]
        wave = np.concatenate(parts).ravel()[self._given - first * block_out : end - first * block_out]
        self._given = end
        self._input = self._input[(end // block_out - first) * block_in :]
        return np.clip(np.rint(wave), -32768, 32767).astype("<i2").tobytes()


@dataclass(frozen=True, slots=True)
class _Filter:
    """The polyphase filter as one matrix: a block of input, with what its filters reach beyond it, times the matrix
    is a block of output."""

    reach: int
    """Input samples that the filter reaches to the right; to the left it is one less."""
    block_in: int
    block_out: int
    matrix: _Floats
    """Shape (block_in + 2 · reach - 1, block_out)."""


@lru_cache(maxsize=16)
def _filter(up: int, down: int) -> _Filter:
    nyquist = 0.5 * min(1.0, up / down)  # of the lower rate, in cycles per input sample
    taps = (_STOP_DB - 7.95) / (2.285 * 2 * np.pi * nyquist * (_STOPS - _PASSES))
    reach = ceil(taps / 2)
    repeats = ceil(_SHORTEST_BLOCK / max(up, down))
    block_in, block_out = down * repeats, up * repeats
    matrix = np.zeros((block_in + 2 * reach - 1, block_out))
    for output in range(block_out):
        whole, rest = divmod(output * down, up)
        # When the input samples are, seen from the output sample.
        times: _Floats = np.arange(1 - reach, reach + 1, dtype=np.float64) - rest / up
        coefficients = _windowed_sinc(times, nyquist * (_PASSES + _STOPS), taps / 2)
        matrix[whole : whole + 2 * reach, output] = coefficients / coefficients.sum()  # a constant stays what it is
    matrix = np.ldexp(np.rint(np.ldexp(matrix, _COEFFICIENT_BITS)), -_COEFFICIENT_BITS)
    matrix.flags.writeable = False
    return _Filter(reach, block_in, block_out, matrix)


def _windowed_sinc(times: _Floats, bandwidth: float, half_width: float) -> _Floats:
    inside = np.maximum(1 - (times / half_width) ** 2, 0)
    window = np.where(np.abs(times) <= half_width, np.i0(_BETA * np.sqrt(inside)), 0)
    return np.sinc(bandwidth * times) * window
