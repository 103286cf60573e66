"""What a listener hears: the entries of a session's output stream, and what it is told about those that are lost."""

from dataclasses import dataclass

from saystream.common.events import OutputEvent
from saystream.common.ids import EntryId

_LARGEST = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries between ``after`` and ``before`` are lost, or cannot be shown not to be.

    They were trimmed, have expired, or went with a Redis that lost its memory. Listening goes on at ``before``: where
    that is not above ``after`` (`rewinds`), a failover has lost what was heard last, and other entries come instead.

    Args:
        cursor: resuming here goes on at ``before``, without being told of the gap again.
        after: the last entry before the gap; None where listening began with the session's beginning.
        before: the first id behind the gap.
    """

    cursor: EntryId
    after: EntryId | None
    before: EntryId

    @property
    def rewinds(self) -> bool:
        """Whether what comes next stands before what was heard: Redis has forgotten that, and its ids come again."""
        return self.after is not None and self.before <= self.after

    @classmethod
    def between(cls, after: EntryId | None, before: EntryId) -> "Gap":
        """Make the gap that ends at ``before``."""
        return cls(previous_id(before), after, before)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An entry is there and cannot be understood: a newer release wrote it, or it is damaged.

    It is neither skipped in silence nor the end of listening: who cannot do without it may stop here.
    """

    cursor: EntryId
    problem: str


Event = OutputEvent | Gap | Unreadable


def next_id(entry: EntryId) -> EntryId:
    """Return the id directly above: nothing can lie between the two."""
    return EntryId(entry.major, entry.seq + 1) if entry.seq < _LARGEST else EntryId(entry.major + 1, 0)


def previous_id(entry: EntryId) -> EntryId:
    """Return the id directly below."""
    return EntryId(entry.major, entry.seq - 1) if entry.seq else EntryId(entry.major - 1, _LARGEST)
