"""Which voice speaks next, and when, after a stream of speech has failed: the policy of failover, without I/O.

A voice and its fallbacks stand in a ring. A vendor whose socket broke gets one more chance at once, on another
socket; when that breaks, too, and at once where trying again cannot help or the vendor is busy, the next voice of the
ring goes on. Who has taken over keeps the turn: going back would change the voice once more. A turn that gets further
may go on like this for ever; one that does not is given up after so many streams of speech, with what each vendor said.

A vendor that was not even asked, because its breaker is open or has its one probe out, has brought nothing in vain;
nor has one that sends the turn away for a moment, because it restarts. Where nobody else is left they are waited for,
within limits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saystream.common.backoff import Backoff
from saystream.common.errors import Action, VendorError
from saystream.workers.breaker import NotAsked, Weight, weigh

#: First and longest pause before a vendor is asked again where no other is left, in seconds.
_BACKOFF_S = (0.2, 5.0)
#: A turn whose vendors are not asked, or send it away, waits so many seconds for that to change.
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: have a voice (by its place in the ring) speak, after so many seconds.

    Args:
        sooner: or as soon as its vendor may be asked.
    """

    voice: int
    wait_s: float = 0.0
    sooner: bool = False


class Route:
    """One attempt's way through its voices.

    Args:
        names: of the voices, the turn's own first.
        streams: so many streams of speech may bring nothing, one after the other, before the turn is given up.
        opens_at: tells of a voice when its vendor may be asked again, on the monotonic clock; None: at any time.
    """

    def __init__(self, names: Sequence[str], streams: int, opens_at: Callable[[int], float | None]) -> None:
        self._names = list(names)
        self._streams, self._opens_at = streams, opens_at
        self._at = 0
        self._again = False  # the voice has had its second chance
        self._in_vain = 0
        self._errors: dict[int, VendorError] = {}  # the last one of each voice
        self._hopeless: set[int] = set()  # voices that an operator has to mend
        self._backoff = Backoff(*_BACKOFF_S)
        self._waiting_since: float | None = None

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

    def took_over(self, voice: int, name: str) -> None:
        """Note that a hedge has won: its voice keeps the turn, as one more in the ring if it is not in it."""
        if voice == len(self._names):
            self._names.append(name)
        self._go_to(voice)

    def went_well(self) -> Step:
        """Say who goes on when a stream of speech has ended well before the turn has: who has spoken."""
        self._got_further()
        return Step(self._at)

    def failed(self, error: VendorError, *, further: bool, now: float) -> Step | None:
        """Say who goes on after an error; ``further``: the stream that failed had brought the turn further.

        None: nobody, the turn has failed.
        """
        if isinstance(error, NotAsked):
            return self._not_asked(error, now)
        self._errors[self._at] = error
        if further:
            self._got_further()
        if weigh(error) is not Weight.AWAY:
            self._waiting_since = None
            self._in_vain += 1
        elif self._patience(now) <= 0:
            self._in_vain += 1
        if not error.retryable:
            self._hopeless.add(self._at)
        if self._in_vain >= self._streams or len(self._hopeless) == len(self._names):
            return None
        fresh = self._fresh(now)
        another_socket = error.action is Action.RECONNECT and self._open(self._at, now)
        if another_socket and (not self._again or (further and fresh is None)):
            self._again = True
            return Step(self._at)
        if fresh is not None:
            return self._go_to(fresh)
        # All have failed before: whoever may be asked first, and not in a hurry.
        voice, opens_in_s = self._first_to_open(now)
        return self._go_to(voice, max(self._backoff.failed(), min(opens_in_s, _BACKOFF_S[1])))

    def _not_asked(self, error: NotAsked, now: float) -> Step | None:
        self._errors.setdefault(self._at, error)  # what a vendor has said itself says more
        if (fresh := self._fresh(now)) is not None:
            return self._go_to(fresh)
        voice, opens_in_s = self._first_to_open(now)
        left_s = self._patience(now)
        if left_s <= 0 or opens_in_s > left_s:
            return None
        return self._go_to(voice, max(_BACKOFF_S[0], opens_in_s), sooner=opens_in_s > 0)

    def _patience(self, now: float) -> float:
        """Return for how many seconds more the turn waits for vendors that are not asked, or send it away."""
        if self._waiting_since is None:
            self._waiting_since = now
        return self._waiting_since + _PATIENCE_S - now

    def _got_further(self) -> None:
        self._in_vain = 0
        self._backoff.succeeded()
        self._waiting_since = None

    def _ring(self) -> list[int]:
        """Return the voices for which there is hope, this one last."""
        ring = [(self._at + step) % len(self._names) for step in range(1, len(self._names) + 1)]
        return [voice for voice in ring if voice not in self._hopeless]

    def _fresh(self, now: float) -> int | None:
        """Return the next voice that has not failed yet and may be asked."""
        return next((voice for voice in self._ring() if voice not in self._errors and self._open(voice, now)), None)

    def _first_to_open(self, now: float) -> tuple[int, float]:
        """Return who may be asked first, and in how many seconds."""
        opens_in_s = {voice: max(0.0, (self._opens_at(voice) or now) - now) for voice in self._ring()}
        voice = min(opens_in_s, key=lambda voice: opens_in_s[voice])
        return voice, opens_in_s[voice]

    def _go_to(self, voice: int, wait_s: float = 0.0, *, sooner: bool = False) -> Step:
        if voice != self._at:
            self._again = False
        self._at = voice
        return Step(voice, wait_s, sooner)

    def _open(self, voice: int, now: float) -> bool:
        opens_at = self._opens_at(voice)
        return voice not in self._hopeless and (opens_at is None or opens_at <= now)
