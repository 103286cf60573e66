"""Emoji go as a whole, and only emoji."""

import pytest

from saystream.workers.text.emoji import Emoji
from saystream.workers.text.run import Run, text_of


def without(*pieces: str) -> str:
    emoji, items, at = Emoji(), [], 0
    for piece in pieces:
        items += emoji.feed([Run(piece, at, at + len(piece))])
        at += len(piece)
    return text_of(items + emoji.flush())


@pytest.mark.parametrize(
    "sequence",
    [
        "😀",
        "👍🏽",
        "👨‍👩‍👧‍👦",
        "🏳️‍🌈",
        "🇩🇪",
        "🇩🇪🇫🇷",
        "❤️",
        "❤️‍🔥",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "©️",
        "☎️",
        "🧑🏿‍🚀",
        "⏰",
        "🫠",
        "✅",
        "👁️‍🗨️",
        "🏴‍☠️",
        "🧔‍♂️",
        "↔️",
    ],
)
def test_a_sequence_goes_whole(sequence: str) -> None:
    assert without("a ", sequence, " b") == "a  b"
    assert without("a ", *sequence, " b") == "a  b"


@pytest.mark.parametrize("keycap", ["1️⃣", "#️⃣", "*️⃣"])
def test_a_keycap_goes_with_its_digit(keycap: str) -> None:
    assert without("a ", keycap, " b 1 # *") == "a  b 1 # *"


@pytest.mark.parametrize("text", ["© ® ™ 2024", "5 < 6 → ↔ ‼ ℹ", "1 # *", "漢字 か", "♪ ½ € §", "─ ■ ●"])
def test_text_stays(text: str) -> None:
    assert without(text) == text
    assert without(*text) == text


def test_words_on_both_sides_stay_apart() -> None:
    assert without("a😀b") == "a b"
    assert without("a😀, b") == "a, b"


def test_an_endless_sequence_is_not_held() -> None:
    emoji = Emoji()
    for at in range(0, 5000, 2):
        emoji.feed([Run("👨\u200d", at, at + 2)])
        assert emoji.held <= emoji.look_ahead
