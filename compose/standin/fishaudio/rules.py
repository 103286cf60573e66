"""One socket of Fish Audio's live text-to-speech.

After docs.fish.audio (the AsyncAPI of tts-live, the reference of with-timestamp) and the vendor's Python SDK 1.3.0.
Where these are silent, or differ, the stand-in decides, and says so with the word "here".

Messages are MessagePack maps in binary frames. A socket has one session at a time, a session is one request:

    (none) ──start──▶ OPEN ──stop──▶ ENDING ──all sent: finish──▶ (none)
                       └── error, or finish with reason error ──▶ the socket closes

Behind `finish` the socket closes or stays, as the behaviour says: the vendor's documents have both.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Any, Final

import orjson
import ormsgpack

from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.fishaudio.alignment import Alignment
from saystream.compose.standin.fishaudio.request import RefusedError, Wanted, known_model, read
from saystream.compose.standin.fishaudio.text import TextBuffer, spoken_items
from saystream.compose.standin.orders import (
    Abandon,
    Begin,
    Close,
    Finish,
    Key,
    Mark,
    Note,
    Order,
    Refuse,
    Send,
    Sound,
    Speak,
    Wake,
)

FRAME_MS = 100
"""Audio in most messages, here; the ends of chunks make shorter ones."""

HELD_MS = 20
"""How much of what was flushed waits for the next message of the client, here; the vendor holds "the last" of it."""

OK = 1000
REFUSED = 1008  # here: no document names a close code
INTERNAL = 1011

_IDLE = "idle"
_REST = "rest"

_UNAUTHORIZED, _TOO_MANY, _OVERLOADED = 401, 429, 503
_REFUSALS: Final[Mapping[int, str]] = {
    _UNAUTHORIZED: "Invalid API key",
    402: "Insufficient API credit",
    404: "Reference not found",
    _TOO_MANY: "Concurrency limit exceeded",
    _OVERLOADED: "Service overloaded",
}
"""What is said of these codes of HTTP, if nothing else is to be said."""

_DEFAULT_MAX_CONCURRENCY = 5  # the vendor's smallest plan


class _State(Enum):
    OPEN = "takes text"
    ENDING = "has all its text"


@dataclass(slots=True)
class _Session:
    key: Key
    rate: int
    text: TextBuffer
    alignment: Alignment
    held: bytes
    """Audio that waits for what follows it; begins as the header of the format."""
    state: _State = _State.OPEN
    begun: bool = False
    """There has been audio."""


class FishAudio:
    """One socket of the vendor's server; see `orders.Vendor`.

    Args:
        timestamps: it is a socket of `/with-timestamp`
        new_id: makes the `request_id` of a request
    """

    binary = True

    def __init__(
        self, behaviour: Behaviour, *, timestamps: bool, new_id: Callable[[], str] = lambda: secrets.token_hex(16)
    ) -> None:
        self._behaviour = behaviour
        self._timestamps = timestamps
        self._new_id = new_id
        self._keys = count(1)
        self._model = known_model(None)
        self._session: _Session | None = None
        self._closed = False

    def upgrading(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Refuse | None:
        scheme, _, api_key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or api_key.strip() not in self._behaviour.api_keys:
            body = {"message": _REFUSALS[_UNAUTHORIZED], "status": _UNAUTHORIZED}
            return Refuse(_UNAUTHORIZED, orjson.dumps(body), {"content-type": "application/json"})
        self._model = known_model(headers.get("model"))
        return None

    def connected(self) -> list[Order]:
        return self._idle()

    def received(self, message: str | bytes) -> list[Order]:
        if self._closed or isinstance(message, str):
            return []  # text frames are none of the protocol, and the vendor passes over them
        try:
            return self._handled(_parsed(message))
        except RefusedError as refused:
            return self._error(str(refused))

    def accepted(self, key: Key) -> list[Order]:
        return []  # there is no acknowledgement: the first answer is audio, or a failure

    def failed(self, key: Key, code: int, message: str) -> list[Order]:
        """Codes of HTTP that put the blame on the request, or on an overload, are an `error`; others end the turn."""
        if self._of(key) is None:
            return []
        if code == _TOO_MANY:
            return self._error(message or _REFUSALS[code], max_concurrency=self._max_concurrency)
        if 400 <= code < 500 or code == _OVERLOADED:
            return self._error(message or _REFUSALS.get(code, "Bad request"), status=code)
        return self.broken(key, message or f"internal error {code}")

    def unknown_voice(self, key: Key, voice: str) -> list[Order]:
        return [] if self._of(key) is None else self._error(f"Reference not found: {voice}")

    def over_limit(self, key: Key) -> list[Order]:
        return self.failed(key, _TOO_MANY, "")

    def broken(self, key: Key, why: str) -> list[Order]:
        """The request ends with `finish`, reason `error`; here the socket closes even if it stays after a good one."""
        if self._of(key) is None:
            return []
        self._session, self._closed = None, True
        finish = {"event": "finish", "reason": "error", "message": why}
        return [Abandon(key), Send(ormsgpack.packb(finish)), Close(INTERNAL, _close_reason(why))]

    def sound(self, key: Key, sound: Sound) -> list[bytes]:
        session = self._of(key)
        if session is None:
            return []
        session.alignment.heard(sound)
        session.held += sound.data
        session.begun |= bool(sound.data)
        ready = len(session.held) - 2 * session.rate * HELD_MS // 1000
        if ready <= 0 or not sound.data:
            return []
        audio, session.held = session.held[:ready], session.held[ready:]
        return [self._audio(session, audio)]

    def reached(self, key: Key, label: str, sample: int) -> list[Order]:
        session = self._of(key)
        if session is None:
            return []
        if label == _REST:
            return self._release(session)
        session.alignment.reached(int(label), sample)
        return []

    def woke(self, label: str) -> list[Order]:
        if self._closed or self._session is not None:
            return []
        self._closed = True
        return [Close(OK, "idle")]

    def finished(self, key: Key) -> list[Order]:
        session = self._of(key)
        if session is None:
            return []
        orders: list[Order] = self._release(session)
        if self._timestamps:
            orders += [Send(_event("audio", audio=b"", **labels)) for labels in session.alignment.last()]
        orders.append(Send(_event("finish", reason="stop")))
        self._session = None
        if self._behaviour.keeps_socket:
            return orders + self._idle()
        self._closed = True
        return [*orders, Close(OK)]

    # Messages

    def _handled(self, message: dict[str, Any]) -> list[Order]:
        match message.get("event"):
            case "start":
                return self._start(message)
            case "text":
                return self._text(message.get("text"))
            case "flush" if self._session is not None:
                return self._flush(self._session)
            case "stop" if self._session is not None:
                return self._stop(self._session)
        return []  # unknown events are passed over; here so are a flush and a stop that have nothing to end

    def _start(self, message: dict[str, Any]) -> list[Order]:
        if self._session is not None:
            raise RefusedError("start before the finish of the session")
        wanted = read(message.get("request"))
        self._session = session = _new_session(Key(next(self._keys)), wanted)
        # A WAV goes out as its header and samples: here the header is the vendor's own.
        audio_format = AudioFormat("pcm", wanted.rate)
        record = {**message, "request": _without_sound(message["request"]), "model": self._model}
        orders: list[Order] = [Wake(_IDLE, None)] if self._behaviour.idle_socket_s is not None else []
        orders.append(Begin(session.key, self._new_id(), wanted.voice, audio_format, FRAME_MS, record))
        return orders + (self._heard(session, wanted.text) if wanted.text else [])

    def _text(self, text: Any) -> list[Order]:
        if not isinstance(text, str):
            raise RefusedError("a text event needs a string `text`")
        session = self._session
        if session is None:
            raise RefusedError("text before start")
        if session.state is _State.ENDING:
            raise RefusedError("text after stop")  # here; the documents say only that no more text comes
        return self._heard(session, text)

    def _flush(self, session: _Session) -> list[Order]:
        if session.state is _State.ENDING:
            return []
        return [Note(session.key, "", 1), *(self._spoken(session, session.text.flush()) or self._rest(session))]

    def _stop(self, session: _Session) -> list[Order]:
        if session.state is _State.ENDING:
            return []  # here: harmless to repeat
        session.state = _State.ENDING
        return [*self._spoken(session, session.text.flush()), Finish(session.key)]

    def _heard(self, session: _Session, text: str) -> list[Order]:
        orders = [order for chunk in session.text.add(text) for order in self._spoken(session, chunk)]
        return [Note(session.key, text, 0), *(orders or self._rest(session))]

    def _spoken(self, session: _Session, chunk: str) -> list[Order]:
        items = tuple(spoken_items(chunk))
        if not items:
            return []
        seq = session.alignment.add(chunk)
        return [Speak(session.key, items), Mark(session.key, str(seq))]

    def _rest(self, session: _Session) -> list[Order]:
        """Ask for what is still held of a flushed piece: the client has sent something after it."""
        waits = session.alignment.quiet and session.begun and session.held
        return [Mark(session.key, _REST)] if waits else []

    # Answers

    def _audio(self, session: _Session, audio: bytes) -> bytes:
        return _event("audio", audio=audio, **(session.alignment.labels() if self._timestamps else {}))

    def _release(self, session: _Session) -> list[Order]:
        if not session.begun or not session.held:
            return []  # a header alone is no answer
        audio, session.held = session.held, b""
        return [Send(self._audio(session, audio))]

    def _error(self, why: str, **details: Any) -> list[Order]:
        session, self._session, self._closed = self._session, None, True
        orders: list[Order] = [] if session is None else [Abandon(session.key)]
        return [*orders, Send(_event("error", error=why, **details)), Close(REFUSED, _close_reason(why))]

    def _idle(self) -> list[Order]:
        after_s = self._behaviour.idle_socket_s
        return [] if after_s is None else [Wake(_IDLE, after_s)]

    def _of(self, key: Key) -> _Session | None:
        session = self._session
        return session if session is not None and session.key == key else None

    @property
    def _max_concurrency(self) -> int:
        return self._behaviour.most_streams or _DEFAULT_MAX_CONCURRENCY


def _new_session(key: Key, wanted: Wanted) -> _Session:
    text = TextBuffer(wanted.chunk_length, wanted.min_chunk_length)
    return _Session(key, wanted.rate, text, Alignment(wanted.rate), wanted.header)


def _parsed(message: bytes) -> dict[str, Any]:
    try:
        parsed = ormsgpack.unpackb(message)
    except ValueError as error:
        raise RefusedError(f"not MessagePack: {error}") from error
    if not isinstance(parsed, dict):
        raise RefusedError("a message must be a map")
    return parsed


def _event(event: str, **fields: Any) -> bytes:
    return ormsgpack.packb({"event": event, **fields})


def _without_sound(request: dict[str, Any]) -> dict[str, Any]:
    """The record of a request counts its references: their sound may be megabytes."""
    references = request.get("references")
    return {**request, "references": len(references)} if isinstance(references, list) else request


def _close_reason(message: str) -> str:
    """A close frame holds 123 bytes of reason (RFC 6455, 5.5)."""
    return message.encode()[:123].decode(errors="ignore")
