"""Promise 4: a retry is harmless: every step that was repeated has had the effect of doing it once."""

from collections.abc import Iterator

from saystream.common.events import Begin, End
from saystream.common.ids import FENCE, EntryId
from saystream.common.states import FINAL, State
from saystream.consumer import Event
from saystream.consumer.events import Unreadable
from tests.chaos.case import Case, Promise, Session, Turn, Violation, of_turn


def check(case: Case, session: Session) -> Iterator[Violation]:
    """Find steps at a session's turns that have had their effect twice, or in part."""
    for turn in session.turns.values():
        for sentence in (*_tokens(turn), *_opened_once(turn), *_interrupted_once(session, turn)):
            yield Violation(Promise.RETRY, session.id, turn.id, sentence)
        if not case.run.trimming:
            for sentence in _begun_and_ended_once(turn, session.output):
                yield Violation(Promise.RETRY, session.id, turn.id, sentence)
    for turn_id, sentence in _numbered(session):
        yield Violation(Promise.RETRY, session.id, turn_id, sentence)


def _tokens(turn: Turn) -> Iterator[str]:
    if turn.changed:
        yield f"its producer came back with other token events under the numbers {turn.changed[:5]}"
    if turn.final is None:
        return
    events = [(token, kind, text) for token, kind, text in turn.final.tokens if kind != "seal"]
    for number, (token, kind, text) in enumerate(events, 1):
        if token != f"{number}-0":
            yield f"token event {number} stands under {token}"
            return
        if number not in turn.sent:
            yield f"token event {token} {kind} {text!r} was never sent"
            return
        if turn.sent[number] != (kind, text):
            yield f"token event {token} is {kind} {text!r}, and {turn.sent[number]} was sent"
            return
    seals = [text for _, kind, text in turn.final.tokens if kind == "seal"]
    if turn.state in FINAL and seals != [turn.state]:
        yield f"its token stream is sealed with {seals}, and it is {turn.state}"


def _opened_once(turn: Turn) -> Iterator[str]:
    numbers = {opened.number for opened in turn.opened} | ({turn.final.number} if turn.final else set())
    if len(numbers) > 1:
        yield f"it has had several numbers: {sorted(numbers)}"


def _interrupted_once(session: Session, turn: Turn) -> Iterator[str]:
    cuts = [cut for interrupted in session.interrupted for cut in interrupted.cuts if cut.turn == turn.id]
    if len(told := {(cut.samples, cut.spoken) for cut in cuts}) > 1:
        yield f"its interrupts returned different cuts (samples, spoken): {sorted(told)}"


def _begun_and_ended_once(turn: Turn, output: list[Event]) -> Iterator[str]:
    entries = of_turn(output, turn.id)
    begun = sum(isinstance(event, Begin) for event in entries)
    ended = sum(isinstance(event, End) for event in entries)
    if begun > 1 or (begun == 0 and (len(entries) > ended or turn.state == State.DONE)):
        yield f"it has begun {begun} times"
    if ended != (turn.state in FINAL):
        yield f"it is {turn.state}, and has {ended} ends in the output"


def _numbered(session: Session) -> Iterator[tuple[str, str]]:
    """Ids have no holes: attempts count from 1, entries of an attempt from 0."""
    known = {turn.number: turn.id for turn in session.turns.values()}
    last: EntryId | None = None
    for event in session.output:
        entry, turn = event.cursor, known.get(event.cursor.number, "")
        if not turn or isinstance(event, Unreadable):
            yield turn, f"nobody can have written the entry {entry}: {event}"[:200]
            return
        begins = last is None or entry.number != last.number
        first_attempts = (1, FENCE)
        if last is not None and not begins:
            first_attempts = (last.attempt + 1, FENCE)
            if entry == EntryId(last.major, last.seq + 1):
                last = entry
                continue
        if entry.seq or entry.attempt not in first_attempts:
            yield turn, f"entry {entry} (attempt {entry.attempt}) does not follow on {last}"
            return
        last = entry
