"""A program's coroutine runs to its end, on uvloop where there is one."""

import asyncio
import sys

import pytest

from saystream.common.loop import run


async def which_loop() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_it_returns_what_the_coroutine_returns() -> None:
    assert run(asyncio.sleep(0, "done")) == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")
def test_it_runs_on_uvloop() -> None:
    assert run(which_loop()).startswith("uvloop")


def test_it_does_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run(which_loop()).startswith("asyncio")
