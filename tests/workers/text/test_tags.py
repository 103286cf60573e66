"""Tags are whole however they are cut, and never read aloud by accident. (What becomes of texts: ``filters.toml``.)"""

import pytest

from saystream.workers.text.run import Flush, Item, Pause, Run, Spell, Verbatim, Whole, text_of
from saystream.workers.text.tags import LONGEST, Tags, pause_s


def fed(*pieces: str, unknown: str = "drop") -> list[Item]:
    tags, items, at = Tags(unknown), list[Item](), 0  # type: ignore[arg-type]
    for piece in pieces:
        items += tags.feed([Run(piece, at, at + len(piece))])
        at += len(piece)
    return items + tags.flush()


@pytest.mark.parametrize(
    ("tag", "item"),
    [
        ("<flush>", Flush(2, 9)),
        ("<flush/>", Flush(2, 10)),
        ('<break time="1.5s"/>', Pause(1.5, 2, 22)),
        ("<spell>A-1</spell>", Spell("A-1", 2, 20)),
    ],
)
def test_a_tag_is_whole_wherever_it_is_cut(tag: str, item: Item) -> None:
    text = f"a {tag} b"
    for cut in range(len(text)):
        items = fed(text[:cut], text[cut:])
        assert [found for found in items if not isinstance(found, Run)] == [item]
        assert text_of([found for found in items if isinstance(found, Run)]) == "a  b"


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        (' time="1.5s"', 1.5),
        (" time='400ms'", 0.4),
        (" time=2s", 2),
        (" TIME = “1,5 s”", 1.5),
        (' time=".5"', 0.5),
        (' time="soon"', 0.2),
        ("", 0.2),
        (' strength="x-strong"', 1.2),
        (' strength="none"', 0),
        (' time="99999s"', 10),
    ],
)
def test_a_pause_is_as_long_as_it_says(attributes: str, seconds: float) -> None:
    assert pause_s(attributes) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["a < b", "<3", "1<2>0", "->", "<", "<>", "a<", "</", "x<y", "a <b c> d", "List<String>", "<x"]
)
def test_text_stays_text(text: str) -> None:
    assert text_of(fed(text)) == text
    assert text_of(fed(*text)) == text


def test_a_tag_that_is_too_long_is_text() -> None:
    text = f'<break time="{"1" * LONGEST}s"/>'
    assert text_of(fed(text)) == text
    tags = Tags("drop")
    for at, char in enumerate(text):
        tags.feed([Run(char, at, at + 1)])
        assert tags.held <= LONGEST


@pytest.mark.parametrize("text", ["<fl", "<flush", "<bre", "</spel", "<break time='1", "<spell"])
def test_an_unfinished_tag_of_ours_is_dropped_at_the_end(text: str) -> None:
    assert text_of(fed(f"end {text}")) == "end "


def test_an_open_spell_is_closed_at_the_end_and_after_so_many_characters() -> None:
    assert fed("<spell>AB") == [Spell("AB", 0, 9)]
    assert fed("<spell>AB</sp") == [Spell("AB</sp", 0, 13)]
    items = fed("<spell>" + "A" * 300)
    assert items[0] == Spell("A" * LONGEST, 0, 7 + LONGEST)
    assert text_of(items[1:]) == "A" * (300 - LONGEST)


def test_an_empty_spell_is_nothing() -> None:
    assert fed("<spell> </spell>a<spell/>b<spell>") == [Run("a", 16, 17), Run("b", 25, 26)]


def test_unknown_tags_are_what_the_rules_say() -> None:
    assert text_of(fed("<b>x</b> <laugh/>")) == "x "
    assert text_of(fed("<b>x</b>", unknown="speak")) == "<b>x</b>"
    assert fed("<b>x", unknown="pass") == [Whole("<b>", 0, 3, spoken=False), Run("x", 3, 4)]


def test_a_tag_that_ends_a_line_in_html_leaves_a_blank() -> None:
    assert text_of(fed("a<br>b</p>c<b>d</b>")) == "a b cd"


def test_what_is_verbatim_is_no_tag() -> None:
    assert Tags("drop").feed([Verbatim("<break/>", 0, 8)]) == [Run("<break/>", 0, 8)]
