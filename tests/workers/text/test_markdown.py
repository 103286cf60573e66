"""Markdown's marks go; what they mark stays, as soon as it is there. (What becomes of texts: ``filters.toml``.)"""

import pytest

from saystream.common.text_rules import TextRules
from saystream.workers.text.markdown import Markdown
from saystream.workers.text.run import Item, Pause, Run, Verbatim, text_of


def fed(markdown: Markdown, *pieces: str) -> list[str]:
    """Return what each piece of text brings out."""
    out, at = [], 0
    for piece in pieces:
        out.append(text_of(markdown.feed([Run(piece, at, at + len(piece))])))
        at += len(piece)
    return out


def test_bold_text_is_not_waited_for() -> None:
    assert fed(Markdown(TextRules()), "So **very", " bold", "** it", " is") == ["So very", " bold", " it", " is"]


def test_a_single_star_waits_for_its_end_and_not_for_long() -> None:
    markdown = Markdown(TextRules())
    assert fed(markdown, "So *very", " soft", "*", " it is") == ["So ", "", "", "very soft it is"]
    assert len(fed(Markdown(TextRules()), "a *b" + "c" * 70)[0]) == 73


def test_a_link_waits_for_where_it_leads_only() -> None:
    assert fed(Markdown(TextRules()), "See [the", " docs](ht", "tp://x", ") now") == ["See ", "", "", "the docs now"]


def test_what_begins_a_line_waits_for_what_it_is() -> None:
    assert fed(Markdown(TextRules()), "a\n", "-", " item", "\n-5", " degrees") == [
        "a\n",
        "",
        "item",
        ".\n-5",
        " degrees",
    ]


def test_an_exclamation_mark_behind_a_word_does_not_wait() -> None:
    assert fed(Markdown(TextRules()), "Hello!") == ["Hello!"]


def test_code_is_read_line_by_line_as_it_comes() -> None:
    markdown = Markdown(TextRules(code="speak"))
    assert fed(markdown, "```\nx", " = *1*", "\ny\n```", "\n") == ["x", " = *1*", "\ny\n", ""]


def test_code_is_marked_as_such() -> None:
    items = Markdown(TextRules()).feed([Run("a `<b>` c", 0, 9)])
    assert [item for item in items if isinstance(item, Verbatim)] == [Verbatim("<b>", 3, 6)]


def test_a_pause_stands_where_its_item_begins() -> None:
    items: list[Item] = Markdown(TextRules(list_pause_ms=500)).feed([Run("a\n  - b ", 0, 8)])
    assert items == [Run("a", 0, 1), Run("\n", 1, 2), Pause(0.5, 4, 4), Run("b ", 6, 8)]


def test_a_full_stop_stands_for_nothing() -> None:
    items = Markdown(TextRules()).feed([Run("# T\n", 0, 4)])
    assert items == [Run("T", 2, 3), Run(".", 3, 3), Run("\n", 3, 4)]


@pytest.mark.parametrize(
    "text", ["[" * 3000, "[a](" + "b" * 3000, "| a" * 1000, "```" + "x" * 3000, "-" * 3000, " " * 3000]
)
def test_what_never_ends_is_let_go(text: str) -> None:
    markdown = Markdown(TextRules())
    for at in range(0, len(text), 50):
        markdown.feed([Run(text[at : at + 50], at, at + 50)])
        assert markdown.held < 1400


def test_emphasis_that_was_not_closed_ends_with_the_paragraph() -> None:
    assert "".join(fed(Markdown(TextRules()), "**a\n\nb** c")) == "a\n\nb** c"
