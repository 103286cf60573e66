"""Phrases: whole words, their marks attached, early at first, the same however the text is cut into tokens."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.workers.text.phrases import Phrase, Phraser, PhraseRule

TEXTS = st.text(st.sampled_from("ab .,!?\n1239$\"')<>/é。，漢　"), max_size=120)


def phrases_of(text: str, cuts: list[int] | None = None) -> list[Phrase]:
    """Return the phrases of a text that comes in pieces, with the clock standing still."""
    phraser, phrases = Phraser(PhraseRule()), []
    places = [0, *sorted(cuts or []), len(text)]
    for start, end in itertools.pairwise(places):
        phrases += phraser.feed(text[start:end], 0.0)
    return phrases + phraser.flush()


@given(TEXTS)
def test_the_phrases_joined_by_blanks_are_the_text(text: str) -> None:
    phrases = phrases_of(text)
    joined = " ".join(phrase.text for phrase in phrases)
    if not any(mark in text for mark in "。，"):  # behind these, a blank is added
        assert joined.split() == text.split()
    assert "".join(joined.split()) == "".join(text.split())


@given(TEXTS, st.data())
def test_the_cut_into_tokens_makes_no_difference(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10))
    assert phrases_of(text, cuts) == phrases_of(text)


@given(TEXTS)
def test_offsets_cover_what_the_phrase_says(text: str) -> None:
    for phrase in phrases_of(text):
        assert " ".join(text[phrase.start : phrase.end].split()) == phrase.text


@given(st.lists(st.text("abc", min_size=1, max_size=15), min_size=1, max_size=80))
def test_no_word_is_cut(words: list[str]) -> None:
    spoken = [word for phrase in phrases_of(" ".join(words)) for word in phrase.text.split()]
    assert spoken == words


@pytest.mark.parametrize(
    ("text", "together"),
    [
        ("I owe you $3.50 in cash, you know", "$3.50"),
        ("Ask Dr. Lee about all of it please", "Dr. Lee"),
        ("It was J. R. R. Tolkien who wrote the book", "J. R. R. Tolkien"),
        ("There are 12 000 000 of them out there", "12 000 000"),
        ('Wait <break time="1.5s" /> for it and then go on', '<break time="1.5s" />'),
        ("See e.g. page nine of the report for that", "e.g. page"),
        ("The number is pi, 3.14159 or thereabouts", "3.14159"),
    ],
)
def test_what_belongs_together_stays_together(text: str, together: str) -> None:
    for seed in range(20):
        cuts = random.Random(seed).choices(range(len(text)), k=8)
        assert any(together in phrase.text for phrase in phrases_of(text, cuts))


def test_the_first_phrase_is_one_word_and_later_ones_grow() -> None:
    lengths = [len(phrase.text.split()) for phrase in phrases_of("word " * 40)]
    assert lengths[:4] == [1, 2, 4, 8]


def test_a_clause_ends_a_phrase() -> None:
    assert [phrase.text for phrase in phrases_of("So I said it again: no. And left, of course")][-2:] == [
        "And left,",
        "of course",
    ]


def test_no_phrase_grows_far_beyond_the_limit() -> None:
    assert max(len(phrase.text) for phrase in phrases_of("wordy " * 200)) <= PhraseRule().most_chars + 6


def test_a_pause_sends_the_whole_words_that_wait_and_keeps_the_rest() -> None:
    phraser = Phraser(PhraseRule(first_words=8, pause_ms=40))
    assert phraser.feed("one two thr", 1.0) == []
    assert phraser.due == pytest.approx(1.04)
    assert phraser.poll(1.03) == []
    assert [phrase.text for phrase in phraser.poll(1.05)] == ["one two"]
    assert phraser.due is None
    assert [phrase.text for phrase in phraser.feed("ee four", 2.0) + phraser.flush()] == ["three four"]


def test_a_pause_sends_a_finished_sentence_to_its_end() -> None:
    phraser = Phraser(PhraseRule(first_words=8))
    phraser.feed("That is all.", 1.0)
    assert [phrase.text for phrase in phraser.poll(2.0)] == ["That is all."]


def test_a_pause_does_not_cut_a_number_that_may_go_on() -> None:
    phraser = Phraser(PhraseRule(first_words=8))
    phraser.feed("It is 3.", 1.0)
    assert [phrase.text for phrase in phraser.poll(2.0)] == ["It is"]
    assert [phrase.text for phrase in phraser.feed("5 now", 3.0) + phraser.flush()] == ["3.5 now"]


def test_offsets_go_on_from_where_the_text_is_taken_up() -> None:
    phraser = Phraser(PhraseRule(), start=100)
    assert phraser.feed(" hello there", 0.0) == [Phrase("hello", 101, 106)]


def test_scripts_without_blanks_end_phrases_at_their_marks() -> None:
    text = "今天天气很好，我们去公园散步。你想一起来吗？那里有很多花，也有一个小湖。"
    assert [phrase.text for phrase in phrases_of(text)] == [
        "今天天气很好，我们去公园散步。",
        "你想一起来吗？那里有很多花，",
        "也有一个小湖。",
    ]


def test_a_mark_in_a_short_word_does_not_cut_it() -> None:
    assert [phrase.text for phrase in phrases_of("a、0 b、1 c")] == ["a、0", "b、1 c"]
