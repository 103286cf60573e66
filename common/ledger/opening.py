"""Opening a turn: what it is given, and why it is refused."""

from collections.abc import Sequence

import orjson

from saystream.common.errors import Overloaded, SessionBusy, TurnConflict
from saystream.common.events import TokenEvent, encode_token
from saystream.common.ledger.answers import Opened, read_cuts
from saystream.common.ledger.bounds import Bounds
from saystream.common.ledger.output import flat
from saystream.common.ledger.scripts import OPEN
from saystream.common.ledger.steps import Steps
from saystream.common.request import TurnRequest
from saystream.common.states import State


async def open_turn(steps: Steps, bounds: Bounds, request: TurnRequest, said: Sequence[TokenEvent] = ()) -> Opened:
    """Open a turn, together with token events that are known already; see `Ledger.open`."""
    reply = await steps.take(
        OPEN, request.ref, request.canonical(), request.voice, orjson.dumps(request.metadata), request.on_busy,
        request.start_within_ms, bounds.retention_ms, bounds.waiting_turns, bounds.ready_turns,
        bounds.output_ms, bounds.output_bytes, bounds.held_ms, bounds.held_bytes,
        *(part for event in said for part in flat(encode_token(event))),
        replicated=True,
    )  # fmt: skip
    match reply["status"]:
        case "conflict":
            raise TurnConflict(request.turn)
        case "busy":
            raise SessionBusy(request.turn, f"session {request.session} is speaking turn {reply['speaking']}.")
        case "full":
            waiting = f"{bounds.waiting_turns} turns wait already in session {request.session}."
            raise SessionBusy(request.turn, waiting)
        case "overloaded":
            raise Overloaded(request.turn)
    return Opened(reply["number"], State(reply["state"]), read_cuts(reply["cuts"]))
