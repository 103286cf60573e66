"""Laws of all filters together: any text, any cut into tokens, any rules."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.text_rules import TextRules
from saystream.workers.text.pipeline import Pipeline
from saystream.workers.text.run import Flush, Item, Pause, Run, Spell, Stretch, Whole, text_of
from saystream.workers.text.tags import Tags

#: No filter looks at more than this.
MOST_HELD = 2000

FRAGMENTS = (
    "** __ * _ ~~ *** ` `` ``` ~~~ [ ]( ](x) ) ] ![ ![a](b) < > </ /> & &amp; &# ; | |-|- |---| # ## - + 1. 12) >\n "
    "--- *** === \\ \\* http:// https://x.com/a_b?c ://x www. .com .io/ @ a@b.de foo.bar _x@y.com h ht + :// <b> </b> "
    "<br> "
    '<flush> <break/> <break time="1.5s"/> <spell> </spell> <spell/> <bre " = [x] [^1] [a][b] GIF New '
    "👍 👍🏽 👨‍👩‍👧 🇩🇪 1️⃣ ♥ ©"
).split(" ")
BITING = st.one_of(
    st.sampled_from(FRAGMENTS),
    st.sampled_from(
        [
            "\n",
            "\n\n",
            "\n- ",
            "\n* ",
            "\n# ",
            "\n|a|b|\n|-|-|\n",
            "\n```",
            "```\n",
            " ",
            "  ",
            "\t",
            "\r\n",
            "\u00a0",
            "　",
        ]
    ),
    st.sampled_from(
        ["e", "\u0301", "\u0327", "\u200b", "\u200d", "\ufe0f", "\u20e3", "\ud83d", "\ude00", "か", "\u3099", "ᄀ", "ᅡ"]
    ),
    st.sampled_from(
        [
            "word",
            "New York",
            "GIFs",
            "漢字",
            "。",
            "नमस्ते",
            "مرحبا",
            "ไทย",
            "2",
            "3.5",
            "A",
            "!",
            "?",
            ".",
            ",",
            "-",
            "x",
        ]
    ),
)
TEXTS = st.one_of(st.lists(BITING, max_size=30).map("".join), st.text(max_size=60))
RULES = st.builds(
    TextRules,
    markdown=st.sampled_from([True, True, False]),
    code=st.sampled_from(["skip", "announce", "speak"]),
    tables=st.sampled_from(["skip", "announce", "speak"]),
    list_pause_ms=st.sampled_from([0, 300]),
    entities=st.booleans(),
    emoji=st.sampled_from(["skip", "keep"]),
    addresses=st.sampled_from([True, True, False]),
    tags=st.sampled_from(["drop", "pass", "speak"]),
    replacements=st.sampled_from(
        [{}, {"GIF": "jiff", "New York": "N Y", "New": "nu", "漢": "かん", "**": "star", "e": ""}]
    ),
)
LANGUAGES = st.sampled_from([None, "en", "de", "pt-BR", "xx"])


def fed(pipeline: Pipeline, text: str, cuts: list[int]) -> list[Item]:
    """Return what comes out of a pipeline if a text comes cut there."""
    places = [0, *sorted(cuts), len(text)]
    return [item for first, last in itertools.pairwise(places) for item in pipeline.feed(text[first:last])]


def filtered(text: str, cuts: list[int], rules: TextRules, language: str | None = "en") -> list[Item]:
    pipeline = Pipeline(rules, language)
    return fed(pipeline, text, cuts) + pipeline.flush()


def by_character(items: list[Item]) -> list[object]:
    """Return items with each run taken apart, so that it does not matter how text was cut into runs."""
    parts: list[object] = []
    for item in items:
        if isinstance(item, Run):
            parts += [tuple(item.piece(at, at + 1)) for at in range(len(item.text))]
        else:
            parts.append(item)
    return parts


@given(TEXTS, st.data(), RULES, LANGUAGES)
def test_what_comes_out_does_not_depend_on_the_cut(
    text: str, data: st.DataObject, rules: TextRules, language: str | None
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    whole = by_character(filtered(text, [], rules, language))
    assert by_character(filtered(text, cuts, rules, language)) == whole
    assert by_character(filtered(text, list(range(1, len(text))), rules, language)) == whole


@given(TEXTS, st.data(), RULES)
def test_ranges_follow_one_another_and_lie_in_the_text(text: str, data: st.DataObject, rules: TextRules) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    end = 0
    for item in filtered(text, cuts, rules):
        assert end <= item.start <= item.end
        end = item.end
    assert end <= len(text)


@given(TEXTS, RULES)
def test_no_run_is_empty(text: str, rules: TextRules) -> None:
    assert all(item.text for item in filtered(text, [], rules) if isinstance(item, Run))


@given(st.text(st.sampled_from("abc déçèñ漢字かनマ,;?\n"), max_size=60), st.data())
def test_what_no_filter_is_about_passes_character_for_character(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    items = filtered(text, cuts, TextRules())
    assert text_of(items) == text
    assert by_character(items) == [(char, at, at + 1) for at, char in enumerate(text)]


@given(TEXTS, RULES)
def test_a_flush_leaves_nothing_behind(text: str, rules: TextRules) -> None:
    pipeline = Pipeline(rules, "en")
    fed(pipeline, text, [])
    pipeline.flush()
    assert pipeline.held == 0
    assert pipeline.flush() == []


@given(st.lists(st.text("abcdefgijkl", min_size=1, max_size=8), min_size=1, max_size=10), RULES)
def test_the_last_word_comes_out(words: list[str], rules: TextRules) -> None:
    rules = rules.model_copy(update={"replacements": {}})
    assert text_of(filtered(" ".join(words), [], rules)).split()[-1] == words[-1]


@given(TEXTS, TEXTS, RULES)
def test_what_follows_a_flush_goes_on_where_the_text_was(before: str, behind: str, rules: TextRules) -> None:
    pipeline = Pipeline(rules, "en")
    first = fed(pipeline, before, []) + pipeline.flush()
    second = fed(pipeline, behind, []) + pipeline.flush()
    assert all(item.end <= len(before) for item in first)
    assert all(len(before) <= item.start and item.end <= len(before + behind) for item in second)


@given(TEXTS, st.data(), RULES)
def test_a_pause_gives_out_early_and_loses_no_position(text: str, data: st.DataObject, rules: TextRules) -> None:
    pipeline, end = Pipeline(rules, "en"), 0
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    for first, last in itertools.pairwise([0, *sorted(cuts), len(text)]):
        for item in pipeline.feed(text[first:last]) + pipeline.settle():
            assert end <= item.start <= item.end <= last
            end = item.end


@pytest.mark.parametrize(
    "pattern", [*FRAGMENTS, "e\u0301", "\u0301", "a", " ", "\n", "- ", "x_", "[a", "**a", "<spell>a"]
)
@pytest.mark.parametrize("lead", ["", "a ", "[", "| ", "<b ", "\n```\n", "https://x", "x.y"])
def test_what_is_held_is_bounded(pattern: str, lead: str) -> None:
    pipeline = Pipeline(TextRules(replacements={"New York": "NY"}), "en")
    pipeline.feed(lead)
    text = pattern * (3 * MOST_HELD // 2 // len(pattern))
    for at in range(0, len(text), 7):
        pipeline.feed(text[at : at + 7])
        assert pipeline.held < MOST_HELD


@pytest.mark.parametrize(
    "pattern", ["a", "*", "[", "<", "&", "`", "|a", "\n- ", "https://x.y/", "e\u0301", "👍", "[a](b)", "<b", "_x_ "]
)
def test_a_long_text_takes_time_in_proportion(pattern: str) -> None:
    pipeline = Pipeline(TextRules(), "en")
    text = pattern * (100_000 // len(pattern))
    begun = time.perf_counter()
    pipeline.feed(text)
    assert pipeline.held < MOST_HELD
    pipeline.flush()
    assert time.perf_counter() - begun < 20


@given(st.lists(st.sampled_from([" the", " quick", "!", " fox", ",", " and", " so", "?", " on"]), max_size=20))
def test_a_plain_token_waits_for_nothing_but_its_last_letter(tokens: list[str]) -> None:
    pipeline, said = Pipeline(TextRules(), "en"), ""
    pipeline.feed("So")
    for token in tokens:
        said += text_of(pipeline.feed(token))
        waiting = 1 if token[-1].isalpha() else 0
        assert pipeline.held == waiting


@given(TEXTS, TEXTS)
def test_the_maps_of_two_steps_compose(first: str, second: str) -> None:
    """A filter behind another one leads back to the source, not to what the first one gave out."""
    items = filtered(first + second, [], TextRules(tags="pass", replacements={"e": "ee", "x": ""}))
    again = Tags("speak").feed([item for item in items if isinstance(item, Run)])
    end = 0
    for item in again:
        assert end <= item.start <= item.end <= len(first + second)
        end = item.end


@given(st.lists(st.tuples(st.text(max_size=4), st.integers(0, 4)), max_size=6), st.data())
def test_a_stretch_gives_away_what_it_took(parts: list[tuple[str, int]], data: st.DataObject) -> None:
    runs, at = list[Run](), 0
    for text, length in parts:
        if text:
            runs.append(Run(text, at, at + length))
        at += length
    stretch, taken = Stretch(runs), list[Run]()
    while stretch.text:
        taken += stretch.take(data.draw(st.integers(1, len(stretch.text))))
    assert text_of(taken) == text_of(runs)
    assert [run.start for run in taken] == sorted(run.start for run in taken)
    assert (taken[-1].end if taken else 0) == (runs[-1].end if runs else 0)


def test_marks_are_of_these_kinds() -> None:
    items = filtered('<flush>a<break/><spell>b</spell><x-y z="1">', [], TextRules(tags="pass"))
    assert [type(item) for item in items] == [Flush, Run, Pause, Spell, Whole]
