"""Promise 6: nothing waits for a dead worker: every turn ends, and if it failed, visibly and for a cause."""

from collections.abc import Iterator

from saystream.common.events import Splice
from saystream.common.states import FINAL, State
from tests.chaos.case import Case, Fault, Promise, Session, Turn, Violation
from tests.chaos.evidence import DeadLetter, FaultKind

#: What costs a worker its turns.
WORKER_FAULTS = (
    FaultKind.WORKER_KILLED,
    FaultKind.WORKER_FROZEN,
    FaultKind.WORKER_TERMINATED,
    FaultKind.WORKER_CUT_OFF,
)
_REDIS_FAULTS = (FaultKind.REDIS_RESTARTED, FaultKind.REDIS_SLOW, FaultKind.REDIS_FAILED_OVER)
#: A take-over that nothing else hinders may take two leases, and this on a machine that is busy.
_BUSY_S = 5.0


def check(case: Case, session: Session) -> Iterator[Violation]:
    """Find turns of a session that have not ended, or ended without a reason."""
    dead = {letter.turn: letter for letter in case.evidence.of(DeadLetter)}
    for turn in session.turns.values():
        for sentence in _ended(case, session, turn, dead.get(turn.id)):
            yield Violation(Promise.NOTHING_WAITS, session.id, turn.id, sentence)
    for turn_id, sentence in _late(case, session):
        yield Violation(Promise.NOTHING_WAITS, session.id, turn_id, sentence)


def _ended(case: Case, session: Session, turn: Turn, letter: DeadLetter | None) -> Iterator[str]:
    if turn.final is None:
        if turn.opened:
            yield "it was opened, and there is no record of it"
        return
    if turn.state not in FINAL:
        yield f"it is still {turn.state} at the end (attempt {turn.final.attempt})"
    elif turn.state == State.FAILED:
        yield from _failed(case, turn, letter)
    elif turn.state == State.EXPIRED and not any(one.request.get("start_within_ms") for one in turn.openings):
        yield "it has expired, and was to wait as long as needed"
    elif turn.state == State.INTERRUPTED and not _was_interrupted(case, session, turn):
        yield f"it was interrupted, and nobody has asked for that: {turn.final.cause!r}"
    if letter and turn.state != State.FAILED:
        yield f"it is {turn.state}, and stands among the dead letters"


def _failed(case: Case, turn: Turn, letter: DeadLetter | None) -> Iterator[str]:
    assert turn.final is not None
    cause = turn.final.cause
    # What was acknowledged can be lost only where Redis does not keep it.
    explaining = (FaultKind.VENDOR,) if case.run.durable else (FaultKind.VENDOR, FaultKind.REDIS_FAILED_OVER)
    if letter is None:
        yield f"it has failed ({cause}), and is not among the dead letters"
    if not cause:
        yield "it has failed without a cause"
    elif "workers were lost" in cause:
        if not case.any_fault(turn.since_s, turn.final.ended_s, *WORKER_FAULTS, *_REDIS_FAULTS):
            yield f"it has failed ({cause}), and no worker was harmed"
    elif not case.any_fault(turn.since_s, turn.final.ended_s, *explaining):
        yield f"it has failed ({cause}), and no fault explains it"


def _was_interrupted(case: Case, session: Session, turn: Turn) -> bool:
    asked = any(one.turn in ("", turn.id) for one in session.interrupting)
    by_another = any(
        opening.request.get("on_busy") == "interrupt"
        for other in session.turns.values()
        for opening in other.openings
        if other is not turn
    )
    # Who opens a turn and cannot end it interrupts it; nobody else knows of one that perhaps was opened.
    left_alone = bool(turn.lost or turn.refused) or case.run.on_idle == "interrupt"
    return asked or by_another or left_alone


def _late(case: Case, session: Session) -> Iterator[tuple[str, str]]:
    """Find take-overs that were late, as each steady consumer has seen them."""
    bound_s = 2 * case.run.lease_s + _BUSY_S
    for consumer in session.consumers.values():
        heard_s = 0.0
        for heard in consumer.entries if consumer.steady else ():
            if isinstance(splice := heard.event, Splice) and splice.cursor.seq == 0:
                fault = _cause(case, heard_s, heard.at_s)
                if fault and heard.at_s - fault.at_s > bound_s and not _hindered(case, fault, heard.at_s):
                    yield splice.turn, f"it was taken over {heard.at_s - fault.at_s:.1f} s after {fault}"
            heard_s = heard.at_s


def _cause(case: Case, heard_s: float, until_s: float) -> Fault | None:
    """Return what a worker has died of that was last heard at a time; none that it has outlived."""
    since_s = heard_s - 2 * case.run.lease_s
    met = (fault for fault in case.faults if fault.kind in WORKER_FAULTS and since_s < fault.at_s < until_s)
    return max(met, key=lambda fault: fault.at_s, default=None)


def _hindered(case: Case, fault: Fault, until_s: float) -> bool:
    return any(other is not fault and other.at_s <= until_s and other.over_s >= fault.at_s for other in case.faults)
