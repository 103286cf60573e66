"""Patience grows, has an end, and starts anew after a success."""

import itertools

from saystream.consumer.patience import LONGEST_DELAY_S, Patience


def test_delays_double_up_to_a_limit() -> None:
    patience = Patience(60.0, jitter=lambda: 1.0)
    assert [patience.failed(0.0) for _ in range(8)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, LONGEST_DELAY_S, LONGEST_DELAY_S]


def test_jitter_halves_a_delay_at_most() -> None:
    assert Patience(60.0, jitter=lambda: 0.0).failed(0.0) == 0.025


def test_it_ends_when_failures_have_gone_on_for_its_limit() -> None:
    patience = Patience(1.0, jitter=lambda: 1.0)
    assert patience.failed(100.0) == 0.05
    assert 0 < patience.failed(100.99) <= 0.011
    assert patience.failed(101.0) == 0.0


def test_no_patience_ends_at_the_first_failure() -> None:
    assert Patience(0.0).failed(5.0) == 0.0


def test_a_success_starts_it_anew() -> None:
    patience = Patience(1.0, jitter=lambda: 1.0)
    for now_s in itertools.repeat(0.0, 5):
        patience.failed(now_s)
    patience.succeeded()
    assert patience.failed(100.0) == 0.05
