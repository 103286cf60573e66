"""Promise 5: a consumer with its cursors, over all its lives, gets each entry once, in order, the same as others."""

from collections.abc import Iterator

from saystream.common.ids import EntryId
from saystream.consumer import Event, Gap
from tests.chaos.case import Case, Consumer, Promise, Session, Violation

_START = EntryId(0, 0)


def check(case: Case, session: Session) -> Iterator[Violation]:
    """Find what consumers of a session have missed, heard twice or heard otherwise."""
    there = {event.cursor: event for event in session.output}
    all_that_was = sorted(set(there) | _heard_by_anyone(case, session))
    for consumer in session.consumers.values():
        sentences = [*_resumed(consumer), *_in_order(consumer), *_same(case, consumer, there), *_gaps(case, consumer)]
        sentences += _missed(consumer, all_that_was)
        for sentence in sentences:
            yield Violation(Promise.RESUME, session.id, "", f"consumer {consumer.name}: {sentence}")


def _heard_by_anyone(case: Case, session: Session) -> set[EntryId]:
    """Return what was there at some time, as somebody has heard it; a failover may lose it before others hear it."""
    if not case.run.durable:
        return set()
    return {heard.event.cursor for consumer in session.consumers.values() for heard in consumer.entries}


def _resumed(consumer: Consumer) -> Iterator[str]:
    """Whether the harness has done its part: a consumer comes back with the last cursor that it has heard."""
    last = ""
    for life in consumer.lives:
        if last and life.listening.start != last:
            yield f"it came back at {life.listening.start}, and its last cursor was {last}"
        last = str(life.heard[-1].event.cursor) if life.heard else last


def _in_order(consumer: Consumer) -> Iterator[str]:
    last: EntryId | None = None
    for heard in consumer.entries:
        if last is not None and heard.event.cursor <= last:
            yield f"{heard.event.cursor} came behind {last}"
            return
        last = heard.event.cursor


def _same(case: Case, consumer: Consumer, there: dict[EntryId, Event]) -> Iterator[str]:
    for heard in consumer.entries:
        event = there.get(heard.event.cursor)
        if event is None and not (case.run.trimming or not case.run.durable):
            yield f"{heard.event.cursor} was heard and is not in Redis"
            return
        if event is not None and event != heard.event:
            yield f"{heard.event.cursor} is another entry in Redis"
            return


def _gaps(case: Case, consumer: Consumer) -> Iterator[str]:
    for heard in consumer.heard:
        if isinstance(heard.event, Gap) and case.run.durable and not case.run.trimming:
            yield f"it was told of a gap from {heard.event.after} to {heard.event.before}, and nothing was lost"


def _missed(consumer: Consumer, there: list[EntryId]) -> Iterator[str]:
    heard = {one.event.cursor for one in consumer.entries}
    if not consumer.stopped:
        if consumer.steady:
            yield "it is steady, and has not come to the end"
        if not heard:
            return
    first = _START if consumer.from_beginning else min(heard, default=_START)
    last = there[-1] if consumer.stopped and there else max(heard, default=_START)
    gaps = [one.event for one in consumer.heard if isinstance(one.event, Gap)]
    told = [(gap.after or _START, gap.before) for gap in gaps]
    missed = [
        entry
        for entry in there
        if first <= entry <= last and entry not in heard and not any(after < entry < before for after, before in told)
    ]
    if missed:
        yield f"it has missed {len(missed)} entries, the first is {missed[0]}"
