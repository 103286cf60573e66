"""Runs know what they stand for, however they are cut."""

from saystream.workers.text.run import (
    Flush,
    Item,
    Pause,
    Run,
    Spell,
    Stretch,
    Verbatim,
    Whole,
    rewritten,
    spread,
    text_of,
)


def test_a_piece_of_text_stands_for_its_own_characters() -> None:
    assert Run("hello", 10, 15).piece(1, 3) == Run("el", 11, 13)


def test_the_end_of_rewritten_text_stands_for_all_of_it() -> None:
    run = Run("dot com", 10, 14)
    assert run.piece(0, 4) == Run("dot ", 10, 10)
    assert run.piece(4, 7) == Run("com", 10, 14)


def test_spread_text_means_the_same_wherever_it_is_cut() -> None:
    whole = spread(Run("abcd", 0, 2))
    assert whole == [Run("abc", 0, 0), Run("d", 0, 2)]
    assert [piece for first in whole for piece in spread(first)] == whole


def test_text_of_its_own_length_and_a_single_character_are_spread_as_they_are() -> None:
    assert spread(Run("ab", 3, 5)) == [Run("ab", 3, 5)]
    assert spread(Run("é", 3, 5)) == [Run("é", 3, 5)]
    assert spread(Run("", 3, 5)) == []


def test_a_stretch_is_one_text_of_many_runs() -> None:
    stretch = Stretch([Run("ab", 0, 2), Run("", 2, 5), Run("cde", 5, 8)])
    assert (stretch.text, stretch.start) == ("abcde", 0)
    assert stretch.take(3) == [Run("ab", 0, 2), Run("c", 5, 6)]
    assert (stretch.text, stretch.start) == ("de", 6)
    assert stretch.take(2) == [Run("de", 6, 8)]
    assert stretch.take(0) == []


def test_replaced_text_stands_for_all_that_was_there() -> None:
    stretch = Stretch([Run("ab", 0, 2), Run("cde", 5, 8)])
    assert stretch.replace(3, "X") == Run("X", 0, 6)
    assert stretch.text == "de"


def test_rewritten_text_leads_back_through_two_steps() -> None:
    first = rewritten([Run("&amp;", 4, 9)], "&")
    assert rewritten([Run("a ", 2, 4), first], "and") == Run("and", 2, 9)


def test_only_what_holds_text_has_a_text() -> None:
    items: list[Item] = [
        Run("a", 0, 1),
        Pause(1, 1, 2),
        Flush(2, 3),
        Whole("<x>", 3, 4, spoken=False),
        Spell("b", 4, 5),
    ]
    assert text_of(items) == "a<x>b"


def test_verbatim_text_is_a_run() -> None:
    assert isinstance(Verbatim("a", 0, 1), Run)
    assert Verbatim("a", 0, 1) == Run("a", 0, 1)
