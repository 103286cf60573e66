"""One attempt's way to the output stream: numbers its entries, and holds the last ones until they are surely there.

A failover may bring a server that lacks what another has acknowledged a moment ago. Therefore a line keeps the entries
of its last seconds, and at each new wire it compares what Redis has with what it was told. It does no I/O.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from saystream.common.errors import AudioLost, Fenced, SaystreamError
from saystream.common.events import Encoded
from saystream.common.ids import EntryId
from saystream.common.ledger import Append, Claim
from saystream.common.ledger.output import entries
from saystream.common.redis_client import Command

#: What an entry takes beside its audio, in bytes; without it, entries that have none would be unbounded.
ENTRY_BYTES = 64
#: For how long entries are held behind their acknowledgement, on the line's own clock: while nothing new is
#: acknowledged, what is held stays. And how many bytes of audio a line holds so at most.
HELD_S = 2.0
HELD_BYTES = 256 * 1024


class OutboxFull(SaystreamError):
    """Redis has been away for longer than a turn's audio can be held."""


class Entry(NamedTuple):
    """An entry of a line, on its way."""

    line: "Line"
    append: Append
    bytes: int
    urgent: bool


class Queue(Protocol):
    """Takes the entries of lines and brings them to Redis, in order."""

    def put(self, entry: Entry) -> None: ...
    def leave(self, line: "Line") -> None: ...
    def look_again(self) -> None: ...


class Line:
    """One attempt's way to the output stream.

    Args:
        queue: that brings its entries to Redis.
        claim: the attempt.
        key: of the session's output stream.
        most_bytes: of audio that may wait here.
        broken: called once, when nothing more can be published.

    Attributes:
        seq: number of the next entry.
        error: why nothing more can be published (`Fenced`, `AudioLost`); None while all is well.
    """

    def __init__(
        self, queue: Queue, claim: Claim, key: str, most_bytes: int, broken: Callable[[SaystreamError], None]
    ) -> None:
        self._queue, self._claim, self._key, self._most_bytes, self._broken = queue, claim, key, most_bytes, broken
        self.seq = 1  # 0 was `begin` or `splice`
        self.error: SaystreamError | None = None
        self._there = 0  # number of the last entry that Redis has, as far as we know
        self._held: deque[tuple[float, Entry]] = deque()
        self._held_bytes = 0
        self._waiting_bytes = 0
        self._unpublished = 0
        self._doubted = False
        self._change = asyncio.Event()

    def put(self, fields: Encoded, data_bytes: int = 0, *, urgent: bool = False) -> None:
        """Hand an entry over; it is appended behind those before it.

        Raises:
            Fenced, AudioLost: the attempt is over.
            OutboxFull: too much waits already.
        """
        if self.error is not None:
            raise self.error
        size = ENTRY_BYTES + data_bytes
        if self._waiting_bytes + size > self._most_bytes:
            raise OutboxFull
        self._waiting_bytes += size
        self._unpublished += 1
        self._queue.put(Entry(self, Append(self._key, self._claim.entry(self.seq), fields), size, urgent))
        self.seq += 1

    async def drained(self) -> None:
        """Wait until all that was put is in Redis; raises what `put` raises."""
        while (self._unpublished or self._doubted) and self.error is None:
            self._change.clear()
            await self._change.wait()
        if self.error is not None:
            raise self.error

    def doubt(self) -> None:
        """Have it looked again what Redis has of this line; `drained` waits for it."""
        self._doubted = True
        self._queue.look_again()

    def close(self) -> None:
        """Drop what waits: this attempt publishes no more."""
        self.give_up(Fenced(self._claim.ref.turn))

    def give_up(self, error: SaystreamError) -> None:
        """Publish no more, because of an error; the first one stays."""
        if self.error is None:
            self.error = error
            self._held.clear()
            self._queue.leave(self)
            self._broken(error)
        self._change.set()

    # the queue's side

    def published(self, entry: Entry, now_s: float) -> None:
        """Know an entry to be in Redis, at a moment of the monotonic clock."""
        self._unpublished -= 1
        self._waiting_bytes -= entry.bytes
        self._there = max(self._there, entry.append.id.seq)
        held = self._held
        held.append((now_s, entry))
        self._held_bytes += entry.bytes
        while held and (held[0][0] < now_s - HELD_S or self._held_bytes > HELD_BYTES):
            self._held_bytes -= held.popleft()[1].bytes
        if self._unpublished == 0:
            self._change.set()

    def has(self, entry: Entry) -> bool:
        """Tell whether an entry of this line is in Redis, as far as is known."""
        return entry.append.id.seq <= self._there

    def questions(self) -> list[Command]:
        """Return the commands that ask a server what it has of this line."""
        first = str(self._claim.entry(0))
        return [("XRANGE", self._key, first, first), ("XREVRANGE", self._key, "+", "-", "COUNT", 1)]

    def compare(self, answers: Sequence[Any]) -> list[Entry]:
        """Compare what a server has with what was acknowledged; returns what has to be sent again, in order.

        The line breaks if this attempt is not the current one there, or if more is missing than is held.
        """
        turn, self._doubted = self._claim.ref.turn, False
        self._change.set()
        first, last = (entries(answer) for answer in answers)
        if not first or first[0][1].get(b"owner") != self._claim.owner.encode():
            # Taken over, or Redis has lost our claim: then another attempt can have our number.
            self.give_up(Fenced(turn))
            return []
        end = EntryId.parse(last[0][0])
        if end.major != self._claim.entry(0).major:
            self.give_up(Fenced(turn))
            return []
        missing = [entry for _, entry in self._held if entry.append.id.seq > end.seq]
        if end.seq + len(missing) < self._there:
            lost = f"{end.seq + 1} to {self._there - len(missing)}"
            self.give_up(AudioLost(turn, f"Redis has lost the entries {lost}, and they are no longer held."))
            return []
        for _ in missing:
            self._held_bytes -= self._held.pop()[1].bytes
        self._there = end.seq
        self._unpublished += len(missing)
        self._waiting_bytes += sum(entry.bytes for entry in missing)
        return missing
