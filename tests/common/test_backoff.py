"""Pauses between tries."""

from hypothesis import given
from hypothesis import strategies as st

from saystream.common.backoff import Backoff


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    backoff = Backoff(0.1, 0.5, jitter=lambda: 1.0)
    assert [backoff.failed() for _ in range(4)] == [0.1, 0.2, 0.4, 0.5]
    backoff.succeeded()
    assert backoff.failed() == 0.1


@given(st.floats(0, 1), st.integers(1, 2000))
def test_jitter_shortens_a_pause_by_half_at_most(jitter: float, failures: int) -> None:
    backoff = Backoff(0.1, 5.0, jitter=lambda: jitter)
    pauses = [backoff.failed() for _ in range(failures)]
    assert min(pauses) >= 0.05
    assert max(pauses) <= 5.0
