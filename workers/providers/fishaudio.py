"""Fish Audio: MessagePack frames, raw audio, tokens as they come, ``stop`` at the end, word times in snapshots.

Facts: docs.fish.audio (AsyncAPI of tts-live, reference of tts-live-with-timestamp, rate limits) and the source of the
official SDK ``fish-audio-sdk`` 1.3.0.
"""

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import ormsgpack

from saystream.common.errors import Action, InvalidSettings, Scope, VendorError
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
    Protocol,
    Provider,
    Started,
    StreamKey,
    StreamSpec,
    VendorEvent,
    Warned,
    WordTime,
    WordTimes,
)

PUBLIC_URL = "wss://api.fish.audio"
KEY_VARIABLE = "FISH_API_KEY"
#: Of ``pcm`` (API reference); 16-bit mono.
SAMPLE_RATES = frozenset({8_000, 16_000, 24_000, 32_000, 44_100})
#: Any other name is spoken, and billed, as the default, without a word about it.
DEFAULT_MODEL = "s2.1-pro"
MODELS = frozenset({"s1", "s2-pro", "s2.1-pro", "s2.1-pro-free"})
TIMESTAMP_MODELS = frozenset({"drama-3-preview"})
_PATHS = {False: "/v1/tts/live", True: "/v1/tts/live/with-timestamp"}
#: The vendor's own default voice.
_DEFAULT_VOICE = "default"
_CUE = re.compile(r"\[[^\[\]]{0,126}\]|<\|[^<>|]{0,126}\|>")
# What an error is about where it has no code.
_OF_THE_ACCOUNT = re.compile(r"balance|credit|api key|unauthori[sz]ed")
_TOO_MANY = re.compile(r"too many|rate ?limit")
_PASSING = re.compile(r"busy|try again|overload|unavailable|internal|time-?out|timed out")
#: Two snapshots that differ by no more, in seconds, say the same.
_SAME_S = 0.001

_LATENCY = fields.one_of("normal", "balanced", "low")
_SHARE = fields.number(0.0, 1.0)
_VOICE_SETTINGS: fields.Rules = {
    "latency": _LATENCY,
    "min_chunk_length": fields.whole(0, 100),
    "normalize": fields.flag,
    "temperature": _SHARE,
    "top_p": _SHARE,
    "repetition_penalty": fields.number(0.0, 10.0),
    "max_new_tokens": fields.whole(1),
    "condition_on_previous_chunks": fields.flag,
    "early_stop_threshold": _SHARE,
    "prosody": fields.table(
        speed=fields.number(0.5, 2.0), volume=fields.number(-20.0, 20.0), normalize_loudness=fields.flag
    ),
    "features": fields.list_of(fields.text),
}
_OPTIONS: fields.Rules = {
    "timestamps": fields.flag,
    "model": fields.text,
    "any_model": fields.flag,
    "latency": _LATENCY,
    "chunk_length": fields.whole(100, 300),
    "holds_chars": fields.whole(0),
    "settle_s": fields.number(0.0, 60.0),
}


class FishAudio(Provider):
    """An account with Fish Audio.

    Options: ``timestamps`` (true: the path that reports words), ``model`` (of voices that name none), ``any_model``
    (let names pass that are not known here), ``latency`` and ``chunk_length`` (characters that are spoken together),
    ``holds_chars`` (text that the vendor may keep to itself; ``chunk_length``), ``settle_s`` (how long after a turn it
    may close the socket; whether it does, its documents tell both ways).
    """

    vendor = "fishaudio"

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        super().__init__(name, settings)
        options = fields.read_options(f"providers.{name}.options", "Fish Audio", settings.options, _OPTIONS)
        self._timestamps: bool = options.get("timestamps", True)
        self._model: str = options.get("model", DEFAULT_MODEL)
        self._any_model: bool = options.get("any_model", False)
        self._defaults = {
            "latency": options.get("latency", "balanced"),
            "chunk_length": options.get("chunk_length", 100),
        }
        self._account = Account(self.vendor, name, settings, KEY_VARIABLE)
        self._check_model(f"providers.{name}.options.model", self._model)
        self.capabilities = Capabilities(
            phrases=None,
            streams=1,
            turns=0,
            cancel=Cancel.CLOSE,
            word_times=self._timestamps,
            sample_rates=SAMPLE_RATES,
            holds_chars=options.get("holds_chars", self._defaults["chunk_length"]),
            settle_s=options.get("settle_s", 0.3),
            unspoken=_CUE,
        )

    def binding(self, spec: StreamSpec) -> str:
        return spec.model or self._model

    def handshake(self, binding: str) -> Handshake:
        headers = {"Authorization": f"Bearer {self._account.key}", "model": binding or self._model}
        return Handshake(address(self.settings.url, PUBLIC_URL, _PATHS[self._timestamps]), headers)

    def protocol(self) -> "FishAudioProtocol":
        return FishAudioProtocol(self._account, self._defaults)

    def refused(self, status: int, body: str) -> VendorError:
        return self._account.refused(status, body)

    def check(self, name: str, voice: VoiceSettings) -> None:
        fields.read_fields(f"voices.{name}.settings", "Fish Audio", voice.settings, _VOICE_SETTINGS)
        self._check_model(f"voices.{name}.model", voice.model or self._model)

    def _check_model(self, where: str, model: str) -> None:
        if not (model.isascii() and model.isprintable()):
            raise InvalidSettings(f"{where}: a model's name travels in a header")
        known = MODELS | TIMESTAMP_MODELS if self._timestamps else MODELS
        if model not in known and not self._any_model:
            raise InvalidSettings(
                f"{where}: {model!r} is none of {', '.join(sorted(known))}; Fish Audio would silently speak as "
                f"{DEFAULT_MODEL} (if it is new, let it pass with the provider's option any_model = true)"
            )


