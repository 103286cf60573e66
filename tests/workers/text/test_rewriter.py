"""The base of filters decides when all is there that a decision looks at, and no sooner."""

import re

from saystream.workers.text.rewriter import Replacement, Rewriter, Verdict
from saystream.workers.text.run import Flush, Item, Run, text_of


class Arrows(Rewriter):
    """Replaces ``=>`` by an arrow, but not behind another ``=``; any ``=`` may be followed by three more."""

    trigger = re.compile("=")
    look_ahead = 4

    def decide(self, text: str, at: int, before: str, *, final: bool) -> Replacement | Verdict:
        assert len(text) - at <= self.look_ahead
        if before == "=":
            return Verdict.NOTHING
        rest = text[at:]
        if rest.startswith("=>"):
            return Replacement(2, "→")
        return Verdict.MORE if set(rest) == {"="} else Verdict.NOTHING


def fed(*pieces: str) -> list[Item]:
    arrows, items, at = Arrows(), list[Item](), 0
    for piece in pieces:
        items += arrows.feed([Run(piece, at, at + len(piece))])
        at += len(piece)
    return items + arrows.flush()


def test_a_token_without_a_trigger_passes_as_it_is() -> None:
    run = Run("plain", 0, 5)
    assert Arrows().feed([run])[0] is run


def test_a_replacement_stands_for_what_it_replaces() -> None:
    assert fed("a =", "> b") == [Run("a ", 0, 2), Run("→", 2, 4), Run(" b", 4, 6)]


def test_what_is_undecided_is_held_and_nothing_in_front_of_it() -> None:
    arrows = Arrows()
    assert text_of(arrows.feed([Run("a =", 0, 3)])) == "a "
    assert (arrows.held, arrows.calm) == (1, False)
    assert text_of(arrows.flush()) == "="
    assert (arrows.held, arrows.calm) == (0, True)


def test_no_more_is_held_than_may_be_looked_at() -> None:
    arrows = Arrows()
    for at in range(100):
        arrows.feed([Run("=", at, at + 1)])
        assert arrows.held <= Arrows.look_ahead


def test_the_character_in_front_is_known_across_tokens() -> None:
    assert text_of(fed("=", "=", ">")) == "==>"
    assert text_of(fed("x", "=", ">")) == "x→"


def test_the_character_in_front_is_known_of_text_that_went_past() -> None:
    arrows = Arrows()
    arrows.pass_by("=")
    assert text_of(arrows.feed([Run("=> ", 5, 8)])) == "=> "


def test_a_mark_decides_the_text_in_front_of_it() -> None:
    arrows = Arrows()
    assert arrows.feed([Run("a=", 0, 2), Flush(2, 3), Run(">", 3, 4)]) == [
        Run("a", 0, 1),
        Run("=", 1, 2),
        Flush(2, 3),
        Run(">", 3, 4),
    ]
