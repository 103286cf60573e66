"""The final state of a run: what Redis and the stand-ins hold when nothing moves any more, written down as evidence."""

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import Iterable

from saystream.common.events import decode_output
from saystream.common.ids import EntryId
from saystream.common.keys import GROUP, ShardKeys
from saystream.common.ledger import Ledger
from saystream.common.redis_client import Client, call, connect
from saystream.consumer import Event
from saystream.consumer.events import Unreadable
from tests.chaos.evidence import (
    Complete,
    DeadLetter,
    FinalEntry,
    FinalKey,
    FinalTurn,
    Pending,
    Place,
    VendorStreams,
    Witness,
)

_LENGTHS = {"string": "STRLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "hash": "HLEN", "stream": "XLEN"}
_MOST = 1_000_000  # entries of one stream: all of them
_GONE = -2  # what Redis says of the expiry of a key that does not exist


async def nothing_is_held(url: str, standins: Iterable[str], *, shards: int = 1) -> bool:
    """Tell whether all has come to rest: no message of a turn is left, no stream of speech, no place with a vendor.

    Args:
        url: of Redis; the database holds nothing but this run.
        standins: the stand-ins' control URLs (`StandIn.control_url`).
    """
    for standin in standins:
        if any((await asyncio.to_thread(_get, f"{standin}/stats"))["streams_open"].values()):
            return False
    async with contextlib.aclosing(connect(url)) as redis:
        for keys in map(ShardKeys, range(shards)):
            if await call(redis, "XLEN", keys.dispatch):
                return False
        names = await call(redis, "KEYS", "saystream:quota:*:held")
        return not any([await _places(redis, name.decode(), await _now_ms(redis)) for name in names])


async def record(witness: Witness, url: str, standins: Iterable[str], *, shards: int = 1) -> None:
    """Write down the final state. Call it when every turn has ended and the workers are still there, or have left.

    Args:
        url: of Redis; the database holds nothing but this run.
        standins: the stand-ins' control URLs (`StandIn.control_url`).
    """
    async with contextlib.aclosing(connect(url)) as redis:
        names = sorted(name.decode() for name in await call(redis, "KEYS", "*"))
        await _keys(witness, redis, names)
        ledger = Ledger(redis, shards=shards)
        clock_s = int(await _now_ms(redis)) / 1000 - time.monotonic()
        for keys in map(ShardKeys, range(shards)):
            await _messages(witness, redis, keys)
            for session in _ids(names, keys.audio("")):
                await _output(witness, redis, keys.audio(session), session)
            for turn in _ids(names, keys.turn("")):
                await _turn(witness, ledger, keys, turn, clock_s)
    for standin in standins:
        stats = await asyncio.to_thread(_get, f"{standin}/stats")
        for vendor, count in stats["streams_open"].items():
            witness.note(VendorStreams(vendor=vendor, open=count))
    witness.note(Complete())


def _ids(names: list[str], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


async def _keys(witness: Witness, redis: Client, names: list[str]) -> None:
    for name in names:
        kind = (await call(redis, "TYPE", name)).decode()
        ttl_ms = int(await call(redis, "PTTL", name))
        if kind == "none" or ttl_ms == _GONE:
            continue  # just now
        length = int(await call(redis, _LENGTHS[kind], name))
        witness.note(FinalKey(name=name, type=kind, ttl_ms=ttl_ms, length=length))
        quota, _, part = name.rpartition(":")
        if quota.startswith("saystream:quota:") and part in ("held", "waiting"):
            # What has run out is no longer held.
            for place in await _places(redis, name, "-inf" if part == "waiting" else await _now_ms(redis)):
                witness.note(Place(account=quota, place=place, waiting=part == "waiting"))


async def _places(redis: Client, name: str, after_ms: str) -> list[str]:
    return [place.decode() for place in await call(redis, "ZRANGEBYSCORE", name, f"({after_ms}", "+inf")]


async def _now_ms(redis: Client) -> str:
    seconds, microseconds = await call(redis, "TIME")
    return str(int(seconds) * 1000 + int(microseconds) // 1000)


async def _messages(witness: Witness, redis: Client, keys: ShardKeys) -> None:
    held: dict[bytes, bytes] = {}
    if await call(redis, "EXISTS", keys.dispatch):
        for row in await call(redis, "XPENDING", keys.dispatch, GROUP, "-", "+", _MOST, parse_detail=True):
            held[row["message_id"]] = row["consumer"]
    entries = dict(await call(redis, "XRANGE", keys.dispatch, "-", "+"))
    for message in sorted(held.keys() | entries.keys()):
        turn = entries.get(message, {}).get(b"turn", b"").decode()
        worker = held.get(message, b"").decode()
        witness.note(Pending(shard=keys.shard, message=message.decode(), worker=worker, turn=turn))
    for entry_id, fields in await call(redis, "XRANGE", keys.dead, "-", "+"):
        turn, cause = fields[b"turn"].decode(), fields[b"cause"].decode()
        witness.note(DeadLetter(shard=keys.shard, id=entry_id.decode(), turn=turn, cause=cause))


async def _output(witness: Witness, redis: Client, key: str, session: str) -> None:
    after = "-"
    while entries := await call(redis, "XRANGE", key, after, "+", "COUNT", 200):
        for entry_id, fields in entries:
            witness.note(FinalEntry(session=session, event=_event(entry_id, fields)))
        after = f"({entries[-1][0].decode()}"


def _event(entry_id: bytes, fields: dict[bytes, bytes]) -> Event:
    try:
        return decode_output(entry_id, fields)
    except ValueError as error:
        return Unreadable(EntryId.parse(entry_id), str(error))


async def _turn(witness: Witness, ledger: Ledger, keys: ShardKeys, turn: str, clock_s: float) -> None:
    seen = await ledger.inspect(turn)
    tokens: list[list[str]] = []
    for entry_id, fields in await call(ledger.redis, "XRANGE", keys.tokens(turn), "-", "+"):
        [(kind, text)] = fields.items()
        tokens.append([entry_id.decode(), kind.decode(), text.decode()])
    ended_s = seen.ended_ms / 1000 - clock_s if seen.ended_ms else 0.0
    witness.note(
        FinalTurn(
            session=seen.request.session, turn=turn, number=seen.number, state=seen.state, attempt=seen.attempt,
            owner=seen.owner, cause=seen.cause, samples=seen.samples, spoken=seen.spoken, ended_s=ended_s,
            tokens=tokens,
        )
    )  # fmt: skip


def _get(url: str) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        found: dict[str, dict[str, int]] = json.load(answer)
        return found
