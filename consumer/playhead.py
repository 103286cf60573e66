"""How much of a turn's text has been heard when so many of its samples have been played. Without I/O.

A word counts when it was played to its end: one that was cut in its middle was not heard. What is known of words comes
with the entries: the words themselves with their times, and pairs of (cut, spoken), which say of every vendor, also of
those that report no words, that so many characters are covered by so many samples.

What is asked is asked of the audio as it is put together at that time. A splice forgets what it replaces: of a player
that had already played some of that, only what stayed counts, until the audio that follows has reached its place again.
Whoever keeps the answers (the ledger) keeps the furthest.
"""

from bisect import bisect_right

from saystream.common.errors import UnknownTurn
from saystream.common.events import Audio, Begin, End, OutputEvent, Splice, Words

#: Of so many turns a listener remembers the words; those before are forgotten.
MOST_TURNS = 16


class Playhead:
    """The text of one turn along its samples.

    Attributes:
        samples: the end of the audio that is there.
        spoken: how much of the text is spoken with it, in characters.
    """

    def __init__(self) -> None:
        self.samples = self.spoken = 0
        # Side by side, both of them rising: whoever has played so many samples has heard so many characters.
        self._at: list[int] = []
        self._heard: list[int] = []

    def __repr__(self) -> str:
        return f"<Playhead [{self.samples} samples, {self.spoken} characters, {len(self._at)} places known]>"

    def take(self, event: OutputEvent) -> None:
        """Take the next event of the turn."""
        match event:
            case Begin():
                self._end_at(0, 0)  # it may begin again, behind a gap that rewinds
            case Audio():
                self._reach(event.offset + event.samples, event.spoken)
                self._mark(event.cut, event.spoken)
            case Words():
                self._reach(event.offset, event.spoken)
                for word in event.words:
                    self._mark(word.last_sample, word.end)
                self._mark(event.cut, event.spoken)
            case Splice():
                self._end_at(event.offset, event.spoken)
            case End():
                self._end_at(event.samples, event.spoken)

    def heard(self, sample: int) -> int:
        """Return how many characters have been heard when the samples before this one have been played."""
        known = bisect_right(self._at, min(sample, self.samples))
        return min(self._heard[known - 1], self.spoken) if known else 0

    def _reach(self, samples: int, spoken: int) -> None:
        self.samples, self.spoken = max(self.samples, samples), spoken

    def _end_at(self, samples: int, spoken: int) -> None:
        """Let the audio, and what is known of it, end here."""
        while self._at and (self._at[-1] > samples or self._heard[-1] > spoken):
            self._at.pop()
            self._heard.pop()
        self.samples, self.spoken = samples, spoken
        self._mark(samples, spoken)

    def _mark(self, sample: int, chars: int) -> None:
        """Note a place, unless an earlier one says as much; later ones that say no more are not needed then."""
        place = bisect_right(self._at, sample)
        if place and self._heard[place - 1] >= chars:
            return
        first = place - 1 if place and self._at[place - 1] == sample else place
        last = bisect_right(self._heard, chars, lo=place)
        self._at[first:last] = [sample]
        self._heard[first:last] = [chars]


class Playheads:
    """Those of the turns that a listener has heard last."""

    def __init__(self) -> None:
        self._turns: dict[str, Playhead] = {}  # in the order in which they were first heard

    def __repr__(self) -> str:
        return f"<Playheads [{len(self._turns)} turns]>"

    def take(self, event: OutputEvent) -> None:
        """Take a listener's next event."""
        turn = self._turns.get(event.turn)
        if turn is None:
            turn = self._turns[event.turn] = Playhead()
            if len(self._turns) > MOST_TURNS:
                del self._turns[next(iter(self._turns))]
        turn.take(event)

    def heard(self, turn: str, sample: int) -> int:
        """Return how many characters of a turn's text have been heard when so many of its samples have been played.

        Raises:
            UnknownTurn: nothing of this turn was heard here, or it was too many turns ago.
        """
        if turn not in self._turns:
            raise UnknownTurn(
                turn, f"This listener has heard nothing of it, or it is more than {MOST_TURNS} turns ago."
            )
        return self._turns[turn].heard(sample)
