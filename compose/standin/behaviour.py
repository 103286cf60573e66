"""How the stand-in behaves: how fast, how late, and what goes wrong."""

import math
from dataclasses import dataclass

TEST_KEY = "test-key"


@dataclass(frozen=True, slots=True)
class VendorError:
    """An error that the vendor is made to report, with one of its own codes."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Settings of the stand-in. A connection or request keeps those that it began with.

    Raises:
        ValueError: a setting is out of range.
    """

    speed: float = math.inf
    """Seconds of audio sent in a second; `math.inf` sends as fast as the socket takes it."""
    first_audio_delay_s: float = 0.0
    """From a request's first speakable word to its first audio."""
    first_audio_jitter_s: float = 0.0
    """Up to this much is added to the delay, evenly distributed."""
    handshake_delay_s: float = 0.0
    """How long a client waits for the answer to its upgrade."""
    api_keys: frozenset[str] = frozenset({TEST_KEY})
    """Keys that are let in."""
    word_lag: int = 2
    """How many words the voice stays behind its input until it is told to flush."""
    marker_pace: float = 1.0
    """Scale of the marker voice's durations: 0.1 makes tests at real-time speed short."""
    drop_after_frames: int | None = None
    """Cut the connection when a request has sent this many audio frames; 0 is before the first."""
    error: VendorError | None = None
    """Fail a request with this error."""
    error_after_frames: int = 0
    """When the error comes: after this many audio frames; 0 is in the place of `ready`."""
    faulty_requests: int | None = None
    """How many requests `drop_after_frames` and `error` meet before all is well again; None is all of them."""

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"speed must be positive (math.inf is as fast as possible), not {self.speed}")
        for name in ("first_audio_delay_s", "first_audio_jitter_s", "handshake_delay_s", "word_lag"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
