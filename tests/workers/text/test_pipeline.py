"""A corpus of filtered texts, whole and cut; and how the filters work together."""

import itertools
import random
import statistics
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from saystream.common.text_rules import TextRules
from saystream.workers.text.pipeline import Pipeline
from saystream.workers.text.run import Flush, Item, Pause, Run, Spell, text_of

CASES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("filters.toml").read_text(encoding="utf-8"))[
    "case"
]
PROSE = (
    "The old harbour was quiet that morning, and the boats lay still in the grey water. Nobody had told the captain "
    'that the tide would turn before noon; he sat on the quay and drank his coffee. "We leave at ten," he said, "or we '
    "don't leave at all.\" There were 12 of them, and each had brought something: bread, rope, a lamp. "
)


def spoken(items: list[Item]) -> str:
    """Return items as the corpus writes them."""
    parts = []
    for item in items:
        match item:
            case Run():
                parts.append(item.text)
            case Pause():
                parts.append(f"⟨{item.seconds:g} s⟩")
            case Flush():
                parts.append("⟨flush⟩")
            case Spell():
                parts.append(f"⟨spell {item.text}⟩")
            case _:
                parts.append(f"⟨tag {item.text}⟩")
    return "".join(parts)


def filtered(text: str, cuts: list[int], rules: TextRules, language: str | None = "en") -> list[Item]:
    pipeline = Pipeline(rules, language)
    items: list[Item] = []
    for first, last in itertools.pairwise([0, *cuts, len(text)]):
        items += pipeline.feed(text[first:last])
    return items + pipeline.flush()


def test_the_corpus_is_spoken_as_a_person_would(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for case in CASES:
        text, rules = case["text"], TextRules(**case.get("rules", {}))
        chance = random.Random(text)
        ways = {
            "whole": [],
            "by character": list(range(1, len(text))),
            **{
                f"cut at {cuts}": cuts for cuts in (sorted(chance.choices(range(len(text) + 1), k=5)) for _ in range(5))
            },
        }
        for way, cuts in ways.items():
            said = spoken(filtered(text, cuts, rules, case.get("language", "en")))
            if said != case["spoken"]:
                wrong.append(f"{text!r} {way}: {said!r}, not {case['spoken']!r}")
                break
    with capsys.disabled():
        print(f"\nfilters.toml: {len(CASES) - len(wrong)} of {len(CASES)} cases")  # noqa: T201
    assert not wrong, "\n".join(wrong)


def test_the_corpus_is_large_and_in_many_languages() -> None:
    assert len(CASES) >= 120
    assert {case.get("language", "en")[:2] for case in CASES} >= set("en de fr es pt zh ja ar hi".split())
    assert len({repr((case["text"], case.get("rules"))) for case in CASES}) == len(CASES)


def test_a_bold_word_leads_back_to_the_word_and_not_to_its_stars() -> None:
    assert filtered("a **bold** word", [], TextRules())[:3] == [Run("a ", 0, 2), Run("bold", 4, 8), Run(" wor", 10, 14)]


def test_a_link_leads_back_to_its_text() -> None:
    assert Run("docs", 5, 9) in filtered("See [docs](https://x.com).", [], TextRules())


def test_what_stands_for_an_address_leads_back_to_all_of_it() -> None:
    text = "at https://x.com/a now"
    address = [item for item in filtered(text, [], TextRules()) if isinstance(item, Run) and item.end <= 18][1:]
    assert text_of(address) == "x dot com slash a"
    assert (address[0].start, address[-1].end) == (3, 18)


def test_a_pause_of_the_llm_gives_out_a_finished_sentence() -> None:
    pipeline = Pipeline(TextRules(), "en")
    said = text_of(pipeline.feed("Let me *look that up*."))
    said += text_of(pipeline.settle())
    assert said == "Let me look that up."
    assert text_of(pipeline.feed(" Found.") + pipeline.flush()) == " Found."


def test_a_pause_of_the_llm_does_not_break_a_tag_or_emphasis() -> None:
    pipeline, said = Pipeline(TextRules(), "en"), ""
    for piece in ("A <bre", 'ak time="1s"/> **b', "c** and *d", " e* f [g", "](https://x.com) h"):
        said += spoken(pipeline.feed(piece) + pipeline.settle())
    assert said + spoken(pipeline.flush()) == "A ⟨1 s⟩ bc and d e f g h"


def test_a_flush_of_the_producer_gives_out_all_and_the_text_goes_on() -> None:
    pipeline = Pipeline(TextRules(), "en")
    assert text_of(pipeline.feed("one") + pipeline.flush()) == "one"
    assert text_of(pipeline.feed(" **two** three") + pipeline.flush()) == " two three"


@pytest.mark.parametrize("piece", [" the", ", so", "!", "a, ", " on", "。", " 12", "天气"])
def test_a_plain_token_is_out_at_once_but_for_a_last_letter(piece: str) -> None:
    pipeline = Pipeline(TextRules(), "en")
    before = text_of(pipeline.feed("So, ") + pipeline.feed("well"))
    out = before + text_of(pipeline.feed(piece))
    whole = "So, well" + piece
    assert out == (whole[:-1] if piece[-1].isalnum() and piece != "天气" else whole)


def test_a_plain_token_costs_about_nothing() -> None:
    text = PROSE * 10
    tokens = [text[at : at + 4] for at in range(0, len(text), 4)]
    best = float("inf")
    for _ in range(3):
        pipeline, times_us = Pipeline(TextRules(), "en"), []
        for token in tokens:
            begun = time.perf_counter_ns()
            pipeline.feed(token)
            times_us.append((time.perf_counter_ns() - begun) / 1000)
        best = min(best, statistics.median(times_us))
    assert best < 20  # 5 is promised and measured by `make bench`; this machine may be busy
