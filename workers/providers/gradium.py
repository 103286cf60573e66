"""Gradium: JSON frames, audio in base64, phrases formed by the client, one ``<flush>`` at the end.

Facts: docs.gradium.ai (TTS WebSocket reference; guides on the WebSocket's lifecycle, multiplexing and errors) and the
source of the official SDK ``gradium`` 0.6.4.
"""

import binascii
import os
from enum import StrEnum
from typing import Any

import orjson
import pybase64

from saystream.common.errors import Action, InvalidSettings, Scope, VendorError
from saystream.common.settings import ProviderSettings, VoiceSettings
from saystream.workers.providers.base import (
    AudioData,
    Cancel,
    Capabilities,
    Failed,
    Finished,
    Frame,
    Handshake,
    Protocol,
    Provider,
    Started,
    StreamKey,
    StreamSpec,
    VendorEvent,
    WordTime,
    WordTimes,
)
from saystream.workers.text.phrases import PhraseRule

PUBLIC_URL = "wss://api.gradium.ai/api/speech/tts"
KEY_VARIABLE = "GRADIUM_API_KEY"
#: Output formats ``pcm_<rate>`` (API reference, limits page); audio is 16-bit mono.
SAMPLE_RATES = frozenset({8_000, 16_000, 22_050, 24_000, 44_100, 48_000})
_KNOWN_SETTINGS = frozenset({"temp", "cfg_coef", "padding_bonus", "rewrite_rules", "pronunciation_id"})


class Mode(StrEnum):
    """How turns share a connection (guide "multiplexing")."""

    SINGLE = "single"  # one turn, then the vendor closes
    SEQUENTIAL = "sequential"  # one after the other
    MULTIPLEXED = "multiplexed"  # several at once, told apart by client_req_id


class Gradium(Provider):
    """An account with Gradium.

    Options: ``mode`` (``sequential``), ``streams`` (turns at once on a multiplexed connection, 8: the vendor names no
    limit), ``retry_for_s`` (how long the vendor may look for a free worker before it refuses).
    """

    vendor = "gradium"

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        options = dict(settings.options)
        try:
            self.mode = Mode(options.pop("mode", Mode.SEQUENTIAL))
            streams = int(options.pop("streams", 8)) if self.mode is Mode.MULTIPLEXED else 1
            self.retry_for_s: float | None = options.pop("retry_for_s", None)
        except ValueError as error:
            raise InvalidSettings(f"providers.{name}.options: {error}") from error
        if options:
            raise InvalidSettings(f"providers.{name}.options: Gradium has no option {', '.join(sorted(options))}")
        key = settings.api_key.get_secret_value() if settings.api_key else os.environ.get(KEY_VARIABLE, "")
        if not key:
            raise InvalidSettings(f"providers.{name}: no API key: set providers.{name}.api_key or {KEY_VARIABLE}")
        self._key = key
        self.capabilities = Capabilities(
            phrases=PhraseRule(),
            streams=streams,
            turns=1 if self.mode is Mode.SINGLE else 0,
            cancel=Cancel.ABANDON if self.mode is Mode.MULTIPLEXED else Cancel.CLOSE,
        )

    def handshake(self) -> Handshake:
        return Handshake(self.settings.url or PUBLIC_URL, {"x-api-key": self._key, "x-api-source": "saystream"})

    def protocol(self) -> "GradiumProtocol":
        return GradiumProtocol(self.mode, self.retry_for_s, secret=self._key)

    def refused(self, status: int, body: str) -> VendorError:
        # The socket's own authentication comes after the upgrade (errors page); a status is some proxy's.
        fatal = status in (401, 402, 403)
        return _error(
            f"HTTP {status} {body[:200]}".replace(self._key, "…"),
            status,
            Scope.ACCOUNT if fatal else Scope.SOCKET,
            Action.FIX_CONFIGURATION if fatal else Action.RETRY_LATER,
        )

    def check(self, name: str, voice: VoiceSettings) -> None:
        if voice.sample_rate not in SAMPLE_RATES:
            rates = ", ".join(str(rate) for rate in sorted(SAMPLE_RATES))
            raise InvalidSettings(f"voices.{name}.sample_rate: Gradium offers {rates} Hz")
        if unknown := set(voice.settings) - _KNOWN_SETTINGS:
            raise InvalidSettings(f"voices.{name}.settings: Gradium does not know {', '.join(sorted(unknown))}")


