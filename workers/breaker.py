"""The circuit breaker of an account: whether the vendor is asked at all. No I/O; time is given in seconds.

::

                   too many failures in a row, or a refusal that an operator must mend
     ┌────────┐ ────────────────────────────────────────────────────────▶ ┌──────┐
     │ closed │                                                           │ open │
     └────────┘ ◀──────────── the probe speaks ──┐                        └──────┘
                                              ┌───────────┐  the pause ends  │ ▲
                                              │ half-open │ ◀────────────────┘ │
                                              └───────────┘ ───────────────────┘
                                                             it fails

Two rules make it hold. What was asked of the vendor before the breaker opened says nothing afterwards: an outcome
counts by its ticket. And a breaker that a probe has closed is on probation: it keeps its count, so that one more
failure opens it again, for longer, until a whole stream has gone well.
"""

from collections.abc import Callable
from enum import Enum, StrEnum

from saystream.common.backoff import DICE, Backoff
from saystream.common.errors import Action, Scope, VendorError

#: The longest that nothing is asked of a vendor, in seconds, unless the operator's first pause is longer.
_LONGEST_S = 60.0
#: What was under way together and fails within so many seconds is one event, such as a router that restarts.
_MOMENT_S = 0.25
#: Codes with which a vendor that is well closes a connection: it goes away, restarts, or moves its load elsewhere.
_FAREWELLS = frozenset({1001, 1012, 1013})


class State(StrEnum):
    """Whether the vendor is asked."""

    CLOSED = "closed"  # it is
    OPEN = "open"  # it is not
    HALF_OPEN = "half-open"  # one probe at a time


class Sign(Enum):
    """What moves the breaker."""

    TOO_MANY = "so many failures in a row"
    DENIED = "an operator must act"
    DUE = "the pause is over"
    SPOKE = "the vendor speaks"


#: The state machine; what is not here cannot happen.
MOVES: dict[State, dict[Sign, State]] = {
    State.CLOSED: {
        Sign.TOO_MANY: State.OPEN,
        Sign.DENIED: State.OPEN,
        Sign.SPOKE: State.CLOSED,
    },
    State.OPEN: {
        Sign.DUE: State.HALF_OPEN,
    },
    State.HALF_OPEN: {
        Sign.TOO_MANY: State.OPEN,
        Sign.DENIED: State.OPEN,
        Sign.SPOKE: State.CLOSED,
    },
}


class NotAsked(VendorError):
    """The vendor was not asked, because its breaker does not let the stream through: no news of the vendor."""


class Weight(Enum):
    """What an error says about the vendor."""

    FAILURE = "the vendor is not well"
    DENIED = "nothing works before an operator acts"
    REFUSED = "the account has too many streams"
    AWAY = "the vendor is well, and elsewhere for a moment"
    NOTHING = "only this stream, or this moment"


def weigh(error: VendorError) -> Weight:
    """Tell what an error says about the vendor."""
    if error.scope is Scope.ACCOUNT:
        if error.action is Action.FIX_CONFIGURATION:
            return Weight.DENIED
        if error.action is Action.RETRY_LATER:
            return Weight.REFUSED
    if error.scope in (Scope.TURN, Scope.STREAM) or not error.retryable:
        return Weight.NOTHING
    if error.code in _FAREWELLS:
        return Weight.AWAY
    return Weight.FAILURE


class Breaker:
    """Counts failures in a row and keeps the vendor from being asked for a while.

    Args:
        failures: so many open it.
        open_s: how long it stays open at first; it doubles, up to a minute, and is shortened at random by up to a half.
        jitter: returns a number from 0 to 1.

    Attributes:
        error: the last one that counted.
    """

    def __init__(self, failures: int, open_s: float, jitter: Callable[[], float] = DICE.random) -> None:
        self._most = failures
        self._pauses = Backoff(open_s, max(_LONGEST_S, open_s), jitter)
        self._state = State.CLOSED
        self._failures = 0
        self._failed_at, self._failed_ticket = 0.0, 0  # the last failure that counted, and the last ticket then
        self._retry_at = 0.0
        self._tickets = 0
        self._first_valid = 0  # tickets below were given out before it opened
        self._probe: int | None = None
        self.error: VendorError | None = None

    def state(self, now: float) -> State:
        """Return the state."""
        if self._state is State.OPEN and now >= self._retry_at:
            self._move(Sign.DUE)
        return self._state

    def allows(self, now: float) -> bool:
        """Tell whether a stream would be let through."""
        state = self.state(now)
        return state is State.CLOSED or (state is State.HALF_OPEN and self._probe is None)

    def retry_at(self, now: float) -> float | None:
        """Return when a stream will be let through, as far as is known; None: at any time."""
        if self.state(now) is State.CLOSED:
            return None
        return self._retry_at if self._probe is None else max(self._retry_at, now + _MOMENT_S)

    def ticket(self) -> int:
        """Return a number for something that is asked of the vendor; its outcome is told with it."""
        self._tickets += 1
        return self._tickets

    def ask(self, now: float) -> int | None:
        """Ask to let a stream through: return its ticket; None: not now. Each ticket is settled with one outcome."""
        if not self.allows(now):
            return None
        ticket = self.ticket()
        if self._state is State.HALF_OPEN:
            self._probe = ticket
        return ticket

    # outcomes

    def spoke(self, ticket: int) -> None:
        """The first audio has come. It closes the breaker, on probation."""
        if self._state is State.HALF_OPEN and ticket >= self._first_valid:
            self._failures = self._most - 1
            self._move(Sign.SPOKE)
        self.undecided(ticket)

    def well(self, ticket: int) -> None:
        """A whole stream has gone well, or as far as it was wanted: what has failed before is forgotten."""
        self.spoke(ticket)
        if self._state is State.CLOSED and ticket >= self._first_valid:
            self._failures = 0
            self._pauses.succeeded()
            self.error = None

    def failed(self, ticket: int, error: VendorError, now: float) -> None:
        """A stream, or the try to connect, has failed in a way that counts."""
        self.undecided(ticket)
        if ticket < self._first_valid or self.state(now) is State.OPEN:
            return
        if ticket <= self._failed_ticket and now - self._failed_at < _MOMENT_S:
            return
        self.error = error
        self._failures += 1
        self._failed_at, self._failed_ticket = now, self._tickets
        if self._failures >= self._most:
            self._open(Sign.TOO_MANY, now)

    def denied(self, error: VendorError, now: float) -> None:
        """The vendor refuses the account, and an operator must act; with or without a ticket."""
        self.error = error
        if self.state(now) is not State.OPEN:
            self._failures = max(self._failures, self._most)
            self._open(Sign.DENIED, now)

    def undecided(self, ticket: int) -> None:
        """It has ended without saying anything about the vendor."""
        if self._probe == ticket:
            self._probe = None

    def _open(self, sign: Sign, now: float) -> None:
        self._move(sign)
        self._retry_at = now + self._pauses.failed()
        self._first_valid = self._tickets + 1
        self._probe = None

    def _move(self, sign: Sign) -> None:
        self._state = MOVES[self._state][sign]

    def __repr__(self) -> str:
        said = f", the last: {self.error}" if self.error else ""
        return f"<Breaker {self._state}: {self._failures} of {self._most} failures{said}>"
