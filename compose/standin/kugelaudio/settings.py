"""The generation fields of KugelAudio's messages: their ranges, their defaults, what they amount to.

A field that is out of its range is a `Problem`, but for `cfg_scale`, which is clamped. Null counts as absent, unknown
fields are ignored.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.kugelaudio.errors import Problem, invalid

NATIVE_RATE = 24_000
"""Samples a second that the model makes; all else is resampled. As `sample_rate` it counts as not stated."""

SAMPLE_RATES = (8_000, 16_000, 22_050, 24_000, 44_100)

OUTPUT_FORMATS: Final[Mapping[str, AudioFormat]] = {
    **{f"pcm_{rate}": AudioFormat("pcm", rate) for rate in (8_000, 16_000, 22_050, 24_000)},
    "ulaw_8000": AudioFormat("ulaw", 8_000),
    "alaw_8000": AudioFormat("alaw", 8_000),
}

ENCODINGS: Final[Mapping[str, bytes]] = {"pcm": b"pcm_s16le", "ulaw": b"mulaw", "alaw": b"alaw"}
"""What the field `enc` of an audio message says."""

MODELS = frozenset({"3.5", "3", "2.5", "2-turbo", "2", "1", "1-turbo"})
"""All of them begin with `kugel-`."""

LANGUAGES = frozenset(
    (
        "de en fr es it pt nl pl sv da no fi cs hu ro el uk bg tr vi ar hi zh ja ko sk sl hr sr ru he fa ur bn ta yue "
        "th id ms"
    ).split()
)

UPDATABLE = ("cfg_scale", "temperature", "speed", "max_new_tokens", "language", "normalize")
"""What `update_settings` may change."""

OF_A_CONTEXT = ("voice_id", "cfg_scale", "max_new_tokens")
"""What a context of /ws/tts/multi has for itself, in its `voice_settings`."""

_MOST_DICTIONARIES = 50
_LOWEST_CFG, _HIGHEST_CFG = 1.2, 2.5
_LONGEST_MS = 60_000  # here
_LONGEST_BUFFER = 10_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What a turn is spoken with."""

    voice_id: str | None = None
    model_id: str = "kugel-3"
    cfg_scale: float = 2.0
    temperature: float | None = None
    speed: float = 1.0
    max_new_tokens: int = 2_048
    sample_rate: int = NATIVE_RATE
    output_format: str | None = None
    normalize: bool = True
    language: str | None = None
    word_timestamps: bool = False
    speaker_prefix: bool = True
    project_id: int | None = None
    dictionary_ids: tuple[int, ...] | None = None
    flush_timeout_ms: float | None = None
    """None is the server's own."""
    max_buffer_length: int = _LONGEST_BUFFER
    """Characters."""

    @property
    def format(self) -> AudioFormat:
        """How the audio leaves."""
        if self.output_format is None:
            return AudioFormat("pcm", self.sample_rate)
        return OUTPUT_FORMATS[self.output_format]

    def generation(self) -> dict[str, Any]:
        """The fields that `settings_updated` tells."""
        return {name: getattr(self, name) for name in UPDATABLE}


def changed(settings: Settings, message: Mapping[str, Any], names: Collection[str] | None = None) -> Settings:
    """Return the settings after a message.

    Args:
        names: the fields to look at; None is all

    Raises:
        Problem: a field is wrong, or does not go with the others; then none of them counts.
    """
    values = {
        name: check(name, message[name])
        for name, check in _CHECKS.items()
        if message.get(name) is not None and (names is None or name in names)
    }
    after = replace(settings, **values) if values else settings
    if values.keys() & {"sample_rate", "output_format"}:
        _check_rate(after)
    if after.dictionary_ids and after.project_id is None and "dictionary_ids" in values:
        raise invalid("dictionary_ids needs a project_id")
    return after


