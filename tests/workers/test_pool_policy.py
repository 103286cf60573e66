"""The pool's decision: properties that hold for any pool."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from saystream.workers.pool_policy import Decision, Pace, PoolLimits, decide, demand


@dataclass(frozen=True)
class View:
    active: int = 0
    free: int = 1
    idle_since: float = 0.0
    retire_at: float = 90.0
    expire_at: float = 100.0
    ready_at: float = 0.0
    spent: bool = False

    def given(self, streams: int) -> "View":
        return replace(self, active=self.active + streams, free=self.free - streams)


@dataclass(frozen=True)
class Situation:
    views: list[View]
    waiting: int
    opening: int
    now: float
    limits: PoolLimits
    open_at: float = 0.0
    at_once: int | None = None
    one_turn: bool = False

    def decide(self) -> Decision:
        return decide(
            self.views,
            self.waiting,
            self.opening,
            self.now,
            self.limits,
            open_at=self.open_at,
            at_once=self.at_once,
            one_turn=self.one_turn,
        )

    def usable(self, view: View) -> bool:
        return view.free > 0 and view.expire_at > self.now >= view.ready_at

    def ready(self, view: View) -> bool:
        return self.usable(view) and view.retire_at > self.now


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    streams = draw(st.integers(1, 3))
    views = []
    for _ in range(draw(st.integers(0, 6))):
        active = draw(st.integers(0, streams))
        spent = draw(st.booleans()) and draw(st.booleans())
        retire_at = draw(st.floats(0, 20))
        views.append(
            View(
                active=active,
                free=0 if spent else draw(st.integers(0, streams - active)),
                idle_since=draw(st.floats(0, 10)),
                retire_at=retire_at,
                expire_at=retire_at + draw(st.floats(0, 5)),
                ready_at=draw(st.floats(0, 12)),
                spent=spent,
            )
        )
    most = draw(st.integers(1, 8))
    limits = PoolLimits(draw(st.integers(0, most)), most, streams, draw(st.integers(0, most * streams)))
    return Situation(
        views,
        draw(st.integers(0, 8)),
        draw(st.integers(0, 3)),
        draw(st.floats(0, 20)),
        limits,
        draw(st.sampled_from([0.0, 15.0])),
        draw(st.sampled_from([None, 1])),
        draw(st.booleans()),
    )


@given(situations())
def test_a_turn_is_given_only_what_can_take_it_now(pool: Situation) -> None:
    """Nothing busy beyond its places, nothing that settles, has expired, or is being retired."""
    decision = pool.decide()
    for number in set(decision.give):
        assert decision.give.count(number) <= pool.views[number].free
        assert pool.usable(pool.views[number])
        assert not pool.views[number].spent
        assert number not in decision.retire


@given(situations())
def test_no_turn_waits_while_a_place_is_free(pool: Situation) -> None:
    places = sum(view.free for view in pool.views if pool.usable(view))
    assert len(pool.decide().give) == min(pool.waiting, places)


@given(situations())
def test_the_limit_holds_and_nothing_opens_before_its_time(pool: Situation) -> None:
    decision = pool.decide()
    assert not decision.open or len(pool.views) + pool.opening + decision.open <= pool.limits.max
    assert not decision.open or pool.now >= pool.open_at
    assert not decision.open or pool.at_once is None or pool.opening + decision.open <= pool.at_once


@given(situations())
def test_only_empty_connections_are_retired_each_once(pool: Situation) -> None:
    retire = pool.decide().retire
    assert len(set(retire)) == len(retire)
    assert all(pool.views[number].active == 0 for number in retire)


@given(situations())
def test_a_connection_is_retired_for_age_only_when_enough_others_are_ready(pool: Situation) -> None:
    """Before its time is wholly over, that is; then it is of no use to anybody."""
    decision = pool.decide()
    for number in decision.retire:
        view = pool.views[number]
        if view.spent or view.expire_at <= pool.now or (pool.one_turn and view.ready_at > pool.now):
            continue
        assert view.retire_at <= pool.now
        left = [
            other.free - decision.give.count(at)
            for at, other in enumerate(pool.views)
            if pool.ready(other) and at not in decision.retire
        ]
        assert sum(free > 0 for free in left) >= pool.limits.min
        assert sum(left) >= pool.limits.demand
        assert pool.waiting == len(decision.give)


@given(situations())
def test_what_is_wanted_is_opened_as_far_as_there_is_room(pool: Situation) -> None:
    decision = pool.decide()
    if decision.lacking:
        room = pool.limits.max - len(pool.views) - pool.opening
        held_back = pool.now < pool.open_at or pool.at_once is not None
        assert held_back or decision.open == max(0, room)


@given(situations())
def test_it_asks_to_decide_again_when_time_alone_changes_something(pool: Situation) -> None:
    """Until then, time changes nothing."""
    decision = pool.decide()
    assert decision.wake_at is None or decision.wake_at > pool.now
    # do it, and let time pass to just before
    left = [
        view.given(decision.give.count(number))
        for number, view in enumerate(pool.views)
        if number not in decision.retire
    ]
    limits = replace(pool.limits, max=pool.limits.max - len(decision.retire))  # they are being closed
    later = replace(
        pool,
        views=left,
        waiting=pool.waiting - len(decision.give),
        opening=pool.opening + decision.open,
        limits=limits,
        now=pool.now if decision.wake_at is None else max(pool.now, decision.wake_at - 1e-9),
    )
    if decision.wake_at is not None and later.now >= decision.wake_at:
        return
    again = later.decide()
    assert (again.give, again.open) == ((), 0)


LIMITS = PoolLimits(min=1, max=8)


def test_an_empty_pool_opens_the_fewest_that_are_kept() -> None:
    assert decide([], 0, 0, 0.0, PoolLimits(min=2, max=8)) == Decision(open=2)


def test_a_waiting_turn_makes_a_full_pool_open_nothing() -> None:
    busy = [View(active=1, free=0)] * 2
    assert decide(busy, 3, 0, 1.0, PoolLimits(min=1, max=2)) == Decision(lacking=4)


def test_a_taken_connection_is_replaced_by_another_warm_one() -> None:
    assert decide([View()], 1, 0, 1.0, LIMITS) == Decision(give=(0,), open=1, wake_at=90.0)


def test_the_connection_that_was_used_last_is_given_first() -> None:
    views = [View(idle_since=5.0), View(idle_since=9.0), View(idle_since=7.0)]
    assert decide(views, 1, 0, 10.0, LIMITS).give == (1,)


def test_the_fullest_multiplexed_connection_is_given_first() -> None:
    views = [View(free=8, idle_since=9.0), View(active=5, free=3, idle_since=1.0)]
    assert decide(views, 4, 0, 10.0, replace(LIMITS, streams=8)).give == (1, 1, 1, 0)


def test_a_connection_that_is_to_be_replaced_is_given_last() -> None:
    views = [View(retire_at=10.0, idle_since=9.0), View(idle_since=1.0)]
    assert decide(views, 2, 0, 10.0, LIMITS).give == (1, 0)


def test_as_many_are_kept_ready_as_turns_are_expected() -> None:
    assert decide([View()], 0, 1, 1.0, replace(LIMITS, demand=5)).open == 3


def test_free_places_of_multiplexed_connections_count_as_ready() -> None:
    limits = PoolLimits(min=1, max=8, streams=8, demand=10)
    assert decide([View(active=1, free=7)], 0, 0, 1.0, limits).open == 1
    assert decide([View(active=1, free=7)], 0, 0, 1.0, replace(limits, demand=7)).open == 0


def test_an_ageing_connection_is_retired_when_its_replacement_is_ready() -> None:
    old, new = View(retire_at=10.0, expire_at=20.0), View()
    assert decide([old], 0, 0, 10.0, LIMITS) == Decision(open=1, wake_at=20.0)
    assert decide([old], 0, 1, 11.0, LIMITS) == Decision(wake_at=20.0)
    assert decide([old, new], 0, 0, 12.0, LIMITS) == Decision(retire=(0,), wake_at=20.0)


def test_where_there_is_no_room_an_ageing_connection_stays_until_its_time_is_over() -> None:
    old, full = View(retire_at=10.0, expire_at=20.0), PoolLimits(min=1, max=1)
    assert decide([old], 0, 0, 15.0, full) == Decision(lacking=1, wake_at=20.0)
    assert decide([old], 0, 0, 20.0, full) == Decision(retire=(0,), lacking=1)


def test_a_parting_stream_does_not_keep_an_expired_connection() -> None:
    assert decide([View(free=0, expire_at=20.0)], 0, 0, 20.0, LIMITS).retire == (0,)


def test_a_parting_stream_keeps_its_connection_before_that() -> None:
    assert decide([View(free=0)], 0, 0, 20.0, LIMITS).retire == ()


def test_a_settling_connection_is_waited_for() -> None:
    limits = PoolLimits(min=0, max=8)
    assert decide([View(ready_at=3.0)], 1, 0, 2.0, limits) == Decision(wake_at=3.0)
    assert decide([View(ready_at=3.0)], 1, 0, 3.0, limits).give == (0,)


def test_it_is_not_waited_for_where_the_vendor_is_known_to_close_it() -> None:
    decision = decide([View(ready_at=3.0)], 1, 0, 2.0, PoolLimits(min=0, max=8), one_turn=True)
    assert decision == Decision(open=1, wake_at=3.0)


def test_it_makes_room_there_if_a_turn_waits() -> None:
    decision = decide([View(ready_at=3.0)], 1, 0, 2.0, PoolLimits(min=0, max=1), one_turn=True)
    assert decision.retire == (0,)


def test_nothing_is_opened_before_its_time_and_the_pool_asks_again_then() -> None:
    assert decide([], 1, 0, 1.0, LIMITS, open_at=3.0) == Decision(wake_at=3.0)


def test_the_demand_is_the_rate_times_the_time_to_connect() -> None:
    limits = PoolLimits(min=1, max=8)
    assert demand(0.0, 0.3, limits) == 1
    assert demand(10.0, 0.3, limits) == 3
    assert demand(1000.0, 0.3, limits) == 8
    assert demand(0.1, 0.3, PoolLimits(min=0, max=8)) == 0


@given(st.floats(0, 1e6), st.floats(0, 60), st.integers(0, 8), st.integers(1, 8), st.integers(1, 20))
def test_the_demand_stays_between_its_limits(
    rate: float, connect_s: float, least: int, most: int, streams: int
) -> None:
    limits = PoolLimits(min(least, most), most, streams)
    assert limits.min <= demand(rate, connect_s, limits) <= most * streams


def test_the_rate_follows_the_turns_and_fades_without_them() -> None:
    pace = Pace()
    for number in range(1000):
        pace.arrived(number / 20)
    assert 18.0 < pace.rate_hz(50.0) < 21.0
    assert pace.rate_hz(100.0) < 0.2


def test_the_time_to_connect_is_smoothed() -> None:
    pace = Pace()
    pace.connected(0.1)
    assert pace.connect_s == 0.1
    pace.connected(1.1)
    assert 0.1 < pace.connect_s < 0.5
