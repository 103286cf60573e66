"""What goes wrong with a command becomes a sentence."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")


def sentences(command: Callable[P, None]) -> Callable[P, None]:
    """Make a command say in a sentence what is wrong with what it was given."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        from saystream.compose.cli.running import guarded

        with guarded():
            command(*args, **kwargs)

    return wrapped
