"""KugelAudio's errors: their codes, and how far each of them reaches.

status  error_code            ends
0       EMPTY_AUDIO           the turn (told without a status)
400     VALIDATION_ERROR      the message: nothing of it is taken
400     MISSING_VOICE_ID      the message
401     UNAUTHORIZED          the socket, with 4001; 403 likewise
402     INSUFFICIENT_CREDITS  the socket, with 4003
404     NOT_FOUND             the turn
413     VALIDATION_ERROR      the turn
429     RATE_LIMITED          the socket, with 4029
429     TOO_MANY_CONTEXTS     the context that it names
500     INTERNAL_ERROR        the turn; with 4000 instead of 500 the socket
503     MODEL_UNAVAILABLE     the socket, with 4500
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NO_STATUS = 0


@dataclass(frozen=True, slots=True)
class _Kind:
    status: int
    error_code: str
    close_code: int | None = None


_KINDS: Final[Mapping[int, _Kind]] = {
    NO_STATUS: _Kind(NO_STATUS, "EMPTY_AUDIO"),
    400: _Kind(400, "VALIDATION_ERROR"),
    401: _Kind(401, "UNAUTHORIZED", 4001),
    402: _Kind(402, "INSUFFICIENT_CREDITS", 4003),
    403: _Kind(403, "UNAUTHORIZED", 4001),
    404: _Kind(404, "NOT_FOUND"),
    413: _Kind(413, "VALIDATION_ERROR"),
    429: _Kind(429, "RATE_LIMITED", 4029),
    500: _Kind(500, "INTERNAL_ERROR"),
    503: _Kind(503, "MODEL_UNAVAILABLE", 4500),
    4000: _Kind(500, "INTERNAL_ERROR", 4000),
    4001: _Kind(401, "UNAUTHORIZED", 4001),
    4003: _Kind(402, "INSUFFICIENT_CREDITS", 4003),
    4029: _Kind(429, "RATE_LIMITED", 4029),
    4500: _Kind(503, "MODEL_UNAVAILABLE", 4500),
}
"""By HTTP status or, for who knows only that, by close code."""


class Problem(Exception):
    """Something that the client is told in an error frame.

    status: HTTP's, as in the frame
    close_code: what the socket is closed with; None leaves it open
    """

    def __init__(self, code: int, message: str, error_code: str | None = None) -> None:
        super().__init__(message)
        kind = _KINDS.get(code) or _Kind(code, "INTERNAL_ERROR")
        self.status = kind.status
        self.message = message
        self.error_code = error_code or kind.error_code
        self.close_code = None if error_code else kind.close_code


def invalid(message: str) -> Problem:
    """A message that breaks the rules."""
    return Problem(400, message)


def missing_voice() -> Problem:
    return Problem(400, "voice_id is required", "MISSING_VOICE_ID")


def too_many_contexts(most: int) -> Problem:
    return Problem(429, f"a socket has {most} contexts at most: close one first", "TOO_MANY_CONTEXTS")