class FishAudioProtocol(Protocol):
    """One connection to Fish Audio: one stream at a time."""

    def __init__(self, account: Account, defaults: Mapping[str, Any]) -> None:
        self._account, self._defaults = account, defaults
        self._opened = 0
        self._stream: StreamKey | None = None
        self._rate = 0
        self._heard = self._stopped = False
        self._words = Snapshots()

    def open(self, spec: StreamSpec) -> tuple[StreamKey, list[Frame]]:
        self._opened += 1
        self._stream = stream = f"s{self._opened}"
        self._rate = spec.format.sample_rate  # the vendor does not tell it, so it is as it was asked for
        self._heard = self._stopped = False
        self._words = Snapshots()
        request = {
            "text": "",
            "format": "pcm",
            "sample_rate": self._rate,
            "reference_id": _reference(spec.voice_id),
            **self._defaults,
            **spec.settings,
        }
        return stream, [_frame("start", request=request)]

    def text(self, stream: StreamKey, text: str) -> list[Frame]:
        return [_frame("text", text=text)] if text and stream == self._stream else []

    def flush(self, stream: StreamKey, text: str) -> list[Frame]:
        return [*self.text(stream, text), _frame("flush")] if stream == self._stream else []

    def finish(self, stream: StreamKey, text: str) -> list[Frame]:
        if stream != self._stream:
            return []
        self._stopped = True
        return [*self.text(stream, text), _frame("stop")]  # it drains everything: no flush

    def cancel(self, stream: StreamKey) -> list[Frame]:
        return []  # there is no such message, and `stop` would be spoken to its end: the connection is closed

    def receive(self, frame: Frame) -> list[VendorEvent]:
        if isinstance(frame, str):
            return []  # text frames are no part of the protocol and are ignored on both sides
        try:
            return self._read(reading.mapping(ormsgpack.unpackb(frame)))
        except reading.MALFORMED as error:
            return [Failed(None, self._account.malformed(error))]

    def closed(self, code: int | None, reason: str) -> VendorError:
        if code is None:
            return self._account.broken()
        if "concurren" in reason.lower():
            return self._account.error(reason, code, Scope.ACCOUNT, Action.RETRY_LATER)
        return self._account.error(reason or "closed the connection", code, Scope.SOCKET, Action.RECONNECT)

    def _read(self, message: Mapping[str, Any]) -> list[VendorEvent]:
        kind, stream = message.get("event"), self._stream
        if kind == "error":
            return [Failed(None, self._refusal(message))]
        if stream is None:
            return []
        if kind == "audio":
            return self._audio(stream, message)
        if kind == "finish":
            self._stream = None
            return self._finish(stream, message)
        return []  # what is yet to come

    def _audio(self, stream: StreamKey, message: Mapping[str, Any]) -> list[VendorEvent]:
        events: list[VendorEvent] = []
        data = message.get("audio") or b""  # the last message may hold a snapshot only
        if not isinstance(data, bytes):
            raise TypeError("not audio")
        # Which chunk it is labelled with says nothing about the audio, only about the words.
        try:
            words = self._words.take(message)
        except reading.MALFORMED as error:
            words = ()
            events.append(Warned(reading.unreadable(error)))
        if not self._heard:
            self._heard = True
            events.append(Started(stream, self._rate))
        if words:
            events.append(WordTimes(stream, words))
        if data:
            events.append(AudioData(stream, data))
        return events

    def _finish(self, stream: StreamKey, message: Mapping[str, Any]) -> list[VendorEvent]:
        if message.get("reason") != "stop":
            said = message.get("message") or f"finished with reason {message.get('reason')!r}"
            # The vendor advises a new connection, and this one is closed or left in an unknown state.
            return [Failed(None, self._account.error(said, "finish", Scope.STREAM, Action.RECONNECT))]
        if not self._stopped:
            return [Failed(stream, self._account.unasked())]
        words = self._words.rest()
        return [*([WordTimes(stream, words)] if words else []), Finished(stream)]

    def _refusal(self, message: Mapping[str, Any]) -> VendorError:
        text, make = str(message.get("error") or message.get("message") or ""), self._account.error
        codes = (reading.code(message.get(name)) for name in ("status", "code"))
        said, code = text.lower(), next((code for code in codes if code is not None), None)
        if "max_concurrency" in message or "concurren" in said:
            return make(text, code, Scope.ACCOUNT, Action.RETRY_LATER)
        if code is not None and 400 <= code < 500:  # a number says more than words
            if code in (401, 402, 403):
                return make(text, code, Scope.ACCOUNT, Action.FIX_CONFIGURATION)
            if code == 429:
                return make(text, code, Scope.ACCOUNT, Action.RETRY_LATER)
            if code == 408:
                return make(text, code, Scope.SOCKET, Action.RETRY_LATER)
        elif code is not None and code >= 500:
            return make(text, code, Scope.SOCKET, Action.RETRY_LATER)
        elif _TOO_MANY.search(said):
            return make(text, code, Scope.ACCOUNT, Action.RETRY_LATER)
        elif _OF_THE_ACCOUNT.search(said):
            return make(text, code, Scope.ACCOUNT, Action.FIX_CONFIGURATION)
        elif _PASSING.search(said):
            return make(text, code, Scope.SOCKET, Action.RETRY_LATER)
        # A start that the vendor does not take.
        return make(text, code, Scope.STREAM, Action.RECONNECT if self._heard else Action.FIX_CONFIGURATION)


