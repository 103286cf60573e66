"""Ids of sessions, turns and output entries, and the shard that a session lives in."""

import re
import uuid
from binascii import crc_hqx
from typing import NamedTuple, NewType, Self

from saystream.common.errors import InvalidId

SessionId = NewType("SessionId", str)
TurnId = NewType("TurnId", str)

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_ENTRY = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)

ATTEMPT_BITS = 20
#: The attempt number that no attempt gets: an entry with it fences every attempt of its turn.
FENCE = (1 << ATTEMPT_BITS) - 1


def session_id(text: str) -> SessionId:
    """Check a session id; raises InvalidId."""
    return SessionId(_checked("session", text))


def turn_id(text: str) -> TurnId:
    """Check a turn id; raises InvalidId."""
    return TurnId(_checked("turn", text))


def listener_name(text: str) -> str:
    """Check the name by which a listener says where it is; raises InvalidId."""
    return _checked("listener", text)


def new_turn_id() -> TurnId:
    """Make a turn id that nobody else has."""
    return TurnId(uuid.uuid4().hex)


def shard_of(session: str, shards: int) -> int:
    """Return the shard of a session: CRC16 (XMODEM, as Redis Cluster's own slots) of its id, modulo the shard count."""
    return crc_hqx(session.encode(), 0) % shards


class TurnRef(NamedTuple):
    """A turn and the session that it belongs to: what is needed to find its keys."""

    session: SessionId
    turn: TurnId


class EntryId(NamedTuple):
    """The id of an output entry: ``major`` is ``turn number << 20 | attempt``, ``seq`` counts from 0 without holes.

    Redis refuses an entry whose id is not above the last one, so that this id is the fence. As text, it is a cursor.
    """

    major: int
    seq: int

    @classmethod
    def of(cls, number: int, attempt: int, seq: int) -> Self:
        """Put together the id of the ``seq``-th entry of an attempt at the session's turn ``number``."""
        return cls(number << ATTEMPT_BITS | attempt, seq)

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read ``major-seq``; raises InvalidId."""
        raw = text.decode("ascii", "replace") if isinstance(text, bytes) else text
        if not (found := _ENTRY.fullmatch(raw)):
            raise InvalidId(f"{_shortened(raw)} is not a cursor: it looks like 1234-5")
        entry = cls(int(found[1]), int(found[2]))
        if max(entry) >= 1 << 64:
            raise InvalidId(f"{raw!r} is not a cursor: its numbers have 64 bits at most")
        return entry

    @property
    def number(self) -> int:
        """The turn's number in its session."""
        return self.major >> ATTEMPT_BITS

    @property
    def attempt(self) -> int:
        """The attempt that wrote the entry; `FENCE` where no attempt did."""
        return self.major & FENCE

    def __str__(self) -> str:
        return f"{self.major}-{self.seq}"


def _checked(what: str, text: str) -> str:
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise InvalidId(f"{what} id {_shortened(text)}: an id is 1 to 128 of A-Z a-z 0-9 . _ : -")
    return text


def _shortened(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) < 80 else shown[:76] + "…'"
