"""Addresses are spoken; what only looks like one is left alone. (What becomes of texts: ``filters.toml``.)"""

import pytest

from saystream.workers.text.addresses import SPOKEN, Addresses
from saystream.workers.text.run import Run, text_of


def spoken(*pieces: str, language: str | None = "en") -> str:
    addresses, items, at = Addresses(language), [], 0
    for piece in pieces:
        items += addresses.feed([Run(piece, at, at + len(piece))])
        at += len(piece)
    return text_of(items + addresses.flush())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://example.com", "example dot com"),
        ("HTTPS://Example.com/", "Example dot com"),
        ("http://user:secret@example.com/x", "example dot com slash x"),
        ("https://example.com/a%20b/c_d.html?q=1#top", "example dot com slash a b slash c d dot html"),
        ("example.com:8080/x", "example dot com colon 8080 slash x"),
        ("(example.com/a_(b))", "(example dot com slash a b )"),
        ("a+b@mail.example.museum", "a plus b at mail dot example dot museum"),
    ],
)
def test_an_address_is_words(text: str, words: str) -> None:
    said = spoken(text)
    assert said.replace(" )", ")") == words.replace(" )", ")")
    assert spoken(*text) == said


@pytest.mark.parametrize(
    "text",
    [
        "e.g. this",
        "3.5.1",
        "a.b.c",
        "Node.js",
        "it.In",
        "@home",
        "a @ b",
        "http://",
        "https",
        "hat",
        "x_y",
        "I/O",
        "...",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert spoken(text) == text
    assert spoken(*text) == text


@pytest.mark.parametrize("mark", [".", ",", ";", ":", "!", "?", "...", "?!", ")"])
def test_punctuation_behind_it_is_not_part_of_it(mark: str) -> None:
    assert spoken(f"https://example.com/a{mark} b") == f"example dot com slash a{mark} b"
    assert spoken(f"example.com{mark}") == f"example dot com{mark}"


def test_a_word_with_a_blank_behind_it_does_not_wait() -> None:
    assert text_of(Addresses("en").feed([Run("This is it. ", 0, 12)])) == "This is it. "


def test_a_very_long_address_is_spoken_in_part() -> None:
    text = "https://example.com/" + "abc/" * 500 + " and on"
    said = spoken(text)
    assert said.endswith(" and on")
    assert len(said) < 800
    assert spoken(*text) == said


def test_a_language_without_words_of_its_own_takes_english_ones() -> None:
    assert spoken("example.com", language="xx") == "example dot com"
    assert spoken("example.com", language=None) == "example dot com"


@pytest.mark.parametrize("language", SPOKEN)
def test_every_language_has_all_words(language: str) -> None:
    assert all(SPOKEN[language])
