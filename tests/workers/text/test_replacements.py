"""Words of the settings are replaced whole, the longest first."""

import pytest

from saystream.workers.text.replacements import Replacements
from saystream.workers.text.run import Run, text_of

WORDS = {
    "GIF": "jiff",
    "New York": "NYC",
    "New": "Nu",
    "C++": "see plus plus",
    ".NET": "dot net",
    "北京": "Peking",
    "Köln": "Cologne",
}


def replaced(*pieces: str) -> str:
    words, items, at = Replacements(WORDS), [], 0
    for piece in pieces:
        items += words.feed([Run(piece, at, at + len(piece))])
        at += len(piece)
    return text_of(items + words.flush())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a GIF.", "a jiff."),
        ("GIF", "jiff"),
        ("GIFs gif XGIF", "GIFs gif XGIF"),
        ("New York", "NYC"),
        ("New Yorker", "Nu Yorker"),
        ("New Yo", "Nu Yo"),
        ("C++ and .NET", "see plus plus and dot net"),
        ("我在北京大学", "我在Peking大学"),
        ("Ko\u0308ln? Köln!", "Ko\u0308ln? Cologne!"),
    ],
)
def test_words_are_replaced(text: str, said: str) -> None:
    assert replaced(text) == said
    assert replaced(*text) == said


def test_no_more_is_held_than_the_longest_word() -> None:
    words = Replacements({"aaaa": "b"})
    for at in range(100):
        words.feed([Run("a", at, at + 1)])
        assert words.held <= 5


def test_a_word_given_in_pieces_is_composed() -> None:
    words = Replacements({"Ko\u0308ln": "Cologne"})
    assert text_of(words.feed([Run("Köln ", 0, 5)])) == "Cologne "


def test_nothing_to_replace_is_no_fault() -> None:
    assert text_of(Replacements({"": "x"}).feed([Run("abc", 0, 3)])) == "abc"
