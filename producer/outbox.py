"""What a turn has sent and Redis has not acknowledged yet; numbers the tokens, and does no I/O."""

import asyncio
from collections import deque
from typing import NamedTuple

from saystream.common.errors import TurnEnded
from saystream.common.events import EndOfText, Text, TokenEvent
from saystream.common.ids import TurnRef

#: What a token event takes beside its text, in bytes; without it, empty events would be unbounded.
ENTRY_BYTES = 32


class _Waiting(NamedTuple):
    event: TokenEvent
    bytes: int
    since_s: float


class Outbox:
    """The token events of one turn that are not acknowledged.

    Its two ends are `put` (the turn's) and `head`, `acknowledge` and `fail` (the writer's). An error stays: whoever
    comes later gets it too, so that nothing is lost in silence.

    Args:
        ref: the turn.
        bound_bytes: what it holds at most; a token larger than that is taken when it is empty.
    """

    def __init__(self, ref: TurnRef, bound_bytes: int) -> None:
        self.ref, self.bound_bytes = ref, bound_bytes
        self.numbered = 0
        self.acknowledged = 0
        self.ended = False
        self.error: Exception | None = None
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._moved = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Outbox of turn {self.ref.turn} [{self.state}]>"

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def state(self) -> str:
        """How things stand, as a sentence."""
        state = type(self.error).__name__ if self.error else "ended" if self.ended else "open"
        return f"{state} | Tokens: {self.numbered} sent, {self.acknowledged} acknowledged"

    @property
    def since_s(self) -> float:
        """Since when the oldest event waits, on the event loop's clock; it must not be empty."""
        return self._waiting[0].since_s

    @property
    def over(self) -> bool:
        """Whether the turn needs nothing more of us: all is acknowledged, the end too, or it has ended otherwise."""
        if self.error is not None:
            return isinstance(self.error, TurnEnded)
        return self.ended and not self._waiting

    def check(self) -> None:
        """Raise what keeps this turn from taking more: its error, or TurnEnded if its text has been ended."""
        self._raise_error()
        if self.ended:
            raise TurnEnded(self.ref.turn, "The end of its text has been sent; it takes no more.")

    def full(self, event: TokenEvent) -> bool:
        """Tell whether an event has to wait. The end of the text never does: it comes once, and is short."""
        fits = self._bytes + _bytes(event) <= self.bound_bytes
        return bool(self._waiting) and not fits and not isinstance(event, EndOfText)

    def put(self, event: TokenEvent, now_s: float) -> None:
        """Give an event the next number and keep it until it is acknowledged."""
        self._waiting.append(_Waiting(event, size := _bytes(event), now_s))
        self._bytes += size
        self.numbered += 1
        self.ended = self.ended or isinstance(event, EndOfText)

    def head(self, count: int) -> tuple[int, list[TokenEvent]]:
        """Return the oldest events, ``count`` at most, and the number of the first of them."""
        return self.acknowledged + 1, [self._waiting[at].event for at in range(min(count, len(self._waiting)))]

    def acknowledge(self, number: int) -> None:
        """Forget the events up to this number: they are in Redis."""
        while self._waiting and self.acknowledged < number:
            self._bytes -= self._waiting.popleft().bytes
            self.acknowledged += 1
        self._wake()

    def fail(self, error: Exception) -> None:
        """Give up, for good; the first error stays."""
        if self.error is None:
            self.error = error
            self._waiting.clear()
            self._bytes = 0
            self._wake()

    async def room_for(self, event: TokenEvent) -> None:
        """Wait until an event fits. Ends when Redis acknowledges, or does not in time: the writer fails us then."""
        while self.full(event):
            await self._moved.wait()
            self.check()

    async def all_acknowledged(self) -> None:
        """Wait until nothing is left, or raise the error; ends as `room_for` does."""
        while self._waiting:
            await self._moved.wait()
        self._raise_error()

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error.with_traceback(None)  # else it would grow by a frame for each call that raises it

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


def _bytes(event: TokenEvent) -> int:
    return ENTRY_BYTES + (len(event.text.encode()) if isinstance(event, Text) else 0)
