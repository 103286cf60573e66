"""Reading what a vendor sends: numbers that are numbers, audio that is audio.

What is not raises ValueError or TypeError, as a missing field raises KeyError; `MALFORMED` names them all.
"""

import binascii
import math
from typing import Any

import pybase64

#: What reading a frame can raise.
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, binascii.Error)
#: No stream of speech is longer, in seconds: a time behind it is a fault.
_LONGEST_S = 1e6
_HIGHEST_RATE = 192_000


def seconds(value: Any) -> float:
    """Read a time from the start of something; one before it counts as the start."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LONGEST_S < value < _LONGEST_S:
        raise ValueError("not a time")
    return max(0.0, float(value))


def rate(value: Any) -> int:
    """Read a sample rate."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _HIGHEST_RATE:
        raise ValueError("not a sample rate")
    return value


def audio(value: Any) -> bytes:
    """Read audio in base64."""
    return pybase64.b64decode(value, validate=True)


def mapping(value: Any) -> dict[str, Any]:
    """Read an object."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def figure(value: Any) -> float | None:
    """Read a number that matters to nobody but the log; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value
