"""Reading a turn's record: what the ledger knows of it, and how far it has come."""

from typing import Any

from saystream.common.audio import AudioFormat
from saystream.common.errors import UnknownTurn
from saystream.common.events import Seal
from saystream.common.ids import SessionId, TurnId, TurnRef
from saystream.common.keys import ShardKeys
from saystream.common.ledger import tokens
from saystream.common.ledger.answers import Heard, Snapshot
from saystream.common.ledger.scripts import LOOK
from saystream.common.ledger.steps import Steps
from saystream.common.redis_client import call
from saystream.common.request import TurnRequest
from saystream.common.states import State


async def heard(steps: Steps, ref: TurnRef) -> Heard:
    """Read how far a turn has been published and played; raises UnknownTurn."""
    progress = (await _look(steps, ref))["progress"]
    return Heard(
        played=progress.get("played"),
        heard=progress.get("heard"),
        spoken=progress["spoken"],
        samples=progress["samples"],
        state=State(progress["state"]),
    )


async def inspect(steps: Steps, turn: str) -> Snapshot:
    """Read a turn's record, in whatever session it is; raises UnknownTurn."""
    ref = await _find(steps, turn)
    found = await _look(steps, ref)
    record, progress = found["record"], found["progress"]
    events = await tokens.read_all(steps.redis, steps.keys(ref.session).tokens(turn))
    return Snapshot(
        request=TurnRequest.model_validate_json(record["request"]),
        number=progress["number"],
        state=State(progress["state"]),
        attempt=int(record["attempt"]),
        owner=record["owner"].partition("/")[0],
        cause=record["cause"],
        samples=progress["samples"],
        spoken=progress["spoken"],
        played=progress.get("played"),
        heard=progress.get("heard"),
        format=AudioFormat.parse(record["format"]) if "format" in record else None,
        opened_ms=int(record["opened_ms"]),
        began_ms=int(record.get("began_ms", 0)),
        ended_ms=int(record.get("ended_ms", 0)),
        text="".join(getattr(event, "text", "") for event in events),
        tokens=sum(not isinstance(event, Seal) for event in events),
    )


async def _find(steps: Steps, turn: str) -> TurnRef:
    for shard in range(steps.shards):
        if (session := await call(steps.redis, "HGET", ShardKeys(shard).turn(turn), "session")) is not None:
            return TurnRef(SessionId(session.decode()), TurnId(turn))
    raise UnknownTurn(turn)


async def _look(steps: Steps, ref: TurnRef) -> dict[str, Any]:
    found = await steps.take(LOOK, ref)
    if found["status"] == "unknown":  # it may have expired in this moment
        raise UnknownTurn(ref.turn)
    return found
