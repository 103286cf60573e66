"""The shell's part, played by hand: feeds KugelAudio's rules, and keeps what they order."""

import binascii
from collections import deque
from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.kugelaudio import PATHS
from saystream.compose.standin.orders import (
    Abandon,
    Begin,
    Close,
    Finish,
    Key,
    Mark,
    Note,
    Order,
    Pause,
    Send,
    Sound,
    Speak,
    Wake,
)
from saystream.compose.standin.sound import SpokenWord

KEY = "key"
WORD_S = 0.1
"""How long each word takes; a pause takes what it takes."""

_Step: TypeAlias = str | Pause | Mark | Finish


class Hand:
    """One socket of a client with a good key, and a voice that speaks when it is told to.

    Args:
        speaks: speak at once whatever can be spoken; else `speak` does
        refuses: voices that do not exist
    """

    def __init__(
        self, path: str, behaviour: Behaviour | None = None, *, speaks: bool = True, refuses: tuple[str, ...] = ()
    ) -> None:
        self.rules = PATHS[path](behaviour or Behaviour(api_keys=frozenset({KEY})))
        self.speaks = speaks
        self.refuses = refuses
        self.begun: list[Begin] = []
        self.notes: list[Note] = []
        self.orders: list[Order] = []
        """All that came, in order."""
        self.sent: list[dict[str, Any]] = []
        self.timers: dict[str, float] = {}
        self.closed: int | None = None
        self.steps: dict[Key, deque[_Step]] = {}
        self.samples: dict[Key, int] = {}
        assert self.rules.upgrading({}, {"api_key": KEY}) is None
        self.obey(self.rules.connected())

    def receive(self, **fields: Any) -> list[dict[str, Any]]:
        """Receive a message; return what was sent for it."""
        return self.raw(orjson.dumps(fields).decode())

    def raw(self, message: str | bytes) -> list[dict[str, Any]]:
        before = len(self.sent)
        self.obey(self.rules.received(message))
        if self.speaks:
            self.speak()
        return self.sent[before:]

    def wake(self, label: str) -> list[dict[str, Any]]:
        """Let the time of a timer come; the label may be only its beginning."""
        (timer,) = (name for name in self.timers if name.startswith(label))
        del self.timers[timer]
        before = len(self.sent)
        self.obey(self.rules.woke(timer))
        if self.speaks:
            self.speak()
        return self.sent[before:]

    def speak(self, steps: int | None = None) -> list[dict[str, Any]]:
        """Let the voices speak, or take only so many steps; return what was sent."""
        before = len(self.sent)
        while steps != 0 and (key := next((key for key, waiting in self.steps.items() if waiting), None)) is not None:
            steps = None if steps is None else steps - 1
            self._step(key, self.steps[key].popleft())
        return self.sent[before:]

    def obey(self, orders: list[Order]) -> None:
        self.orders += orders
        for order in orders:
            assert self.closed is None, f"{order} after the close"
            match order:
                case Send(message):
                    self.sent.append(orjson.loads(message))
                case Close(code):
                    self.closed = code
                case Begin(key, _, voice):
                    self.begun.append(order)
                    refused = voice in self.refuses
                    if not refused:
                        self.steps[key] = deque()
                        self.samples[key] = 0
                    self.obey(self.rules.unknown_voice(key, voice) if refused else self.rules.accepted(key))
                case Note():
                    self.notes.append(order)
                case Speak(key, items) if key in self.steps:
                    self.steps[key] += items
                case Mark(key) | Finish(key) if key in self.steps:
                    self.steps[key].append(order)
                case Wake(label, after_s) if after_s is not None:
                    self.timers[label] = after_s
                case Wake(label):
                    self.timers.pop(label, None)
                case Abandon(key):
                    self.steps.pop(key, None)

    def _step(self, key: Key, step: _Step) -> None:
        if isinstance(step, Mark):
            self.obey(self.rules.reached(key, step.label, self.samples[key]))
        elif isinstance(step, Finish):
            del self.steps[key]
            self.obey(self.rules.finished(key))
        else:
            (begin,) = (begin for begin in self.begun if begin.key == key)
            rate = begin.format.rate
            first = self.samples[key]
            last = first + round((step.seconds if isinstance(step, Pause) else WORD_S) * rate)
            words = (SpokenWord(step, first, last),) if isinstance(step, str) else ()
            self.samples[key] = last
            data = bytes((last - first) * (2 if begin.format.encoding == "pcm" else 1))
            for message in self.rules.sound(key, Sound(data, first, last, words)):
                self.sent.append(orjson.loads(message))

    @property
    def spoken(self) -> list[str | Pause]:
        """All that was given to the voices."""
        return [item for order in self.orders if isinstance(order, Speak) for item in order.items]


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    """What each message is, by its first field."""
    return [next(iter(message)) for message in messages]


def only(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if next(iter(message)) == kind]


def codes(messages: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """The errors among messages."""
    return [(message["error_code"], message["code"]) for message in only(messages, "error")]


def audio_bytes(message: Mapping[str, Any]) -> int:
    return len(binascii.a2b_base64(message["audio"]))