class GradiumProtocol(Protocol):
    """One connection to Gradium."""

    def __init__(self, mode: Mode, retry_for_s: float | None = None, *, secret: str = "") -> None:
        self._mode, self._retry_for_s, self._secret = mode, retry_for_s, secret
        self._opened = 0
        self._open: set[StreamKey] = set()

    def open(self, spec: StreamSpec) -> tuple[StreamKey, list[Frame]]:
        self._opened += 1
        stream = f"s{self._opened}"
        self._open.add(stream)
        settings = dict(spec.settings)
        pronunciation = settings.pop("pronunciation_id", None)
        setup: dict[str, Any] = {
            "type": "setup",
            "model_name": spec.model or "default",
            "voice_id": spec.voice_id,
            "output_format": f"pcm_{spec.format.sample_rate}",
            "close_ws_on_eos": self._mode is Mode.SINGLE,
        }
        if settings:
            setup["json_config"] = orjson.dumps(settings).decode()  # the SDK sends a string, too
        if pronunciation is not None:
            setup["pronunciation_id"] = pronunciation
        if self._retry_for_s is not None:
            setup["retry_for_s"] = self._retry_for_s
        return stream, [self._frame(stream, setup)]

    def text(self, stream: StreamKey, text: str) -> list[Frame]:
        return [self._frame(stream, {"type": "text", "text": text})]

    def flush(self, stream: StreamKey, text: str) -> list[Frame]:
        return self.text(stream, f"{text} <flush>".lstrip())

    def finish(self, stream: StreamKey, text: str) -> list[Frame]:
        return [*self.flush(stream, text), self._frame(stream, {"type": "end_of_stream"})]

    def cancel(self, stream: StreamKey) -> list[Frame]:
        # There is no cancel: the request goes on, and its frames are dropped from now on (guide "multiplexing").
        self._open.discard(stream)
        return [self._frame(stream, {"type": "end_of_stream"})]

    def receive(self, frame: Frame) -> list[VendorEvent]:
        try:
            message = orjson.loads(frame)
            return self._read(message)
        except (orjson.JSONDecodeError, binascii.Error, AttributeError, KeyError, TypeError, ValueError) as error:
            text = f"a frame that is not of the protocol: {type(error).__name__}"
            return [Failed(None, _error(text, None, Scope.SOCKET, Action.RECONNECT))]

    def closed(self, code: int | None, reason: str) -> VendorError:
        if code is None:
            return _error("the connection broke", None, Scope.SOCKET, Action.RECONNECT)
        return self._classify(code, reason or "the vendor closed the connection", Scope.SOCKET)

    def _read(self, message: dict[str, Any]) -> list[VendorEvent]:
        kind = message.get("type")
        stream = self._stream_of(message)
        if kind == "error":
            scope = Scope.STREAM if message.get("client_req_id") else Scope.SOCKET
            error = self._classify(message.get("code"), str(message.get("message", "")), scope)
            if scope is Scope.SOCKET:
                return [Failed(None, error)]
            if stream is None:
                return []
            self._open.discard(stream)
            return [Failed(stream, error)]
        if stream is None:  # abandoned, or a frame about nothing that is open
            return []
        if kind == "audio":
            return [AudioData(stream, pybase64.b64decode(message["audio"], validate=True))]
        if kind == "text":
            start = float(message["start_s"])
            return [WordTimes(stream, (WordTime(str(message["text"]), start, float(message.get("stop_s") or start)),))]
        if kind == "ready":
            return [Started(stream, int(message["sample_rate"]))]
        if kind == "end_of_stream":
            self._open.discard(stream)
            return [Finished(stream)]
        return []  # need_more_text, flushed, and what is yet to come: ignored, as the SDK does

    def _stream_of(self, message: dict[str, Any]) -> StreamKey | None:
        if self._mode is Mode.MULTIPLEXED:
            stream = message.get("client_req_id")
            return stream if stream in self._open else None
        return next(iter(self._open), None)

    def _frame(self, stream: StreamKey, message: dict[str, Any]) -> str:
        if self._mode is Mode.MULTIPLEXED:
            message["client_req_id"] = stream
        return orjson.dumps(message).decode()

    def _classify(self, code: int | None, text: str, scope: Scope) -> VendorError:
        if self._secret:
            text = text.replace(self._secret, "…")
        said = text.lower()
        if code in (1002, 1003):  # input before setup, unknown model, an id that is still active
            return _error(text, code, scope, Action.GIVE_UP)
        if code == 1011:  # a worker failed or none was free; an unknown voice says "Embeddings not found"
            unknown = "not found" in said
            return _error(text, code, scope, Action.FIX_CONFIGURATION if unknown else Action.RECONNECT)
        if code == 1008:  # ambiguous: only the words tell (errors page)
            if any(word in said for word in ("concurren", "too many", "limit reached", "capacity")):
                return _error(text, code, Scope.ACCOUNT, Action.RETRY_LATER)
            if any(word in said for word in ("key", "auth", "credit", "subscription", "revoked", "region")):
                return _error(text, code, Scope.ACCOUNT, Action.FIX_CONFIGURATION)
            if any(word in said for word in ("format", "setup", "pronunciation")):
                return _error(text, code, scope, Action.FIX_CONFIGURATION)
        return _error(text, code, scope, Action.RECONNECT)


def _error(text: str, code: int | None, scope: Scope, action: Action) -> VendorError:
    return VendorError("gradium", text, code=code, scope=scope, action=action)
