"""What the ledger's steps answer: places, claims, cuts and records."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from saystream.common.audio import AudioFormat
from saystream.common.ids import EntryId, TurnRef
from saystream.common.ledger.queue import Message
from saystream.common.request import TurnRequest
from saystream.common.states import State


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a turn was cut off: samples published, and characters of its text that they cover.

    A player has played ``played`` samples of them, and ``heard`` characters of the producer's text with them; None: no
    player has reported.
    """

    turn: str
    number: int
    samples: int
    spoken: int
    state: State = State.INTERRUPTED
    played: int | None = None
    heard: int | None = None


def read_cuts(raw: Any) -> tuple[Cut, ...]:
    """Read cuts as the scripts write them; in Lua, an empty list and an empty table are the same."""
    return tuple(Cut(**{**cut, "state": State(cut["state"])}) for cut in raw or [])


@dataclass(frozen=True, slots=True)
class Heard:
    """How far a turn has come: published (``samples``, ``spoken``), and played (``played``, ``heard``).

    None: no player has reported.
    """

    played: int | None
    heard: int | None
    spoken: int
    samples: int
    state: State


@dataclass(frozen=True, slots=True)
class Opened:
    """A turn has its place: its number in the session, its state, and what was interrupted for it."""

    number: int
    state: State
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to publish: an attempt at a turn.

    Audio goes on at sample ``cut``; the text goes on at character ``spoken``. The entries of this attempt have the ids
    ``entry(1)``, ``entry(2)``, …; `begin` or `splice` was ``entry(0)``, and names the ``owner``. A vendor has to be
    free for it within ``start_within_ms_left``, which may be 0 or less; None: there is no deadline, or another attempt
    has had it in time.
    """

    message: Message
    request: TurnRequest
    number: int
    attempt: int
    owner: str
    format: AudioFormat
    cut: int
    spoken: int
    start_within_ms_left: int | None = None

    @property
    def ref(self) -> TurnRef:
        return self.message.ref

    def entry(self, seq: int) -> EntryId:
        """Return the id of this attempt's ``seq``-th entry."""
        return EntryId.of(self.number, self.attempt, seq)


class Refusal(StrEnum):
    """Why a claim was refused."""

    ENDED = "ended"
    GONE = "gone"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"
    ELSEWHERE = "elsewhere"  # another worker speaks it, and has its lease


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A turn's record, for operators. Times are milliseconds since 1970; 0 where it has not happened."""

    request: TurnRequest
    number: int
    state: State
    attempt: int
    owner: str
    cause: str
    samples: int
    spoken: int
    played: int | None
    heard: int | None
    format: AudioFormat | None
    opened_ms: int
    began_ms: int
    ended_ms: int
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A turn that failed on every attempt.

    Args:
        id: unique among all shards.
        at_ms: when it failed, in milliseconds since 1970.
        tokens: how many token events of it were in Redis then; what its producer had not sent yet was never there.
        whole: whether the end of its text was among them.
        text: what the producer had said of it, as far as it is still in Redis; empty in a list.
    """

    id: str
    request: TurnRequest
    cause: str
    attempts: int
    samples: int
    spoken: int
    at_ms: int
    tokens: int
    whole: bool
    text: str = ""
