"""KugelAudio's errors by what they break and what can be done: only their codes tell, never their words."""

from collections.abc import Mapping
from typing import Any

from saystream.common.errors import Action, Scope, VendorError
from saystream.workers.providers import reading
from saystream.workers.providers.account import Account

_Meaning = tuple[Scope, Action]

_BAD_REQUEST = (Scope.TURN, Action.GIVE_UP)
_MISCONFIGURED = (Scope.TURN, Action.FIX_CONFIGURATION)
_ACCOUNT = (Scope.ACCOUNT, Action.FIX_CONFIGURATION)
_LIMITED = (Scope.ACCOUNT, Action.RETRY_LATER)
_FAULT = (Scope.STREAM, Action.RECONNECT)
_UNAVAILABLE = (Scope.SOCKET, Action.RETRY_LATER)
_REPLACED = (Scope.SOCKET, Action.RECONNECT)

_BY_ERROR_CODE: Mapping[str, _Meaning] = {
    "VALIDATION_ERROR": _BAD_REQUEST,
    "MISSING_VOICE_ID": _MISCONFIGURED,
    "NOT_FOUND": _MISCONFIGURED,  # a voice or dictionary
    "UNAUTHORIZED": _ACCOUNT,
    "INSUFFICIENT_CREDITS": _ACCOUNT,
    "RATE_LIMITED": _LIMITED,
    "TOO_MANY_CONTEXTS": _FAULT,  # another socket has room
    "INTERNAL_ERROR": _FAULT,
    "EMPTY_AUDIO": _FAULT,
    "MODEL_UNAVAILABLE": _UNAVAILABLE,
}
_BY_STATUS: Mapping[int, _Meaning] = {
    400: _BAD_REQUEST,
    401: _ACCOUNT,
    402: _ACCOUNT,
    403: _ACCOUNT,
    404: _MISCONFIGURED,
    413: _BAD_REQUEST,
    429: _LIMITED,
    500: _FAULT,
    503: _UNAVAILABLE,
}
_BY_CLOSE_CODE: Mapping[int, _Meaning] = {
    1012: _REPLACED,  # a rolling deploy: this replica restarts
    1013: _REPLACED,  # it drains
    4000: _REPLACED,
    4001: _ACCOUNT,
    4003: _ACCOUNT,
    4029: _LIMITED,
    4500: _UNAVAILABLE,
}


def of_frame(account: Account, message: Mapping[str, Any]) -> VendorError:
    """Read an error frame."""
    name, status = message.get("error_code"), reading.code(message.get("code"))
    meaning = _BY_ERROR_CODE.get(name) if isinstance(name, str) else None
    if meaning is None and status is not None:
        meaning = _BY_STATUS.get(status) or (_BAD_REQUEST if 400 <= status < 500 else None)
    scope, action = meaning or _FAULT
    return account.error(message.get("error") or "an error", name or status, scope, action)


def of_close(account: Account, code: int | None, reason: str) -> VendorError:
    """Read a close."""
    if code is None:
        return account.broken()
    return account.error(reason or "closed the connection", code, *_BY_CLOSE_CODE.get(code, _REPLACED))
