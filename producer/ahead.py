"""How far a turn's text may be ahead of its speech: decides when sending waits, when to ask, and when to give up.

An LLM writes many times faster than anyone speaks. What is sent and not spoken lies in Redis and in a worker, and is
for nothing if the turn is interrupted: so there is a bound. Below it nothing is asked. No I/O is done here.
"""

#: Sending goes on when so much of the bound is free again, so that not each token has to wait and ask.
_FREE = 1 / 8
#: First and longest pause between two questions, in seconds, and how much longer each is than the one before.
_PAUSES_S, _LONGER = (0.1, 1.0), 1.5


class Ahead:
    """One turn's text, in characters: sent, and spoken as far as is known.

    Args:
        turn_chars: the longest text of a turn.
        most_chars: so many may be sent and not spoken.
        patience_s: how long sending waits while nothing more gets spoken.

    Attributes:
        sent, spoken: characters.
    """

    def __init__(self, turn_chars: int, most_chars: int, patience_s: float) -> None:
        self._turn_chars, self._most_chars, self._patience_s = turn_chars, most_chars, patience_s
        self.sent = self.spoken = 0
        self._since_s = 0.0  # when waiting began, or the last progress in it was seen
        self._pause_s = 0.0

    def fits(self, chars: int) -> bool:
        """Tell whether so many characters more make no text that is too long."""
        return self.sent + chars <= self._turn_chars

    @property
    def full(self) -> bool:
        """Whether sending has to wait, and to ask."""
        return self.sent - self.spoken > self._most_chars

    @property
    def free(self) -> bool:
        """Whether a send that has waited may go on."""
        return self.sent - self.spoken <= self._most_chars * (1 - _FREE)

    def begin(self, now_s: float) -> None:
        """Begin to wait."""
        self._since_s, self._pause_s = now_s, _PAUSES_S[0]

    def told(self, spoken: int, now_s: float) -> None:
        """Take the answer to a question."""
        if spoken > self.spoken:
            self.spoken, self._since_s = spoken, now_s

    def pause_s(self, now_s: float) -> float:
        """Return how long to wait before the next question, in seconds; 0 if nothing was spoken for too long."""
        pause_s = min(self._pause_s, self._since_s + self._patience_s - now_s)
        self._pause_s = min(_PAUSES_S[1], self._pause_s * _LONGER)
        return max(0.0, pause_s)
