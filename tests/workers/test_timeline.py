"""The timeline: samples, words and the place where another stream of speech goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.audio import AudioFormat
from saystream.workers.providers.base import WordTime
from saystream.workers.timeline import Timeline

FORMAT = AudioFormat(sample_rate=8_000)


def spoken_by(text: str, *words: str) -> list[tuple[str, int, int]]:
    """Return where a vendor's words are found in a text."""
    timeline = Timeline(FORMAT)
    timeline.sent(text)
    times = tuple(WordTime(word, number, number + 1) for number, word in enumerate(words))
    return [(text[word.start : word.end], word.start, word.end) for word in timeline.words(times)]


def test_audio_stands_at_the_position_and_moves_it() -> None:
    timeline = Timeline(FORMAT, cut=100)
    chunk = timeline.audio(bytes(160))
    assert (chunk.offset, chunk.samples, timeline.position) == (100, 80, 180)


@given(st.lists(st.binary(max_size=9), max_size=20))
def test_odd_bytes_wait_for_their_other_half(pieces: list[bytes]) -> None:
    timeline = Timeline(FORMAT)
    chunks = [timeline.audio(piece) for piece in pieces]
    whole = b"".join(pieces)
    assert b"".join(chunk.data for chunk in chunks) == whole[: len(whole) // 2 * 2]
    assert all(len(chunk.data) == 2 * chunk.samples for chunk in chunks)
    assert timeline.position == len(whole) // 2


def test_spoken_moves_when_a_word_has_been_published_to_its_end() -> None:
    timeline = Timeline(FORMAT)
    timeline.sent("Hello, world")
    timeline.words((WordTime("Hello,", 0.0, 0.5), WordTime("world", 0.6, 1.0)))
    timeline.audio(bytes(2 * 3999))
    assert (timeline.spoken, timeline.cut) == (0, 0)
    timeline.audio(bytes(2 * 1001))
    assert (timeline.spoken, timeline.cut) == (6, 4000)


def test_words_that_come_after_their_audio_count_at_once() -> None:
    timeline = Timeline(FORMAT)
    timeline.sent("Hello")
    timeline.audio(bytes(16_000))
    timeline.words((WordTime("Hello", 0.0, 0.5),))
    assert (timeline.spoken, timeline.cut) == (5, 4000)


def test_a_restart_goes_back_to_the_end_of_the_last_whole_word() -> None:
    timeline = Timeline(FORMAT)
    timeline.sent("Hello, world")
    timeline.words((WordTime("Hello,", 0.0, 0.5), WordTime("world", 0.6, 1.0)))
    timeline.audio(bytes(2 * 5001) + b"x")
    timeline.restart()
    assert (timeline.position, timeline.spoken) == (4000, 6)
    timeline.sent(" world")
    [word] = timeline.words((WordTime("world", 0.0, 0.4),))
    assert (word.start, word.end, word.first_sample, word.last_sample) == (7, 12, 4000, 7200)
    assert timeline.audio(b"ab").data == b"ab"


def test_a_finished_stream_has_spoken_all_that_it_was_given() -> None:
    timeline = Timeline(FORMAT)
    timeline.sent("Hello, world. ")
    timeline.audio(bytes(100))
    timeline.finished()
    assert (timeline.spoken, timeline.cut) == (14, 50)


def test_a_stream_with_words_and_no_audio_is_silent() -> None:
    timeline = Timeline(FORMAT)
    timeline.sent(" ... ")
    assert not timeline.silent
    timeline.sent("word")
    assert timeline.silent
    timeline.audio(bytes(2))
    assert not timeline.silent


def test_words_are_found_with_their_marks() -> None:
    found = spoken_by("It costs $3.50, “really” — yes!", "It", "costs", "$3.50,", "“really”", "—", "yes!")
    assert [text for text, _, _ in found] == ["It", "costs", "$3.50,", "“really”", "—", "yes!"]


def test_words_are_found_without_the_marks_that_a_vendor_leaves_out() -> None:
    found = spoken_by("Well — “Hello,” he said.", "well", "hello", "he", "said")
    assert [text for text, _, _ in found] == ["Well", "“Hello,”", "he", "said."]


def test_words_that_are_not_in_the_text_take_no_room_and_two_that_are_bring_it_back() -> None:
    found = spoken_by("It is $5 today, you know", "It", "is", "five", "dollars", "today", "you", "know")
    assert [text for text, _, _ in found] == ["It", "is", "", "", "", "you", "know"]


@pytest.mark.parametrize(
    ("text", "words", "covered"),
    [
        ("It costs $100, and there is one more thing.", ["It", "costs", "one", "hundred"], "It costs"),
        ("Dr. Smith called the doctor again.", ["Doctor", "Smith"], ""),
        ("On 1 May the onerous rule ends.", ["On", "one", "May"], "On"),
    ],
)
def test_a_word_that_the_vendor_rewrote_is_not_found_further_on(text: str, words: list[str], covered: str) -> None:
    """A stream that takes over at a later word would leave out what lies between."""
    assert max(end for _, _, end in spoken_by(text, *words)) == len(covered)


@pytest.mark.parametrize("text", ["a b a b a", "the the the", "1 2 1 2", "naïve Straße STRASSE"])
def test_repeated_and_accented_words_are_found_one_by_one(text: str) -> None:
    found = spoken_by(text, *text.split())
    assert [word for word, _, _ in found] == text.split()
    assert [start for _, start, _ in found] == sorted(start for _, start, _ in found)


@given(st.lists(st.text(st.characters(categories=["L", "N", "Po"]), min_size=1, max_size=8), max_size=20))
def test_a_vendor_that_spells_as_it_was_given_is_followed_exactly(words: list[str]) -> None:
    assert [text for text, _, _ in spoken_by(" ".join(words), *words)] == words
