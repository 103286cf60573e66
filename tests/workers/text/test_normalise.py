"""Numbers, money, dates, times, units and acronyms become words, whatever the language, however the text is cut."""

import builtins
import itertools
import random
import statistics
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saystream.common.errors import InvalidSettings
from saystream.workers.text.normalise import Normaliser
from saystream.workers.text.normalise.languages import LANGUAGES, language_of
from saystream.workers.text.normalise.reader import LOOK_AHEAD
from saystream.workers.text.run import Flush, Item, Run, text_of

_PIECES = (
    "0 1 2 3 5 7 10 12 19 20 30 31 99 100 2024 1999 . . , , : / - – + $ € £ ¥ ₹ R$ US$ USD EUR % ° °C ² µ & ="
    " # § № ( ) '"
    " km km/h kg MB GHz m s h min st nd rd th er e º ª Uhr pm a.m. Mio. million M k bn May Mai mai mayo de"
    " 年 月 日 点 分 万"
    " बजे वाँ मई करोड़ مايو ألف كم ٣ ٥ ३ ५ ３ FBI NASA XIV Rs. I A n é ß \u0301 \ufe0f \u20e3 \u200d \u0600 😀"
).split()
_TEXTS = st.lists(st.sampled_from([*_PIECES, " ", " ", " ", "\u00a0", "\n"]), max_size=16).map("".join)
_LANGUAGES = st.sampled_from(sorted(LANGUAGES))


class Case(NamedTuple):
    """A text and what is to be said for it; ``why`` it is known to come out otherwise, if it is."""

    language: str
    text: str
    spoken: str
    why: str = ""


def cases(kind: str) -> list[Case]:
    table = tomllib.loads(Path(__file__).with_name("normalise.toml").read_text("utf-8"))
    return [Case(language, *entry) for language, kinds in table.items() for entry in kinds.get(kind, [])]


def pieces(text: str, cuts: Iterable[int]) -> list[Run]:
    places = sorted({0, len(text), *cuts})
    return [Run(text[start:end], start, end) for start, end in itertools.pairwise(places)]


def normalised(language: str, text: str, cuts: Iterable[int] = ()) -> list[Item]:
    filter_, items = Normaliser(language), []
    for run in pieces(text, cuts):
        items += filter_.feed([run])
    return items + filter_.flush()


def map_of(items: Iterable[Item]) -> list[tuple[str, int, int]]:
    """Return where each character of the result comes from; what is one replacement has one range."""
    found = []
    for item in items:
        assert isinstance(item, Run)
        if len(item.text) == item.end - item.start:
            found += [(char, item.start + at, item.start + at + 1) for at, char in enumerate(item.text)]
        else:
            found.append((item.text, item.start, item.end))
    return found


@pytest.mark.parametrize("case", cases("cases"), ids=lambda case: f"{case.language}: {case.text}")
def test_it_is_said_as_a_speaker_would(case: Case) -> None:
    cuts = random.Random(case.text).choices(range(len(case.text)), k=4)
    for places in ((), range(len(case.text)), cuts):
        assert text_of(normalised(case.language, case.text, places)) == case.spoken


@pytest.mark.parametrize("case", cases("unlike"), ids=lambda case: f"{case.language}: {case.text}")
def test_what_is_known_to_come_out_otherwise_still_does(case: Case) -> None:
    """Once it comes out right, it belongs to the other cases."""
    assert text_of(normalised(case.language, case.text)) != case.spoken, case.why


def test_the_corpus_is_large_and_its_score_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong = cases("cases"), cases("unlike")
    with capsys.disabled():
        print("\nnormalise:", end=" ")  # noqa: T201
        for name in LANGUAGES:
            of = [len([case for case in kind if case.language[:2] == name]) for kind in (right, right + wrong)]
            print(f"{name} {of[0]}/{of[1]}", end=", ")  # noqa: T201
        print(f"all {len(right)}/{len(right + wrong)}")  # noqa: T201
    assert len(right) >= 200
    assert {case.language[:2] for case in right} == set(LANGUAGES)


@given(_LANGUAGES, _TEXTS, st.data())
@settings(max_examples=400)
def test_the_cut_into_tokens_makes_no_difference(language: str, text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10))
    assert map_of(normalised(language, text, cuts)) == map_of(normalised(language, text))
    assert map_of(normalised(language, text, range(len(text)))) == map_of(normalised(language, text))


@given(_LANGUAGES, st.text(max_size=60), st.data())
@settings(max_examples=200)
def test_any_text_at_all_may_be_cut_anywhere(language: str, text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10))
    assert map_of(normalised(language, text, cuts)) == map_of(normalised(language, text))


