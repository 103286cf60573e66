"""The pool's decision: properties that hold for any pool."""

from hypothesis import given
from hypothesis import strategies as st

from saystream.workers.pool_policy import Decision, PoolLimits, View, decide


@st.composite
def pools(draw: st.DrawFn) -> tuple[list[View], int, int, PoolLimits, float]:
    streams = draw(st.integers(1, 3))
    views = []
    for number in range(draw(st.integers(0, 6))):
        active = draw(st.integers(0, streams))
        views.append(
            View(number, active, draw(st.integers(0, streams - active)), draw(st.floats(0, 10)), draw(st.floats(5, 20)))
        )
    limits = PoolLimits(warm=draw(st.integers(0, 4)), max=draw(st.integers(1, 8)))
    return views, draw(st.integers(0, 8)), draw(st.integers(0, 3)), limits, draw(st.floats(0, 20))


@given(pools(), st.floats(0, 20))
def test_every_decision_is_sound(pool: tuple[list[View], int, int, PoolLimits, float], open_at: float) -> None:
    views, waiting, opening, limits, now = pool
    by_id = {view.id: view for view in views}
    decision = decide(views, waiting, opening, now, limits, open_at)
    # no connection beyond what it can take, none that is past its time, none that is being retired
    for number in set(decision.give):
        assert decision.give.count(number) <= by_id[number].free
        assert by_id[number].retire_at > now
        assert number not in decision.retire
    # no turn waits while a place is free
    places = sum(view.free for view in views if view.retire_at > now)
    assert len(decision.give) == min(waiting, places)
    # nothing in use is retired
    assert all(by_id[number].active == 0 for number in decision.retire)
    # the limit holds, and nothing is opened before its time
    assert decision.open == 0 or len(views) - len(decision.retire) + opening + decision.open <= limits.max
    assert decision.open == 0 or now >= open_at
    # it will be asked again when time alone changes something
    assert decision.wake_at is None or decision.wake_at > now


@given(pools())
def test_deciding_again_after_doing_it_changes_nothing(pool: tuple[list[View], int, int, PoolLimits, float]) -> None:
    views, waiting, opening, limits, now = pool
    first = decide(views, waiting, opening, now, limits)
    left = []
    for view in views:
        if view.id not in first.retire:
            given_now = first.give.count(view.id)
            left.append(View(view.id, view.active + given_now, view.free - given_now, view.idle_since, view.retire_at))
    second = decide(left, waiting - len(first.give), opening + first.open, now, limits)
    assert (second.give, second.open) == ((), 0)


def test_an_empty_pool_opens_its_warm_connections() -> None:
    assert decide([], 0, 0, 0.0, PoolLimits(warm=2, max=8)) == Decision(open=2)


def test_a_waiting_turn_makes_a_full_pool_open_nothing() -> None:
    busy = [View(number, 1, 0, 0.0, 100.0) for number in range(2)]
    assert decide(busy, 3, 0, 1.0, PoolLimits(warm=1, max=2)) == Decision()


def test_a_taken_connection_is_replaced_by_another_warm_one() -> None:
    decision = decide([View(7, 0, 1, 0.0, 100.0)], 1, 0, 1.0, PoolLimits(warm=1, max=8))
    assert decision == Decision(give=(7,), open=1)


def test_the_connection_that_was_used_last_is_given_first() -> None:
    views = [View(1, 0, 1, 5.0, 100.0), View(2, 0, 1, 9.0, 100.0), View(3, 0, 1, 7.0, 100.0)]
    assert decide(views, 1, 0, 10.0, PoolLimits(warm=1, max=8)).give == (2,)


def test_the_fullest_multiplexed_connection_is_given_first() -> None:
    views = [View(1, 0, 8, 9.0, 100.0), View(2, 5, 3, 1.0, 100.0)]
    assert decide(views, 4, 0, 10.0, PoolLimits(warm=1, max=8)).give == (2, 2, 2, 1)


def test_a_connection_past_its_time_is_replaced_while_it_is_idle() -> None:
    decision = decide([View(1, 0, 1, 0.0, 10.0)], 0, 0, 10.0, PoolLimits(warm=1, max=8))
    assert decision == Decision(open=1, retire=(1,))


def test_nothing_is_opened_before_its_time_and_the_pool_asks_again_then() -> None:
    assert decide([], 1, 0, 1.0, PoolLimits(warm=1, max=8), open_at=3.0) == Decision(wake_at=3.0)
