"""Samples as bytes."""

import struct

import numpy as np
import pytest

from saystream.compose.standin.encoding import AudioFormat

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)


def test_pcm_is_little_endian() -> None:
    assert AudioFormat("pcm", 8_000).encode(np.array([1, -2], dtype=np.int16)) == b"\x01\x00\xfe\xff"
    assert AudioFormat("pcm", 8_000).header() == b""


def test_a_wav_header_describes_the_samples_and_leaves_their_number_open() -> None:
    header = AudioFormat("wav", 24_000).header()
    assert len(header) == 44
    assert struct.unpack("<HHIIHH", header[20:36]) == (1, 1, 24_000, 48_000, 2, 16)
    assert header[4:8] == header[40:44] == b"\xff\xff\xff\xff"


# Codes of G.711, tables 1a and 2a: the largest values, the smallest, and the first of a segment.
@pytest.mark.parametrize(
    ("encoding", "sample", "code"),
    [
        ("ulaw", 32767, 0x80),
        ("ulaw", -32768, 0x00),
        ("ulaw", 0, 0xFF),
        ("ulaw", 124, 0xEF),
        ("alaw", 32767, 0xAA),
        ("alaw", -32768, 0x2A),
        ("alaw", 0, 0xD5),
        ("alaw", -1, 0x55),
        ("alaw", 1024, 0xE5),
    ],
)
def test_g711_has_the_codes_of_its_tables(encoding: str, sample: int, code: int) -> None:
    coded = AudioFormat(encoding, 8_000).encode(np.array([sample], dtype=np.int16))  # type: ignore[arg-type]
    assert coded == bytes([code])


@pytest.mark.parametrize(("encoding", "toggled"), [("ulaw", 0xFF), ("alaw", 0xD5)])
def test_g711_is_monotonic_and_uses_every_code(encoding: str, toggled: int) -> None:
    coded = np.frombuffer(AudioFormat(encoding, 8_000).encode(EVERY_SAMPLE), dtype=np.uint8)  # type: ignore[arg-type]
    plain = (coded ^ toggled).astype(np.int16)
    levels = np.where(plain & 0x80, -1 - (plain & 0x7F), plain)
    assert np.all(np.diff(levels) >= 0)
    assert len(set(coded.tolist())) == 256
