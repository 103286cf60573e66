"""The generation fields of KugelAudio: which there are, and how a socket keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from saystream.workers.providers import fields
from saystream.workers.providers.base import StreamSpec

#: What a voice's settings may hold; the ranges are the documented ones.
VOICE_SETTINGS: fields.Rules = {
    "cfg_scale": fields.number(1.2, 2.5),
    "temperature": fields.number(0.0, 1.0),
    "speed": fields.number(0.8, 1.2),
    "max_new_tokens": fields.whole(1, 2_048),
    "normalize": fields.flag,
    "word_timestamps": fields.flag,
    "speaker_prefix": fields.flag,
    "project_id": fields.whole(0),
    "dictionary_ids": fields.list_of(fields.whole(0), 50),
}
#: Only `/ws/tts/stream` has these.
STREAM_SETTINGS: fields.Rules = {
    **VOICE_SETTINGS,
    "flush_timeout_ms": fields.whole(0),
    "max_buffer_length": fields.whole(1),
}
#: What `update_settings` takes; it refuses every other field.
UPDATABLE = frozenset({"cfg_scale", "temperature", "speed", "max_new_tokens", "language", "normalize"})
#: What a field that was set goes back to when the next turn does not set it.
_INITIAL: Mapping[str, Any] = {
    "cfg_scale": 2.0,
    "speed": 1.0,
    "max_new_tokens": 2_048,
    "normalize": True,
    "speaker_prefix": True,
}
#: Fields for which no message says "as if it had never been set"; a missing one has a meaning of its own.
_LASTING = frozenset(
    {"language", "temperature", "project_id", "dictionary_ids", "flush_timeout_ms", "max_buffer_length"}
)
#: What a context of `/ws/tts/multi` has for itself, in its ``voice_settings``; all else is the socket's.
OF_A_CONTEXT = frozenset({"voice_id", "cfg_scale", "max_new_tokens"})


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the account's options say of voices that do not say it themselves."""

    model: str
    word_timestamps: bool


def wanted(spec: StreamSpec, defaults: Defaults) -> dict[str, Any]:
    """Return the fields of a turn."""
    whole = spec.voice_id.isascii() and spec.voice_id.isdigit()
    language = {} if spec.language is None else {"language": spec.language}
    return {
        "voice_id": int(spec.voice_id) if whole else spec.voice_id,
        "model_id": spec.model or defaults.model,
        "sample_rate": spec.format.sample_rate,
        "word_timestamps": defaults.word_timestamps,
        **language,
        **spec.settings,
    }


def not_to_be_taken_back(fields: Mapping[str, Any]) -> str:
    """Name the fields that a socket keeps once they are set: turns with others need another socket."""
    return " ".join(sorted(_LASTING & fields.keys()))


def shared_by_contexts(fields: Mapping[str, Any]) -> str:
    """Name the fields and values that all contexts of a socket have in common: of them the last writer wins."""
    shared = sorted(fields.keys() - OF_A_CONTEXT)
    return " ".join(f"{name}={orjson.dumps(fields[name]).decode()}" for name in shared)


class Sticky:
    """What a socket has been told, and what it has still to be told for a turn."""

    def __init__(self) -> None:
        self._told: dict[str, Any] = {}
        self._doubtful = False

    def doubt(self) -> None:
        """Note that the vendor may not have taken what it was told."""
        self._doubtful = True

    def messages(self, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the messages that make the socket ready for a turn with these fields."""
        wanted = {**{name: _INITIAL[name] for name in self._told if name in _INITIAL}, **fields}
        changed = {
            name: value
            for name, value in wanted.items()
            if self._doubtful or name not in self._told or self._told[name] != value
        }
        updates: dict[str, Any] = {}
        if self._told and not self._doubtful:
            updates = {name: changed.pop(name) for name in UPDATABLE & changed.keys()}
        self._told |= changed | updates
        self._doubtful = False
        return [message for message in (changed, {"update_settings": updates} if updates else {}) if message]
