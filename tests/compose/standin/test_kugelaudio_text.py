"""Sentences out of tokens, and what of them is spoken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.compose.standin.kugelaudio.chunks import Chunker
from saystream.compose.standin.kugelaudio.script import script
from saystream.compose.standin.orders import Pause

TOKENS = st.lists(st.text('aB .!?"\u2026\u3002<>/ \n') | st.sampled_from(["<spell>", "</spell>", "<break/>", ". A"]))


def chunks(*tokens: str, longest: int = 1_000) -> list[list[str]]:
    """What each token releases, and what is left."""
    chunker = Chunker(longest)
    return [*(chunker.add(token) for token in tokens), chunker.flush()]


def test_a_sentence_goes_out_when_the_next_fragment_shows_that_it_is_one() -> None:
    assert chunks("Hello ", "there. ", "Second one") == [[], [], ["Hello there. "], ["Second one"]]


def test_a_message_may_hold_many_sentences() -> None:
    assert chunks("One. Two! Three? Four") == [["One. ", "Two! ", "Three? "], ["Four"]]


@pytest.mark.parametrize("text", ["It costs 3.50 euros", "www.example.com is", "Wait...for it", "(no"])
def test_a_point_inside_a_word_ends_nothing(text: str) -> None:
    assert chunks(*text) == [*([] for _ in text), [text]]


@pytest.mark.parametrize("text", ['He said "no." Then', "(Really?) Yes", "Oh\u2026 Well", "\u4f60\u597d\u3002\u518d"])
def test_quotes_and_other_scripts_end_sentences_too(text: str) -> None:
    assert len(chunks(text)[0]) == 1


@given(TOKENS)
def test_how_the_text_is_cut_into_tokens_changes_nothing(tokens: list[str]) -> None:
    whole = [chunk for released in chunks("".join(tokens)) for chunk in released]
    assert [chunk for released in chunks(*tokens) for chunk in released] == whole


@given(TOKENS, st.integers(1, 20))
def test_no_character_is_lost_or_kept_too_long(tokens: list[str], longest: int) -> None:
    chunker = Chunker(longest)
    out = []
    for token in tokens:
        out += chunker.add(token)
        assert len(chunker) < longest
    out += chunker.flush()
    assert "".join(out) == "".join(tokens)
    assert all(0 < len(chunk) <= longest for chunk in out)


def test_the_buffers_length_forces_a_chunk_between_words() -> None:
    assert chunks("one two three", longest=10) == [["one two "], ["three"]]
    assert chunks("x" * 25, longest=10) == [["x" * 10, "x" * 10], ["x" * 5]]


def test_nothing_goes_out_before_its_spelling_is_closed() -> None:
    assert chunks("My code: <spell>A. B", ". C</spell>. ", "Next") == [
        [],
        [],
        ["My code: <spell>A. B. C</spell>. "],
        ["Next"],
    ]


@pytest.mark.parametrize(
    ("text", "unconfirmed"),
    [
        ("Hello there.", True),
        ("Hello there. ", True),
        ('"Hello."', True),
        ("Hello there", False),
        ("<spell>A.", False),
        ("Hello.<bre", False),
    ],
)
def test_what_ends_like_a_sentence_may_be_one(text: str, unconfirmed: bool) -> None:
    chunker = Chunker(100)
    chunker.add(text)
    assert chunker.unconfirmed is unconfirmed


# What is spoken


def test_words_are_spoken_as_they_stand_and_told_where() -> None:
    read = script(" One,  two\nthree. ")
    assert read.items == ("One,", "two", "three.")
    assert [read.text[first:last] for first, last in read.spans] == ["One,", "two", "three."]


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("<break/>", 0.2),
        ("<break />", 0.2),
        ('<break time="10ms"/>', 0.2),
        ('<break time="290ms"/>', 0.2),
        ('<break time="310ms" />', 0.4),
        ('<break time="400ms"></break>', 0.4),
        ("<BREAK TIME='0.5s'/>", 0.5),
        ('<break time="3s"/>', 0.5),
        ('<break time="soon"/>', 0.2),
    ],
)
def test_a_break_is_one_of_three_pauses(tag: str, seconds: float) -> None:
    assert script(f"before{tag}after").items == ("before", Pause(seconds), "after")


def test_breaks_add_up_and_may_stand_at_the_edges() -> None:
    read = script("<break/><break/>word<break/>")
    assert read.items == (Pause(0.2), Pause(0.2), "word", Pause(0.2))
    assert [read.text[first:last] for first, last in read.spans] == ["word"]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Say <spell>ABC</spell>.", ("Say", "A", "B", "C.")),
        ("Say<spell>A B</spell>now", ("Say", "A", "B", "now")),
        ("<spell>never closed", tuple("neverclosed")),
        ("stray</spell> end", ("stray", "end")),
        ("<spell></spell>nothing", ("nothing",)),
    ],
)
def test_what_is_spelled_is_spoken_letter_by_letter(text: str, items: tuple[str, ...]) -> None:
    assert script(text).items == items


@pytest.mark.parametrize(
    ("language", "word"),
    [(None, "at"), ("en", "at"), ("de", "\u00e4t"), ("fr", "arobase"), ("es", "arroba"), ("ja", "@")],
)
def test_a_spelled_symbol_has_a_name_in_its_language(language: str | None, word: str) -> None:
    assert script("<spell>a@b</spell>", language).items == ("a", word, "b")
    assert script("a@b", language).items == ("a@b",)


def test_prosody_is_not_spoken_and_what_is_no_tag_is() -> None:
    assert script('A <prosody rate="slow">slow</prosody> one').items == ("A", "slow", "one")
    assert script("3 < 4 <b>bold</b>").items == ("3", "<", "4", "<b>bold</b>")


@given(TOKENS)
def test_chunks_are_spoken_as_the_whole_text_would_be(tokens: list[str]) -> None:
    text = "".join(tokens).replace("\u3002", ".")
    spoken = [item for released in chunks(text) for chunk in released for item in script(chunk).items]
    assert tuple(spoken) == script(text).items
