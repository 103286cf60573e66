"""Continuity: what follows without loss is no gap, and everything else is."""

from collections.abc import Callable

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.events import Audio, Begin, End, Splice, Words
from saystream.common.ids import FENCE, EntryId
from saystream.common.states import State
from saystream.consumer.continuity import Continuity
from saystream.consumer.events import Event, Gap, Unreadable, next_id, previous_id

LARGEST = (1 << 64) - 1
FIRST = 1000


def begin(number: int = FIRST) -> Begin:
    return Begin(EntryId.of(number, 1, 0), f"turn {number}", AudioFormat(), "default", {})


def audio(
    seq: int, *, number: int = FIRST, attempt: int = 1, position: int = 0, cut: int = 0, spoken: int = 0
) -> Audio:
    """Audio of 100 samples that ends at ``position``."""
    cursor = EntryId.of(number, attempt, seq)
    return Audio(cursor, f"turn {number}", position - 100, 100, spoken, cut, bytes(200))


def words(seq: int, *, position: int, spoken: int) -> Words:
    return Words(EntryId.of(FIRST, 1, seq), f"turn {FIRST}", position, spoken, position, ())


def splice(attempt: int, offset: int, spoken: int, *, seq: int = 0) -> Splice:
    return Splice(EntryId.of(FIRST, attempt, seq), f"turn {FIRST}", offset, spoken)


def end(number: int = FIRST, *, attempt: int = FENCE, seq: int = 0, samples: int = 0, spoken: int = 0) -> End:
    return End(EntryId.of(number, attempt, seq), f"turn {number}", State.INTERRUPTED, samples, spoken, "")


def unreadable(seq: int, *, attempt: int = 1, number: int = FIRST) -> Unreadable:
    return Unreadable(EntryId.of(number, attempt, seq), "strange")


def gaps(continuity: Continuity, *events: Event, first: int | None = FIRST) -> list[Gap]:
    return [gap for event in events if (gap := continuity.take(event, first))]


@pytest.mark.parametrize(
    "events",
    [
        [begin(), audio(1), audio(2), end(attempt=1, seq=3), begin(FIRST + 1)],
        [end(), end(FIRST + 1), begin(FIRST + 2)],
        [begin(), end(), begin(FIRST + 1)],
        [begin(), audio(1, position=100, cut=80, spoken=7), splice(2, 80, 7), audio(1, attempt=2)],
        [begin(), audio(1, position=100, cut=80, spoken=7), splice(2, 60, 5)],
        [begin(), audio(1, position=100, cut=80, spoken=7), end(samples=100, spoken=7)],
        [begin(), audio(1, position=100, spoken=7), words(2, position=100, spoken=9), end(samples=100, spoken=9)],
        [begin(), splice(2, 0, 0), splice(3, 0, 0), end()],
        [begin(), unreadable(1), audio(2)],
        [begin(), unreadable(1), end(samples=100, spoken=7)],
        [begin(), unreadable(1), splice(2, 80, 7)],
        [begin(), unreadable(1), begin(FIRST + 1)],
    ],
    ids=lambda events: " ".join(type(event).__name__ for event in events),
)
def test_whole_histories_have_no_gap(events: list[Event]) -> None:
    assert gaps(Continuity.beginning(), *events) == []


@pytest.mark.parametrize(
    "events",
    [
        [begin(FIRST + 1)],
        [audio(5)],
        [splice(2, 0, 0)],
        [end(samples=100, spoken=7)],
        [end(attempt=1, seq=7)],
        [begin(), audio(2)],
        [begin(), audio(1), audio(3)],
        [begin(), audio(1, attempt=2)],
        [begin(), splice(3, 0, 0)],
        [begin(), audio(1, position=100, cut=80, spoken=7), splice(2, 80, 8)],
        [begin(), audio(1, position=100, cut=80, spoken=7), splice(2, 90, 7)],
        [begin(), audio(1, position=100, spoken=7), end(samples=101, spoken=7)],
        [begin(), audio(1, position=100, spoken=7), end(samples=100, spoken=8)],
        [begin(), audio(1, position=100), begin(FIRST + 1)],
        [end(), unreadable(1, number=FIRST + 1)],
        [end(), end(FIRST + 1, samples=100, spoken=7)],
        [end(), begin(FIRST + 2)],
    ],
    ids=lambda events: " ".join(type(event).__name__ for event in events),
)
def test_what_is_missing_before_the_last_of_these_is_a_gap(events: list[Event]) -> None:
    last = events[-1].cursor
    after = events[-2].cursor if len(events) > 1 else None
    assert gaps(Continuity.beginning(), *events) == [Gap(previous_id(last), after, last)]


