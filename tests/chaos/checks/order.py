"""Promise 3: turns of one session come out one at a time, in the order in which they were opened."""

from collections.abc import Iterator
from itertools import pairwise

from saystream.common.events import Begin, End
from saystream.consumer import Event, Gap
from tests.chaos.case import Case, Promise, Session, Violation


def check(case: Case, session: Session) -> Iterator[Violation]:
    """Find turns of a session that are mixed, or out of order."""
    numbered = {turn.number: turn for turn in session.turns.values() if turn.number is not None}
    if len(numbered) < sum(turn.number is not None for turn in session.turns.values()):
        yield Violation(Promise.ORDER, session.id, "", "two turns have the same number")
    opened = sorted((turn for turn in session.turns.values() if turn.opened), key=lambda turn: turn.opened[0].at_s)
    for before, after in pairwise(opened):
        in_order = (before.number or 0) < (after.number or 0)
        if before.opened[0].at_s < after.since_s and not in_order:
            sentence = f"it was opened after {before.id} and has number {after.number}, not above {before.number}"
            yield Violation(Promise.ORDER, session.id, after.id, sentence)
    for where, line in session.lines():
        for turn, sentence in _mixed(line, {number: turn.id for number, turn in numbered.items()}):
            yield Violation(Promise.ORDER, session.id, turn, f"in {where}: {sentence}")


def _mixed(line: list[Event], numbers: dict[int, str]) -> Iterator[tuple[str, str]]:
    speaking, last = "", 0
    ended: set[str] = set()
    for event in line:
        turn = getattr(event, "turn", "")
        if isinstance(event, Gap) or not turn:
            continue
        number = event.cursor.number
        if numbers.get(number) != turn:
            yield turn, f"entry {event.cursor} has turn number {number}, which is that of {numbers.get(number)}"
            return
        if number < last:
            yield turn, f"entry {event.cursor} stands behind those of {numbers.get(last)}"
        if turn != speaking and speaking and speaking not in ended:
            yield turn, f"its {type(event).__name__} {event.cursor} comes before {speaking} has ended"
        if early := [numbers[other] for other in numbers if last < other < number and numbers[other] not in ended]:
            yield turn, f"its {type(event).__name__} {event.cursor} comes before {early[0]}, which has not ended"
        if isinstance(event, Begin) and turn in ended:
            yield turn, f"it begins again at {event.cursor}"
        if isinstance(event, End):
            ended.add(turn)
        speaking, last = turn, number
