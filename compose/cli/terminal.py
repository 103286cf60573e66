"""Writing to standard output: lines for people, objects for machines."""

import sys
from typing import Any

import orjson


def line(text: str = "") -> None:
    """Write a line at once: whoever reads a pipe wants it now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def as_json(**fields: Any) -> None:
    """Write one JSON object on a line of its own."""
    line(orjson.dumps(fields).decode())


def moves() -> bool:
    """Tell whether standard output is a terminal on which a picture can move."""
    from rich.console import Console  # takes long, and what is written into a pipe needs none of it

    return Console().is_terminal and not Console().is_dumb_terminal
