"""Promise 2: when an interrupt has returned, not one more sample of what it interrupted enters the output."""

from collections.abc import Iterator

from saystream.common.events import Audio, End, Splice, Words
from saystream.common.ids import FENCE
from saystream.common.ledger import Cut
from saystream.common.states import State
from saystream.consumer import Event
from tests.chaos.case import Case, Promise, Session, Turn, Violation, of_turn
from tests.chaos.evidence import Interrupted, InterruptFailed, Interrupting
from tests.chaos.recording import put_together

#: By how much Redis's clock may disagree with ours, and its milliseconds with themselves.
_CLOCKS_S = 0.02

Lines = list[tuple[str, list[Event]]]


def check(case: Case, session: Session) -> Iterator[Violation]:
    """Find interrupted turns of a session that were not silent."""
    lines = list(session.lines())
    for turn in session.turns.values():
        for sentence in _after_the_end(turn, lines):
            yield Violation(Promise.SILENCE, session.id, turn.id, sentence)
    for by, cut in _cuts(session):
        known = session.turns.get(cut.turn)
        if known is None or known.final is None:
            yield Violation(Promise.SILENCE, session.id, cut.turn, f"{by} has cut a turn that nobody knows")
        elif cut.state is State.INTERRUPTED:
            for sentence in _cut(known, cut, lines):
                yield Violation(Promise.SILENCE, session.id, known.id, f"{by}: {sentence}")
    for turn, sentence in _forgotten(session):
        yield Violation(Promise.SILENCE, session.id, turn.id, sentence)
    for failed in session.interrupts_failed:
        if failed.error == "UnknownTurn":
            yield from _unknown(session, failed)


def _forgotten(session: Session) -> Iterator[tuple[Turn, str]]:
    """Find turns that were there when all of their session was interrupted, and ended later."""
    for interrupted in session.interrupted:
        by = _asked(session, interrupted)
        if by and not by.turn and not by.waiting_only:
            for turn in _ended_later(session, by.at_s, interrupted.at_s):
                yield turn, f"interrupt {by.call} of its whole session by {by.process} returned before it had ended"
    for opener in session.turns.values():
        for opening, opened in zip(opener.openings, opener.opened, strict=False):
            if opening.request.get("on_busy") == "interrupt" and len(opener.openings) == 1:
                for turn in _ended_later(session, opening.at_s, opened.at_s):
                    yield turn, f"{opener.id}, which was to interrupt it, was opened before it had ended"


def _asked(session: Session, answer: Interrupted | InterruptFailed) -> Interrupting | None:
    """Return the call that was answered; a process that came back may count its calls anew."""
    calls = [one for one in session.interrupting if (one.process, one.call) == (answer.process, answer.call)]
    return max((one for one in calls if one.at_s <= answer.at_s), key=lambda one: one.at_s, default=None)


def _ended_later(session: Session, asked_s: float, returned_s: float) -> Iterator[Turn]:
    for turn in session.turns.values():
        was_there = any(opened.at_s < asked_s for opened in turn.opened)
        if was_there and turn.final and not 0 < turn.final.ended_s <= returned_s + _CLOCKS_S:
            yield turn


def _unknown(session: Session, failed: InterruptFailed) -> Iterator[Violation]:
    asked = _asked(session, failed)
    turn = session.turns.get(asked.turn) if asked else None
    if asked and turn and any(opened.at_s < asked.at_s for opened in turn.opened):
        yield Violation(Promise.SILENCE, session.id, turn.id, "its interrupt was refused: no such turn")


def _cuts(session: Session) -> Iterator[tuple[str, Cut]]:
    for interrupted in session.interrupted:
        for cut in interrupted.cuts:
            yield f"the interrupt {interrupted.call} by {interrupted.process}", cut
    for turn in session.turns.values():
        for opened in turn.opened:
            for cut in opened.cuts:
                yield f"the opening of {turn.id}", cut


def _cut(turn: Turn, cut: Cut, lines: Lines) -> Iterator[str]:
    final = turn.final
    assert final is not None
    if final.state != State.INTERRUPTED:
        yield f"it returned, and the turn went on: it is {final.state} in the end"
    if final.samples != cut.samples:
        yield f"it returned {cut.samples} samples, and the turn has {final.samples}"
    for where, line in lines:
        recording = put_together(of_turn(line, turn.id))
        if recording.samples > cut.samples:
            yield f"it returned {cut.samples} samples, and {where} has {recording.samples}"
        if recording.end is not None and recording.end.samples != cut.samples:
            yield f"it returned {cut.samples} samples, and in {where} the turn's end says {recording.end.samples}"


def _after_the_end(turn: Turn, lines: Lines) -> Iterator[str]:
    for where, line in lines:
        ended: End | None = None
        for event in of_turn(line, turn.id):
            if isinstance(event, Audio | Words | Splice) and (ended or event.cursor.attempt == FENCE):
                yield f"in {where}, {type(event).__name__} {event.cursor} stands behind its end"
                break
            if isinstance(event, End):
                ended = event
