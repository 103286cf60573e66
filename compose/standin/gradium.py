"""Gradium's side of its text-to-speech socket, without the socket.

After docs.gradium.ai (websocket lifecycle, multiplexing, text-to-speech, limits, errors) and the vendor's Python SDK
0.6.4. Where these are silent the stand-in decides, and says so with the word "here".

A request is one `setup` … `end_of_stream`. Its name on the socket is its `client_req_id`, or None:

    (absent) ──setup──▶ OPEN ──end_of_stream──▶ ENDING ──all sent──▶ (absent)
                         └────────── error ───────┴────────────────▶ (absent)

The socket is reusable once a setup said `close_ws_on_eos: false`, else it closes with its request. An error that
belongs to a request with an id ends that request; any other ends the socket.
"""

import binascii
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any, Final

import orjson

from saystream.compose.standin.behaviour import CLOSE_CODES, Behaviour
from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.frames import frame_samples
from saystream.compose.standin.orders import (
    Abandon,
    Begin,
    Close,
    Finish,
    Flush,
    Key,
    Note,
    Order,
    Pause,
    Refuse,
    Send,
    Sound,
    Speak,
    Wake,
)

PATH = "/api/speech/tts"

FRAME_MS = 80  # docs.gradium.ai, limits page: 3,840 samples at 48 kHz

FORMATS: Final[Mapping[str, AudioFormat]] = {
    "pcm": AudioFormat("pcm", 48_000),
    **{f"pcm_{rate}": AudioFormat("pcm", rate) for rate in (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)},
    "wav": AudioFormat("wav", 48_000),
    "ulaw_8000": AudioFormat("ulaw", 8_000),
    "mulaw_8000": AudioFormat("ulaw", 8_000),
    "alaw_8000": AudioFormat("alaw", 8_000),
}
"""docs.gradium.ai, limits page; `opus` is not made here."""

OK = 1000
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
REFUSED = 1008
INTERNAL = 1011

# Limits that no page states: here they keep one client from filling the memory of the stand-in.
LONGEST_WORD = 1_000
"""Characters."""
MOST_WAITING_WORDS = 20_000

_IDLE = "idle"  # the label of the only wake
_FLUSH_TAG = "<flush>"
_BREAK_TIME = re.compile(r'time="(\d+(?:\.\d+)?)s"(/>)?')
_SHORTEST_BREAK_S, _LONGEST_BREAK_S = 0.1, 2.0
_UNKNOWN_DICTIONARY = "unknown"  # here: the beginning of the ids of dictionaries that do not exist
# docs.gradium.ai, voice settings page: what the validator accepts.
_CONFIG_RANGES = {"temp": (0.0, 1.5), "cfg_coef": (1.0, 10.0), "padding_bonus": (-5.0, 5.0)}


class _State(Enum):
    OPEN = "takes text"
    ENDING = "has all its text"


@dataclass(slots=True)
class _Request:
    key: Key
    name: str | None
    request_id: str
    model: str
    format: AudioFormat
    state: _State = _State.OPEN
    words: list[str] = field(default_factory=list)
    """Text that the voice stays behind with."""
    suffix: bytes = b"}"
    """How each message of this request ends."""


class _Refusal(Exception):
    """A message that breaks the rules."""

    def __init__(self, code: int, message: str, name: str | None = None) -> None:
        self.code, self.message, self.name = code, message, name
        # The same code closes the socket. Where it is none of a socket's, but HTTP's, say, it closes with 1011 here.
        self.close_code = code if code in CLOSE_CODES else INTERNAL