@given(_LANGUAGES, _TEXTS)
@settings(max_examples=300)
def test_every_character_is_covered_once_and_in_order(language: str, text: str) -> None:
    place = 0
    for item in normalised(language, text, range(len(text))):
        assert item.start == place
        assert item.end >= item.start
        place = item.end
    assert place == len(text)


@given(_LANGUAGES, _TEXTS)
@settings(max_examples=200)
def test_no_cluster_is_cut(language: str, text: str) -> None:
    """What is replaced does not end in front of a mark that belongs to it."""
    for item in normalised(language, text):
        assert isinstance(item, Run)
        if item.text != text[item.start : item.end] and item.end < len(text):
            assert text[item.end] not in "\u0301\ufe0f\u20e3\u200d"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "pattern", ["1", "1.", "1,", "1 ", "1-", "0 1", "A", "AB ", "$", "$1", "-", "+", "=", "(5", "#"]
)
def test_what_is_held_stays_below_the_look_ahead(language: str, pattern: str) -> None:
    filter_, text, given_chars = Normaliser(language), pattern * 1500, 0
    for run in pieces(text, range(0, len(text), 3)):
        for item in filter_.feed([run]):
            given_chars = item.end
        assert run.end - given_chars <= LOOK_AHEAD
        assert filter_.held <= LOOK_AHEAD


@given(_LANGUAGES, st.text(st.sampled_from("abcdefxyz .,;!?\n'\"üéçñ你好かな"), max_size=80))
@settings(max_examples=100)
def test_text_without_figures_and_capitals_passes_at_once_untouched(language: str, text: str) -> None:
    filter_ = Normaliser(language)
    assert filter_.feed([Run(text, 0, len(text))]) == ([Run(text, 0, len(text))] if text else [])
    assert filter_.flush() == []


@pytest.mark.parametrize(
    ("tokens", "given_out"),
    [
        (["It's", " 3", ".", "5", " now"], ["It's", " ", "", "", "three point five now"]),
        (["10", " k", "m", " on"], ["", "", "", "ten kilometers on"]),
        (["$3", ".", "50", " it"], ["", "", "", "three dollars and fifty cents it"]),
        (["5", " e", "ggs"], ["", "five e", "ggs"]),
        (["M", "ary", " has"], ["", "Mary", " has"]),
        (["May", " 1", "st", " or"], ["", "", "", "May first or"]),
        (["The", " end"], ["The", " end"]),
    ],
)
def test_a_token_waits_only_while_what_follows_can_change_it(tokens: list[str], given_out: list[str]) -> None:
    filter_, start, found = Normaliser("en"), 0, []
    for token in tokens:
        found.append(text_of(filter_.feed([Run(token, start, start + len(token))])))
        start += len(token)
    assert found == given_out


def test_a_mark_decides_what_stands_in_front_of_it() -> None:
    items = Normaliser("en").feed([Run("10", 0, 2), Flush(2, 9), Run(" km", 9, 12)])
    mark = items.index(Flush(2, 9))
    assert text_of(items[:mark]) == "ten"
    assert text_of(items[mark + 1 :]) == " km"


def test_a_language_without_rules_is_refused_when_the_filter_is_built() -> None:
    with pytest.raises(InvalidSettings, match="tlh"):
        Normaliser("tlh")


def test_a_missing_library_is_told_when_the_filter_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    really_import = builtins.__import__

    def without_library(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "unicode_rbnf":
            raise ImportError(name)
        return really_import(name, *args, **kwargs)

    language_of.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without_library)
    with pytest.raises(InvalidSettings, match=r"saystream\[normalise\]"):
        Normaliser("en")
    assert text_of(normalised("zh", "2024年")) == "二零二四年"  # needs none


def test_a_plain_token_costs_one_search(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the cost; the limit is wide, for this machine may be busy."""
    words = (
        "the quick brown fox jumps over a lazy dog and runs away from all of them, while nobody looks at it. Then " * 40
    )
    runs = pieces(words, range(0, len(words), 4))
    spent = []
    for _ in range(7):
        filter_ = Normaliser("en")
        before = time.perf_counter()
        for run in runs:
            filter_.feed([run])
        spent.append((time.perf_counter() - before) / len(runs) * 1e6)
    with capsys.disabled():
        print(f"\nnormalise: {statistics.median(spent):.2f} µs a token of four characters")  # noqa: T201
    assert min(spent) < 5
