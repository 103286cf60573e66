"""Reads what a `start` asks for: the same map as the body of the vendor's `POST /v1/tts`.

A null counts as an absent field, because the SDK sends nulls. Fields that the map does not know are passed over.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

DEFAULT_MODEL = "s2.1-pro"
MODELS: Final = frozenset({"s1", "s2-pro", DEFAULT_MODEL, "s2.1-pro-free", "drama-3-preview"})

RATES: Final[Mapping[str, tuple[int, ...]]] = {
    "mp3": (32_000, 44_100),
    "wav": (8_000, 16_000, 24_000, 32_000, 44_100),
    "pcm": (8_000, 16_000, 24_000, 32_000, 44_100),
    "opus": (48_000,),
}
"""Samples a second that each documented format allows; the last one is its default."""

_MADE_HERE: Final = ("pcm", "wav")
_DEFAULT_FORMAT = "mp3"
_DEFAULT_VOICE = "default"


class RefusedError(Exception):
    """What the client sent cannot be served; the message is for the client."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How one request is to be spoken."""

    voice: str
    rate: int
    """Samples a second."""
    header: bytes
    """What stands before the first sample."""
    chunk_length: int
    """Characters that are gathered before any are spoken."""
    min_chunk_length: int
    """Characters that a chunk has at least, where its end may be chosen."""
    text: str
    """The first text."""


def known_model(name: str | None) -> str:
    """The model that speaks: a missing or unknown name is replaced without a word, as the vendor does it."""
    return name if name in MODELS else DEFAULT_MODEL


def read(request: Any) -> Wanted:
    """Read the `request` of a `start`.

    The stand-in makes `pcm` and `wav`. The vendor's default, and its SDK's, is `mp3`: a request that names no format
    is refused here, with a message that says which ones can be had.

    Raises:
        RefusedError: something in it is missing, wrong, or not made here.
    """
    if not isinstance(request, dict):
        raise RefusedError("request must be a map")
    fields = {name: value for name, value in request.items() if value is not None}
    if "text" not in fields:
        raise RefusedError("text is required")
    for name, (fits, wanted) in _FIELDS.items():
        if name in fields and not fits(fields[name]):
            raise RefusedError(f"{name} must be {wanted}")
    prosody = {name: value for name, value in fields.get("prosody", {}).items() if value is not None}
    for name, (fits, wanted) in _PROSODY.items():
        if name in prosody and not fits(prosody[name]):
            raise RefusedError(f"prosody.{name} must be {wanted}")
    encoding, rate = _encoding(fields)
    return Wanted(
        _voice(fields.get("reference_id")),
        rate,
        wav_header(rate) if encoding == "wav" else b"",
        fields.get("chunk_length", 300),
        fields.get("min_chunk_length", 50),
        fields["text"],
    )


def wav_header(rate: int) -> bytes:
    """The header of a mono WAV of unknown length, with the vendor's placeholders for it."""
    layout = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI8s", b"RIFF", 0xFFFFFF24, b"WAVEfmt ") + layout + struct.pack("<4sI", b"data", 0xFFFFFF00)


def _encoding(fields: Mapping[str, Any]) -> tuple[str, int]:
    encoding = fields.get("format", _DEFAULT_FORMAT)
    if encoding not in RATES:
        raise RefusedError(f"Invalid format: {encoding}. Supported formats: {', '.join(RATES)}")
    rate = fields.get("sample_rate", RATES[encoding][-1])
    if rate not in RATES[encoding]:
        rates = ", ".join(map(str, RATES[encoding]))
        raise RefusedError(f"Invalid sample rate {rate} for format {encoding}. Supported sample rates: {rates}")
    if encoding not in _MADE_HERE:
        raise RefusedError(f"format {encoding} is not made by this stand-in: ask for {' or '.join(_MADE_HERE)}")
    return encoding, rate


def _voice(reference: str | list[str] | None) -> str:
    """Here several speakers are all spoken by the first one's voice, and references make no voice of their own."""
    voice = reference[0] if isinstance(reference, list) and reference else reference
    return voice if isinstance(voice, str) and voice else _DEFAULT_VOICE


# What each field must be, and how to say so.

_Check = tuple[Callable[[Any], bool], str]


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _whole(low: int, high: int) -> _Check:
    return (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
        f"a whole number from {low} to {high}",
    )


def _number(low: float = float("-inf"), high: float = float("inf")) -> _Check:
    between = "" if high == float("inf") else f" from {low:g} to {high:g}"
    return (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high,
        f"a number{between}",
    )


def _one_of(*values: Any) -> _Check:
    return lambda value: not isinstance(value, bool) and value in values, f"one of {', '.join(map(str, values))}"


def _is_list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _is_reference(value: Any) -> bool:
    """A sample of a voice, or all samples of one of several speakers."""
    if isinstance(value, list):
        return all(map(_is_reference, value))
    return isinstance(value, dict) and isinstance(value.get("audio"), bytes) and isinstance(value.get("text"), str)


_FIELDS: Final[Mapping[str, _Check]] = {
    "text": (_is(str), "a string"),
    "reference_id": (lambda value: _is(str)(value) or _is_list_of(_is(str))(value), "a string or a list of strings"),
    "references": (_is_list_of(_is_reference), "a list of maps with audio and text"),
    "format": (_is(str), "a string"),
    "sample_rate": (lambda value: type(value) is int, "a whole number"),
    "mp3_bitrate": _one_of(64, 128, 192),
    # The documents have bits a second, the SDK sends kilobits.
    "opus_bitrate": _one_of(-1000, 24, 32, 48, 64, 24_000, 32_000, 48_000, 64_000),
    "latency": _one_of("normal", "balanced", "low"),
    "chunk_length": _whole(100, 300),
    "min_chunk_length": _whole(0, 100),
    "normalize": (_is(bool), "a boolean"),
    # The vendor was seen to accept any number for these two.
    "temperature": _number(),
    "top_p": _number(),
    "repetition_penalty": _number(),
    "max_new_tokens": (lambda value: type(value) is int, "a whole number"),
    "condition_on_previous_chunks": (_is(bool), "a boolean"),
    "early_stop_threshold": _number(0, 1),
    "prosody": (_is(dict), "a map"),
    "features": (_is_list_of(_is(str)), "a list of strings"),
}
_PROSODY: Final[Mapping[str, _Check]] = {
    "speed": _number(0.5, 2),
    "volume": _number(-20, 20),
    "normalize_loudness": (_is(bool), "a boolean"),
}
