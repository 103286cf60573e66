"""The marker voice: PCM that carries its own words, and the decoder that reads them back.

A word is a burst of two levels, `CHIPS_PER_S` chips a second, followed by a short silence:

    start mark │ header │ UTF-8 bytes │ CRC-16 │ filler │ end mark │ gap
    + + + - - -  ……………… two chips a bit (1 is + -, 0 is - +) ……………   - - - + + +

Inside bits no level lasts longer than two chips, so the three of the marks occur nowhere else. The filler repeats the
bits before it until the burst is as long as a person would need to say the word, and the header holds that length:
a burst is whole only if every chip up to its end is what the word's own rendering says. Only the sign of a sample
is read, in the middle of a chip of at least four samples: that survives G.711, changes of volume and resampling.

The header's four bytes: length in bytes, index of the piece (its top bit: another piece follows), length in chips.
"""

import asyncio
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from saystream.compose.standin.sound import Clip, Samples, SpokenWord

CHIPS_PER_S = 2000
CHARACTER_CHIPS = 120  # 60 ms
SHORTEST_CHIPS = 240  # 120 ms
GAP_MS = 40
LEVEL = 6000
THRESHOLD = 600  # a sample this close to zero is silence
LOWEST_RATE = 4 * CHIPS_PER_S
SLOWEST_PACE = 16.0  # longer ones would not fit the header's length

_PIECE_CHARACTERS = 32
_WORDS_AT_ONCE = 8
_MORE = 0x80
_HEADER_BYTES = 4
_CRC_BYTES = 2
_START = np.array([1, 1, 1, -1, -1, -1], dtype=np.int8)
_END = -_START
_MARK_CHIPS = 3  # of one level

