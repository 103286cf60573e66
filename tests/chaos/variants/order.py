"""Parts that break promise 3: turns of one session are mixed, or change places."""

import pytest

from tests.chaos.variants.breaking import lua


def lets_two_speak_at_once(patch: pytest.MonkeyPatch) -> None:
    """A turn is ready at once, whoever speaks in its session."""
    right = "local speaking = redis.call('HGET', SESSION, 'speaking')\nif speaking and"
    lua(patch, right, "local speaking = false\nif speaking and", "open")


def lets_the_last_go_first(patch: pytest.MonkeyPatch) -> None:
    """Of the turns that wait, the one that came last speaks first."""
    lua(patch, "redis.call('RPUSH', WAITING, turn)", "redis.call('LPUSH', WAITING, turn)", "open")
