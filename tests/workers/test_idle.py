"""The idle limit: it counts while text is waited for, and only while Redis has no more of it."""

import time

import pytest

from saystream.workers.idle import Idle, TextPaused

NOW = 0.0


async def all_there() -> bool:
    return True


async def more_there() -> bool:
    return False


def test_it_is_due_a_while_after_whatever_came_last() -> None:
    began = time.monotonic()
    idle = Idle(5.0, all_there, interrupts=False)
    due = idle.due(0)
    assert began + 5 <= due <= time.monotonic() + 5
    idle.stir()
    assert (later := idle.due(0)) > due
    assert idle.due(1) > later
    assert idle.due(1) == idle.due(1)


async def test_once_it_has_passed_only_more_text_helps() -> None:
    idle = Idle(NOW, all_there, interrupts=False)
    assert await idle.passed()
    idle.stir()  # audio of what was there
    assert idle.due(0) < time.monotonic()
    assert await idle.passed()
    idle = Idle(5.0, all_there, interrupts=False)
    assert await idle.passed()
    assert idle.due(1) > time.monotonic()


async def test_it_has_not_passed_while_redis_has_text_that_was_not_read() -> None:
    """A worker that was frozen has read none of what came meanwhile."""
    idle = Idle(NOW, more_there, interrupts=True)
    assert not await idle.passed()


async def test_it_may_interrupt() -> None:
    with pytest.raises(TextPaused, match="no text for 60 s"):
        await Idle(60.0, all_there, interrupts=True).passed()
