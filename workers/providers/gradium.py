"""Gradium: JSON frames, audio in base64, phrases formed by the client, one ``<flush>`` at the end.

Facts: docs.gradium.ai (TTS WebSocket reference; guides on the WebSocket's lifecycle, multiplexing and errors) and the
source of the official SDK ``gradium`` 0.6.4.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from saystream.common.errors import Action, Scope, VendorError
from saystream.common.settings import ProviderSettings, VoiceSettings
from saystream.workers.providers import fields, reading
from saystream.workers.providers.account import Account, address
from saystream.workers.providers.base import (
    AudioData,
    Cancel,
    Capabilities,
    Failed,
    Finished,
    Frame,
    Handshake,
    OpenWord,
    Protocol,
    Provider,
    Released,
    Started,
    StreamKey,
    StreamSpec,
    VendorEvent,
    Warned,
    WordTime,
    WordTimes,
)
from saystream.workers.text.lowering import TagRule
from saystream.workers.text.phraser import PhraseRule

PUBLIC_URL = "wss://api.gradium.ai"
PATH = "/api/speech/tts"
KEY_VARIABLE = "GRADIUM_API_KEY"
#: Output formats ``pcm_<rate>`` (API reference, limits page); audio is 16-bit mono.
SAMPLE_RATES = frozenset({8_000, 16_000, 22_050, 24_000, 44_100, 48_000})
#: Only ``<flush>`` and ``<break>`` are the vendor's; what it makes of others is no word of the text either.
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,126}>")
# What the words of an error tell, in this order: what is refused for want of credits may well name a limit.
_OF_THE_ACCOUNT = re.compile(r"key|auth|credit|subscription|revoked|region")
_TOO_MANY = re.compile(r"concurren|too many|maximum number|(session|stream|connection|request|rate)s? limit|capacity")
_OVER = re.compile(r"idle|inactiv|duration|\btimed? ?(limit|out)")
_LIMIT = re.compile(r"limit reached")
_MISCONFIGURED = re.compile(r"format|setup|pronunciation|embedding")
#: The ranges are those that the vendor's validator accepts, a little wider than the documented ones.
_VOICE_SETTINGS: fields.Rules = {
    "temp": fields.number(0.0, 1.5),
    "cfg_coef": fields.number(1.0, 10.0),
    "padding_bonus": fields.number(-5.0, 5.0),
    "rewrite_rules": fields.text,
    "pronunciation_id": fields.text,
}


class Mode(StrEnum):
    """How turns share a connection (guide "multiplexing")."""

    SINGLE = "single"  # one turn, then the vendor closes
    SEQUENTIAL = "sequential"  # one after the other
    MULTIPLEXED = "multiplexed"  # several at once, told apart by client_req_id


_OPTIONS: fields.Rules = {
    "mode": fields.one_of(*Mode),
    "streams": fields.whole(1),
    "retry_for_s": fields.number(0.0, 600.0),
    "holds_chars": fields.whole(0),
}


def breaks(seconds: float) -> str | None:
    """Write a pause in tags of 0.1 to 2 s, as many as it takes, with the blanks around them that they need."""
    tenths = round(seconds * 10)
    if not tenths:
        return None
    tags = []
    while tenths:
        # No rest that is too short: it could not be, as a tenth is the shortest.
        part = min(tenths, 20)
        tags.append(f'<break time="{part / 10:.1f}s" />')
        tenths -= part
    return f" {' '.join(tags)} "


class Gradium(Provider):
    """An account with Gradium.

    Options: ``mode`` (``sequential``), ``streams`` (turns at once on a multiplexed connection, 8: the vendor names no
    limit), ``retry_for_s`` (how long the vendor may look for a free worker before it refuses), ``holds_chars`` (text
    that it may stay behind, 60: it says "a few words").
    """

    vendor = "gradium"

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        options = fields.read_options(f"providers.{name}.options", "Gradium", settings.options, _OPTIONS)
        self.mode = Mode(options.get("mode", Mode.SEQUENTIAL))
        self._retry_for_s: float | None = options.get("retry_for_s")
        self._account = Account(self.vendor, name, settings, KEY_VARIABLE)
        multiplexed = self.mode is Mode.MULTIPLEXED
        self.capabilities = Capabilities(
            phrases=PhraseRule(),
            streams=options.get("streams", 8) if multiplexed else 1,
            turns=1 if self.mode is Mode.SINGLE else 0,
            cancel=Cancel.ABANDON if multiplexed else Cancel.CLOSE,
            word_times=True,
            sample_rates=SAMPLE_RATES,
            holds_chars=options.get("holds_chars", 60),
            unspoken=_TAG,
            tags=TagRule(breaks),
        )

    def handshake(self, binding: str) -> Handshake:
        headers = {"x-api-key": self._account.key, "x-api-source": "saystream"}
        return Handshake(address(self.settings.url, PUBLIC_URL, PATH), headers)

    def protocol(self) -> "GradiumProtocol":
        return GradiumProtocol(self._account, self.mode, self._retry_for_s)

    def refused(self, status: int, body: str) -> VendorError:
        # The socket's own authentication comes after the upgrade (errors page); a status is some proxy's.
        return self._account.refused(status, body)

    def check(self, name: str, voice: VoiceSettings) -> None:
        fields.read_fields(f"voices.{name}.settings", "Gradium", voice.settings, _VOICE_SETTINGS)


@dataclass(slots=True)
class _Stream:
    rate: int  # as it was asked for
    finished: bool = False  # its text has ended


class GradiumProtocol(Protocol):
    """One connection to Gradium."""

    def __init__(self, account: Account, mode: Mode, retry_for_s: float | None = None) -> None:
        self._account, self._mode, self._retry_for_s = account, mode, retry_for_s
        self._opened = 0
        self._open: dict[StreamKey, _Stream] = {}
        self._abandoned: set[StreamKey] = set()

    def open(self, spec: StreamSpec) -> tuple[StreamKey, list[Frame]]:
        self._opened += 1
        stream = f"s{self._opened}"
        self._open[stream] = _Stream(spec.format.sample_rate)
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
        if stream not in self._open or not text.strip():
            return []
        return [self._frame(stream, {"type": "text", "text": text})]

    def flush(self, stream: StreamKey, text: str) -> list[Frame]:
        return self.text(stream, f"{text} <flush>".lstrip())

    def finish(self, stream: StreamKey, text: str) -> list[Frame]:
        if stream not in self._open:
            return []
        self._open[stream].finished = True
        return [*self.flush(stream, text), self._frame(stream, {"type": "end_of_stream"})]

    def cancel(self, stream: StreamKey) -> list[Frame]:
        # There is no cancel: the request goes on, and its frames are dropped from now on (guide "multiplexing").
        if stream not in self._open:
            return []
        self._abandoned.add(stream)
        finished = self._open.pop(stream).finished
        return [] if finished else [self._frame(stream, {"type": "end_of_stream"})]

    def receive(self, frame: Frame) -> list[VendorEvent]:
        try:
            return self._read(reading.mapping(orjson.loads(frame)))
        except reading.MALFORMED as error:
            return [Failed(None, self._account.malformed(error))]

    def closed(self, code: int | None, reason: str) -> VendorError:
        if code is None:
            return self._account.broken()
        return self._classify(code, reason or "the vendor closed the connection", Scope.SOCKET)

    def _read(self, message: Mapping[str, Any]) -> list[VendorEvent]:
        kind, name = message.get("type"), message.get("client_req_id")
        if isinstance(name, str) and name in self._abandoned:
            return self._read_abandoned(kind, name)
        stream = self._stream_of(name)
        if kind == "error":
            # With an id it ends that request only; without, the socket is closed next.
            scope = Scope.STREAM if name else Scope.SOCKET
            error = self._classify(message.get("code"), str(message.get("message", "")), scope)
            if scope is Scope.SOCKET:
                return [Failed(None, error)]
            return [] if stream is None else self._ended(stream, Failed(stream, error))
        if stream is None:  # a frame about nothing that is open
            return []
        if kind == "audio":
            return [AudioData(stream, reading.audio(message["audio"]))]
        if kind == "text":
            return _words(stream, message)
        if kind == "ready":
            rate = message.get("sample_rate")
            return [Started(stream, self._open[stream].rate if rate is None else reading.rate(rate))]
        if kind == "end_of_stream":
            finished = self._open[stream].finished
            return self._ended(stream, Finished(stream) if finished else Failed(stream, self._account.unasked()))
        return []  # need_more_text, flushed, and what is yet to come: ignored, as the SDK does

    def _read_abandoned(self, kind: object, stream: StreamKey) -> list[VendorEvent]:
        if kind not in ("end_of_stream", "error"):
            return []
        self._abandoned.discard(stream)
        return [Released(stream)]

    def _ended(self, stream: StreamKey, event: VendorEvent) -> list[VendorEvent]:
        del self._open[stream]
        return [event]

    def _stream_of(self, name: object) -> StreamKey | None:
        if self._mode is Mode.MULTIPLEXED:
            return name if isinstance(name, str) and name in self._open else None
        return next(iter(self._open), None)

    def _frame(self, stream: StreamKey, message: dict[str, Any]) -> str:
        if self._mode is Mode.MULTIPLEXED:
            message["client_req_id"] = stream
        return orjson.dumps(message).decode()

    def _classify(self, given: object, text: str, scope: Scope) -> VendorError:
        code, said, make = reading.code(given), text.lower(), self._account.error
        if code in (1002, 1003):  # input before setup, unknown model, an id that is still active
            return make(text, code, scope, Action.GIVE_UP)
        if code == 1011:  # a worker failed or none was free; an unknown voice says "Embeddings not found"
            unknown = "not found" in said
            return make(text, code, scope, Action.FIX_CONFIGURATION if unknown else Action.RECONNECT)
        if code in (1008, None):  # ambiguous: only the words tell (errors page)
            if _OF_THE_ACCOUNT.search(said):
                return make(text, code, Scope.ACCOUNT, Action.FIX_CONFIGURATION)
            if _TOO_MANY.search(said):
                return make(text, code, Scope.ACCOUNT, Action.RETRY_LATER)
            if _OVER.search(said):  # an idle or long-lived socket is only to be replaced
                return make(text, code, scope, Action.RECONNECT)
            if _LIMIT.search(said):
                return make(text, code, Scope.ACCOUNT, Action.RETRY_LATER)
            if _MISCONFIGURED.search(said):
                return make(text, code, scope, Action.FIX_CONFIGURATION)
        return make(text, code, scope, Action.RECONNECT)


def _words(stream: StreamKey, message: Mapping[str, Any]) -> list[VendorEvent]:
    """Read when a word is spoken; what cannot be read is no reason to give up audio that is good."""
    try:
        text, start_s, stop_s = str(message["text"]), message.get("start_s"), message.get("stop_s")
        if not text.strip():
            return []
        if start_s is None and stop_s is None:  # at 0.0 it would count as spoken before it is heard
            raise KeyError("start_s")
        start = 0.0 if start_s is None else reading.seconds(start_s)  # as the SDK does
        word = OpenWord(text, start, start) if stop_s is None else WordTime(text, start, reading.seconds(stop_s))
    except reading.MALFORMED as error:
        return [Warned(reading.unreadable(error))]
    return [WordTimes(stream, (word,))]
