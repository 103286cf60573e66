"""Dead letters: turns that failed on every attempt, and speaking them after all."""

import re
from heapq import merge
from itertools import islice

from saystream.common.errors import TextGone, TextIncomplete, UnknownLetter
from saystream.common.events import EndOfText, Fields, Seal, Text, TokenEvent
from saystream.common.ids import EntryId, TurnRef, turn_id
from saystream.common.keys import ShardKeys
from saystream.common.ledger import tokens
from saystream.common.ledger.answers import DeadLetter, Opened
from saystream.common.ledger.bounds import Bounds
from saystream.common.ledger.opening import open_turn
from saystream.common.ledger.steps import Steps
from saystream.common.redis_client import call
from saystream.common.request import TurnRequest

_ID = re.compile(r"(\d{1,5}):(\d{1,19}-\d{1,19})", re.ASCII)
#: Neighbouring texts are said again as one of up to so many characters, which fits into one token event: a script that
#: wrote each of many small ones would hold up all of Redis for so long.
_TOGETHER = 4_096


async def newest(steps: Steps, count: int) -> list[DeadLetter]:
    """Read up to ``count`` letters of all shards, the newest first; without their text."""
    of_shards = []
    for shard in range(steps.shards):
        entries = await call(steps.redis, "XREVRANGE", ShardKeys(shard).dead, "+", "-", "COUNT", count)
        of_shards.append([_letter(shard, entry_id, fields) for entry_id, fields in entries])
    return list(islice(merge(*of_shards, key=lambda letter: -letter.at_ms), count))


async def read(steps: Steps, letter: str) -> DeadLetter:
    """Read one letter, with what is left of its text; raises UnknownLetter."""
    shard, entry = _parse(steps, letter)
    for entry_id, fields in await call(steps.redis, "XRANGE", ShardKeys(shard).dead, str(entry), str(entry)):
        said = await events(steps, _letter(shard, entry_id, fields).request.ref)
        return _letter(shard, entry_id, fields, "".join(getattr(event, "text", "") for event in said))
    raise UnknownLetter(f"{letter}: {UnknownLetter.__doc__}")


async def drop(steps: Steps, letter: str) -> None:
    """Delete a letter; one that is not there is no error."""
    shard, entry = _parse(steps, letter)
    await call(steps.redis, "XDEL", ShardKeys(shard).dead, str(entry))


async def redrive(steps: Steps, bounds: Bounds, letter: str, *, rest: bool, incomplete: bool) -> Opened:
    """Speak the turn of a letter again; see `Ledger.redrive`."""
    found = await read(steps, letter)
    said = still_to_say(found, await events(steps, found.request.ref), rest=rest)
    if not (found.whole or incomplete):
        raise TextIncomplete(found.request.turn)
    opened = await open_turn(steps, bounds, again(found), said)
    await drop(steps, letter)
    return opened


async def events(steps: Steps, ref: TurnRef) -> list[TokenEvent]:
    """Read what a producer said of a turn, as far as it is still in Redis."""
    found = await tokens.read_all(steps.redis, steps.keys(ref.session).tokens(ref.turn))
    return [event for event in found if not isinstance(event, Seal | EndOfText)]


def again(letter: DeadLetter) -> TurnRequest:
    """Return the request for speaking a letter's turn again.

    Its id follows from the letter's, so that to ask twice is to ask once.
    """
    given = letter.request.model_dump(exclude={"turn", "on_busy", "start_within_ms"})
    return TurnRequest.check(turn=turn_id(f"redriven:{letter.id}"), on_busy="queue", start_within_ms=0, **given)


def still_to_say(letter: DeadLetter, said: list[TokenEvent], *, rest: bool) -> list[TokenEvent]:
    """Return the token events of the turn that speaks a letter again; raises TextGone if there is nothing to say.

    Args:
        letter: what is to be said again.
        said: see `events`.
        rest: only what follows the text that has been spoken; `spoken` lies between two words.
    """
    skip = letter.spoken if rest else 0
    kept: list[TokenEvent] = []
    for event in said:
        if isinstance(event, Text):
            if text := event.text[skip:]:
                before = kept[-1] if kept else None
                if isinstance(before, Text) and len(before.text) + len(text) <= _TOGETHER:
                    kept[-1] = Text(before.text + text)
                else:
                    kept.append(Text(text))
            skip = max(0, skip - len(event.text))
        elif kept:
            kept.append(event)
    if not kept:
        raise TextGone(letter.request.turn, _why_nothing(letter, said))
    return [*kept, EndOfText()]


def _why_nothing(letter: DeadLetter, said: list[TokenEvent]) -> str:
    if letter.tokens <= letter.whole:  # the end of a text is a token event, too
        return "It had no text." if letter.whole else "None of its text had been sent when it failed."
    if not said:
        return ""
    return "It was spoken to its end." if letter.whole else "All of its text that had been sent was spoken."


def _letter(shard: int, entry_id: bytes, fields: Fields, text: str = "") -> DeadLetter:
    entry = EntryId.parse(entry_id)
    return DeadLetter(
        id=f"{shard}:{entry}",
        request=TurnRequest.model_validate_json(fields[b"request"]),
        cause=fields[b"cause"].decode(),
        attempts=int(fields[b"attempts"]),
        samples=int(fields[b"samples"]),
        spoken=int(fields[b"spoken"]),
        tokens=int(fields[b"tokens"]),
        whole=fields[b"whole"] == b"1",
        at_ms=entry.major,  # dead letters have ids of Redis' own, from its clock
        text=text,
    )


def _parse(steps: Steps, letter: str) -> tuple[int, EntryId]:
    """Read a letter's id; raises UnknownLetter."""
    found = _ID.fullmatch(letter)
    if found is None or int(found[1]) >= steps.shards:
        raise UnknownLetter(f"{letter!r} is not the id of a dead letter: it looks like 0:1234-5")
    return int(found[1]), EntryId.parse(found[2])
