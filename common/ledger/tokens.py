"""Appending to a turn's token stream and reading it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from saystream.common.errors import TurnEnded, TurnError, TurnFailed, TurnGone, TurnInterrupted
from saystream.common.events import Seal, TokenEvent, decode_token, encode_token
from saystream.common.ids import EntryId, TurnRef
from saystream.common.keys import ShardKeys
from saystream.common.ledger.output import SendAll, entries, flat, is_refused_id
from saystream.common.redis_client import Client, Command, call
from saystream.common.states import State

_ENDED: dict[State, type[TurnEnded]] = {State.INTERRUPTED: TurnInterrupted, State.FAILED: TurnFailed}
_MESSAGES = {
    State.DONE: "The turn has been spoken to its end and takes no more text.",
    State.EXPIRED: "The turn has expired: it could not start to speak in time.",
}


#: How many token events are read at once.
_SOME = 5_000


class Batch(NamedTuple):
    """Token events of one turn, the first of which is number ``first``."""

    ref: TurnRef
    first: int
    events: Sequence[TokenEvent]


async def append(
    send_all: SendAll, keys: Callable[[str], ShardKeys], batches: Sequence[Batch]
) -> list[Exception | None]:
    """Append token events of several turns in one round trip; returns for each turn why it was refused, or None.

    Repeating is harmless: an event that is there already is not written twice, and is not refused.

    Raises:
        RedisUnavailable: nothing is known of any of them; sending all of them again is harmless.
    """
    replies = iter(await send_all([command for batch in batches for command in _commands(keys, batch)]))
    outcomes: list[Exception | None] = []
    for batch in batches:
        own = list(islice(replies, len(batch.events)))
        all_new = all(isinstance(reply, bytes) for reply in own)
        outcomes.append(None if all_new else await _why_refused(send_all, keys, batch, own))
    return outcomes


def _commands(keys: Callable[[str], ShardKeys], batch: Batch) -> Iterator[Command]:
    key = keys(batch.ref.session).tokens(batch.ref.turn)
    for number, event in enumerate(batch.events, batch.first):
        yield ("XADD", key, "NOMKSTREAM", f"{number}-0", *flat(encode_token(event)))


async def _why_refused(
    send_all: SendAll, keys: Callable[[str], ShardKeys], batch: Batch, replies: Sequence[object]
) -> Exception | None:
    """Tell an earlier copy of ours, which is none, from a stream that is sealed or gone."""
    if None in replies:
        return TurnGone(batch.ref.turn)
    for reply in replies:
        if isinstance(reply, Exception) and not is_refused_id(reply):
            return reply
    key, last = keys(batch.ref.session).tokens(batch.ref.turn), batch.first + len(batch.events) - 1
    present, end = await send_all([("XRANGE", key, f"{batch.first}-0", f"{last}-0"), last_entry(key)])
    if [decode_token(fields) for _, fields in entries(present)] == list(batch.events):
        return None
    return ended(batch.ref.turn, sealed_as(end))


def last_entry(key: str) -> Command:
    """Return the command that asks for a stream's last entry."""
    return ("XREVRANGE", key, "+", "-", "COUNT", 1)


def last_number(reply: Any) -> int:
    """Return the number of a stream's last token, as `last_entry` brings it; 0 if there is none."""
    return max((EntryId.parse(entry_id).major for entry_id, _ in entries(reply)), default=0)


def sealed_as(reply: Any) -> State | None:
    """Return how the turn ended if its token stream's last entry, as `last_entry` brings it, is the seal, else None."""
    for _, fields in entries(reply):
        if isinstance(event := decode_token(fields), Seal):
            return event.state
    return None


def ended(turn: str, state: State | None) -> TurnError:
    """Make the error that tells a producer how its turn ended."""
    if state is None:
        return TurnError(turn, "Another token is there already under this number: two producers append to this turn.")
    return _ENDED.get(state, TurnEnded)(turn, _MESSAGES.get(state, ""))


async def read(redis: Client, key: str, after: int, count: int) -> list[tuple[int, TokenEvent | Seal]]:
    """Read up to ``count`` token events behind number ``after``, without waiting."""
    found = await call(redis, "XRANGE", key, f"({after}-0", "+", "COUNT", count)
    return [(EntryId.parse(entry_id).major, decode_token(fields)) for entry_id, fields in found]


async def read_all(redis: Client, key: str) -> list[TokenEvent | Seal]:
    """Read all that is there, some at a time: nobody else gets an answer while Redis makes one."""
    events: list[TokenEvent | Seal] = []
    after = 0
    while some := await read(redis, key, after, _SOME):
        events += [event for _, event in some]
        after, last = some[-1]
        if isinstance(last, Seal):
            break
    return events
