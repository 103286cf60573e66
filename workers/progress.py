"""When a vendor's next audio is due, from the text that it was given and the audio that it has sent: no I/O, no clock.

A silence says nothing by itself: the LLM may be thinking, and a vendor that is ahead of real time may rest. So what
counts is whether the vendor *owes* audio:

- it was told to speak (a flush, or the end of the text) and has not said that this was all;
- it has said that it speaks a piece, or has announced words, whose audio has not come;
- it was given more text than it may keep to itself and than its audio can hold.

Owed audio is due when a listener who plays from the first sample on would run dry; from a vendor that is ahead of real
time, after a pause at the latest; and never before the vendor has had time to answer text.
"""

import math
from dataclasses import dataclass
from re import Pattern

#: Nobody speaks faster, in characters a second: audio never counts for more text than this.
_FASTEST_CHARS_S = 30.0
#: How much longer than its first answer a vendor may take for a later one.
_SLOWER = 3.0
#: No vendor is asked to answer text faster than this, in seconds.
_SOONEST_S = 1.0
#: Announced words may end a little behind their audio: times are rounded.
_ROUNDING_S = 0.1


#: A tag or cue that has been open for so many characters is text.
_LONGEST_TAG = 128


class Meter:
    """Counts the characters that will be heard: letters and digits, none of those in tags and cues.

    Args:
        unspoken: what a vendor does not speak.
    """

    def __init__(self, unspoken: Pattern[str] | None) -> None:
        self._unspoken = unspoken
        self._held = ""  # may become a tag or cue

    def sent(self, text: str) -> int:
        """Return how many characters more will be heard with a further piece of text."""
        if self._unspoken is not None and (self._held or "<" in text or "[" in text):
            text = self._unspoken.sub(" ", self._held + text)
            opened = next((at for at in range(max(0, len(text) - _LONGEST_TAG), len(text)) if text[at] in "<["), None)
            cut = len(text) if opened is None else opened
            text, self._held = text[:cut], text[cut:]
        return sum(map(str.isalnum, text))

    def told(self) -> int:
        """Return how many more, now that the vendor was told to speak: what has only been begun is text."""
        held, self._held = self._held, ""
        return sum(map(str.isalnum, held))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long audio may take.

    Args:
        first_audio_s: from text that must be spoken to its first audio.
        pause_s: without audio, of a vendor that is ahead of real time.
        stall_s: over what is due.
        holds_chars: how much text the vendor may keep to itself; None: all of it until it is told to speak.
    """

    first_audio_s: float
    pause_s: float
    stall_s: float
    holds_chars: int | None


class Progress:
    """One stream of speech. All times are the caller's clock, in seconds."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._sent_chars = self._must_chars = self._spoken_chars = 0
        self._audio_s = self._words_s = 0.0
        self._chunk = self._finishing = False
        self._text_at = math.inf  # of the first text
        self._audio_at = -math.inf  # of the last audio
        self._dry_at = -math.inf  # when a listener has heard all audio
        self._response_s = patience.first_audio_s
        self._owed_at: float | None = None

    @property
    def owed_at(self) -> float | None:
        """Since when the vendor owes audio; None while it does not."""
        return self._owed_at

    def sent(self, chars: int, now: float) -> None:
        """The vendor was given text."""
        self._sent_chars += chars
        self._text_at = min(self._text_at, now)
        self._settle(now)

    def flushed(self, now: float) -> None:
        """The vendor was told to speak what it has."""
        self._must_chars = self._sent_chars
        self._settle(now)

    def finished(self, now: float) -> None:
        """The vendor was told that this was all the text: it owes us its last word, too."""
        self._finishing = True
        self._settle(now)

    def audio(self, seconds: float, now: float) -> None:
        """Audio has come."""
        if not self._audio_s:
            self._response_s = min(self._response_s, max(_SOONEST_S, _SLOWER * (now - self._text_at)))
        self._audio_s += seconds
        self._audio_at = now
        self._dry_at = max(self._dry_at, now) + seconds
        self._settle(now)

    def words(self, end_s: float, chars: int, now: float) -> None:
        """Words were announced up to ``end_s`` of the stream's audio; they cover so many characters that were sent."""
        self._words_s = max(self._words_s, end_s)
        self._spoken_chars = max(self._spoken_chars, chars)
        self._settle(now)

    def chunk(self, speaking: bool, now: float) -> None:
        """The vendor has begun a piece of its own forming, or has sent all of its audio."""
        self._chunk = speaking
        self._settle(now)

    def due(self) -> float | None:
        """Return when the stream counts as stalled unless audio comes; None while nothing is owed."""
        if self._owed_at is None:
            return None
        patience = self._patience
        due = self._owed_at + self._response_s
        if self._audio_s:
            due = max(due, min(self._dry_at, self._audio_at + patience.pause_s))
        return due + patience.stall_s

    def _settle(self, now: float) -> None:
        if not self._owes():
            self._owed_at = None
        elif self._owed_at is None:
            self._owed_at = now

    def _owes(self) -> bool:
        if self._finishing or self._chunk:
            return True
        covered = max(self._spoken_chars, self._audio_s * _FASTEST_CHARS_S)
        if self._must_chars > covered or self._words_s > self._audio_s + _ROUNDING_S:
            return True
        holds = self._patience.holds_chars
        return holds is not None and self._sent_chars - holds > covered
