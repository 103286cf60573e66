"""Whether an entry follows directly what was heard before it, or something in between is lost.

Output ids leave no holes: within an attempt ``seq`` counts up by one; the next attempt at a turn starts with ``seq`` 0;
the turns of a session are numbered without holes. Three things need more than ids:

- The entry that ends a turn from outside (attempt `FENCE`), and the splice that starts the next attempt, may follow any
  ``seq``. But they say how far the turn had come, and that is compared with what was heard.
- A turn is followed by the next one only if it has ended.
- A session that expired and came back goes on at a much higher number. That is no loss if the number is the first one
  of its present life (which the session's hash knows) and what was heard before had ended.
"""

from typing import NamedTuple, Self

from saystream.common.events import Audio, Begin, End, Splice, Words
from saystream.common.ids import FENCE, EntryId
from saystream.consumer.events import Event, Gap, Unreadable, next_id


class _Progress(NamedTuple):
    """How far a turn has come: ``position`` and ``cut`` in samples, ``spoken`` in characters."""

    position: int
    cut: int
    spoken: int


_NOTHING = _Progress(0, 0, 0)


class Continuity:
    """What was heard last. Make one with `beginning`, `after` or `missing`."""

    def __init__(self, last: EntryId | None, progress: _Progress | None, *, ended: bool, sure: bool) -> None:
        self._last = last
        self._progress = progress  # of the turn of `last`; None: not known
        self._ended = ended  # nothing is known to be missing at the end of that turn
        self._sure = sure  # `last` is, or was, the last entry before what comes

    def __repr__(self) -> str:
        return f"<Continuity [last heard: {self._last or 'nothing'}{'' if self._sure else ', perhaps not the last'}]>"

    @classmethod
    def beginning(cls) -> Self:
        """Nothing was heard; the session's first turn has to come."""
        return cls(None, _NOTHING, ended=True, sure=True)

    @classmethod
    def after(cls, last: EntryId, event: Event | None = None) -> Self:
        """The entry ``last`` is still there, or nothing has followed it yet; ``event`` is what it says, where known."""
        if last.attempt == 0:  # no attempt has this number: the turn is known, and nothing of it was heard
            return cls(last, _NOTHING, ended=False, sure=True)
        return cls(last, _progress(event), ended=_may_be_followed(event), sure=True)

    @classmethod
    def missing(cls, last: EntryId) -> Self:
        """The entry ``last`` is no longer there: only what certainly follows it directly is no gap."""
        if last.attempt == 0:
            return cls.after(last)
        return cls(last, None, ended=True, sure=last.attempt == FENCE)

    def asks_for_first(self, entry: EntryId) -> bool:
        """Tell whether it matters for this entry what the first number of the session's present life is."""
        return self._last is None or entry.number > self._last.number + 1

    def take(self, event: Event, first: int | None = None) -> Gap | None:
        """Take what comes next; returns the gap in front of it, if there is one.

        Args:
            event: an entry of the stream.
            first: the number of the first turn of the session's present life; None where it is not known.
        """
        entry = event.cursor
        gap = None if self._is_followed_by(entry, event, first) else Gap.between(self._last, entry)
        self._last, self._progress, self._ended, self._sure = entry, _progress(event), _may_be_followed(event), True
        return gap

    def _is_followed_by(self, entry: EntryId, event: Event, first: int | None) -> bool:
        last = self._last
        if last is None:
            return entry.number == first and _starts_a_turn(entry, event)
        if entry == next_id(last):
            return True
        if entry.number == last.number:
            is_next_attempt = entry.seq == 0 and entry.attempt in (last.attempt + 1, FENCE)
            return self._sure and is_next_attempt and _says_no_more_than(self._progress, event)
        if not (self._sure and self._ended and _starts_a_turn(entry, event)):
            return False
        # A fence is an end whether or not it is still there. What came between it and another life is not known then.
        is_known_end = self._progress is not None or last.attempt != FENCE
        return entry.number == last.number + 1 or (is_known_end and entry.number == first)


def _progress(event: Event | None) -> _Progress | None:
    match event:
        case Begin():
            return _NOTHING
        case Audio(offset=offset, samples=samples, cut=cut, spoken=spoken):
            return _Progress(offset + samples, cut, spoken)
        case Words(offset=offset, cut=cut, spoken=spoken):
            return _Progress(offset, cut, spoken)
        case Splice(offset=offset, spoken=spoken):
            return _Progress(offset, offset, spoken)
        case End(samples=samples, spoken=spoken):
            return _Progress(samples, samples, spoken)
        case _:
            return None


def _may_be_followed(event: Event | None) -> bool:
    """Tell whether another turn may come next: not in the middle of one. What is not known gets the benefit."""
    return event is None or isinstance(event, End | Unreadable)


def _starts_a_turn(entry: EntryId, event: Event) -> bool:
    """Tell whether nothing of the same turn can have come before: its first attempt begins, or it ended unspoken."""
    return entry.seq == 0 and entry.attempt in (1, FENCE) and _says_no_more_than(_NOTHING, event)


def _says_no_more_than(heard: _Progress | None, event: Event) -> bool:
    """Tell whether a splice or an end, which say how far the turn had come, count nothing that was not heard.

    Less is no loss: Redis may have lost, in a failover, what was heard before it.
    """
    match event:
        case _ if heard is None:
            return True
        case End(samples=samples, spoken=spoken):
            return samples <= heard.position and spoken <= heard.spoken
        case Splice(offset=offset, spoken=spoken):
            return offset <= heard.cut and spoken <= heard.spoken
        case _:
            return True
