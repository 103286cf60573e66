"""KugelAudio's `/ws/tts/multi`: several turns at once, each a context with an id of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from saystream.common.errors import Action, Scope, VendorError
from saystream.workers.providers import reading
from saystream.workers.providers.account import Account
from saystream.workers.providers.base import (
    Failed,
    Finished,
    Frame,
    Protocol,
    Released,
    StreamKey,
    StreamSpec,
    VendorEvent,
    Warned,
)
from saystream.workers.providers.kugelaudio import config, errors
from saystream.workers.providers.kugelaudio.spoken import Spoken, usage


@dataclass(slots=True)
class _Context:
    fields: Mapping[str, Any]
    spoken: Spoken
    blanks: str = ""  # are held until a word follows
    created: bool = False  # by its first text
    finishing: bool = False


class MultiProtocol(Protocol):
    """One connection to `/ws/tts/multi`."""

    def __init__(self, account: Account, defaults: config.Defaults) -> None:
        self._account, self._defaults = account, defaults
        self._opened = 0
        self._contexts: dict[StreamKey, _Context] = {}
        self._cancelled: set[StreamKey] = set()
        self._pending: list[VendorEvent] = []

    def prepare(self, spec: StreamSpec) -> list[Frame]:
        fields = config.wanted(spec, self._defaults)
        return [_frame({"text": "", "voice_id": fields["voice_id"], "model_id": fields["model_id"]})]

    def open(self, spec: StreamSpec) -> tuple[StreamKey, list[Frame]]:
        self._opened += 1
        stream = f"s{self._opened}"
        fields = config.wanted(spec, self._defaults)
        spoken = Spoken(stream, fields["sample_rate"], fields["word_timestamps"], self._account)
        self._contexts[stream] = _Context(fields, spoken)
        return stream, []  # the first text creates the context

    def text(self, stream: StreamKey, text: str) -> list[Frame]:
        context = self._contexts.get(stream)
        return self._feed(stream, context, text) if context else []

    def flush(self, stream: StreamKey, text: str) -> list[Frame]:
        context = self._contexts.get(stream)
        return self._feed(stream, context, text, flush=True) if context else []

    def finish(self, stream: StreamKey, text: str) -> list[Frame]:
        context = self._contexts.get(stream)
        if context is None:
            return []
        context.finishing = True
        frames = self._feed(stream, context, text, flush=True)
        if not context.created:  # there was nothing to say
            del self._contexts[stream]
            self._pending.append(Finished(stream))
            return []
        return [*frames, _frame({"close_context": True, "context_id": stream})]

    def keep_alive(self, stream: StreamKey) -> list[Frame]:
        context = self._contexts.get(stream)
        return [_frame({"text": "", "context_id": stream})] if context and context.created else []

    def cancel(self, stream: StreamKey) -> list[Frame]:
        context = self._contexts.pop(stream, None)
        if context is None:
            return []
        if not context.created:
            self._pending.append(Released(stream))
            return []
        self._cancelled.add(stream)
        return [_frame({"close_context": True, "context_id": stream, "immediate": True})]

    def pending(self) -> list[VendorEvent]:
        events, self._pending = self._pending, []
        return events

    def receive(self, frame: Frame) -> list[VendorEvent]:
        try:
            return self._read(reading.mapping(orjson.loads(frame)))
        except VendorError as error:
            return [Failed(None, error)]
        except reading.MALFORMED as error:
            return [Failed(None, self._account.malformed(error))]

    def closed(self, code: int | None, reason: str) -> VendorError:
        return errors.of_close(self._account, code, reason)

    def _feed(self, stream: StreamKey, context: _Context, text: str, *, flush: bool = False) -> list[Frame]:
        message: dict[str, Any] = {}
        text, context.blanks = context.blanks + text, ""
        if text.strip():
            message["text"] = text
        else:
            context.blanks = text
        if flush and (message or context.created):
            message["flush"] = True
        if not message:
            return []
        if not context.created:
            context.created = True
            of_its_own = {name: value for name, value in context.fields.items() if name in config.OF_A_CONTEXT}
            # What is not the context's own is read at the top level only, and dropped silently elsewhere.
            message |= {name: value for name, value in context.fields.items() if name not in config.OF_A_CONTEXT}
            message["voice_settings"] = of_its_own
        return [_frame({**message, "context_id": stream})]

    def _read(self, message: Mapping[str, Any]) -> list[VendorEvent]:
        name = message.get("context_id")
        stream = name if isinstance(name, str) else None
        if message.get("error") or message.get("error_code"):
            return self._error(stream, errors.of_frame(self._account, message))
        if stream is None:
            return self._read_of_socket(message)
        if stream in self._cancelled:
            return self._released(stream) if message.get("context_closed") or message.get("interrupted") else []
        context = self._contexts.get(stream)
        if context is None:  # late frames of a context that is over
            return []
        if message.get("interrupted"):
            error = self._account.error("interrupted a turn unasked", None, Scope.STREAM, Action.RECONNECT)
            return self._failed(stream, error)
        if message.get("context_closed"):
            if not context.finishing:
                return [*usage(message), *self._failed(stream, self._account.unasked())]
            del self._contexts[stream]
            return [*usage(message), *context.spoken.session_ended(), Finished(stream)]
        return context.spoken.read(message)

    def _read_of_socket(self, message: Mapping[str, Any]) -> list[VendorEvent]:
        if message.get("session_closed"):
            error = self._account.error("ended all contexts", None, Scope.SOCKET, Action.RECONNECT)
            return [Failed(None, error)]
        return [Warned(self._account.said(message["warning"]))] if message.get("warning") else []

    def _error(self, stream: StreamKey | None, error: VendorError) -> list[VendorEvent]:
        if stream is None:
            if error.scope in (Scope.ACCOUNT, Scope.SOCKET) or len(self._contexts) == 1:
                return [Failed(None, error)]
            if not self._contexts and not self._cancelled:  # it is about the preparation
                return [Warned(str(error))]
            # One turn is to blame, and nobody knows which: the others must not be given up for it.
            return [Failed(None, self._account.error(error.text, error.code, Scope.SOCKET, Action.RECONNECT))]
        if stream in self._cancelled:
            return self._released(stream)
        return self._failed(stream, error) if stream in self._contexts else []

    def _failed(self, stream: StreamKey, error: VendorError) -> list[VendorEvent]:
        del self._contexts[stream]
        return [Failed(stream, error)]

    def _released(self, stream: StreamKey) -> list[VendorEvent]:
        self._cancelled.discard(stream)
        return [Released(stream)]


def _frame(message: Mapping[str, Any]) -> str:
    return orjson.dumps(message).decode()