_Signs = npt.NDArray[np.int8]
_Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MarkedWord:
    """A word that was found whole: its sound is `samples[first_sample:last_sample]`, the gap not included."""

    text: str
    first_sample: int
    last_sample: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Sound that is not a whole word.

    kind:
        cut: a word began and stopped before its end mark; `detail` is its text, as far as it could be read
        damaged: a word has start and end but something else in between; `detail` as above
        orphan: sound that belongs to no start mark; `detail` says if it has a word's end ("tail") or not ("middle")
    sample: the first sample that is no longer the word's (cut), or the first of the sound (damaged, orphan)
    """

    kind: Literal["cut", "damaged", "orphan"]
    sample: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a recording holds, both lists in the order of their samples."""

    words: list[MarkedWord] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole words, one blank between them."""
        return " ".join(word.text for word in self.words)


class Marker:
    """The marker voice at one pace: 1 takes 60 ms a character, 0.5 half of that."""

    def __init__(self, pace: float = 1.0) -> None:
        self.pace = pace

    def ready(self, words: Sequence[str]) -> int:
        return min(len(words), _WORDS_AT_ONCE)

    async def speak(self, words: Sequence[str], rate: int) -> Clip:
        await asyncio.sleep(0)  # rendering eight long words takes a millisecond; others get their turn in between
        return render_text(words, rate, self.pace)


def render(word: str, rate: int, pace: float = 1.0) -> Samples:
    """Return one word's burst and the gap after it, as a read-only array; nothing for a blank word.

    Args:
        rate: samples a second, from `LOWEST_RATE` up
        pace: scale of the duration, up to `SLOWEST_PACE`; a burst is never shorter than its bits need

    Raises:
        ValueError: `word` has blanks inside, or `rate` or `pace` is out of range.
    """
    if rate < LOWEST_RATE:
        raise ValueError(f"marker needs {LOWEST_RATE} samples a second, not {rate}")
    if not 0 < pace <= SLOWEST_PACE:
        raise ValueError(f"pace must lie between 0 and {SLOWEST_PACE}, not {pace}")
    if len(word.split()) > 1:
        raise ValueError(f"more than one word: {word!r}")
    return _render(word.strip(), rate, pace)


def render_text(words: Sequence[str], rate: int, pace: float = 1.0) -> Clip:
    """Return the bursts of `words` one after another."""
    gap = _gap_samples(rate)
    parts, spoken, end = [], [], 0
    for word in words:
        part = render(word, rate, pace)
        spoken.append(SpokenWord(word, end, end + max(len(part) - gap, 0)))
        parts.append(part)
        end += len(part)
    return Clip(np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16), tuple(spoken))


def decode(samples: Samples, rate: int) -> Decoded:
    """Read back the words of a recording, and whatever in it is not a whole word.

    Silence between words may have any length. The pace need not be known.

    Args:
        samples: int16, shape (samples,)
        rate: samples a second, from `LOWEST_RATE` up
    """
    if rate < LOWEST_RATE:
        raise ValueError(f"marker needs {LOWEST_RATE} samples a second, not {rate}")
    return _Decoder(samples, rate).decode()


# Rendering


@lru_cache(maxsize=2048)
def _render(word: str, rate: int, pace: float) -> Samples:
    pieces = [word[at : at + _PIECE_CHARACTERS] for at in range(0, len(word), _PIECE_CHARACTERS)]
    bursts = [
        _burst(_chips(piece.encode(errors="replace"), _flags(index, len(pieces)), _piece_chips(piece, pace)), rate)
        for index, piece in enumerate(pieces)
    ]
    if bursts:
        bursts.append(np.zeros(_gap_samples(rate), dtype=np.int16))
    samples = np.concatenate(bursts) if bursts else np.zeros(0, dtype=np.int16)
    samples.flags.writeable = False
    return samples


def _gap_samples(rate: int) -> int:
    return round(rate * GAP_MS / 1000)


def _flags(index: int, pieces: int) -> int:
    return (index % _MORE) | (_MORE if index + 1 < pieces else 0)


def _piece_chips(piece: str, pace: float) -> int:
    frame_bytes = _HEADER_BYTES + len(piece.encode(errors="replace")) + _CRC_BYTES
    natural = round(max(CHARACTER_CHIPS * len(piece), SHORTEST_CHIPS) * pace)
    chips = max(natural, 16 * frame_bytes + len(_START) + len(_END))
    return chips + chips % 2


@lru_cache(maxsize=2048)
def _chips(payload: bytes, flags: int, chips: int) -> _Signs:
    frame = bytes([len(payload), flags]) + chips.to_bytes(2, "big") + payload
    frame += binascii.crc_hqx(frame, 0xFFFF).to_bytes(_CRC_BYTES, "big")
    bits = np.unpackbits(np.frombuffer(frame, dtype=np.uint8)).astype(np.int8) * 2 - 1
    bits = np.resize(bits, (chips - len(_START) - len(_END)) // 2)
    return np.concatenate([_START, np.stack([bits, -bits], axis=1).ravel(), _END]).astype(np.int8)


def _burst(chips: _Signs, rate: int) -> Samples:
    return np.repeat(chips.astype(np.int16) * LEVEL, np.diff(_edges(len(chips), rate)))


def _edges(chips: int, rate: int) -> _Indices:
    """The first sample of every chip, and of what follows the last."""
    edges: _Indices = np.rint(np.arange(chips + 1) * (rate / CHIPS_PER_S)).astype(np.int64)
    return edges


# Decoding


@dataclass(frozen=True, slots=True)
class _Burst:
    """What was read from one start mark on; `end` is the first sample that no longer belongs to it."""

    start: int
    end: int
    verdict: Literal["whole", "cut", "damaged"]
    payload: bytes = b""
    index: int = 0
    more: bool = False


class _Decoder:
    def __init__(self, samples: Samples, rate: int) -> None:
        self.rate = rate
        self.chip_samples = rate / CHIPS_PER_S
        self.signs: _Signs = (samples > THRESHOLD).astype(np.int8) - (samples < -THRESHOLD).astype(np.int8)
        self.run_starts, self.run_signs = self._runs()
        self.run_ends = np.append(self.run_starts[1:], len(samples))
        self.decoded = Decoded()
        self.pending: list[_Burst] = []  # pieces of a long word that wait for the rest

    def decode(self) -> Decoded:
        covered = 0
        starts = self._start_marks()
        for start, next_start in pairwise([*starts, len(self.signs)]):
            if start < covered - self.chip_samples:
                continue  # inside a word already read: noise, or a false mark made by a splice
            self._orphans(covered, start)
            burst = self._read(start, next_start)
            self._take(burst)
            covered = burst.end
        self._give_up_pending()
        self._orphans(covered, len(self.signs))
        self.decoded.faults.sort(key=lambda fault: fault.sample)
        return self.decoded

    def _runs(self) -> tuple[_Indices, _Signs]:
        """Where the sign changes, without the moments of silence in which a resampled level crosses zero."""
        if not len(self.signs):
            return np.zeros(0, dtype=np.int64), self.signs
        starts = np.concatenate([[0], np.flatnonzero(self.signs[1:] != self.signs[:-1]) + 1])
        signs = self.signs[starts]
        lengths = np.diff(np.append(starts, len(self.signs)))
        kept = (signs != 0) | (lengths >= self.chip_samples / 2)
        starts, signs = starts[kept], signs[kept]
        changes = np.concatenate([[True], signs[1:] != signs[:-1]])[: len(signs)]
        return starts[changes], signs[changes]

    def _start_marks(self) -> list[int]:
        """First samples of what looks like a start mark: the fall in its middle is what is looked for."""
        lengths = (self.run_ends - self.run_starts) / self.chip_samples
        high, low = slice(None, -1), slice(1, None)
        found = (
            (self.run_signs[high] == 1)
            & (lengths[high] >= _MARK_CHIPS - 0.5)
            & (self.run_signs[low] == -1)
            & (lengths[low] >= _MARK_CHIPS - 0.5)
        )
        falls = self.run_starts[low][found]
        # May be negative: half a chip can be missing at the start of a recording.
        marks: list[int] = (falls - round(_MARK_CHIPS * self.chip_samples)).tolist()
        return marks

    def _read(self, start: int, next_start: int) -> _Burst:
        header = self._bytes(start, 0, _HEADER_BYTES)
        if header is None:
            return self._unreadable(start, next_start)
        payload_bytes, flags, chips = header[0], header[1], int.from_bytes(header[2:], "big")
        body = self._bytes(start, _HEADER_BYTES, payload_bytes + _CRC_BYTES)
        if body is None or binascii.crc_hqx(header + body, 0xFFFF):
            return self._unreadable(start, next_start, b"" if body is None else body[:payload_bytes])
        expected = _chips(body[:payload_bytes], flags, chips)
        edges = _edges(chips, self.rate)
        end = start + int(edges[-1])
        wrong = self._first_wrong(start, expected, edges)
        verdict: Literal["whole", "cut", "damaged"] = "whole"
        stop = end
        if wrong is not None and not np.array_equal(self._heard(start, edges[-1 - len(_END) :]), _END):
            # Where the next word's first level is what was expected here, the cut shows only later than it was.
            verdict, stop = "cut", min(wrong, next_start)
        elif wrong is not None:
            verdict = "damaged"  # with its end mark in place a word was not cut: something inside it was changed
        elif next_start < end - self.chip_samples / 2 and self._bytes(next_start, 0, _HEADER_BYTES) is not None:
            verdict, stop = "cut", next_start  # the last level is not this word's own, but the next one's first
        return _Burst(start, stop, verdict, body[:payload_bytes], flags & ~_MORE, bool(flags & _MORE))

    def _heard(self, start: int, edges: _Indices) -> _Signs:
        """The sign in the middle of each chip between `edges`; silence past the recording's end."""
        middles = start + (edges[:-1] + edges[1:]) // 2
        signs = np.zeros(len(middles), dtype=np.int8)
        inside = (middles >= 0) & (middles < len(self.signs))
        signs[inside] = self.signs[middles[inside]]
        return signs

    def _bytes(self, start: int, first: int, count: int) -> bytes | None:
        """Bytes of the frame behind the start mark, or None where the chips are not bits."""
        edges = _edges(len(_START) + 16 * (first + count), self.rate)[len(_START) + 16 * first :]
        chips = self._heard(start, edges).reshape(-1, 2)
        if np.any(chips[:, 0] + chips[:, 1]) or not np.all(chips[:, 0]):
            return None
        return np.packbits(chips[:, 0] > 0).tobytes()

    def _first_wrong(self, start: int, expected: _Signs, edges: _Indices) -> int | None:
        """The first sample that is not what the word's rendering has there."""
        wrong = np.flatnonzero(self._heard(start, edges) != expected)
        if not len(wrong):
            return None
        # What is wrong in the middle of a chip may have begun before it, in the second half of the chip before.
        chip = int(wrong[0])
        for index in range(max(chip - 1, 0), chip + 1):
            first, last = max(start + int(edges[index]), 0), start + int(edges[index + 1])
            if index < chip:
                first = (first + last) // 2
            bad = np.flatnonzero(self.signs[first:last] != expected[index])
            if len(bad):
                return first + int(bad[0])
        return min(start + int(edges[chip]), len(self.signs))

    def _unreadable(self, start: int, next_start: int, payload: bytes = b"") -> _Burst:
        """A burst whose bits make no sense, up to the silence, or the next word, that ends it."""
        silent = (self.run_signs == 0) & (self.run_starts > start)
        silences = self.run_starts[silent]
        sound_end = int(silences[0]) if len(silences) else len(self.signs)
        end = min(sound_end, next_start)
        ended = len(self._tail_marks(start, end)) > 0
        return _Burst(start, end, "damaged" if ended else "cut", payload)

    def _tail_marks(self, first: int, last: int) -> _Indices:
        """Runs of an end mark's second level between two samples."""
        lengths = (self.run_ends - self.run_starts) / self.chip_samples
        inside = (self.run_starts > first) & (self.run_starts < last)
        high = inside & (self.run_signs == 1) & (lengths >= _MARK_CHIPS - 0.5)
        high[1:] &= (self.run_signs[:-1] == -1) & (lengths[:-1] >= _MARK_CHIPS - 0.5)
        return np.flatnonzero(high)

    def _take(self, burst: _Burst) -> None:
        continues = bool(self.pending) and abs(burst.start - self.pending[-1].end) <= 1
        if not continues or (burst.verdict == "whole" and burst.index != len(self.pending) % _MORE):
            self._give_up_pending()
        if burst.verdict != "whole":
            text = _text(*(piece.payload for piece in self.pending), burst.payload)
            self.pending = []
            self.decoded.faults.append(Fault(burst.verdict, self._fault_sample(burst), text))
        elif burst.index != len(self.pending) % _MORE:
            self.decoded.faults.append(Fault("orphan", max(burst.start, 0), "middle" if burst.more else "tail"))
        else:
            self.pending.append(burst)
            if not burst.more:
                text = _text(*(piece.payload for piece in self.pending))
                self.decoded.words.append(MarkedWord(text, max(self.pending[0].start, 0), burst.end))
                self.pending = []

    def _fault_sample(self, burst: _Burst) -> int:
        return burst.end if burst.verdict == "cut" else max(burst.start, 0)

    def _give_up_pending(self) -> None:
        if self.pending:
            text = _text(*(piece.payload for piece in self.pending))
            self.decoded.faults.append(Fault("cut", self.pending[-1].end, text))
            self.pending = []

    def _orphans(self, first: int, last: int) -> None:
        """Report each stretch of sound between two samples; less than a chip is an edge, not sound."""
        if last - first < self.chip_samples:
            return
        one, past = np.searchsorted(self.run_ends, first, side="right"), np.searchsorted(self.run_starts, last)
        begun: int | None = None
        for run in range(int(one), int(past)):
            if self.run_signs[run] and begun is None:
                begun = max(int(self.run_starts[run]), first)
            if begun is not None and (not self.run_signs[run] or run == past - 1):
                end = int(self.run_starts[run]) if not self.run_signs[run] else min(int(self.run_ends[run]), last)
                if end - begun >= self.chip_samples:
                    tail = len(self._tail_marks(begun, end)) > 0
                    self.decoded.faults.append(Fault("orphan", begun, "tail" if tail else "middle"))
                begun = None


def _text(*payloads: bytes) -> str:
    return b"".join(payloads).decode(errors="replace")
