"""Words that a vendor reports, and what they can stand for in the text."""

import pytest

from saystream.workers.text.rendered import letters_of, may_be_rewritten, rewritable, stands_for


@pytest.mark.parametrize(
    "word", ["5", "$3.50", "20%", "3rd", "R&D", "€", "e.g.", "p.m.,", "Dr.", "Mrs", "km", "NASA", "(12:30)", "J.", "½"]
)
def test_numbers_signs_and_abbreviations_may_be_said_otherwise(word: str) -> None:
    assert may_be_rewritten(word, "")


@pytest.mark.parametrize(
    "word", ["a", "I", "so", "my", "week.", "“Well,”", "don't", "x-ray", "HELLOO", "są", "año", "三", "دار"]
)
def test_plain_words_are_said_as_they_are_written(word: str) -> None:
    assert not may_be_rewritten(word, "")


@pytest.mark.parametrize("unit", ["min", "p.m.", "Uhr", "million"])
def test_a_unit_may_be_said_otherwise_behind_a_number(unit: str) -> None:
    assert may_be_rewritten(unit, "5")
    assert not may_be_rewritten("a", "5")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("five", " $5 "),
        ("three dollars and fifty cents a", "$3.50 a "),
        ("mille", "1 000 "),
        ("five", "5 p.m., "),
        ("five x ray", "5 x-ray "),
        ("shiv awn", "Siobhan "),
        ("five dollars a day or thirty", "$5 a day or 30 "),
        ("five", "5 <break/> [sighs] — "),
        ("三 点", "3点"),
    ],
)
def test_words_stand_for_a_text_that_they_can_be_made_of(said: str, text: str) -> None:
    assert stands_for([letters_of(word) for word in said.split()], text)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("", "$500 ("),
        ("five", "$5 a day or 30 "),
        ("five dollars or", "$5 a day "),
        ("twenty", "20% off, that is "),
        ("one", "1 2 "),
        ("day a five", "5 a day "),
        ("三", "3点开"),
    ],
)
def test_words_do_not_stand_for_more_than_was_said(said: str, text: str) -> None:
    assert not stands_for([letters_of(word) for word in said.split()], text)


def test_only_what_may_be_said_otherwise_is_counted() -> None:
    assert rewritable("It costs $3.50 a day, Dr. Lee") == len("$3.50") + len("Dr.")
