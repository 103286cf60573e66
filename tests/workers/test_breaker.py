"""The circuit breaker: its table, and what counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.errors import Action, Scope, VendorError
from saystream.workers.breaker import MOVES, Breaker, Sign, State, Weight, weigh


def error(scope: Scope = Scope.SOCKET, action: Action = Action.RECONNECT, code: int | str | None = None) -> VendorError:
    return VendorError("vendor", "it broke", code=code, scope=scope, action=action)


def breaker(failures: int = 3, open_s: float = 5.0) -> Breaker:
    return Breaker(failures, open_s, jitter=lambda: 1.0)


def fail(breaker: Breaker, now: float) -> None:
    ticket = breaker.ask(now)
    assert ticket is not None
    breaker.failed(ticket, error(), now)


def opened(failures: int = 3, now: float = 0.0) -> Breaker:
    made = breaker(failures)
    for _ in range(failures):
        fail(made, now)
    assert made.state(now) is State.OPEN
    return made


def test_so_many_failures_in_a_row_open_it() -> None:
    made = breaker()
    for _ in range(2):
        fail(made, 0.0)
        assert made.allows(0.0)
    fail(made, 0.0)
    assert not made.allows(0.0)
    assert made.retry_at(0.0) == 5.0
    assert repr(made) == "<Breaker open: 3 of 3 failures, the last: vendor: it broke>"


def test_a_stream_that_goes_well_between_them_begins_the_count_anew() -> None:
    made = breaker()
    for _ in range(10):
        fail(made, 0.0)
        fail(made, 0.0)
        made.well(made.ask(0.0) or 0)
    assert made.state(0.0) is State.CLOSED
    assert made.error is None


def test_first_audio_alone_does_not() -> None:
    """A vendor that breaks each stream after its first words is not well."""
    made = breaker()
    for _ in range(3):
        ticket = made.ask(0.0) or 0
        made.spoke(ticket)
        made.failed(ticket, error(), 0.0)
    assert made.state(0.0) is State.OPEN


def test_when_the_pause_is_over_one_probe_is_let_through_at_a_time() -> None:
    made = opened()
    assert made.ask(4.9) is None
    probe = made.ask(5.0)
    assert probe is not None
    assert made.state(5.0) is State.HALF_OPEN
    assert made.ask(5.0) is None
    assert (made.retry_at(5.0) or 0) > 5.0
    made.undecided(probe)
    assert made.ask(5.0) is not None


def test_a_probe_that_speaks_closes_it() -> None:
    made = opened()
    made.spoke(made.ask(5.0) or 0)
    assert made.state(5.0) is State.CLOSED
    assert made.retry_at(5.0) is None
    assert made.ask(5.0) is not None


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_minute() -> None:
    made, now, pauses = opened(), 0.0, []
    for _ in range(6):
        at = made.retry_at(now)
        assert at is not None
        pauses.append(at - now)
        now = at
        fail(made, now)
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_after_a_probe_one_failure_opens_it_again_until_a_stream_has_gone_well() -> None:
    made = opened()
    made.spoke(made.ask(5.0) or 0)
    fail(made, 6.0)
    assert made.state(6.0) is State.OPEN
    assert made.retry_at(6.0) == 16.0
    made.well(made.ask(16.0) or 0)
    fail(made, 17.0)
    assert made.state(17.0) is State.CLOSED


def test_what_was_asked_before_it_opened_says_nothing_afterwards() -> None:
    made = breaker()
    early = [made.ask(0.0) or 0 for _ in range(2)]
    for _ in range(3):
        fail(made, 0.0)
    made.well(early[0])
    assert made.state(0.0) is State.OPEN
    probe = made.ask(5.0) or 0
    made.failed(early[1], error(), 5.0)
    made.spoke(early[0])
    assert made.state(5.0) is State.HALF_OPEN
    made.spoke(probe)
    assert made.state(5.0) is State.CLOSED


def test_streams_that_break_together_are_one_failure() -> None:
    made = breaker()
    together = [made.ask(0.0) or 0 for _ in range(50)]
    for ticket in together:
        made.failed(ticket, error(), 1.0)
    assert made.state(1.0) is State.CLOSED


def test_streams_that_break_one_after_the_other_are_not() -> None:
    made = breaker()
    together = [made.ask(0.0) or 0 for _ in range(3)]
    for number, ticket in enumerate(together):
        made.failed(ticket, error(), 1.0 + number)
    assert made.state(3.0) is State.OPEN


def test_a_refusal_of_the_account_opens_it_at_once_and_keeps_the_vendors_words() -> None:
    made = breaker()
    denial = error(Scope.ACCOUNT, Action.FIX_CONFIGURATION)
    made.denied(denial, 0.0)
    assert made.state(0.0) is State.OPEN
    assert made.error is denial


def test_its_pause_is_shortened_at_random_by_up_to_a_half() -> None:
    made = Breaker(1, 8.0, jitter=lambda: 0.0)
    fail(made, 0.0)
    assert made.retry_at(0.0) == 4.0


@pytest.mark.parametrize(
    ("what", "weight"),
    [
        (error(), Weight.FAILURE),
        (error(action=Action.RETRY_LATER), Weight.FAILURE),
        (error(Scope.ACCOUNT), Weight.FAILURE),
        (error(Scope.ACCOUNT, Action.FIX_CONFIGURATION), Weight.DENIED),
        (error(Scope.ACCOUNT, Action.RETRY_LATER), Weight.REFUSED),
        (error(Scope.STREAM), Weight.NOTHING),
        (error(Scope.TURN), Weight.NOTHING),
        (error(action=Action.GIVE_UP), Weight.NOTHING),
        (error(action=Action.FIX_CONFIGURATION), Weight.NOTHING),
        (error(Scope.STREAM, code=1012), Weight.NOTHING),
        (error(code=1001), Weight.AWAY),
        (error(code=1012), Weight.AWAY),
        (error(action=Action.RETRY_LATER, code=1013), Weight.AWAY),
        (error(code=1011), Weight.FAILURE),
    ],
)
def test_an_error_is_weighed(what: VendorError, weight: Weight) -> None:
    assert weigh(what) is weight


def test_every_state_has_its_row_and_leads_to_one() -> None:
    assert set(MOVES) == set(State)
    assert {state for row in MOVES.values() for state in row.values()} == set(State)
    assert {sign for row in MOVES.values() for sign in row} == set(Sign)


@given(st.lists(st.tuples(st.sampled_from("afswud"), st.integers(0, 3), st.floats(0, 20)), max_size=60))
def test_whatever_happens_it_opens_again_in_time_and_never_lets_two_probes_through(
    steps: list[tuple[str, int, float]],
) -> None:
    made, now = Breaker(2, 5.0), 0.0
    out: list[int] = []
    probe: int | None = None
    for step, which, later_s in steps:
        now += later_s
        half_open = made.state(now) is State.HALF_OPEN
        if step == "a":
            ticket = made.ask(now)
            if ticket is not None:
                assert not half_open or probe not in out
                probe = ticket if half_open else None
                out.append(ticket)
        elif step == "d":
            made.denied(error(Scope.ACCOUNT, Action.FIX_CONFIGURATION), now)
        elif out:
            ticket = out[which % len(out)]
            if step != "s":
                out.remove(ticket)
            if step == "f":
                made.failed(ticket, error(), now)
            elif step == "s":
                made.spoke(ticket)
                probe = None if ticket == probe else probe
            elif step == "w":
                made.well(ticket)
            else:
                made.undecided(ticket)
        if made.state(now) is not State.HALF_OPEN:
            probe = None
        if made.state(now) is State.OPEN:
            assert now < (made.retry_at(now) or 0.0) <= now + 60.0
    assert made.state(now + 60.0) is not State.OPEN
