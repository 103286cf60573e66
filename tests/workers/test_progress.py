"""When audio counts as overdue."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.workers.progress import Meter, Patience, Progress

PATIENCE = Patience(first_audio_s=3.0, pause_s=5.0, stall_s=0.5, holds_chars=60)


CUE = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")


@given(st.lists(st.sampled_from(["[laugh]", "<b>", "<break time='1s'/>", "laugh", " ", "ok", "…"]), max_size=30))
def test_what_is_heard_does_not_depend_on_how_the_text_was_cut(pieces: list[str]) -> None:
    text = "".join(pieces)
    one, many = Meter(CUE), Meter(CUE)
    whole = one.sent(text) + one.told()
    assert sum(map(many.sent, pieces)) + many.told() == whole
    assert sum(map(many.sent, text)) + many.told() == whole


def test_tags_cues_and_marks_are_not_heard() -> None:
    meter = Meter(CUE)
    assert meter.sent("Hi! [laughing softly] ") == 2
    assert meter.sent("<break ") == 0
    assert meter.sent("time='1s'/>… you") == 3
    assert (meter.sent("a < b and c"), meter.told()) == (1, 5)


@pytest.fixture
def progress() -> Progress:
    return Progress(PATIENCE)


def test_nothing_is_due_before_there_is_text(progress: Progress) -> None:
    assert progress.due() is None


def test_nothing_is_due_of_text_that_the_vendor_may_keep_to_itself(progress: Progress) -> None:
    progress.sent(60, 0.0)
    assert progress.due() is None


def test_of_more_text_the_first_audio_is_due(progress: Progress) -> None:
    progress.sent(61, 10.0)
    assert progress.due() == 13.5


def test_a_vendor_that_may_keep_all_text_owes_nothing_until_it_is_told_to_speak() -> None:
    progress = Progress(Patience(3.0, 5.0, 0.5, None))
    progress.sent(10_000, 0.0)
    assert progress.due() is None
    progress.flushed(1.0)
    assert progress.due() == 4.5


def test_it_counts_from_when_audio_is_owed_and_not_from_each_token(progress: Progress) -> None:
    for second in range(10):
        progress.sent(61, float(second))
    assert progress.due() == 3.5


def test_audio_is_due_when_a_listener_runs_dry(progress: Progress) -> None:
    progress.sent(1000, 0.0)
    progress.audio(0.08, 0.2)
    progress.audio(0.08, 0.28)
    # 0.2 s to the first audio: a later answer may take three times as long, and not less than a second
    assert progress.due() == pytest.approx(1.0 + 0.5)
    for step in range(2, 40):
        progress.audio(0.08, 0.2 + 0.08 * step)
    assert progress.due() == pytest.approx(0.2 + 40 * 0.08 + 0.5)


def test_a_vendor_ahead_of_real_time_may_rest_but_not_for_ever(progress: Progress) -> None:
    progress.sent(10_000, 0.0)
    progress.audio(60.0, 1.0)
    assert progress.due() == pytest.approx(1.0 + 5.0 + 0.5)


def test_nothing_is_due_once_the_audio_can_hold_the_text(progress: Progress) -> None:
    progress.sent(90, 0.0)
    progress.audio(1.0, 0.5)
    assert progress.due() is None


def test_after_the_end_of_the_text_something_is_always_due(progress: Progress) -> None:
    progress.sent(5, 0.0)
    progress.audio(30.0, 0.5)
    progress.finished(1.0)
    assert progress.due() == pytest.approx(0.5 + 5.0 + 0.5)


def test_announced_words_are_owed(progress: Progress) -> None:
    progress.sent(20, 0.0)
    progress.audio(0.5, 0.3)
    assert progress.due() is None
    progress.words(1.2, 20, 0.3)
    assert progress.due() is not None
    progress.audio(0.7, 0.9)
    assert progress.due() is None


def test_a_piece_that_the_vendor_has_begun_is_owed_until_it_is_complete(progress: Progress) -> None:
    progress.sent(20, 0.0)
    progress.chunk(True, 0.1)
    assert progress.due() == pytest.approx(3.6)
    progress.audio(1.0, 0.5)
    progress.chunk(False, 0.6)
    assert progress.due() is None


def test_a_pause_of_the_llm_is_not_the_vendors(progress: Progress) -> None:
    """It has spoken all it was given, waits for ten seconds, and is then given the time that it took before."""
    progress.sent(70, 0.0)
    progress.audio(3.0, 0.4)
    assert progress.due() is None
    progress.sent(100, 10.0)
    assert progress.due() == pytest.approx(10.0 + 3 * 0.4 + 0.5)


events = st.lists(
    st.tuples(st.sampled_from(["sent", "audio", "flush", "words", "chunk", "finish"]), st.floats(0.0, 2.0)), max_size=40
)


@given(events)
def test_what_is_owed_is_never_due_before_it_could_be_there(happenings: list[tuple[str, float]]) -> None:
    progress, now, heard_s = Progress(PATIENCE), 0.0, 0.0
    for kind, amount in happenings:
        now += amount
        match kind:
            case "sent":
                progress.sent(int(amount * 50), now)
            case "audio":
                progress.audio(amount, now)
                heard_s += amount
            case "flush":
                progress.flushed(now)
            case "words":
                progress.words(heard_s + amount, 0, now)
            case "chunk":
                progress.chunk(amount > 1, now)
            case "finish":
                progress.finished(now)
        due = progress.due()
        assert (due is None) == (progress.owed_at is None)
        if due is not None and progress.owed_at is not None:
            assert due >= progress.owed_at + PATIENCE.stall_s
            assert due <= now + max(PATIENCE.first_audio_s, PATIENCE.pause_s) + PATIENCE.stall_s
