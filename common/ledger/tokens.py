"""Appending to a turn's token stream and reading it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from saystream.common.errors import TurnEnded, TurnError, TurnFailed, TurnInterrupted
from saystream.common.events import Seal, TokenEvent, decode_token, encode_token
from saystream.common.ids import EntryId, TurnRef
from saystream.common.keys import ShardKeys
from saystream.common.ledger.output import flat, is_refused_id
from saystream.common.redis_client import Client, Command, call, call_all
from saystream.common.states import State

_ENDED: dict[State, type[TurnEnded]] = {State.INTERRUPTED: TurnInterrupted, State.FAILED: TurnFailed}
_MESSAGES = {
    State.DONE: "The turn has been spoken to its end and takes no more text.",
    State.EXPIRED: "The turn has expired: it could not start to speak in time.",
}


class Batch(NamedTuple):
    """Token events of one turn, the first of which is number ``first``."""

    ref: TurnRef
    first: int
    events: Sequence[TokenEvent]


async def append(redis: Client, keys: Callable[[str], ShardKeys], batches: Sequence[Batch]) -> list[Exception | None]:
    """Append token events of several turns in one round trip; returns for each turn why it was refused, or None.

    Repeating is harmless: an event that is there already is not written twice, and is not refused.

    Raises:
        RedisUnavailable: nothing is known of any of them; sending all of them again is harmless.
    """
    replies = iter(await call_all(redis, [command for batch in batches for command in _commands(keys, batch)]))
    outcomes: list[Exception | None] = []
    for batch in batches:
        own = list(islice(replies, len(batch.events)))
        all_new = all(isinstance(reply, bytes) for reply in own)
        outcomes.append(None if all_new else await _why_refused(redis, keys, batch, own))
    return outcomes


def _commands(keys: Callable[[str], ShardKeys], batch: Batch) -> Iterator[Command]:
    key = keys(batch.ref.session).tokens(batch.ref.turn)
    for number, event in enumerate(batch.events, batch.first):
        yield ("XADD", key, "NOMKSTREAM", f"{number}-0", *flat(encode_token(event)))


async def _why_refused(
    redis: Client, keys: Callable[[str], ShardKeys], batch: Batch, replies: Sequence[object]
) -> Exception | None:
    """Tell an earlier copy of ours, which is none, from a stream that is sealed or gone."""
    if None in replies:
        return TurnEnded(batch.ref.turn, "The turn is no longer in Redis: it has expired.")
    for reply in replies:
        if isinstance(reply, Exception) and not is_refused_id(reply):
            return reply
    key, last = keys(batch.ref.session).tokens(batch.ref.turn), batch.first + len(batch.events) - 1
    present = await call(redis, "XRANGE", key, f"{batch.first}-0", f"{last}-0")
    if [decode_token(fields) for _, fields in present] == list(batch.events):
        return None
    return ended(batch.ref.turn, await sealed_as(redis, key))


async def sealed_as(redis: Client, key: str) -> State | None:
    """Return how the turn ended if its token stream is sealed, else None."""
    for _, fields in await call(redis, "XREVRANGE", key, "+", "-", "COUNT", 1):
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
    entries = await call(redis, "XRANGE", key, f"({after}-0", "+", "COUNT", count)
    return [(EntryId.parse(entry_id).major, decode_token(fields)) for entry_id, fields in entries]
