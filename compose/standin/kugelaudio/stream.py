"""/ws/tts/stream: one turn after another, each in pieces of any size; what a session has is the socket's.

    (none) ──text──▶ OPEN ──flush, close, idle──▶ ENDING ──all sent: final, session_closed──▶ (none)
                       ├──────── cancel: interrupted ───────────────────────────────────────▶ (none)
                       └──────── error ─────────────────────────────────────────────────────▶ (none)

What comes while a turn is ending belongs to the next one, and waits.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.kugelaudio.errors import Problem, invalid
from saystream.compose.standin.kugelaudio.messages import flag, text_of, told
from saystream.compose.standin.kugelaudio.settings import changed, updated
from saystream.compose.standin.kugelaudio.socket import OK, Socket, random_id
from saystream.compose.standin.kugelaudio.speech import Speech
from saystream.compose.standin.orders import Close, Order, Wake

IDLE_TIMER = "idle"

MOST_WAITING_MESSAGES = 10_000
"""Here: for turns that have not begun."""

_NOTHING = {"total_audio_seconds": 0.0, "total_text_chunks": 0, "total_audio_chunks": 0}


class Stream(Socket[Speech]):
    """A socket of /ws/tts/stream."""

    def __init__(self, behaviour: Behaviour, new_id: Callable[[], str] = random_id) -> None:
        super().__init__(behaviour, new_id)
        self._waiting: deque[dict[str, Any]] = deque()
        """Messages for later turns."""

    @property
    def turn(self) -> Speech | None:
        """The turn that is open or ending."""
        return next(iter(self.speeches.values()), None)

    def obey(self, message: dict[str, Any]) -> list[Order]:
        if flag(message, "cancel"):
            return self._cancel()
        if "update_settings" in message:
            self.settings = updated(self.settings, message["update_settings"])
            return [told(settings_updated=True, settings=self.settings.generation())]
        # All is looked at before anything is done: a message that is wrong is wrong as a whole.
        text_of(message)
        flag(message, "flush", "close", "end_session", "close_socket")
        self.settings = changed(self.settings, message)
        turn = self.turn
        if turn is None or not turn.ended:
            return self._heard(message)
        if len(self._waiting) >= MOST_WAITING_MESSAGES:
            raise invalid(f"more than {MOST_WAITING_MESSAGES} messages wait for the end of the turn before")
        self._waiting.append(message)
        return []

    def ended(self, speech: Speech) -> list[Order]:
        totals = speech.totals()
        return [told(final=True, **totals), told(session_closed=True, **totals, **speech.usage())]

    def gone(self, speech: Speech) -> list[Order]:
        orders: list[Order] = [Wake(IDLE_TIMER, None)]
        while self._waiting and not self.closed and (self.turn is None or not self.turn.ended):
            try:
                orders += self._heard(self._waiting.popleft())
            except Problem as problem:
                orders += self.refused(problem)
        return orders

    def time_came(self, label: str) -> list[Order]:
        turn = self.turn
        if label != IDLE_TIMER or turn is None or turn.ended:
            return []
        warning = f"no text for {self.behaviour.idle_turn_s:g} s: the turn is ended"
        return [told(warning=warning), *turn.end()]

    def _heard(self, message: dict[str, Any]) -> list[Order]:
        """Take a message into the turn, which is open if there is one."""
        orders: list[Order] = []
        text, flushes = text_of(message), flag(message, "flush")
        turn = self.turn
        if text and turn is None:
            turn = Speech(self.next_key(), self.new_id(), self.settings, self.behaviour.flush_timeout_s)
            self.speeches[turn.key] = turn
            orders.append(turn.begin(message))
        if turn is not None and (text or flushes):
            orders += turn.say(text, int(flushes))
            if text:
                orders.append(Wake(IDLE_TIMER, self.behaviour.idle_turn_s))
        closes = flag(message, "close_socket")
        if flushes or closes or flag(message, "close", "end_session"):
            orders += self._end(turn, closes=closes)
        return orders

    def _end(self, turn: Speech | None, *, closes: bool) -> list[Order]:
        if turn is not None:
            if closes:
                self._waiting.appendleft({"close_socket": True})  # once the turn is over
            return [Wake(IDLE_TIMER, None), *turn.end()]
        if closes:
            self.closed = True
            return [Close(OK)]
        return [told(session_closed=True, **_NOTHING)]  # an empty session

    def _cancel(self) -> list[Order]:
        """Silence at once, also with nothing to silence; what waits is dropped."""
        closes = any(flag(message, "close_socket") for message in self._waiting)
        self._waiting.clear()
        if self.behaviour.forgets_after_cancel:
            self.settings = self.default_settings
        turn = self.turn
        orders: list[Order] = [] if turn is None else [Wake(IDLE_TIMER, None), *self.dropped(turn)]
        orders.append(told(interrupted=True))
        return orders + self._end(None, closes=True) if closes else orders
