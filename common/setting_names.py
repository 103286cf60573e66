"""The names that settings may have, and what is said of one that there is not.

A setting that is misspelt would be left out in silence, and its default would hold.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

PREFIX = "SAYSTREAM_"

#: Read by this project's own tests, which are run with the processes that they test.
_OF_TESTS = re.compile("SAYSTREAM_TEST_.*|SAYSTREAM_CHAOS")
#: What Kubernetes tells every container of services whose names begin with "saystream".
_OF_SERVICE = re.compile(
    r"SAYSTREAM_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)_(ADDR|PORT|PROTO))"
)
_OF_PORT = re.compile(r"SAYSTREAM_(\w+_)?PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.*", re.DOTALL)

_EXAMPLES: Mapping[type, str] = {
    list: """a list, such as '["one", "two"]'""",
    dict: """a table, such as '{"name": 1}'""",
}


def check_variables(settings: type[BaseModel], environment: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the environment, as sentences; they hold no values.

    Variables whose names begin with `PREFIX` are settings, but for those of the tests and those of Kubernetes. One that
    is empty is not set; that its name is none is wrong all the same.
    """
    wrong = []
    for name, value in sorted(environment.items()):
        if not name.upper().startswith(PREFIX) or _is_somebody_elses(name, value):
            continue
        path = name[len(PREFIX) :].lower().split("__")
        kind = _kind_at(settings, path)
        if kind is None:
            near = _near("__".join(path), ["__".join(known) for known in _paths(settings, _chosen_names(path))])
            wrong.append(
                f"{name} is no setting: "
                + (f"is it {PREFIX}{near.upper()}?" if near else "unset it, or see docs/settings.md for the names")
            )
        elif value and (needed := _json_of(kind)) and not _is_json(value, needed):
            wrong.append(f"{name} is to be JSON: {_EXAMPLES[needed]}")
    return wrong


def describe(settings: type[BaseModel], error: ValidationError) -> str:
    """Say which settings are wrong, by their paths, and why; of one that there is not, which it may be."""
    return "; ".join(
        ".".join(str(part) for part in item["loc"]) + ": " * bool(item["loc"]) + _reason(settings, item)
        for item in error.errors(include_url=False, include_input=False)
    )


def _reason(settings: type[BaseModel], item: Any) -> str:
    section = _kind_at(settings, item["loc"][:-1])
    if item["type"] == "extra_forbidden" and isinstance(section, type) and issubclass(section, BaseModel):
        known = list(section.model_fields)
        near = _near(str(item["loc"][-1]), known)
        return "there is no such setting" + (f"; is it {near}?" if near else f", only {', '.join(known)}")
    return str(item["msg"]).removeprefix("Value error, ")


def _is_somebody_elses(name: str, value: str) -> bool:
    return bool(_OF_TESTS.fullmatch(name) or _OF_SERVICE.fullmatch(name) or _OF_PORT.fullmatch(f"{name}={value}"))


def _kind_at(kind: Any, path: Sequence[str | int]) -> Any:
    """Return the type of what is at a path below ``kind``; None if there is nothing."""
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        elif get_origin(kind) is dict and part:
            kind = get_args(kind)[1]
        elif kind is not Any:
            return None
    return kind


def _json_of(kind: Any) -> type | None:
    """Return what a variable of a type must hold as JSON; None if it holds plain text."""
    if get_origin(kind) is tuple:
        return list
    is_section = isinstance(kind, type) and issubclass(kind, BaseModel)
    return dict if is_section or get_origin(kind) is dict else None


def _is_json(value: str, kind: type) -> bool:
    try:
        return isinstance(json.loads(value), kind)
    except ValueError:
        return False


def _near(name: str, known: Sequence[str]) -> str:
    return next(iter(difflib.get_close_matches(name, known, 1)), "")


def _chosen_names(path: Sequence[str]) -> set[str]:
    """Return what may be the operator's own name in a wrong path: any words behind the first one."""
    words = "__".join(path).split("_")
    return {"_".join(words[1:end]).strip("_") for end in range(2, len(words))} - {""} or {"name"}


def _paths(kind: Any, names: set[str]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all settings below a type; where the operator chooses a name, with each of ``names``."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield (name,)
            for path in _paths(field.annotation, names):
                yield (name, *path)
    elif get_origin(kind) is dict and _json_of(get_args(kind)[1]):
        for name in sorted(names):
            for path in _paths(get_args(kind)[1], names):
                yield (name, *path)