class Gradium:
    """One socket of the vendor's server; see `orders.Vendor`.

    Args:
        api_keys: the keys that are let in
        word_lag: how many words the voice stays behind its input
        idle_s: a socket without a request is closed after so long; None lets it wait
        new_id: makes the `request_id` of a request
    """

    binary = False

    def __init__(
        self,
        api_keys: frozenset[str],
        word_lag: int = 2,
        idle_s: float | None = None,
        new_id: Callable[[], str] = lambda: f"req_{secrets.token_hex(8)}",
    ) -> None:
        self._api_keys = api_keys
        self._word_lag = word_lag
        self._idle_s = idle_s
        self._new_id = new_id
        self._keys = count(1)
        self._requests: dict[Key, _Request] = {}
        self._names: dict[str | None, _Request] = {}
        self._had_setup = False
        self._reusable = False
        self._closes_when_idle = False
        self._closed = False
        self._stranger: _Refusal | None = None

    def upgrading(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Refuse | None:
        # Every upgrade succeeds: what is wrong with a key is said on the socket.
        if "token" in query:
            self._stranger = _Refusal(REFUSED, "one-time tokens are not known here: send the header x-api-key")
        elif headers.get("x-api-key") not in self._api_keys:
            self._stranger = _Refusal(REFUSED, "Invalid API key")
        return None

    def connected(self) -> list[Order]:
        return self._idle() if self._stranger is None else self._refused(self._stranger)

    def received(self, message: str | bytes) -> list[Order]:
        if self._closed:
            return []
        try:
            return self._handled(_parsed(message))
        except _Refusal as refusal:
            return self._refused(refusal)

    def accepted(self, key: Key) -> list[Order]:
        request = self._requests.get(key)
        if request is None:
            return []
        ready: dict[str, Any] = {
            "type": "ready",
            "request_id": request.request_id,
            "model_name": request.model,
            "model_ext": "standin",
            "sample_rate": request.format.rate,
            "frame_size": frame_samples(request.format.rate, FRAME_MS),
            "audio_stream_names": [],
            "text_stream_names": [],
            "residency": "none",
        }
        return [Send(orjson.dumps(ready)[:-1] + request.suffix)]

    def failed(self, key: Key, code: int, message: str) -> list[Order]:
        request = self._requests.get(key)
        return [] if request is None else self._refused(_Refusal(code, message, request.name))

    def unknown_voice(self, key: Key, voice: str) -> list[Order]:
        return self.failed(key, INTERNAL, f"Embeddings not found for {voice}")

    def over_limit(self, key: Key) -> list[Order]:
        return self.failed(key, REFUSED, "Concurrency limit reached: too many sessions are open")

    def broken(self, key: Key, why: str) -> list[Order]:
        return self.failed(key, INTERNAL, why)

    def sound(self, key: Key, sound: Sound) -> list[bytes]:
        request = self._requests[key]
        rate, suffix = request.format.rate, request.suffix
        messages = [
            b'{"type":"text","text":%b,"start_s":%b,"stop_s":%b,"stream_id":0%b'
            % (orjson.dumps(word.text), _seconds(word.first_sample, rate), _seconds(word.last_sample, rate), suffix)
            for word in sound.words
        ]
        if sound.data:
            audio = binascii.b2a_base64(sound.data, newline=False)
            start, stop = _seconds(sound.first_sample, rate), _seconds(sound.last_sample, rate)
            messages.append(
                b'{"type":"audio","audio":"%b","start_s":%b,"stop_s":%b,"stream_id":0%b' % (audio, start, stop, suffix)
            )
        return messages

    def reached(self, key: Key, label: str, sample: int) -> list[Order]:
        return []  # nothing here depends on how far the voice is

    def woke(self, label: str) -> list[Order]:
        if self._requests or self._closed:
            return []
        return self._refused(_Refusal(REFUSED, "Session closed: idle for too long"))

    def finished(self, key: Key) -> list[Order]:
        request = self._requests.get(key)
        if request is None:
            return []
        self._forget(request)
        return [Send(b'{"type":"end_of_stream"' + request.suffix), *(self._close_if_idle() or self._idle())]

    # Messages

    def _handled(self, message: dict[str, Any]) -> list[Order]:
        name = message.get("client_req_id")
        if name is not None and not isinstance(name, str):
            raise _Refusal(PROTOCOL_ERROR, "client_req_id must be a string")
        if not self._had_setup and message.get("type") != "setup":
            raise _Refusal(PROTOCOL_ERROR, "the first message must be a setup")
        match message.get("type"):
            case "setup":
                return self._setup(name, message)
            case "text":
                return self._text(name, message)
            case "end_of_stream":
                return self._end_of_stream(name)
            case "flush":
                raise _Refusal(PROTOCOL_ERROR, "text-to-speech has no flush message: send <flush> in a text", name)
            case unknown:
                raise _Refusal(PROTOCOL_ERROR, f"unknown message type {unknown!r}", name)

    def _setup(self, name: str | None, message: dict[str, Any]) -> list[Order]:
        if name in self._names:
            # Without the id: with it, the client would take the request that is active for the one that failed.
            raise _Refusal(PROTOCOL_ERROR, f"client_req_id {name} is still active" if name else "a request is active")
        keeps_socket = _field(message, "close_ws_on_eos", bool, True, None) is False
        # Even a setup that fails says how its socket is to be used.
        self._had_setup = True
        self._reusable |= keeps_socket
        self._closes_when_idle |= not keeps_socket
        format_name = _field(message, "output_format", str, "wav", name)
        voice = _field(message, "voice_id", str, "", name) or _field(message, "voice", str, "default", name)
        model = _field(message, "model_name", str, "default", name)
        dictionary = _field(message, "pronunciation_id", str, "", name)
        _check_config(message.get("json_config"), name)
        audio_format = FORMATS.get(format_name)
        if audio_format is None:
            raise _Refusal(REFUSED, f"output_format {format_name} is not supported, only {', '.join(FORMATS)}", name)
        if dictionary.startswith(_UNKNOWN_DICTIONARY):
            raise _Refusal(REFUSED, f"Pronunciation dictionary {dictionary} not found", name)
        request = _Request(Key(next(self._keys)), name, self._new_id(), model, audio_format, suffix=_suffix(name))
        self._requests[request.key] = self._names[name] = request
        begin = Begin(request.key, request.request_id, voice, audio_format, FRAME_MS, message)
        return [*self._busy(), begin]

    def _text(self, name: str | None, message: dict[str, Any]) -> list[Order]:
        request = self._open_request(name)
        text = message.get("text")
        if not isinstance(text, str):
            raise _Refusal(PROTOCOL_ERROR, "a text message needs a string `text`", name)
        *flushed, rest = text.split(_FLUSH_TAG)
        orders: list[Order] = [Note(request.key, text, len(flushed))]
        for part in flushed:
            orders += self._heard(request, part, everything=True)
            orders.append(Flush(request.key))
        return orders + self._heard(request, rest, everything=False)

    def _end_of_stream(self, name: str | None) -> list[Order]:
        request = self._names.get(name)
        if request is None and name is None and self._reusable:
            self._closes_when_idle = True
            return self._close_if_idle()
        if request is None:
            raise _Refusal(PROTOCOL_ERROR, "end_of_stream without an active request", name)
        if request.state is _State.ENDING:
            return []  # here: harmless to repeat
        request.state = _State.ENDING
        return [*self._heard(request, "", everything=True), Finish(request.key)]

    def _open_request(self, name: str | None) -> _Request:
        request = self._names.get(name)
        if request is None:
            raise _Refusal(PROTOCOL_ERROR, "text without an active request", name)
        if request.state is _State.ENDING:
            raise _Refusal(PROTOCOL_ERROR, "text after end_of_stream", name)
        return request

    def _heard(self, request: _Request, text: str, *, everything: bool) -> list[Order]:
        """Take in text; give out what lies far enough behind.

        Words never join over two messages: the vendor puts one blank between them.
        """
        words = text.split()
        if any(len(word) > LONGEST_WORD for word in words):
            raise _Refusal(REFUSED, f"a word is longer than {LONGEST_WORD} characters", request.name)
        if len(words) > MOST_WAITING_WORDS:
            raise _Refusal(REFUSED, f"a text has more than {MOST_WAITING_WORDS} words", request.name)
        waiting = request.words
        waiting += words
        kept = 0 if everything else self._word_lag
        items: list[str | Pause] = []
        at = 0
        while len(waiting) - at > kept:
            pause, used = _break_tag(waiting[at : at + 3])
            if used == 0 and not everything and waiting[at] == "<break" and len(waiting) - at < 3:
                break  # the tag's other half may be in the next message
            items.append(waiting[at] if pause is None else pause)
            at += max(used, 1)
        del waiting[:at]
        return [Speak(request.key, tuple(items))] if items else []

    # Ends

    def _refused(self, refusal: _Refusal) -> list[Order]:
        error = {"type": "error", "message": refusal.message, "code": refusal.code}
        frame = orjson.dumps(error)[:-1]
        if refusal.name is not None:
            request = self._names.get(refusal.name)
            orders: list[Order] = []
            if request is not None:
                self._forget(request)
                orders.append(Abandon(request.key))
            orders.append(Send(frame + _suffix(refusal.name)))
            return orders + (self._close_if_idle(refusal.close_code, _close_reason(refusal.message)) or self._idle())
        orders = [Abandon(key) for key in self._requests]
        self._requests.clear()
        self._names.clear()
        self._closed = True
        return [*orders, Send(frame + b"}"), Close(refusal.close_code, _close_reason(refusal.message))]

    def _forget(self, request: _Request) -> None:
        del self._requests[request.key]
        del self._names[request.name]

    def _close_if_idle(self, code: int = OK, reason: str = "") -> list[Order]:
        if self._closed or self._requests or not self._closes_when_idle:
            return []
        self._closed = True
        return [Close(code, reason)]

    def _idle(self) -> list[Order]:
        """From now on the idle time counts, if no request runs."""
        return [] if self._idle_s is None or self._requests else [Wake(_IDLE, self._idle_s)]

    def _busy(self) -> list[Order]:
        return [] if self._idle_s is None else [Wake(_IDLE, None)]


PATHS: Final[Mapping[str, Callable[[Behaviour], Gradium]]] = {
    PATH: lambda behaviour: Gradium(behaviour.api_keys, behaviour.word_lag, behaviour.idle_socket_s),
}
"""What is spoken at each of the vendor's paths."""


def _parsed(message: str | bytes) -> dict[str, Any]:
    if isinstance(message, bytes):
        raise _Refusal(UNSUPPORTED_DATA, "binary frames are not part of the protocol")
    try:
        parsed = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise _Refusal(PROTOCOL_ERROR, f"not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise _Refusal(PROTOCOL_ERROR, "a message must be a JSON object")
    return parsed


def _field(message: dict[str, Any], field_name: str, kind: type, default: Any, name: str | None) -> Any:
    """A field of a setup; null counts as absent, because the SDK may send it."""
    value = message.get(field_name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise _Refusal(PROTOCOL_ERROR, f"{field_name} must be {kind.__name__}", name)
    return value


def _check_config(config: Any, name: str | None) -> None:
    """Accept an object or, as the SDK sends it, a string that holds one."""
    if isinstance(config, str):
        try:
            config = orjson.loads(config)
        except orjson.JSONDecodeError as error:
            raise _Refusal(PROTOCOL_ERROR, f"json_config is not JSON: {error}", name) from error
    if config is None:
        return
    if not isinstance(config, dict):
        raise _Refusal(PROTOCOL_ERROR, "json_config must be an object", name)
    for setting, (low, high) in _CONFIG_RANGES.items():
        value = config.get(setting, low)
        if not isinstance(value, int | float) or not low <= value <= high:
            raise _Refusal(PROTOCOL_ERROR, f"json_config.{setting} must lie between {low} and {high}", name)


def _break_tag(words: list[str]) -> tuple[Pause | None, int]:
    """Read `<break time="1.5s" />` off the words; also say how many words it takes."""
    if len(words) < 2 or words[0] != "<break":
        return None, 0
    time = _BREAK_TIME.fullmatch(words[1])
    if time is None or (time[2] is None and words[2:3] != ["/>"]):
        return None, 0
    seconds = min(max(float(time[1]), _SHORTEST_BREAK_S), _LONGEST_BREAK_S)
    return Pause(seconds), 2 if time[2] else 3


def _suffix(name: str | None) -> bytes:
    return b"}" if name is None else b',"client_req_id":' + orjson.dumps(name) + b"}"


def _seconds(samples: int, rate: int) -> bytes:
    return repr(round(samples / rate, 6)).encode()


def _close_reason(message: str) -> str:
    """A close frame holds 123 bytes of reason (RFC 6455, 5.5)."""
    return message.encode()[:123].decode(errors="ignore")