def updated(settings: Settings, update: Any) -> Settings:
    """Return the settings after an `update_settings`.

    Raises:
        Problem: it has a field that is wrong or cannot be updated, or none at all.
    """
    if not isinstance(update, dict) or not update:
        raise invalid(f"update_settings needs an object with some of {', '.join(UPDATABLE)}")
    fixed = [name for name in update if name not in UPDATABLE]
    if fixed:
        raise invalid(f"{', '.join(fixed)} cannot be updated, only {', '.join(UPDATABLE)}")
    return changed(settings, update)


def _check_rate(settings: Settings) -> None:
    stated = settings.sample_rate
    if stated not in (NATIVE_RATE, settings.format.rate):
        raise invalid(f"output_format {settings.output_format} contradicts sample_rate {stated}")


# One check per field: takes the value that was sent, returns the one that counts, raises `Problem`.


def _number(name: str, low: float, high: float) -> Callable[[str, Any], float]:
    def check(_: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise invalid(f"{name} must be a number from {low} to {high}")
        return value

    return check


def _whole(name: str, low: int, high: int) -> Callable[[str, Any], int]:
    def check(_: str, value: Any) -> int:
        if not _is_int(value) or not low <= value <= high:
            raise invalid(f"{name} must be a whole number from {low} to {high}")
        return int(value)

    return check


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid(f"{name} must be true or false")
    return value


def _voice_id(name: str, value: Any) -> str:
    if not (_is_int(value) or (isinstance(value, str) and value)):
        raise invalid(f"{name} must be a number or a name")
    return str(value)


def _model_id(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("kugel-") or value.removeprefix("kugel-") not in MODELS:
        raise invalid(f"{name} {value!r} is not a model")
    return value


def _cfg_scale(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{name} must be a number")
    return min(max(float(value), _LOWEST_CFG), _HIGHEST_CFG)


def _sample_rate(name: str, value: Any) -> int:
    if not _is_int(value) or value not in SAMPLE_RATES:
        raise invalid(f"{name} must be one of {', '.join(map(str, SAMPLE_RATES))}")
    return int(value)


def _output_format(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in OUTPUT_FORMATS:
        raise invalid(f"{name} must be one of {', '.join(OUTPUT_FORMATS)}")
    return value


def _language(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in LANGUAGES:
        raise invalid(f"{name} must be an ISO 639-1 code like 'de', not {value!r}")
    return value


def _project_id(name: str, value: Any) -> int:
    if not _is_int(value):
        raise invalid(f"{name} must be a whole number")
    return int(value)


def _dictionary_ids(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > _MOST_DICTIONARIES or not all(map(_is_int, value)):
        raise invalid(f"{name} must be a list of {_MOST_DICTIONARIES} whole numbers at most")
    unknown = [number for number in value if number < 1]  # here: the numbers of dictionaries that do not exist
    if unknown:
        raise Problem(404, f"dictionary {unknown[0]} not found")
    return tuple(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "voice_id": _voice_id,
    "model_id": _model_id,
    "cfg_scale": _cfg_scale,
    "temperature": _number("temperature", 0.0, 1.0),
    "speed": _number("speed", 0.8, 1.2),
    "max_new_tokens": _whole("max_new_tokens", 1, 2_048),
    "sample_rate": _sample_rate,
    "output_format": _output_format,
    "normalize": _flag,
    "language": _language,
    "word_timestamps": _flag,
    "speaker_prefix": _flag,
    "project_id": _project_id,
    "dictionary_ids": _dictionary_ids,
    "flush_timeout_ms": _number("flush_timeout_ms", 0, _LONGEST_MS),
    "max_buffer_length": _whole("max_buffer_length", 1, _LONGEST_BUFFER),
}
assert _CHECKS.keys() == {field.name for field in fields(Settings)}

OF_THE_SOCKET = tuple(name for name in _CHECKS if name not in OF_A_CONTEXT)
"""What all contexts of /ws/tts/multi share: top-level fields, of which the last one sent counts."""
