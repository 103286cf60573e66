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


def whole(value: Any) -> int:
    """Read a whole number; 24000.0 is one."""
    if isinstance(value, float) and value.is_integer():  # JSON and MessagePack may have it so
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not a whole number")
    return value


def rate(value: Any) -> int:
    """Read a sample rate."""
    if not 0 < (rate := whole(value)) <= _HIGHEST_RATE:
        raise ValueError("not a sample rate")
    return rate


def code(value: Any) -> int | None:
    """Read an error's code, which some vendors write as text; None if it is none."""
    try:
        return int(value) if isinstance(value, str) and value.isdecimal() else whole(value)
    except (ValueError, TypeError):
        return None


def audio(value: Any) -> bytes:
    """Read audio in base64."""
    return pybase64.b64decode(value, validate=True)


def mapping(value: Any) -> dict[str, Any]:
    """Read an object."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def unreadable(error: Exception) -> str:
    """Say that word times are not of the protocol; their contents stay out of it."""
    return f"word times that cannot be read: {type(error).__name__}"


def figure(value: Any) -> float | None:
    """Read a number that matters to nobody but the log; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value