def test_after_a_gap_all_is_counted_anew() -> None:
    assert len(gaps(Continuity.beginning(), audio(5), audio(6), audio(8), audio(9))) == 2


def test_an_ended_session_may_come_back_at_a_higher_number() -> None:
    assert gaps(Continuity.after(end().cursor, end()), begin(9000), first=9000) == []


@pytest.mark.parametrize("first", [None, FIRST, 8999])
def test_a_jump_to_any_other_number_is_a_gap(first: int | None) -> None:
    assert gaps(Continuity.after(end().cursor, end()), begin(9000), first=first)


def test_a_session_that_comes_back_has_lost_the_turn_that_had_not_ended() -> None:
    assert gaps(Continuity.after(audio(3).cursor, audio(3)), begin(9000), first=9000)


def test_only_a_jump_asks_for_the_first_number() -> None:
    continuity = Continuity.after(end().cursor, end())
    assert not continuity.asks_for_first(begin(FIRST + 1).cursor)
    assert continuity.asks_for_first(begin(FIRST + 2).cursor)
    assert Continuity.beginning().asks_for_first(begin().cursor)


@pytest.mark.parametrize("following", [audio(4), unreadable(4)], ids=["audio", "unreadable"])
def test_the_very_next_id_follows_even_a_cursor_that_is_missing(following: Event) -> None:
    assert gaps(Continuity.missing(EntryId.of(FIRST, 1, 3)), following) == []


@pytest.mark.parametrize(
    "following", [audio(5), splice(2, 0, 0), end(), begin(FIRST + 1), begin(9000)], ids=lambda e: type(e).__name__
)
def test_anything_else_behind_a_missing_cursor_is_a_gap(following: Event) -> None:
    assert gaps(Continuity.missing(EntryId.of(FIRST, 1, 3)), following, first=9000)


def test_a_missing_fence_was_an_end_and_the_next_turn_follows_it() -> None:
    assert gaps(Continuity.missing(end().cursor), begin(FIRST + 1)) == []


def test_what_lies_between_a_missing_fence_and_another_life_of_the_session_is_not_known() -> None:
    assert gaps(Continuity.missing(end().cursor), begin(9000), first=9000)


@pytest.mark.parametrize("make", [Continuity.after, Continuity.missing])
def test_attempt_0_stands_for_a_turn_of_which_nothing_was_heard(make: Callable[[EntryId], Continuity]) -> None:
    none = EntryId.of(FIRST, 0, 0)
    assert gaps(make(none), begin()) == []
    assert gaps(make(none), end()) == []
    assert gaps(make(none), end(samples=100))
    assert gaps(make(none), begin(FIRST + 1))


@pytest.mark.parametrize("before", [begin().cursor, audio(1).cursor, splice(2, 0, 0).cursor, end().cursor])
def test_a_gaps_cursor_leads_to_what_stands_behind_it_without_another_gap(before: EntryId) -> None:
    gap = Gap.between(None, before)
    assert next_id(gap.cursor) == before
    assert gaps(Continuity.missing(gap.cursor), Unreadable(before, "")) == []


def test_the_id_above_the_largest_sequence_is_the_next_majors_first() -> None:
    assert next_id(EntryId(7, LARGEST)) == EntryId(8, 0)
    assert previous_id(EntryId(8, 0)) == EntryId(7, LARGEST)
