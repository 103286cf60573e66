"""KugelAudio's messages: JSON objects both ways."""

from collections.abc import Mapping
from typing import Any

import orjson

from saystream.compose.standin.kugelaudio.errors import Problem, invalid
from saystream.compose.standin.orders import Send

_MS_PER_AUDIO_S = 75.0  # the real-time factor of the documents' example; the rules have no clock to measure one


def told(**fields: Any) -> Send:
    """A message to the client; the fields stand in it in this order."""
    return Send(orjson.dumps(fields))


def error(problem: Problem, request_id: str, context_id: str | None = None) -> Send:
    """The message for a problem."""
    fields: dict[str, Any] = {"error": problem.message, "error_code": problem.error_code}
    if problem.status:
        fields["code"] = problem.status
    if context_id is not None:
        fields["context_id"] = context_id
    return told(**fields, request_id=request_id)


def gen_ms(audio_s: float) -> float:
    """How long the model took."""
    return round(audio_s * _MS_PER_AUDIO_S, 1)


def parsed(message: str | bytes) -> dict[str, Any]:
    """Read a client's message.

    Raises:
        Problem: it is not a JSON object.
    """
    if isinstance(message, bytes):
        raise invalid("messages are text, not binary")
    try:
        fields = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise invalid(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise invalid("a message must be a JSON object")
    return fields


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, "" if it has none."""
    text = message.get("text")
    if text is not None and not isinstance(text, str):
        raise invalid("text must be a string")
    return text or ""


def flag(message: Mapping[str, Any], *names: str) -> bool:
    """Whether one of these fields is true."""
    values = [message.get(name) for name in names]
    if any(value is not None and not isinstance(value, bool) for value in values):
        raise invalid(f"{' and '.join(names)} must be true or false")
    return any(values)
