"""A turn's text as it comes from its token stream, and whatever must stop the turn.

It is filled by a plain call at each token, so that a token wakes one task only: the one that sends it on.
"""

import asyncio
import time

from saystream.common.errors import InvalidToken, SaystreamError
from saystream.common.events import EndOfText, Flush, Seal, Text, decode_token


class Sealed(SaystreamError):
    """The turn has ended elsewhere: it was interrupted, or taken over and spoken to its end."""


class TurnText:
    """The text so far: it grows at its end and can be read from anywhere.

    Args:
        key: of the token stream.
        most_chars: a text that gets longer stops the turn.

    Attributes:
        last: id of the last entry that was taken.
        text: so far.
        flushes: places at which the producer wants what came before to be spoken at once.
        ended: nothing more comes.
        changes: counts them.
    """

    def __init__(self, key: str, most_chars: int) -> None:
        self.key, self._most_chars = key, most_chars
        self.last, self._number = "0-0", 0
        self.text = ""
        self.flushes: list[int] = []
        self.ended = False
        self.changes = 0
        self._changed = asyncio.Event()
        self._error: SaystreamError | None = None
        self._stopped = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_s = 0.0

    def put(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        """Take an entry of the stream, unless it has been taken already, or the turn must stop."""
        number = int(entry_id.partition(b"-")[0])
        if number <= self._number or self.stopped:
            return
        expected = self._number + 1
        self._number, self.last = number, entry_id.decode()
        try:
            event = decode_token(fields)
        except ValueError as error:
            self.stop(InvalidToken(f"token {self.last} is not one: {error}"))
            return
        if number != expected and not isinstance(event, Seal):  # whose id is the clock
            lost = f"token {expected}" if number == expected + 1 else f"tokens {expected} to {number - 1}"
            self.stop(InvalidToken(f"Redis has lost {lost} of the text"))
            return
        match event:
            case Text(text):
                if len(self.text) + len(text) > self._most_chars:
                    most = f"{self._most_chars} characters (limits.turn_chars)"
                    self.stop(InvalidToken(f"the text is longer than {most}"))
                    return
                self.text += text
            case Flush():
                if self.flushes[-1:] != [len(self.text)]:  # a second one at the same place says nothing new
                    self.flushes.append(len(self.text))
            case EndOfText():
                self.ended = True
            case Seal(state):
                self.stop(Sealed(f"The turn has ended: {state}."))
        self.changes += 1
        self._changed.set()

    def stop(self, error: SaystreamError) -> None:
        """Let the turn stop at once, for the first reason that is given."""
        self._error = self._error or error
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether there is what must stop the turn."""
        return self._stopped.is_set()

    async def until_stopped(self) -> None:
        """Wait for what must stop the turn, and raise it."""
        await self._stopped.wait()
        if self._error is not None:
            raise self._error

    async def more(self, seen: int, due_s: float | None = None) -> None:
        """Wait until ``changes`` is not ``seen``, or until a moment of the monotonic clock; may also return earlier."""
        if self.changes != seen:
            return
        # A bare timer that is left to run: this is waited for at every token, and time-outs cost several times as much.
        if due_s is not None and (self._alarm is None or due_s < self._alarm_s):
            self.close()
            self._alarm_s = due_s
            self._alarm = asyncio.get_running_loop().call_later(max(0.0, due_s - time.monotonic()), self._ring)
        self._changed.clear()
        await self._changed.wait()

    def close(self) -> None:
        """Let no timer run on."""
        if self._alarm:
            self._alarm.cancel()

    def _ring(self) -> None:
        self._alarm = None
        self._changed.set()
