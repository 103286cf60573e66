"""An outbox numbers the events of a turn, keeps them until they are surely in Redis, and fails for good."""

import asyncio

import pytest

from saystream.common.errors import NotAcknowledged, TurnEnded, TurnInterrupted
from saystream.common.events import EndOfText, Flush, Text
from saystream.common.ids import SessionId, TurnId, TurnRef
from saystream.producer.outbox import ENTRY_BYTES, Outbox

REF = TurnRef(SessionId("s"), TurnId("t"))


def filled(*events: Text | Flush | EndOfText, bound_bytes: int = 1000) -> Outbox:
    outbox = Outbox(REF, bound_bytes)
    for at, event in enumerate(events):
        outbox.put(event, float(at))
    return outbox


def test_events_are_numbered_from_one() -> None:
    outbox = filled(Text("a"), Flush(), EndOfText())
    assert outbox.head(2) == (1, [Text("a"), Flush()])
    assert outbox.head(9) == (1, [Text("a"), Flush(), EndOfText()])


def test_what_is_acknowledged_does_not_wait_and_the_rest_stays_numbered() -> None:
    outbox = filled(Text("a"), Text("b"), Text("c"))
    outbox.acknowledge(2)
    assert len(outbox) == 1
    assert outbox.head(9) == (3, [Text("c")])
    assert outbox.since_s == 2.0
    outbox.acknowledge(1)  # a late repeat
    assert outbox.head(9) == (3, [Text("c")])


def test_it_is_full_by_bytes_of_utf_8() -> None:
    outbox = filled(Text("é"), bound_bytes=2 * ENTRY_BYTES + 4)
    assert not outbox.full(Text("é"))
    assert outbox.full(Text("éa"))


def test_it_takes_any_token_when_it_is_empty_and_the_end_always() -> None:
    outbox = Outbox(REF, 1)
    assert not outbox.full(Text("large"))
    outbox.put(Text("large"), 0.0)
    assert outbox.full(Flush())
    assert not outbox.full(EndOfText())


def test_the_first_error_stays_and_nothing_else_does() -> None:
    outbox = filled(Text("a"))
    outbox.fail(TurnInterrupted("t"))
    outbox.fail(NotAcknowledged())
    outbox.acknowledge(1)
    assert not outbox
    assert outbox.acknowledged == 0
    frames = []
    for _ in range(3):
        with pytest.raises(TurnInterrupted) as caught:
            outbox.check()
        frames.append(len(caught.traceback))
    assert len(set(frames)) == 1  # an error that is raised again and again does not grow


def test_it_takes_nothing_after_the_end() -> None:
    with pytest.raises(TurnEnded, match="turn t: The end of its text has been sent"):
        filled(EndOfText()).check()


def test_it_is_over_when_the_end_is_acknowledged_or_the_turn_is_sealed() -> None:
    outbox = filled(Text("a"), EndOfText())
    assert not outbox.over
    outbox.acknowledge(2)
    assert outbox.over
    for error, over in ((TurnInterrupted("t"), True), (NotAcknowledged(), False)):
        outbox = filled(Text("a"))
        outbox.fail(error)
        assert outbox.over is over


@pytest.mark.parametrize("last", [0, 1, 3])
def test_what_was_acknowledged_and_lost_goes_back_in_line_and_waits_anew(last: int) -> None:
    outbox = filled(Text("a"), Text("b"), Text("c"), Text("d"))
    outbox.acknowledge(3)
    assert outbox.rewind(last, 100.0)
    assert outbox.head(9) == (last + 1, [Text(letter) for letter in "abcd"[last:]])
    assert outbox.since_s == (3.0 if last == 3 else 100.0)
    outbox.acknowledge(4)
    assert not outbox
    assert outbox.rewind(2, 200.0)
    assert outbox.head(9) == (3, [Text("c"), Text("d")])


def test_it_keeps_what_was_acknowledged_up_to_its_bound_the_latest_longest() -> None:
    outbox = filled(*[Text("a")] * 5, bound_bytes=3 * (ENTRY_BYTES + 1))
    outbox.acknowledge(5)
    assert not outbox.rewind(1, 0.0)
    assert len(outbox) == 0
    assert not outbox.full(Text("b"))  # what is acknowledged takes nobody's room
    outbox.put(Text("b"), 0.0)
    assert not outbox.rewind(2, 0.0)
    assert outbox.rewind(3, 0.0)
    assert outbox.head(9) == (4, [Text("a"), Text("a"), Text("b")])


async def test_who_waits_for_room_is_told_of_the_end_by_somebody_else() -> None:
    outbox = filled(Text("a"), bound_bytes=1)
    waiting = asyncio.create_task(outbox.room_for(Text("b")))
    await asyncio.sleep(0)
    outbox.put(EndOfText(), 0.0)
    outbox.acknowledge(1)
    with pytest.raises(TurnEnded):
        await waiting


def test_its_repr_is_a_sentence() -> None:
    outbox = filled(Text("a"), Text("b"))
    outbox.acknowledge(1)
    assert repr(outbox) == "<Outbox of turn t [open | Tokens: 2 sent, 1 acknowledged]>"
