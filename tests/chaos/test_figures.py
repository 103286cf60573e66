"""What is counted as silence at the live edge."""

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.events import Audio, Begin, Splice
from saystream.common.ids import EntryId
from saystream.consumer import Event
from tests.chaos.evidence import Heard
from tests.chaos.figures import Player

RATE = 8000


def test_audio_that_comes_before_what_is_there_was_played_makes_no_silence() -> None:
    player = playing((10.0, audio(0, 1.0)), (10.9, audio(1, 1.0)), (11.9, audio(2, 1.0)))
    assert player.silences == []


def test_silence_lasts_from_the_end_of_what_is_there_until_the_next_audio() -> None:
    [silence] = playing((10.0, audio(0, 1.0)), (13.0, audio(1, 1.0)), (13.5, audio(2, 1.0))).silences
    assert (silence.at_s, silence.length_s) == pytest.approx((11.0, 2.0))
    assert silence.attempt == 0


def test_a_splice_takes_away_what_was_not_played_and_its_attempt_ends_the_silence() -> None:
    [silence] = playing((10.0, audio(0, 4.0)), (11.0, splice(2, 0.5)), (13.0, audio(0.5, 1.0, attempt=2))).silences
    assert (silence.at_s, silence.length_s) == pytest.approx((11.0, 2.0))
    assert silence.attempt == 2


def test_a_splice_behind_the_playhead_leaves_what_lies_before_it() -> None:
    [silence] = playing((10.0, audio(0, 4.0)), (11.0, splice(2, 3.0)), (14.0, audio(3, 1.0, attempt=2))).silences
    assert (silence.at_s, silence.length_s) == pytest.approx((13.0, 1.0))


def test_a_turn_whose_text_is_not_all_there_may_be_silent() -> None:
    heard = (10.0, audio(0, 1.0)), (13.0, audio(1, 1.0))
    assert playing(*heard, text_s=float("inf")).silences == []
    [silence] = playing(*heard, text_s=12.5).silences
    assert silence.length_s == pytest.approx(0.5)


def playing(*heard: tuple[float, Event], text_s: float = 0.0) -> Player:
    player = Player("t", text_s)
    begin = Begin(EntryId.of(1, 1, 0), "t", AudioFormat(sample_rate=RATE), "anna", {})
    for at_s, event in ((9.0, begin), *heard):
        player.hear(Heard(at_s=at_s, consumer="consumer-steady", session="s", event=event))
    return player


def audio(first_s: float, seconds: float, *, attempt: int = 1) -> Audio:
    return Audio(EntryId.of(1, attempt, 1), "t", round(first_s * RATE), round(seconds * RATE), 0, 0, b"")


def splice(attempt: int, at_s: float) -> Splice:
    return Splice(EntryId.of(1, attempt, 0), "t", round(at_s * RATE), 0, "another worker goes on")
