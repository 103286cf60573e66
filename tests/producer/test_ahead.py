"""How far a text may be ahead of its speech: when sending waits, asks and gives up."""

import pytest

from saystream.producer.ahead import Ahead


def sent(chars: int, spoken: int = 0) -> Ahead:
    ahead = Ahead(turn_chars=10_000, most_chars=800, patience_s=10.0)
    ahead.sent, ahead.spoken = chars, spoken
    return ahead


def test_a_text_has_a_longest_length() -> None:
    assert sent(9_000).fits(1_000)
    assert not sent(9_000).fits(1_001)


@pytest.mark.parametrize(("chars", "spoken", "full"), [(0, 0, False), (800, 0, False), (801, 0, True), (801, 1, False)])
def test_sending_waits_when_more_is_sent_and_not_spoken_than_allowed(chars: int, spoken: int, full: bool) -> None:
    assert sent(chars, spoken).full is full


def test_it_goes_on_when_a_part_of_that_is_free_again() -> None:
    ahead = sent(900)
    ahead.begin(0.0)
    ahead.told(199, 0.0)
    assert not ahead.free
    ahead.told(200, 0.0)
    assert ahead.free


def test_questions_get_rarer_up_to_one_a_second_and_the_next_wait_begins_anew() -> None:
    ahead = sent(900)
    for _ in range(2):
        ahead.begin(0.0)
        pauses = [ahead.pause_s(0.0) for _ in range(9)]
        assert pauses[0] == 0.1
        assert pauses == sorted(pauses)
        assert pauses[-1] == 1.0


def test_it_gives_up_when_nothing_more_was_spoken_for_its_patience() -> None:
    ahead = sent(9000)
    ahead.begin(0.0)
    ahead.told(5, 3.0)
    assert ahead.pause_s(9.9) > 0
    ahead.told(5, 12.0)  # nothing new
    assert ahead.pause_s(12.95) == pytest.approx(0.05)  # and waits no longer than that
    assert ahead.pause_s(13.0) == 0
