"""What KugelAudio's three sockets have in common: keys of the API, errors, and who is told what the shell reports."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final, Generic, TypeVar

import orjson

from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.kugelaudio.errors import Problem
from saystream.compose.standin.kugelaudio.messages import error, parsed
from saystream.compose.standin.kugelaudio.settings import Settings
from saystream.compose.standin.kugelaudio.speech import FLUSH_TIMER, WORDS_TIMER, Speech
from saystream.compose.standin.orders import Close, Key, Order, Refuse, Sound, Wake

LATE = "late-"
"""How bad keys begin that are refused after the upgrade, with an error and 4001; all others are with HTTP 403."""

SOCKET_TIMER = "socket"

OK = 1000

_REFUSED: Final = {"error": "Invalid API key", "error_code": "UNAUTHORIZED", "code": 401}


def random_id() -> str:
    return f"req_{secrets.token_hex(8)}"


SpeechT = TypeVar("SpeechT", bound=Speech)


class Socket(ABC, Generic[SpeechT]):
    """One socket of the vendor's server; see `orders.Vendor`.

    Args:
        new_id: makes the ids that errors and requests carry
    """

    binary = False
    handshake_headers: Mapping[str, str] = {"x-kugelaudio-ai-generated": "true"}
    """What the answer to the upgrade carries besides."""

    default_settings = Settings()

    def __init__(self, behaviour: Behaviour, new_id: Callable[[], str] = random_id) -> None:
        self.behaviour = behaviour
        self.settings = self.default_settings
        """Those that the next request begins with."""
        self.new_id = new_id
        self.request_id = new_id()
        self.speeches: dict[Key, SpeechT] = {}
        """What has begun and is not over."""
        self.closed = False
        self._late_words: dict[str, Order] = {}
        """Word times that wait for their timer, by its label."""
        self._keys = count(1)
        self._late = False
        self._watching = False

    # The socket's own subjects

    @abstractmethod
    def obey(self, message: dict[str, Any]) -> list[Order]:
        """Do what a message says.

        Raises:
            Problem: it is wrong.
        """

    @abstractmethod
    def ended(self, speech: SpeechT) -> list[Order]:
        """All of it has been sent: say so."""

    def gone(self, speech: SpeechT) -> list[Order]:
        """It is over, and the client has been told how."""
        return []

    def time_came(self, label: str) -> list[Order]:
        """The time of a `Wake` of the socket's own has come."""
        return []

    def next_key(self) -> Key:
        return Key(next(self._keys))

    # Vendor

    def upgrading(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Refuse | None:
        key = api_key(headers, query)
        if key in self.behaviour.api_keys:
            return None
        if key.startswith(LATE):
            self._late = True
            return None
        named = {"content-type": "application/json", "x-request-id": self.request_id}
        return Refuse(403, orjson.dumps(_REFUSED), named)

    def connected(self) -> list[Order]:
        if self._late:
            return self.refused(Problem(401, "Invalid API key"))
        return self._watched([])

    def received(self, message: str | bytes) -> list[Order]:
        if self.closed:
            return []
        context_id = None
        try:
            fields = parsed(message)
            named = fields.get("context_id")
            context_id = named if isinstance(named, str) else None
            return self._watched(self.obey(fields))
        except Problem as problem:
            return self._watched(self.refused(problem, context_id))

    def accepted(self, key: Key) -> list[Order]:
        return []

    def failed(self, key: Key, code: int, message: str) -> list[Order]:
        return self.lost(key, Problem(code, message))

    def unknown_voice(self, key: Key, voice: str) -> list[Order]:
        return self.lost(key, Problem(404, f"Voice {voice} not found"))

    def over_limit(self, key: Key) -> list[Order]:
        return self.lost(key, Problem(429, "Too many concurrent streams for this plan"))

    def broken(self, key: Key, why: str) -> list[Order]:
        return self.lost(key, Problem(500, why))

    def sound(self, key: Key, sound: Sound) -> list[bytes]:
        speech = self.speeches.get(key)
        return [] if speech is None else speech.sound(sound)

    def reached(self, key: Key, label: str, sample: int) -> list[Order]:
        speech = self.speeches.get(key)
        if speech is None:
            return []
        speech.words_late_s = self.behaviour.words_late_s
        orders = speech.reached(label, sample)
        self._late_words |= speech.late_words
        speech.late_words.clear()
        return orders

    def woke(self, label: str) -> list[Order]:
        if self.closed:
            return []
        if label == SOCKET_TIMER:
            if self.speeches:
                return []  # one began as the time came
            self.closed = True
            return [Close(OK, "idle")]
        kind, _, number = label.partition(" ")
        if kind == WORDS_TIMER:
            return [self._late_words.pop(label)]
        if kind != FLUSH_TIMER:
            return self._watched(self.time_came(label))
        speech = self.speeches.get(Key(int(number)))
        return [] if speech is None else speech.waited()

    def finished(self, key: Key) -> list[Order]:
        speech = self.speeches.pop(key, None)
        return [] if speech is None else self._watched([*self.ended(speech), *self.gone(speech)])

    # Ends

    def lost(self, key: Key, problem: Problem) -> list[Order]:
        """A request fails: it alone or, with some problems, all of the socket."""
        speech = self.speeches.get(key)
        if speech is None:
            return []
        if problem.close_code is not None:
            return self.refused(problem)
        told = error(problem, self.request_id, speech.context_id)
        return self._watched([*self.dropped(speech), told, *self.gone(speech)])

    def dropped(self, speech: SpeechT) -> list[Order]:
        """Stop a request in the middle, without a word."""
        del self.speeches[speech.key]
        return speech.abandon()

    def refused(self, problem: Problem, context_id: str | None = None) -> list[Order]:
        """Tell a problem; with some that is the end of the socket."""
        if problem.close_code is None:
            return [error(problem, self.request_id, context_id)]
        orders = [order for speech in list(self.speeches.values()) for order in self.dropped(speech)]
        self.closed = True
        return [*orders, error(problem, self.request_id), Close(problem.close_code, problem.error_code)]

    def _watched(self, orders: list[Order]) -> list[Order]:
        """The orders, and before them: count the idle time from now on, or no more."""
        idle_s = self.behaviour.idle_socket_s
        idle = not self.speeches and not self.closed
        if idle_s is None or not (idle or self._watching):
            return orders
        self._watching = idle
        # Before them, because while they are carried out the shell may report what ends them.
        return [Wake(SOCKET_TIMER, idle_s if idle else None), *orders]


def api_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The key that a client shows, in one of the three ways; "" if in none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return query.get("api_key") or bearer or headers.get("x-api-key", "")
