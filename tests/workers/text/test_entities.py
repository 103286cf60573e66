"""Entities with their semicolon become characters; nothing else does."""

import pytest

from saystream.workers.text.entities import Entities
from saystream.workers.text.run import Run, text_of


def decoded(*pieces: str) -> str:
    entities, items, at = Entities(), [], 0
    for piece in pieces:
        items += entities.feed([Run(piece, at, at + len(piece))])
        at += len(piece)
    return text_of(items + entities.flush())


@pytest.mark.parametrize(
    ("text", "character"),
    [("&amp;", "&"), ("&lt;", "<"), ("&#39;", "'"), ("&#x1F600;", "😀"), ("&nbsp;", " "), ("&zwnj;", ""), ("&#0;", "")],
)
def test_an_entity_is_a_character(text: str, character: str) -> None:
    if character or text != "&zwnj;":
        assert decoded(text) == character
    assert decoded("a", text[:2], text[2:], "b") == f"a{decoded(text)}b"


@pytest.mark.parametrize("text", ["AT&T", "&", "& co;", "&nothing;", "&copy 2024", "&#;", "&#99999999;", "&" * 50])
def test_what_is_no_entity_stays(text: str) -> None:
    assert decoded(text) == text
    assert decoded(*text) == text


def test_an_entity_is_decoded_once() -> None:
    assert decoded("&amp;lt;") == "&lt;"


def test_an_ampersand_that_begins_nothing_does_not_wait() -> None:
    assert text_of(Entities().feed([Run("& ", 0, 2)])) == "& "
