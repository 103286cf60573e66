"""Output events as JSON objects."""

from dataclasses import fields
from typing import Any

from saystream.common.events import Word
from saystream.common.ids import EntryId
from saystream.consumer import Event


def as_fields(event: Event) -> dict[str, Any]:
    """Describe an event for machines: of its audio only the size, and its cursor as `--from` takes it."""
    described = {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
    if "data" in described:
        described["bytes"] = len(described.pop("data"))
    return {"event": type(event).__name__.lower(), **described}


def _plain(value: Any) -> Any:
    match value:
        case EntryId():
            return str(value)
        case Word():
            return value._asdict()
        case tuple():
            return [_plain(item) for item in value]
    return value
