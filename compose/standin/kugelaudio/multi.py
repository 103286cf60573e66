"""/ws/tts/multi: up to twenty contexts at once, each with its own text, timers and bill.

    (unknown) ──text──▶ OPEN ──close_context, idle──▶ CLOSING ──all sent: final, context_closed──▶ (unknown)
                          ├──────── close_context immediate: context_closed ───────┴─────────────▶ (unknown)
                          ├──────── cancel: interrupted ─────────────────────────────────────────▶ (unknown)
                          └──────── error ───────────────────────────────────────────────────────▶ (unknown)

A flush leaves a context open.
"""

from collections.abc import Callable
from typing import Any

from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.kugelaudio.errors import invalid, too_many_contexts
from saystream.compose.standin.kugelaudio.messages import flag, text_of, told
from saystream.compose.standin.kugelaudio.settings import OF_A_CONTEXT, OF_THE_SOCKET, changed, updated
from saystream.compose.standin.kugelaudio.socket import OK, Socket, random_id
from saystream.compose.standin.kugelaudio.speech import Speech
from saystream.compose.standin.orders import Close, Key, Order, Wake

MOST_CONTEXTS = 20

CONTEXT_TIMER = "context"


class Multi(Socket[Speech]):
    """A socket of /ws/tts/multi."""

    def __init__(self, behaviour: Behaviour, new_id: Callable[[], str] = random_id) -> None:
        super().__init__(behaviour, new_id)
        self._contexts: dict[str, Speech] = {}
        self._audio_s = 0.0
        """Of contexts that are over."""
        self._closing = False

    def obey(self, message: dict[str, Any]) -> list[Order]:
        if self._closing:
            return []
        if flag(message, "cancel"):
            return self._cancel(_context_id(message))
        if "update_settings" in message:
            self.settings = updated(self.settings, message["update_settings"])
            return [told(settings_updated=True, settings=self.settings.generation())]
        if flag(message, "close_socket"):
            return self._close_socket()
        if flag(message, "close_context"):
            return self._close_context(_context_id(message), immediate=flag(message, "immediate"))
        return self._text(message, _context_id(message), text_of(message), flushes=flag(message, "flush"))

    def accepted(self, key: Key) -> list[Order]:
        context = self.speeches.get(key)
        return [] if context is None else [told(context_created=True, **context.name)]

    def ended(self, speech: Speech) -> list[Order]:
        return [told(final=True, **speech.name), _context_closed(speech)]

    def gone(self, speech: Speech) -> list[Order]:
        assert speech.context_id is not None
        del self._contexts[speech.context_id]
        self._audio_s += speech.audio_s
        return [Wake(_timer(speech), None), *self._close_if_done()]

    def time_came(self, label: str) -> list[Order]:
        kind, _, number = label.partition(" ")
        context = self.speeches.get(Key(int(number))) if kind == CONTEXT_TIMER else None
        if context is None or context.ended:
            return []
        if context.busy:
            return [self._alive(context)]
        return context.end()

    def _text(self, message: dict[str, Any], context_id: str | None, text: str, *, flushes: bool) -> list[Order]:
        settings = changed(self.settings, message, OF_THE_SOCKET)
        context = None if context_id is None else self._contexts.get(context_id)
        if context_id is None and text:
            raise invalid("text needs a context_id")
        if context is not None and context.ended and (text or flushes):
            raise invalid("the context is closing and takes no more text")
        orders: list[Order] = []
        if context is None and context_id is not None and text:
            context = self._new_context(message, context_id)
            orders.append(context.begin(message))
        self.settings = settings
        if context is None:
            return []  # voice preparation, or something about a context that is gone
        orders.append(self._alive(context))
        if text or flushes:
            orders += context.say(text, int(flushes))
        return orders + context.flush() if flushes else orders

    def _new_context(self, message: dict[str, Any], context_id: str) -> Speech:
        if len(self._contexts) >= MOST_CONTEXTS:
            raise too_many_contexts(MOST_CONTEXTS)
        own = message.get("voice_settings")
        if own is not None and not isinstance(own, dict):
            raise invalid("voice_settings must be an object")
        settings = changed(changed(self.settings, message, OF_THE_SOCKET), own or {}, OF_A_CONTEXT)
        timeout_s = self.behaviour.flush_timeout_s
        context = Speech(self.next_key(), self.new_id(), settings, timeout_s, context_id)
        self.speeches[context.key] = self._contexts[context_id] = context
        return context

    def _alive(self, context: Speech) -> Order:
        return Wake(_timer(context), self.behaviour.idle_context_s)

    def _cancel(self, context_id: str | None) -> list[Order]:
        """Silence one context, or all that take text; those that are closing are spoken to their end."""
        if context_id is None:
            contexts = [context for context in self._contexts.values() if not context.ended]
        else:
            contexts = [self._contexts[context_id]] if context_id in self._contexts else []
        orders: list[Order] = []
        for context in contexts:
            orders += self.dropped(context)
            orders += self.gone(context)
        named = {} if context_id is None else {"context_id": context_id}
        return [*orders, told(interrupted=True, **named)]

    def _close_context(self, context_id: str | None, *, immediate: bool) -> list[Order]:
        if context_id is None:
            raise invalid("close_context needs a context_id")
        context = self._contexts.get(context_id)
        if context is None or (context.ended and not immediate):
            return []  # clients do it twice
        if not immediate:
            return context.end()
        return [*self.dropped(context), _context_closed(context), *self.gone(context)]

    def _close_socket(self) -> list[Order]:
        """Speak what there is, then say goodbye."""
        self._closing = True
        orders: list[Order] = []
        for context in self._contexts.values():
            if not context.ended:
                orders += context.end()
        return [*orders, *self._close_if_done()]

    def _close_if_done(self) -> list[Order]:
        if not self._closing or self._contexts or self.closed:
            return []
        self.closed = True
        return [told(session_closed=True, total_audio_seconds=round(self._audio_s, 3)), Close(OK)]


def _context_id(message: dict[str, Any]) -> str | None:
    context_id = message.get("context_id")
    if context_id is not None and not (isinstance(context_id, str) and context_id):
        raise invalid("context_id must be a string")
    return context_id


def _context_closed(context: Speech) -> Order:
    return told(context_closed=True, **context.name, **context.usage())


def _timer(context: Speech) -> str:
    return f"{CONTEXT_TIMER} {context.key}"
