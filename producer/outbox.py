"""What a turn has sent, until it is surely in Redis; numbers the tokens, and does no I/O."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from saystream.common.errors import TurnEnded
from saystream.common.events import EndOfText, Text, TokenEvent
from saystream.common.ids import TurnRef

#: What a token event takes beside its text, in bytes; without it, empty events would be unbounded.
ENTRY_BYTES = 32


class _Kept(NamedTuple):
    event: TokenEvent
    bytes: int
    since_s: float


class Outbox:
    """The token events of one turn: those that wait for Redis, and behind them as many of the acknowledged as fit.

    Its two ends are `put` (the turn's) and `head`, `acknowledge`, `rewind` and `fail` (the writer's). An error stays:
    whoever comes later gets it too, so that nothing is lost in silence.

    Args:
        ref: the turn.
        bound_bytes: what it holds at most; a token larger than that is taken when nothing waits.
        on_failed: called when it fails, once.
    """

    def __init__(
        self, ref: TurnRef, bound_bytes: int, on_failed: Callable[["Outbox"], object] = lambda outbox: None
    ) -> None:
        self.ref, self.bound_bytes, self._on_failed = ref, bound_bytes, on_failed
        self.numbered = 0
        self.acknowledged = 0
        self.ended = False
        self.error: Exception | None = None
        self._waiting: deque[_Kept] = deque()
        self._waiting_bytes = 0
        self._done: deque[_Kept] = deque()  # acknowledged; the last of them is number `acknowledged`
        self._done_bytes = 0
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
        """Since when the oldest event waits, on the event loop's clock; one must wait."""
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
        fits = self._waiting_bytes + _bytes(event) <= self.bound_bytes
        return bool(self._waiting) and not fits and not isinstance(event, EndOfText)

    def put(self, event: TokenEvent, now_s: float) -> None:
        """Give an event the next number and keep it until it is acknowledged, and longer if there is room."""
        self._waiting.append(_Kept(event, size := _bytes(event), now_s))
        self._waiting_bytes += size
        self.numbered += 1
        self.ended = self.ended or isinstance(event, EndOfText)
        self._make_room()

    def head(self, count: int) -> tuple[int, list[TokenEvent]]:
        """Return the oldest events, ``count`` at most, and the number of the first of them."""
        return self.acknowledged + 1, [self._waiting[at].event for at in range(min(count, len(self._waiting)))]

    def acknowledge(self, number: int) -> None:
        """Know the events up to this number to be in Redis."""
        while self._waiting and self.acknowledged < number:
            self._done.append(kept := self._waiting.popleft())
            self._waiting_bytes -= kept.bytes
            self._done_bytes += kept.bytes
            self.acknowledged += 1
        self._make_room()
        self._wake()

    def rewind(self, last: int, now_s: float) -> bool:
        """Put the events behind number ``last`` back in line: Redis has lost them. False if some are no longer held."""
        if last < self.acknowledged - len(self._done):
            return False
        while self.acknowledged > last:
            kept = self._done.pop()
            self._waiting.appendleft(kept._replace(since_s=now_s))
            self._done_bytes -= kept.bytes
            self._waiting_bytes += kept.bytes
            self.acknowledged -= 1
        return True

    def fail(self, error: Exception) -> None:
        """Give up, for good; the first error stays."""
        if self.error is None:
            self.error = error
            self._waiting.clear()
            self._done.clear()
            self._waiting_bytes = self._done_bytes = 0
            self._wake()
            self._on_failed(self)

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

    def _make_room(self) -> None:
        """Let go of what is acknowledged, the oldest first, as far as it does not fit beside what waits."""
        while self._done and self._waiting_bytes + self._done_bytes > self.bound_bytes:
            self._done_bytes -= self._done.popleft().bytes

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error.with_traceback(None)  # else it would grow by a frame for each call that raises it

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


def _bytes(event: TokenEvent) -> int:
    return ENTRY_BYTES + (len(event.text.encode()) if isinstance(event, Text) else 0)
