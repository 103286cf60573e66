"""Clean text: composed, visible, with one kind of blank, whatever the cut."""

import itertools
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.workers.text.clean import PLAIN, Clean, clean
from saystream.workers.text.run import Run, text_of


def cleaned(text: str, cuts: list[int] | None = None) -> str:
    step, runs = Clean(), list[Run]()
    for first, last in itertools.pairwise([0, *sorted(cuts or []), len(text)]):
        runs += step.feed(text[first:last])
    return text_of(runs + step.flush())


#: Characters as they come: from all scripts, and those that bite.
CHARS = st.one_of(
    st.characters(exclude_categories=["Cs"]), st.sampled_from("e\u0301\u0327か\u3099ᄀ각\u200b\r\n\u00a0\u0378")
)


@given(st.text(CHARS, max_size=30))
def test_the_characters_of_words_are_composed(text: str) -> None:
    text = re.sub("[\u200c\u200d\U000e0000-\U000e007f]", "", text)
    out = cleaned(text)
    based = re.sub(r"[^\w#*]", "", unicodedata.normalize("NFC", out))
    assert re.sub(r"[^\w#*]", "", out) == based or re.search(r"[^\w\s][\u0300-\u036f]", text) is not None


@given(st.text(CHARS, max_size=30))
def test_nothing_invisible_is_left(text: str) -> None:
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u00a0]", cleaned(text)
    )


@pytest.mark.parametrize("cut", range(5))
def test_a_mark_in_the_next_token_is_composed(cut: int) -> None:
    assert cleaned("cafe\u0301", [cut]) == "café"


def test_a_base_and_its_mark_stand_for_both() -> None:
    step = Clean()
    assert step.feed("e\u0301x") + step.flush() == [Run("é", 0, 2), Run("x", 2, 3)]


def test_jamo_become_syllables() -> None:
    assert cleaned("\u1112\u1161\u11ab", [1, 2]) == "한"


def test_only_a_letter_and_its_marks_wait() -> None:
    step = Clean()
    step.feed("word")
    assert step.waiting == "d"
    step.feed("s, ")
    assert step.waiting == ""
    step.feed("天气")
    assert step.waiting == ""
    for _ in range(1000):
        step.feed("\u0301")
        assert len(step.waiting) <= 17


def test_halves_of_a_character_are_joined_and_lone_ones_dropped() -> None:
    assert cleaned("a\ud83d\ude00b\ud83dc\ude00", [2]) == "a😀bc"


def test_the_ends_of_lines_are_alike() -> None:
    assert cleaned("a\r\nb\rc\u2028d\n", [2]) == "a\nb\nc\nd\n"


@pytest.mark.parametrize("text", ["क्\u200dष", "می\u200cخواهم", "👨\u200d👩"])
def test_joiners_stay_where_they_mean_something(text: str) -> None:
    assert cleaned(text) == text


def test_joiners_elsewhere_go() -> None:
    assert cleaned("a\u200db\u200c") == "ab"


def test_plain_characters_are_those_that_nothing_is_done_to() -> None:
    """The characters that the quick way takes for granted."""
    for char in map(chr, range(0x20000)):
        if re.match(f"[{PLAIN}]", char):
            assert unicodedata.normalize("NFC", char) == char
            assert unicodedata.category(char)[0] != "M"
            assert clean(char) == char
