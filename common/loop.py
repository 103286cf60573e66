"""The event loop: uvloop where the platform has it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program's main coroutine to its end."""
    try:
        import uvloop
    except ImportError:  # Windows, PyPy
        return asyncio.run(main)
    return uvloop.run(main)
