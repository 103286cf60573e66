"""The tree of errors is the one that is drawn, and each error explains itself."""

import inspect
import re

import pytest

from saystream.common import errors
from saystream.common.errors import Action, SaystreamError, Scope, TurnError, VendorError

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, SaystreamError)]


def drawn_parents() -> dict[str, str | None]:
    """Read the tree in the module's docstring: each class and the one that it hangs from."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if drawn := re.fullmatch(r"    ((?:│   |    )*(?:[├└]── )?)(\w+)(?: \(.*\))?", line):
            depth = len(drawn[1]) // 4
            path[depth:] = [drawn[2]]
            parents[drawn[2]] = path[depth - 1] if depth else None
    return parents


def test_the_drawing_at_the_top_is_the_tree() -> None:
    assert drawn_parents() == {
        cls.__name__: None if cls is SaystreamError else cls.__bases__[0].__name__ for cls in CLASSES
    }


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls is not VendorError])
def test_without_a_better_message_the_docstrings_first_line_is_it(cls: type[SaystreamError]) -> None:
    error = cls("t") if issubclass(cls, TurnError) else cls()
    first_line = (cls.__doc__ or "").splitlines()[0]
    assert str(error) == (f"turn t: {first_line}" if issubclass(cls, TurnError) else first_line)


def test_what_was_wrongly_given_is_a_value_error() -> None:
    assert all(issubclass(cls, ValueError) for cls in CLASSES if issubclass(cls, errors.InvalidInput))


@pytest.mark.parametrize(
    ("action", "retryable"),
    [
        (Action.RECONNECT, True),
        (Action.RETRY_LATER, True),
        (Action.GIVE_UP, False),
        (Action.FIX_CONFIGURATION, False),
    ],
)
def test_a_vendors_error_says_whose_fault_and_what_helps(action: Action, retryable: bool) -> None:
    error = VendorError("gradium", "too many sessions", code=429, scope=Scope.ACCOUNT, action=action)
    assert str(error) == "gradium: too many sessions (code 429)"
    assert (error.scope, error.action, error.retryable) == (Scope.ACCOUNT, action, retryable)
