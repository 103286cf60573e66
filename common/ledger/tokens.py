"""Appending to a turn's token stream and reading it."""

from collections.abc import Sequence

from saystream.common.errors import TurnEnded, TurnError, TurnFailed, TurnInterrupted
from saystream.common.events import Seal, TokenEvent, decode_token, encode_token
from saystream.common.ids import EntryId
from saystream.common.ledger.output import flat, is_refused_id
from saystream.common.redis_client import Client, call, call_all
from saystream.common.states import State

_ENDED: dict[State, type[TurnEnded]] = {State.INTERRUPTED: TurnInterrupted, State.FAILED: TurnFailed}
_MESSAGES = {
    State.DONE: "The turn has been spoken to its end and takes no more text.",
    State.EXPIRED: "The turn has expired: it could not start to speak in time.",
}


async def append(redis: Client, key: str, turn: str, first: int, events: Sequence[TokenEvent]) -> None:
    """Append the token events number ``first``, ``first + 1``, … in one round trip.

    Repeating is harmless: an event that is there already is not written twice.

    Raises:
        TurnInterrupted, TurnFailed, TurnEnded: the stream is sealed; what had been appended before is there.
        RedisUnavailable: nothing is known of any of them; sending all of them again is harmless.
    """
    numbered = enumerate(events, first)
    commands = [("XADD", key, "NOMKSTREAM", f"{number}-0", *flat(encode_token(event))) for number, event in numbered]
    replies = await call_all(redis, commands)
    for number, reply in enumerate(replies, first):
        if isinstance(reply, bytes):
            continue
        if reply is None:
            raise TurnEnded(turn, "The turn is no longer in Redis: it has expired.")
        if not is_refused_id(reply):
            raise reply
        if not await call(redis, "XRANGE", key, f"{number}-0", f"{number}-0"):
            raise ended(turn, await sealed_as(redis, key))


async def sealed_as(redis: Client, key: str) -> State | None:
    """Return how the turn ended if its token stream is sealed, else None."""
    for _, fields in await call(redis, "XREVRANGE", key, "+", "-", "COUNT", 1):
        if isinstance(event := decode_token(fields), Seal):
            return event.state
    return None


def ended(turn: str, state: State | None) -> TurnError:
    """Make the error that tells a producer how its turn ended."""
    if state is None:
        return TurnError(turn, "a later token is there already: two producers append to this turn.")
    return _ENDED.get(state, TurnEnded)(turn, _MESSAGES.get(state, ""))


async def read(redis: Client, key: str, after: int, count: int) -> list[tuple[int, TokenEvent | Seal]]:
    """Read up to ``count`` token events behind number ``after``, without waiting."""
    entries = await call(redis, "XRANGE", key, f"({after}-0", "+", "COUNT", count)
    return [(EntryId.parse(entry_id).major, decode_token(fields)) for entry_id, fields in entries]
