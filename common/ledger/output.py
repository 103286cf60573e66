"""Appending to output streams: the hot path, plain XADDs in one pipeline, fenced by their ids."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from redis.exceptions import ResponseError

from saystream.common.events import Encoded, Fields
from saystream.common.ids import EntryId
from saystream.common.keys import ShardKeys
from saystream.common.redis_client import Command

#: Brings commands to Redis in one round trip, such as a wire's `all`; an error of Redis stands in its reply's place.
SendAll = Callable[[Sequence[Command]], Awaitable[list[Any]]]


class Outcome(Enum):
    """What Redis said to an append."""

    APPENDED = auto()
    REPEATED = auto()  # an earlier copy of this very append is there: go on
    FENCED = auto()  # a later attempt, an interrupt or a later turn stands above: stop and forget the turn
    GONE = auto()  # the stream has expired: stop


@dataclass(frozen=True, slots=True)
class Append:
    """One entry to be appended to the output stream ``key``."""

    key: str
    id: EntryId
    fields: Encoded


async def publish(send_all: SendAll, appends: Sequence[Append]) -> list[Outcome]:
    """Append entries, in order, in one round trip; what is refused does not keep the others back.

    Raises:
        RedisUnavailable: nothing is known of any of them; sending all of them again is harmless.
    """
    commands = [("XADD", append.key, "NOMKSTREAM", str(append.id), *flat(append.fields)) for append in appends]
    replies = await send_all(commands)
    outcomes: list[Outcome] = []
    for append, reply in zip(appends, replies, strict=True):
        if isinstance(reply, bytes):
            outcomes.append(Outcome.APPENDED)
        elif reply is None:
            outcomes.append(Outcome.GONE)
        elif is_refused_id(reply):
            outcomes.append(await _own_copy_or_fence(send_all, append))
        else:
            raise reply
    return outcomes


def is_refused_id(reply: object) -> bool:
    """Tell whether a reply is Redis's refusal of an entry id that is not above the last one."""
    return isinstance(reply, ResponseError) and "equal or smaller" in str(reply)


async def _own_copy_or_fence(send_all: SendAll, append: Append) -> Outcome:
    [own] = await send_all([("XRANGE", append.key, str(append.id), str(append.id))])
    if entries(own):
        return Outcome.REPEATED
    # Nothing of ours, and something above it. (If that were ours, too, this entry could never come: stop as well.)
    return Outcome.FENCED


def write_nothing(keys: ShardKeys) -> Command:
    """Return a command that changes nothing, and that only a server carries out which takes writes.

    In front of a question, it keeps a replica that lags from being believed.
    """
    return ("DEL", keys.nothing)


def entries(reply: Any) -> list[tuple[bytes, Fields]]:
    """Read the raw reply to an XRANGE or XREVRANGE; raises ResponseError if it is one."""
    if isinstance(reply, Exception):
        raise reply
    return [(entry_id, dict(zip(flat[::2], flat[1::2], strict=True))) for entry_id, flat in reply]


def flat(fields: Encoded) -> list[str | bytes | int]:
    """Return fields as the arguments of XADD."""
    return [part for pair in fields.items() for part in pair]
