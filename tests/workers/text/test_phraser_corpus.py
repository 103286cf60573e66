"""Phrases of a hand-checked corpus in many languages; the rule of the vendors' guides on the same, for comparison."""

import re
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from saystream.workers.text.boundaries import BARE
from saystream.workers.text.phraser import Phrase, Phraser, PhraseRule
from saystream.workers.text.run import Item, Run, Whole

_BLANK_END, _BARE_END, _GLUED = " | ", "¦", "⎵"
#: Cases that are known to come out otherwise: a street's abbreviation is part of a longer word.
_MISSED = {"Hr.⎵Meier | wohnt in | der Hauptstr.⎵5 | in Köln."}


class Case(NamedTuple):
    """One text, how it is to be cut, and where it must not be."""

    language: str
    marked: str

    @property
    def text(self) -> str:
        return self.marked.replace(_BLANK_END, " ").replace(_BARE_END, "").replace(_GLUED, " ")

    @property
    def phrases(self) -> list[str]:
        return re.split(r" \| |¦", self.marked.replace(_GLUED, " "))

    @property
    def glued(self) -> set[int]:
        """Where in the text a blank is that must not be cut at."""
        plain = self.marked.replace(_BLANK_END, " ").replace(_BARE_END, "")
        return {at for at, char in enumerate(plain) if char == _GLUED}

    @property
    def bare_ends(self) -> set[int]:
        """Where in the text a phrase is to end though no blank is there."""
        pieces = self.marked.replace(_BLANK_END, " ").split(_BARE_END)
        return {sum(map(len, pieces[:count])) for count in range(1, len(pieces))}

    @property
    def items(self) -> list[Item]:
        """Its text as it comes from the filters: tags in one piece."""
        return [
            Whole(found[0], *found.span(), spoken=False) if found[1] else Run(found[0], *found.span())
            for found in re.finditer(r"(<break .*?>|<spell>.*?</spell>)|[^<]+|<", self.text)
        ]


def cases() -> list[Case]:
    table = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text("utf-8"))
    return [Case(language, marked) for language, lines in table.items() for marked in lines]


def phrases_of(case: Case) -> list[str]:
    phraser = Phraser(PhraseRule(), {"tags": "en", "none": None}.get(case.language, case.language))
    return [out.text for out in [*phraser.feed(case.items, 0.0), *phraser.flush()] if isinstance(out, Phrase)]


def simple_cuts(text: str) -> Iterator[int]:
    """Cut as the vendors' guides show it: behind ``.``, ``?``, ``!`` and ``,`` with a blank, or at 80 characters."""
    start = 0
    for at in range(1, len(text)):
        if text[at - 1] in ".?!" or text[at - 1 : at + 1] == ", " or at - start >= 80:
            yield at
            start = at


def wrong(case: Case, at: int) -> bool:
    """Tell whether a cut parts what belongs together: a word with its marks, or words that are one."""
    text = case.text
    if text[at].isspace() or text[at - 1].isspace():
        return at in case.glued or at - 1 in case.glued
    return at not in case.bare_ends and not (
        re.match(rf"[{BARE}]", text[at]) and text[at - 1] in ".?!。！？，、；：…—”」』"
    )


def cuts_of(case: Case, phrases: list[str]) -> Iterator[int]:
    at = 0
    for phrase in phrases[:-1]:
        at = case.text.index(phrase, at) + len(phrase)
        yield at


def test_the_corpus_is_large_and_in_many_languages() -> None:
    corpus = cases()
    assert len(corpus) >= 200
    assert {"en", "de", "fr", "es", "pt", "zh", "ja", "ar", "hi", "th", "he"} <= {case.language for case in corpus}
    assert len(set(corpus)) == len(corpus)


def test_the_corpus_comes_out_as_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    corpus = cases()
    missed = {case.marked for case in corpus if phrases_of(case) != case.phrases}
    ours = sum(any(wrong(case, at) for at in cuts_of(case, phrases_of(case))) for case in corpus)
    simple = sum(any(wrong(case, at) for at in simple_cuts(case.text)) for case in corpus)
    first = sorted(len(phrases_of(case)[0]) for case in corpus)
    simple_first = sorted(next(simple_cuts(case.text), len(case.text)) for case in corpus)
    right = len(corpus) - len(missed)
    score = f"{right} of {len(corpus)} as expected; cut wrongly: {ours} by us, {simple} by the guides' rule"
    early = (
        f"first phrase: {first[len(first) // 2]} and {simple_first[len(simple_first) // 2]} characters at the median"
    )
    with capsys.disabled():
        print(f"\nphrases: {score}; {early}")  # noqa: T201
    assert missed == _MISSED
    assert ours == len(_MISSED)
    assert simple > len(corpus) // 4


def test_a_token_costs_little(capsys: pytest.CaptureFixture[str]) -> None:
    """Measured, not judged: what a token of four characters of English prose costs."""
    prose = " ".join(case.text for case in cases() if case.language == "en") * 4
    tokens = [Run(prose[at : at + 4], at, at + len(prose[at : at + 4])) for at in range(0, len(prose), 4)]
    phraser, took = Phraser(PhraseRule(), "en"), []
    for token in tokens:
        began = time.perf_counter_ns()
        phraser.feed((token,), 0.0)
        took.append((time.perf_counter_ns() - began) / 1000)
    median, mean = sorted(took)[len(took) // 2], sum(took) / len(took)
    with capsys.disabled():
        print(f"\nphrases: {median:.1f} µs a token at the median, {mean:.1f} on average")  # noqa: T201
    assert took
