"""What callers give to a listener: numbers, checked at once and by name; and where Redis is, if they leave that out."""

import operator
from contextlib import suppress
from numbers import Real
from typing import SupportsIndex

from saystream.common.errors import InvalidInput, InvalidSettings
from saystream.common.settings import load


def whole(name: str, value: SupportsIndex, least: int, most: int | None = None) -> int:
    """Check a whole number; raises InvalidInput. One of numpy's is one, too; True is none."""
    with suppress(TypeError):  # it is no whole number
        number = operator.index(value)
        if not isinstance(value, bool) and least <= number and (most is None or number <= most):
            return number
    bounds = f"{least} or more" if most is None else f"from {least} to {most}"
    raise InvalidInput(f"{name} = {value!r}: give a whole number, {bounds}")


def seconds(name: str, value: float, *, positive: bool = False) -> float:
    """Check a time in seconds, which may be endless; raises InvalidInput.

    Args:
        name: the argument's.
        value: what was given for it.
        positive: whether no time at all is too little.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if number > 0 or (number == 0 and not positive):  # NaN is neither
            return number
    raise InvalidInput(f"{name} = {value!r}: give a number of seconds, {'more than 0' if positive else '0 or more'}")


def redis_at(url: str | None, shards: int | None) -> tuple[str, int]:
    """Return where Redis is, and how many shards it is used with; without a URL, both are those of the settings.

    Args:
        url: None asks ``saystream.toml`` and the environment.
        shards: None means 1, or with the settings' URL the settings' number.

    Raises:
        InvalidInput: one of them cannot be.
        InvalidSettings: the settings cannot be read, or do not say where Redis is.
    """
    if url is None:
        settings = load()
        if not settings.redis_url:
            raise InvalidSettings(
                "redis_url: nobody has said where Redis is; give its URL to the listener, or set redis_url in "
                "saystream.toml, or SAYSTREAM_REDIS_URL"
            )
        url, shards = settings.redis_url, settings.shards if shards is None else shards
    elif not isinstance(url, str):  # whose text is not told: it may hold a password
        raise InvalidInput(f"a Redis URL is text, and not of type {type(url).__name__}")
    return url, whole("shards", 1 if shards is None else shards, 1)
