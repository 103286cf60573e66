"""How the stand-in behaves: how fast, how late, and what goes wrong."""

import http
import math
from dataclasses import dataclass
from enum import StrEnum

TEST_KEY = "test-key"

LONGEST_CLOSE_REASON = 123
"""Bytes: what a close frame holds (RFC 6455, 5.5)."""

CLOSE_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
"""Those that may be sent (RFC 6455, 7.4, and its registry)."""

_REFUSALS = frozenset(status.value for status in http.HTTPStatus if status >= http.HTTPStatus.BAD_REQUEST)


class Kind(StrEnum):
    """What can go wrong with a request, when ``after_frames`` of its audio frames have been sent."""

    CLOSE = "close"  # the socket is closed with ``code`` and ``message``
    CUT = "cut"  # the connection ends without a goodbye
    RESET = "reset"  # the connection is reset (TCP RST)
    SILENCE = "silence"  # half-open: nothing is sent or answered any more, no ping and no close; the connection stays
    STALL = "stall"  # the request falls silent for ever; the socket is well
    ERROR = "error"  # the vendor reports an error of its own, with ``code`` and ``message``
    MALFORMED = "malformed"  # the next audio message comes cut in half, which makes it none of the protocol
    NO_TAIL = "no-tail"  # the request ends well, and the audio and words from then on are missing

    # These are about the whole request, whatever ``after_frames`` is.
    NO_AUDIO = "no-audio"  # the request ends well, with no audio and no words
    NO_END = "no-end"  # all audio comes, and the terminal message never does
    LIMIT = "limit"  # refused as one too many
    UNKNOWN_VOICE = "unknown-voice"  # refused as a voice that does not exist


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with a request.

    Raises:
        ValueError: `after_frames` is negative, a code that `kind` needs is missing, or a close cannot be sent so.
    """

    kind: Kind
    after_frames: int = 0
    """Audio frames of the request that are sent before it happens (whole ones, however `drip_bytes` cuts them).

    0 is before the first; an `error` then comes as soon as the request begins. A request that is shorter meets nothing.
    """
    code: int | None = None
    """The vendor's own, for `error`; the WebSocket's, for `close`."""
    message: str = ""

    def __post_init__(self) -> None:
        if self.after_frames < 0:
            raise ValueError("after_frames must not be negative")
        if self.code is None and self.kind in (Kind.CLOSE, Kind.ERROR):
            raise ValueError(f"the fault {self.kind} needs a code")
        if self.kind is Kind.CLOSE:
            check_close(self.code or 0, self.message)


def check_close(code: int, reason: str) -> None:
    """Refuse a close that no socket can send.

    Raises:
        ValueError: it cannot.
    """
    if code not in CLOSE_CODES:
        raise ValueError(f"no socket can be closed with code {code}: 1000-1003, 1007-1014 and 3000-4999 can be sent")
    if len(reason.encode()) > LONGEST_CLOSE_REASON:
        raise ValueError(f"the message of a close holds {LONGEST_CLOSE_REASON} bytes at most")


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
    upgrade_status: int | None = None
    """Every upgrade is answered with this HTTP status, such as 429 or 503, in the place of a WebSocket."""
    api_keys: frozenset[str] = frozenset({TEST_KEY})
    """Keys that are let in."""
    word_lag: int = 2
    """Gradium: how many words the voice stays behind its input until it is told to flush."""
    marker_pace: float = 1.0
    """Scale of the marker voice's durations: 0.1 makes tests at real-time speed short."""
    drip_bytes: int | None = None
    """Audio messages hold so many bytes at most (before base64); an odd number cuts samples in two."""
    most_streams: int | None = None
    """How many requests one key may have open at once, counted for each vendor; more are refused as the vendor does."""
    draining: bool = False
    """A rolling deploy, in KugelAudio's words: new sockets are closed with 1013, idle ones with 1012.

    Busy ones are closed with 1012 when their requests have ended.
    """
    idle_turn_s: float = 5.0
    """KugelAudio: a turn that gets no text for so long is ended."""
    flush_timeout_s: float = 0.5
    """KugelAudio: a sentence that nothing confirms goes out after so long."""
    idle_context_s: float = 20.0
    """KugelAudio: a context of /ws/tts/multi that hears nothing for so long is closed."""
    words_late_s: float = 0.0
    """KugelAudio: how long the times of a chunk's words stay behind its audio, even beyond the end of their turn."""
    forgets_after_cancel: bool = False
    """KugelAudio, /ws/tts/stream: whether a cancel takes the socket's configuration back; its sources disagree."""
    idle_socket_s: float | None = None
    """A socket on which no request runs is closed after so long, as its vendor closes it."""
    keeps_socket: bool = True
    """Fish Audio: whether the socket stays open after `finish`; its documents disagree."""
    fault: Fault | None = None
    faulty_requests: int | None = None
    """How many requests meet the fault before all is well again; None is all of them."""

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"speed must be positive (inf is as fast as possible), not {self.speed}")
        for name in ("first_audio_delay_s", "first_audio_jitter_s", "handshake_delay_s", "words_late_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not negative")
        for name in ("marker_pace", "idle_turn_s", "flush_timeout_s", "idle_context_s", "idle_socket_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive")
        for name, least in (("word_lag", 0), ("drip_bytes", 1), ("most_streams", 1), ("faulty_requests", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}")
        if self.upgrade_status is not None and self.upgrade_status not in _REFUSALS:
            raise ValueError("upgrade_status must be one of HTTP's for errors, such as 429 or 503")
        if not self.api_keys:
            raise ValueError("api_keys must have at least one key")
