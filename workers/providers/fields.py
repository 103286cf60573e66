"""What options and voice settings may hold: each vendor has a table of names and rules."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from saystream.common.errors import InvalidSettings

#: Returns the value that counts; raises ValueError, which says in a few words what it must be.
Rule = Callable[[Any], Any]
Rules = Mapping[str, Rule]


def number(low: float, high: float) -> Rule:
    """A number from ``low`` to ``high``, either included."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError("a number")
        if not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}")
        return value

    return read


def whole(low: float, high: float = math.inf) -> Rule:
    """A whole number from ``low`` to ``high``, either included."""
    within = number(low, high)

    def read(value: Any) -> int:
        if int(within(value)) != value:
            raise ValueError("a whole number")
        return int(value)

    return read


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def text(value: Any) -> str:
    """Some text."""
    if not isinstance(value, str) or not value:
        raise ValueError("text")
    return value


def one_of(*words: str) -> Rule:
    """One of a few words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return str(value)

    return read


def list_of(rule: Rule, most: float = math.inf) -> Rule:
    """A list, each item of which keeps to a rule."""

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple) or len(value) > most:
            raise ValueError("a list" if most == math.inf else f"a list of {most:g} at most")
        return [rule(item) for item in value]

    return read


def table(**rules: Rule) -> Rule:
    """A table of its own."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not value.keys() <= rules.keys():
            raise ValueError(f"a table of {', '.join(rules)}")
        return {name: rules[name](item) for name, item in value.items()}

    return read


def read_options(where: str, vendor: str, given: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Read options; in the environment they are all strings."""
    return read_fields(where, vendor, {name: _parsed(value) for name, value in given.items()}, rules)


def read_fields(where: str, vendor: str, given: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Check names and values.

    Raises:
        InvalidSettings: one is not known, or is not what it must be.
    """
    if unknown := sorted(set(given) - set(rules)):
        known = ", ".join(sorted(rules))
        raise InvalidSettings(f"{where}: {vendor} does not know {', '.join(unknown)}, only {known}")
    fields: dict[str, Any] = {}
    for name, value in given.items():
        try:
            fields[name] = rules[name](value)
        except ValueError as error:
            raise InvalidSettings(f"{where}.{name} must be {error}") from None
        except OverflowError:
            raise InvalidSettings(f"{where}.{name} must be a smaller number") from None
    return fields


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
