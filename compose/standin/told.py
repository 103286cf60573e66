"""Reads a behaviour from what people write: a TOML file, options of the command line, the query of a URL.

All three use the names of `Behaviour`'s fields; those of its fault stand behind ``fault.``.
"""

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter, ValidationError

from saystream.common.errors import InvalidSettings
from saystream.common.request import describe
from saystream.compose.standin.behaviour import Behaviour, Fault

Told: TypeAlias = Mapping[str, Any]
"""Values by field; ``fault`` holds a mapping of its own, or None."""

_FAULT: Final = "fault"
_LISTED: Final = "api_keys"
_NOTHING: Final = "none"
_NAMES: Final = (*(field.name for field in fields(Behaviour)), *(f"{_FAULT}.{field.name}" for field in fields(Fault)))
_BEHAVIOUR: Final = TypeAdapter(Behaviour)
_FAULTS: Final = TypeAdapter(Fault)


def read_file(path: Path) -> Told:
    """Read a TOML file.

    Raises:
        InvalidSettings: there is none, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InvalidSettings(f"{path}: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not even UTF-8
        raise InvalidSettings(f"{path}: {error}") from error


def nested(pairs: Iterable[tuple[str, str]]) -> Told:
    """Make a mapping of names and values as they are written; ``none`` stands for nothing."""
    told: dict[str, Any] = {}
    for name, text in pairs:
        value = None if text == _NOTHING else text.split(",") if name == _LISTED else text
        section, dot, rest = name.partition(".")
        if section == _FAULT and dot:
            told[_FAULT] = {**(told.get(_FAULT) or {}), rest: value}
        else:
            told[name] = value
    return told


def given(options: Mapping[str, Any]) -> Told:
    """Make a mapping of options, ``fault.`` before those of a fault; None was not given."""
    there = {name: value for name, value in options.items() if value is not None}
    fault = {name.partition(".")[2]: there.pop(name) for name in list(there) if name.startswith(f"{_FAULT}.")}
    return {**there, _FAULT: fault} if fault else there


def changed(base: Behaviour, *told: Told) -> Behaviour:
    """Return `base` with what is told, the last word being the strongest.

    A fault that names its kind is a new one, else it changes the one that there was.

    Raises:
        InvalidSettings: naming each wrong field.
    """
    wanted = asdict(base)
    for values in told:
        _check_names(values)
        fault, before = values.get(_FAULT), wanted[_FAULT]
        wanted |= values
        if isinstance(fault, Mapping) and "kind" not in fault:
            if not isinstance(before, Mapping):
                raise InvalidSettings(f"there is no fault whose {', '.join(fault)} could be changed: say its kind")
            wanted[_FAULT] = {**before, **fault}
    try:
        return _BEHAVIOUR.validate_python(wanted)
    except ValidationError as error:
        raise InvalidSettings(describe(error).removeprefix("input: ")) from error


def fault(pairs: Iterable[tuple[str, str]]) -> Fault:
    """Make a fault of names and values as they are written, without ``fault.`` before them.

    Raises:
        InvalidSettings: naming each wrong field.
    """
    values = dict(pairs)
    _check_names({_FAULT: values})
    try:
        return _FAULTS.validate_python(values)
    except ValidationError as error:
        raise InvalidSettings(describe(error).removeprefix("input: ")) from error


def shown(behaviour: Behaviour) -> dict[str, Any]:
    """Return a behaviour's fields as JSON can hold them; ``inf`` is a string."""
    values = asdict(behaviour) | {_LISTED: sorted(behaviour.api_keys)}
    return {name: "inf" if value == math.inf else value for name, value in values.items()}


def _check_names(told: Told) -> None:
    fault = told.get(_FAULT)
    within = [f"{_FAULT}.{name}" for name in fault] if isinstance(fault, Mapping) else []
    for name in (*told, *within):
        if name not in _NAMES:
            near = difflib.get_close_matches(name, _NAMES, 1)
            raise InvalidSettings(f"there is no {name}" + (f"; is it {near[0]}?" if near else ""))
