"""How far a turn has come: the text that went out, and the speech that came back."""

import re
import time
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from saystream.common.events import Audio, Begin, End, Word
from saystream.common.ledger import Cut
from saystream.common.states import State
from saystream.consumer import Assembler, Event

_WORD = re.compile(r"\S*\w\S*")


class Progress:
    """A turn's progress, as its producer and a consumer see it together.

    Args:
        session, turn: whose.

    Attributes:
        text: sent so far.
        tokens: in how many pieces.
        sent_s: how long sending took, in seconds.
        first_audio_s: from the first token to the first audio, in seconds; None before that.
        note: why nothing is heard yet, if that takes long.
    """

    def __init__(self, session: str, turn: str) -> None:
        self.session, self.turn = session, turn
        self.text, self.tokens = "", 0
        self.sent_s = 0.0
        self.first_audio_s: float | None = None
        self.begun = False
        self.note = ""
        self._first_token_at: float | None = None
        self._assembler = Assembler(turn)
        self._cut: Cut | None = None

    def __repr__(self) -> str:
        return f"<Progress of turn {self.turn} [{self.spoken} of {len(self.text)} characters spoken]>"

    async def counted(self, tokens: AsyncIterable[str]) -> AsyncIterator[str]:
        """Pass tokens on, and note when they were sent."""
        async for token in tokens:
            now = time.monotonic()
            self._first_token_at = self._first_token_at or now
            self.text += token
            self.tokens += 1
            self.sent_s = now - self._first_token_at
            yield token

    def heard(self, event: Event) -> None:
        """Note what came back."""
        self._assembler.add(event)
        match event:
            case Begin():
                self.begun = True
            case Audio() if self.first_audio_s is None and self._first_token_at is not None:
                self.first_audio_s = time.monotonic() - self._first_token_at
            case End():
                self.note = ""

    def interrupted(self, cut: Cut) -> None:
        """Note that the turn was interrupted here; where its end is heard, that counts."""
        self._cut = cut

    @property
    def spoken(self) -> int:
        """How much of the text is spoken, in characters."""
        return self._assembler.spoken

    @property
    def word(self) -> tuple[int, int]:
        """The place in the text of the word that was spoken last."""
        done = (word for word in reversed(self._assembler.words) if word.start < word.end <= self.spoken)
        last = next(done, None)
        return (last.start, last.end) if last else (0, 0)

    @property
    def seconds(self) -> float:
        """How much audio has come."""
        format_ = self._assembler.format
        return format_.seconds(self._assembler.samples) if format_ else 0.0

    @property
    def reason(self) -> State | None:
        """How the turn ended; None while it goes on."""
        return self._assembler.reason or (self._cut.state if self._cut else None)

    @property
    def cause(self) -> str:
        """Why it ended so, where that is known."""
        return self._assembler.cause

    @property
    def words(self) -> int:
        """How many words the text has."""
        return len(_WORD.findall(self.text))

    @property
    def words_spoken(self) -> int:
        """How many of them a word lies on that the voice reported, and that the audio covers."""
        return count_spoken(self.text, self._assembler.words, self.spoken)

    def summary(self) -> dict[str, Any]:
        """Return everything, for machines."""
        first_audio_ms = None if self.first_audio_s is None else round(self.first_audio_s * 1000, 1)
        return {
            "session": self.session,
            "turn": self.turn,
            "reason": self.reason,
            "cause": self.cause,
            "samples": self._assembler.samples,
            "seconds": round(self.seconds, 3),
            "characters": len(self.text),
            "spoken": self.spoken,
            "tokens": self.tokens,
            "words": self.words,
            "words_spoken": self.words_spoken,
            "first_audio_ms": first_audio_ms,
        }


def count_spoken(text: str, words: tuple[Word, ...], spoken: int) -> int:
    """Count the words of a text that are spoken."""
    places = [(word.start, word.end) for word in words if word.start < word.end <= spoken]
    count = at = 0
    for match in _WORD.finditer(text):
        while at < len(places) and places[at][1] <= match.start():
            at += 1
        count += at < len(places) and places[at][0] < match.end()
    return count
