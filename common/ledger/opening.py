"""Opening a turn: what it is given, and why it is refused."""

import orjson

from saystream.common.errors import Overloaded, SessionBusy, TurnConflict
from saystream.common.ledger.answers import Opened, read_cuts
from saystream.common.ledger.bounds import Bounds
from saystream.common.ledger.scripts import OPEN
from saystream.common.ledger.steps import Steps
from saystream.common.request import TurnRequest
from saystream.common.states import State


async def open_turn(steps: Steps, bounds: Bounds, request: TurnRequest) -> Opened:
    """Open a turn; see `Ledger.open`."""
    reply = await steps.take(
        OPEN, request.ref, request.canonical(), request.voice, orjson.dumps(request.metadata), request.on_busy,
        request.start_within_ms, bounds.retention_ms, bounds.waiting_turns, bounds.ready_turns,
        bounds.output_ms, bounds.output_bytes, bounds.held_ms, bounds.held_bytes,
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
