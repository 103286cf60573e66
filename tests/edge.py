"""What a listener at the live edge lives through: how long it hears nothing, beyond what it had buffered."""

import time

from saystream.common.events import Audio, Begin, Splice
from saystream.consumer import Event


class LiveEdge:
    """Plays one turn as it comes, from its first audio on; it is given every event in the moment in which it comes.

    Attributes:
        silences: how long each was, in seconds.
    """

    def __init__(self) -> None:
        self.silences: list[float] = []
        self._rate = 24_000
        self._end = 0  # sample up to which there is audio
        self._dry_at: float | None = None  # when all of it has been played

    @property
    def longest_s(self) -> float:
        """Return the longest silence."""
        return max(self.silences, default=0.0)

    def hear(self, event: Event) -> None:
        """Take an event."""
        now = time.monotonic()
        if isinstance(event, Begin):
            self._rate = event.format.sample_rate
        elif isinstance(event, Splice) and self._dry_at is not None:
            # What lies behind it and has not been played is dropped; what has been played is heard again.
            played = self._end - max(0.0, self._dry_at - now) * self._rate
            self._dry_at = min(self._dry_at, now + max(0.0, event.offset - played) / self._rate)
            self._end = event.offset
        elif isinstance(event, Audio):
            if self._dry_at is None or now > self._dry_at:
                self.silences += [now - self._dry_at] if self._dry_at is not None else []
                self._dry_at = now
            self._dry_at += event.samples / self._rate
            self._end = event.offset + event.samples