class Snapshots:
    """When words are spoken: each message may hold a snapshot of its chunk, which replaces the one before.

    A word counts once it can no longer change: a later snapshot has it likewise, and another word behind it; or the
    next chunk has begun.
    """

    def __init__(self) -> None:
        self._chunk = -1
        self._words: list[WordTime] = []  # of the last snapshot
        self._settled = 0  # so many of them have been told
        self._told = ""  # those of this chunk, without blanks
        self._told_to_s = 0.0

    def take(self, message: Mapping[str, Any]) -> tuple[WordTime, ...]:
        """Return the words that a message has settled.

        Raises:
            Exception: one of `reading.MALFORMED`; what was known stands.
        """
        number = message.get("chunk_seq")
        chunk = self._chunk if number is None else reading.whole(number)
        snapshot = _words(message)
        if chunk < self._chunk:  # its words have been told
            return ()
        settled: tuple[WordTime, ...] = ()
        if chunk > self._chunk:
            settled = self.rest()
            self._chunk, self._words, self._settled, self._told = chunk, [], 0, ""
        if snapshot is None:  # nothing new; what was said stands
            return settled
        first = last = self._told_of(snapshot)
        for known, word in zip(self._words[self._settled :], snapshot[first:-1], strict=False):
            if not _same(known, word):
                break
            last += 1
            self._told += _solid(word.text)
            self._told_to_s = word.end_s
        self._words, self._settled = snapshot, last
        return settled + tuple(snapshot[first:last])

    def rest(self) -> tuple[WordTime, ...]:
        """Return the words of the present chunk that have not been told: nothing more comes of it."""
        words = tuple(self._words[self._settled :])
        self._settled = len(self._words)
        return words

    def _told_of(self, snapshot: list[WordTime]) -> int:
        """Return how many words of a snapshot have been told; it may have joined some of them, or cut one in two."""
        if not self._told or not snapshot:
            return 0
        so_far = accumulate(_solid(word.text) for word in snapshot)
        if (same := next((place for place, text in enumerate(so_far, 1) if text == self._told), None)) is not None:
            return same
        # It spells them otherwise now: they end where they ended.
        ends = ((abs(word.end_s - self._told_to_s), place) for place, word in enumerate(snapshot, 1))
        return min(ends)[1]


def _words(message: Mapping[str, Any]) -> list[WordTime] | None:
    """Read a snapshot; times are in seconds from the stream's first sample then."""
    alignment = message.get("alignment")
    segments = None if alignment is None else reading.mapping(alignment).get("segments")
    if segments is None:
        return None
    offset_s = reading.seconds(message.get("chunk_audio_offset_sec") or 0.0)
    words = (
        WordTime(
            str(segment["text"]),
            offset_s + reading.seconds(segment["start"]),
            offset_s + reading.seconds(segment["end"]),
        )
        for segment in segments
    )
    return [word for word in words if word.text.strip()]


def _solid(text: str) -> str:
    return "".join(text.split())


def _same(known: WordTime, word: WordTime) -> bool:
    return (
        known.text == word.text
        and abs(known.start_s - word.start_s) <= _SAME_S
        and abs(known.end_s - word.end_s) <= _SAME_S
    )


def _reference(voice_id: str) -> str | list[str] | None:
    """Return the vendor's form of a voice: one id, several for several speakers, none for its own default."""
    if voice_id == _DEFAULT_VOICE:
        return None
    speakers = [part.strip() for part in voice_id.split(",") if part.strip()]
    return speakers if len(speakers) > 1 else voice_id


def _frame(event: str, **rest: Any) -> bytes:
    return ormsgpack.packb({"event": event, **rest})
