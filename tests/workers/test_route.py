"""Who goes on when a stream of speech has failed."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.errors import Action, Scope, VendorError
from saystream.workers.breaker import NotAsked
from saystream.workers.route import Route, Step


def error(action: Action, text: str = "it broke") -> VendorError:
    return VendorError("vendor", text, scope=Scope.SOCKET, action=action)


def not_asked() -> NotAsked:
    return NotAsked("vendor", "not asked for now", scope=Scope.ACCOUNT, action=Action.RETRY_LATER)


AWAY = VendorError("vendor", "draining", code=1013, scope=Scope.SOCKET, action=Action.RECONNECT)


def route(names: str = "abc", streams: int = 6, opens_at: Callable[[int], float | None] = lambda _: None) -> Route:
    return Route(list(names), streams, opens_at)


def test_the_turns_own_voice_begins() -> None:
    assert route().first(0.0) == Step(0)


def test_a_voice_whose_vendor_is_not_to_be_asked_is_passed_over() -> None:
    assert route(opens_at=lambda at: 5.0 if at == 0 else None).first(0.0) == Step(1)


def test_the_own_voice_begins_where_nobody_may_be_asked() -> None:
    assert route(opens_at=lambda _: 5.0).first(0.0) == Step(0)


def test_a_broken_socket_gets_another_one_at_once_and_then_the_fallback() -> None:
    way = route()
    way.first(0.0)
    steps = [way.failed(error(Action.RECONNECT), further=False, now=0.0) for _ in range(4)]
    assert steps == [Step(0), Step(1), Step(1), Step(2)]


@pytest.mark.parametrize("action", [Action.RETRY_LATER, Action.GIVE_UP, Action.FIX_CONFIGURATION])
def test_where_another_socket_cannot_help_the_fallback_goes_on_at_once(action: Action) -> None:
    way = route()
    way.first(0.0)
    assert way.failed(error(action), further=False, now=0.0) == Step(1)


def test_an_open_breaker_leads_to_the_fallback_at_once() -> None:
    opens_at: dict[int, float] = {}
    way = route(opens_at=opens_at.get)
    way.first(0.0)
    opens_at |= {0: 9.0, 1: 9.0}
    assert way.failed(error(Action.RECONNECT), further=False, now=0.0) == Step(2)


def test_a_voice_that_an_operator_must_mend_is_not_asked_again() -> None:
    way = route("ab")
    way.first(0.0)
    way.failed(error(Action.FIX_CONFIGURATION), further=False, now=0.0)
    for _ in range(4):
        step = way.failed(error(Action.RECONNECT), further=False, now=0.0)
        assert step is not None
        assert step.voice == 1
    assert way.failed(error(Action.RECONNECT), further=False, now=0.0) is None


def test_when_nobody_can_be_mended_by_waiting_the_turn_fails_at_once() -> None:
    way = route("ab")
    way.first(0.0)
    way.failed(error(Action.GIVE_UP, "too long"), further=False, now=0.0)
    assert way.failed(error(Action.FIX_CONFIGURATION, "no such voice"), further=False, now=0.0) is None
    assert way.cause == "voice 'a': vendor: too long; voice 'b': vendor: no such voice"


def test_alone_a_busy_vendor_is_asked_again_after_a_pause_that_grows() -> None:
    way = route("a")
    way.first(0.0)
    waits = []
    for _ in range(5):
        step = way.failed(error(Action.RETRY_LATER), further=False, now=0.0)
        assert step is not None
        waits.append(step.wait_s)
    assert all(0 < first < 2 * second for first, second in itertools.pairwise(waits))
    assert way.failed(error(Action.RETRY_LATER), further=False, now=0.0) is None


def test_alone_a_vendor_that_may_not_be_asked_yet_is_waited_for() -> None:
    way = route("a", opens_at=lambda _: 3.0)
    way.first(0.0)
    assert way.failed(error(Action.RETRY_LATER), further=False, now=0.0) == Step(0, 3.0)


def test_a_voice_that_breaks_twice_in_a_turn_is_relieved_even_if_it_got_further() -> None:
    way = route("ab")
    way.first(0.0)
    steps = [way.failed(error(Action.RECONNECT), further=True, now=0.0) for _ in range(2)]
    assert steps == [Step(0), Step(1)]


def test_a_turn_that_gets_further_is_never_given_up() -> None:
    way = route("a", streams=2)
    way.first(0.0)
    for _ in range(50):
        assert way.failed(error(Action.RECONNECT), further=True, now=0.0) == Step(0)


def test_the_cause_of_a_turn_with_one_voice_is_what_its_vendor_said() -> None:
    way = route("a")
    way.failed(error(Action.GIVE_UP, "no"), further=False, now=0.0)
    assert way.cause == "vendor: no"


@given(
    st.integers(1, 4),
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(list(Action)), st.integers(0, 15)), min_size=40, max_size=40),
)
def test_in_vain_it_ends_after_so_many_streams_and_asks_only_voices_that_there_are(
    voices: int, streams: int, failures: list[tuple[Action, int]]
) -> None:
    closed = 0
    way = Route([str(at) for at in range(voices)], streams, lambda at: 10.0 if closed >> at & 1 else None)
    step: Step | None = way.first(0.0)
    taken = 0
    for action, mask in failures:
        assert step is not None
        assert 0 <= step.voice < voices
        assert 0 <= step.wait_s <= 5.0
        taken += 1
        closed = mask
        step = way.failed(error(action), further=False, now=0.0)
        if step is None:
            break
    assert taken <= streams


# a vendor that is not asked


def test_not_to_have_been_asked_is_nothing_in_vain() -> None:
    """The probe of another turn is out: each try ends at once, and that says nothing."""
    way = route("a", streams=2, opens_at=lambda _: 0.25)
    way.first(0.0)
    for _ in range(20):
        assert way.failed(not_asked(), further=False, now=0.0) == Step(0, 0.25, sooner=True)
    assert way.failed(error(Action.RETRY_LATER), further=False, now=0.0) is not None


def test_a_turn_whose_vendor_is_not_asked_waits_within_limits_and_says_what_the_vendor_has_said() -> None:
    now, way = 0.0, route("a", streams=9, opens_at=lambda _: None)
    way.first(now)
    way.failed(error(Action.RETRY_LATER, "busy"), further=False, now=now)
    while (step := way.failed(not_asked(), further=False, now=now)) is not None:
        assert step.wait_s > 0
        now += step.wait_s
    assert 29 < now <= 31
    assert way.cause == "vendor: busy"


def test_a_vendor_that_will_not_be_asked_in_time_is_not_waited_for() -> None:
    way = route("a", opens_at=lambda _: 45.0)
    way.first(0.0)
    assert way.failed(not_asked(), further=False, now=0.0) is None


def test_each_real_failure_lets_the_patience_begin_anew() -> None:
    way = route("a", opens_at=lambda _: None)
    way.first(0.0)
    way.failed(not_asked(), further=False, now=0.0)
    way.failed(error(Action.RETRY_LATER), further=False, now=25.0)
    assert way.failed(not_asked(), further=False, now=40.0) is not None


def test_where_a_fallback_is_left_nobody_waits_for_a_vendor_that_is_not_asked() -> None:
    way = route("ab", opens_at=lambda at: 0.25 if at == 0 else None)
    assert way.failed(not_asked(), further=False, now=0.0) == Step(1)


def test_of_several_that_are_not_asked_the_first_to_open_is_waited_for() -> None:
    way = route("ab", opens_at=lambda at: 9.0 if at == 0 else 4.0)
    way.first(0.0)
    assert way.failed(not_asked(), further=False, now=0.0) == Step(1, 4.0, sooner=True)


# a vendor that sends the turn away for a moment


def test_to_be_sent_away_is_nothing_in_vain_for_a_while() -> None:
    """A vendor that restarts refuses in a millisecond: four tries in a second would say nothing about the turn."""
    now, tries, way = 0.0, 0, route("a", streams=2)
    way.first(now)
    while (step := way.failed(AWAY, further=False, now=now)) is not None:
        now += step.wait_s
        tries += 1
    assert 29 < now < 45
    assert tries < 25
    assert way.cause == str(AWAY)


def test_being_sent_away_does_not_wipe_out_what_has_failed_before() -> None:
    way = route("a", streams=2)
    way.first(0.0)
    assert way.failed(error(Action.RECONNECT), further=False, now=0.0) is not None
    assert way.failed(AWAY, further=False, now=0.0) is not None
    assert way.failed(error(Action.RECONNECT), further=False, now=1.0) is None


def test_a_vendor_that_sends_the_turn_away_leads_to_the_fallback() -> None:
    way = route("ab")
    way.first(0.0)
    steps = [way.failed(AWAY, further=False, now=0.0) for _ in range(2)]
    assert steps == [Step(0), Step(1)]


# a hedge that has won


def test_a_hedge_that_has_won_is_charged_and_keeps_the_turn() -> None:
    way = route("ab")
    way.first(0.0)
    way.took_over(2, "hedge")
    assert way.went_well() == Step(2)
    assert way.failed(error(Action.RECONNECT, "hedge broke"), further=True, now=0.0) == Step(2)
    assert way.failed(error(Action.RECONNECT, "hedge broke"), further=True, now=0.0) == Step(0)
    assert way.cause == "voice 'hedge': vendor: hedge broke"


def test_a_stream_that_ends_well_before_a_pause_has_brought_the_turn_further() -> None:
    way = route("a", streams=2)
    way.first(0.0)
    for _ in range(5):
        assert way.failed(error(Action.RETRY_LATER), further=False, now=0.0) is not None
        assert way.went_well() == Step(0)
