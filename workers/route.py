"""Which voice speaks next, and when, after a stream of speech has failed: the policy of failover, without I/O.

A voice and its fallbacks stand in a ring. A vendor whose socket broke gets one more chance at once, on another
socket; when that breaks, too, and at once where trying again cannot help or the vendor is busy, the next voice of the
ring goes on. Who has taken over keeps the turn: going back would change the voice once more. A turn that gets further
may go on like this for ever; one that does not is given up after so many streams of speech, with what each vendor said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saystream.common.backoff import Backoff
from saystream.common.errors import Action, VendorError

#: First and longest pause before a vendor is asked again where no other is left, in seconds.
_BACKOFF_S = (0.2, 5.0)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: have a voice (by its place in the ring) speak, after so many seconds."""

    voice: int
    wait_s: float = 0.0


class Route:
    """One attempt's way through its voices.

    Args:
        names: of the voices, the turn's own first.
        streams: so many streams of speech may bring nothing, one after the other, before the turn is given up.
        opens_at: tells of a voice when its vendor may be asked again, on the monotonic clock; None: at any time.
    """

    def __init__(self, names: Sequence[str], streams: int, opens_at: Callable[[int], float | None]) -> None:
        self._names, self._streams, self._opens_at = names, streams, opens_at
        self._at = 0
        self._again = False  # the voice has had its second chance
        self._in_vain = 0
        self._errors: dict[int, VendorError] = {}  # the last one of each voice
        self._hopeless: set[int] = set()  # voices that an operator has to mend
        self._backoff = Backoff(*_BACKOFF_S)

    @property
    def cause(self) -> str:
        """Say what has failed."""
        if len(self._names) == 1:
            return str(next(iter(self._errors.values()), ""))
        return "; ".join(f"voice {self._names[voice]!r}: {error}" for voice, error in sorted(self._errors.items()))

    def first(self, now: float) -> Step:
        """Say who begins."""
        self._at = next((at for at in range(len(self._names)) if self._open(at, now)), 0)
        return Step(self._at)

    def failed(self, error: VendorError, *, further: bool, now: float) -> Step | None:
        """Say who goes on after an error; ``further``: the stream that failed had brought the turn further.

        None: nobody, the turn has failed.
        """
        self._errors[self._at] = error
        if further:
            self._in_vain = 0
            self._backoff.succeeded()
        self._in_vain += 1
        if not error.retryable:
            self._hopeless.add(self._at)
        if self._in_vain >= self._streams or len(self._hopeless) == len(self._names):
            return None
        ring = [(self._at + step) % len(self._names) for step in range(1, len(self._names) + 1)]
        ring = [voice for voice in ring if voice not in self._hopeless]
        fresh = next((voice for voice in ring if voice not in self._errors and self._open(voice, now)), None)
        another_socket = error.action is Action.RECONNECT and self._open(self._at, now)
        if another_socket and (not self._again or (further and fresh is None)):
            self._again = True
            return Step(self._at)
        if fresh is not None:
            self._go_to(fresh)
            return Step(fresh)
        # All have failed before: whoever may be asked first, and not in a hurry.
        voice = min(ring, key=lambda voice: (self._opens_at(voice) or now) - now)
        self._go_to(voice)
        wait_s = self._backoff.failed()
        return Step(voice, max(wait_s, min((self._opens_at(voice) or now) - now, _BACKOFF_S[1])))

    def _go_to(self, voice: int) -> None:
        if voice != self._at:
            self._again = False
        self._at = voice

    def _open(self, voice: int, now: float) -> bool:
        opens_at = self._opens_at(voice)
        return voice not in self._hopeless and (opens_at is None or opens_at <= now)
