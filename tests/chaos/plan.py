"""What is said in a run: sessions, turns, each turn's tokens and when it is interrupted, drawn from a seed. No I/O.

A turn is drawn from the seed and its own name alone: a producer that was killed says the same again.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: What may be interrupted: the turn, all of its session, or what waits there.
Aim = Literal["turn", "session", "waiting"]

VOICES = ("anna", "ben", "cleo")
#: A voice that its vendor does not have: its turns fail on every attempt.
DOOMED = "nobody"

#: Turns of one session.
TURNS = 8
_SYLLABLES = (
    "ba be bi bo da de do du fa fe fi ga go gu ka ke ki ko la le li lo ma me mi na ne no pa ra ri ro sa so ta".split()
)
#: What is written in another way than it is spoken: addresses, emphasis, emoji. It comes in one token, because what a
#: filter makes of it depends on whether the LLM pauses within.
_WRITTEN = re.compile(r"\S*[@*🍲]\S*\s?")
_ADDRESS = re.compile(r"(\w+)@(\w+)\.(\w+)")


@dataclass(frozen=True, slots=True)
class Interrupt:
    """An interrupt at a random moment, ``after_s`` the turn's opening."""

    after_s: float
    aim: Aim


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """One turn.

    Args:
        fields: of its request.
        tokens: its text as it is sent; "" is a flush.
        pauses_s: before each token.
        stuck: its producer never ends the text.
        gap_s: how long after the turn before it is opened, at least.
        behind: so many turns of its session may still go on when it is opened.
    """

    turn: str
    fields: dict[str, Any]
    tokens: tuple[str, ...]
    pauses_s: tuple[float, ...]
    stuck: bool
    gap_s: float
    behind: int
    interrupt: Interrupt | None


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """One session, begun ``at_s`` after the run's beginning."""

    session: str
    producer: int
    at_s: float
    turns: tuple[TurnPlan, ...]


def draw(seed: int, turns: int, seconds: float, producers: int, words: tuple[int, int]) -> tuple[SessionPlan, ...]:
    """Draw so many turns, in sessions that begin evenly over so many seconds.

    Args:
        producers: how many share the sessions.
        words: of a turn, at least and at most.
    """
    sessions = -(-turns // TURNS)
    return tuple(
        SessionPlan(
            session=f"s{number}",
            producer=number % producers,
            at_s=seconds * number / sessions,
            turns=tuple(
                _turn(seed, f"s{number}-t{place}", words) for place in range(min(TURNS, turns - number * TURNS))
            ),
        )
        for number in range(sessions)
    )


def said(text: str) -> list[str]:
    """Return the words that are to be heard of a text, or of a part of one."""
    return _ADDRESS.sub(r"\1 at \2 dot \3", text).replace("*", "").replace("🍲", "").split()


def is_rewritten(text: str) -> bool:
    """Tell whether words are spoken of a text that do not stand in it."""
    return _ADDRESS.search(text) is not None


def _turn(seed: int, turn: str, words: tuple[int, int]) -> TurnPlan:
    dice = random.Random(f"{seed}/{turn}")
    fields: dict[str, Any] = {"voice": dice.choice(VOICES)}
    interrupt: Interrupt | None = None
    stuck, behind = False, dice.choice((0, 1, 1, 2, 3))
    match dice.random():
        case chance if chance < 0.01:
            fields["voice"] = DOOMED
        case chance if chance < 0.03:
            stuck = True
        case chance if chance < 0.08:
            fields["on_busy"], behind = "interrupt", max(1, behind)
        case chance if chance < 0.10:
            fields["on_busy"], behind = "refuse", max(1, behind)
        case chance if chance < 0.14:
            fields["start_within_ms"], behind = dice.randrange(200, 3000), max(1, behind)
        case chance if chance < 0.26:
            aims: Sequence[Aim] = ("turn", "turn", "turn", "session", "waiting")
            interrupt = Interrupt(dice.uniform(0, 4), dice.choice(aims))
    tokens = tuple(_tokens(dice, _text(dice, dice.randint(*words))))
    # As an LLM: mostly some tens of tokens a second, sometimes it thinks.
    pauses_s = tuple(dice.uniform(0.2, 0.8) if dice.random() < 0.02 else dice.uniform(0, 0.05) for _ in tokens)
    return TurnPlan(turn, fields, tokens, pauses_s, stuck, dice.uniform(0, 1), behind, interrupt)


def _text(dice: random.Random, words: int) -> str:
    said, left = [], dice.randint(3, 12)
    for place in range(words):
        word = "".join(dice.choices(_SYLLABLES, k=dice.randint(1, 4)))
        if dice.random() < 0.05:
            word = dice.choice((f"{word}@{word}.ba", f"**{word}**", f"*{word}*", f"{word} 🍲 {word}"))
        left -= 1
        if left == 0 or place == words - 1:
            word, left = word + dice.choice(".?!."), dice.randint(3, 12)
        elif dice.random() < 0.1:
            word += ","
        said.append(word)
    return " ".join(said)


def _tokens(dice: random.Random, text: str) -> list[str]:
    tokens = []
    while text:
        written = _WRITTEN.search(text)
        size = dice.choice((1, 2, 3, 4, 4, 5, 6, 8, 12))
        if written:
            size = min(size, written.start()) or written.end()
        tokens.append(text[:size])
        text = text[size:]
        if tokens[-1][-1] in ".?!" and dice.random() < 0.05:
            tokens.append("")
    return tokens
