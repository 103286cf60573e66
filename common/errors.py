"""Every error that saystream raises.

::

    SaystreamError
    ├── InvalidInput (also a ValueError)
    │   ├── InvalidId
    │   ├── InvalidRequest
    │   ├── InvalidToken
    │   ├── InvalidSettings
    │   └── UnknownVoice
    ├── TurnError
    │   ├── TurnConflict
    │   ├── SessionBusy
    │   ├── Overloaded
    │   ├── TooFarAhead
    │   ├── TurnEnded
    │   │   ├── TurnInterrupted
    │   │   ├── TurnFailed
    │   │   └── TurnGone
    │   ├── TokensLost
    │   ├── AudioLost
    │   ├── TextGone
    │   ├── TextIncomplete
    │   ├── UnknownTurn
    │   └── Fenced
    ├── UnknownLetter
    ├── RedisUnavailable
    │   └── NotAcknowledged
    ├── ShardMismatch
    └── VendorError

The first line of a class's docstring is its message where no better one is given.
"""

from enum import StrEnum


class SaystreamError(Exception):
    """Something went wrong in saystream."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n", 1)[0])


class InvalidInput(SaystreamError, ValueError):
    """What was given cannot be used."""


class InvalidId(InvalidInput):
    """An id is 1 to 128 letters, digits, dots, underscores, colons and hyphens."""


class InvalidRequest(InvalidInput):
    """The request for a turn is not valid."""


class InvalidToken(InvalidInput):
    """A token is text that fits into one token event."""


class InvalidSettings(InvalidInput):
    """The settings are not valid."""


class UnknownVoice(InvalidInput):
    """No worker speaks this voice."""


class TurnError(SaystreamError):
    """A turn cannot do what was asked of it."""

    def __init__(self, turn: str, message: str = "") -> None:
        self.turn = turn
        super().__init__(f"turn {turn}: {message or (type(self).__doc__ or '').split(chr(10), 1)[0]}")


class TurnConflict(TurnError):
    """A turn with this id is already known, with another request."""


class SessionBusy(TurnError):
    """The session is speaking or has too many turns waiting."""


class TokensLost(TurnError):
    """Redis has lost some of its text, and it cannot be sent again."""


class AudioLost(TurnError):
    """Redis has lost some of what this attempt had published."""


class TextGone(TurnError):
    """Its text is no longer in Redis, so that it cannot be spoken again."""


class TextIncomplete(TurnError):
    """Its producer had not sent all of its text when it failed."""


class UnknownTurn(TurnError):
    """No such turn; it may have expired."""


class Overloaded(TurnError):
    """Too many turns wait for a worker already; try again later, or add workers."""


class TooFarAhead(TurnError):
    """Too much of its text is not spoken yet, and for too long nothing more of it was."""


class TurnEnded(TurnError):
    """The turn has ended and takes no more text."""


class TurnInterrupted(TurnEnded):
    """The turn was interrupted."""


class TurnFailed(TurnEnded):
    """The turn could not be spoken."""


class TurnGone(TurnEnded):
    """The turn is no longer in Redis: it has expired, or was lost with the server that had it."""


class Fenced(TurnError):
    """Another attempt speaks this turn now, or it has ended; this writer must stop."""


class UnknownLetter(SaystreamError):
    """No such dead letter; it may have been redriven or dropped, or have expired."""


class RedisUnavailable(SaystreamError):
    """Redis does not answer."""


class NotAcknowledged(RedisUnavailable):
    """Redis did not acknowledge a write in time; it may or may not have happened, repeating it is harmless."""


class ShardMismatch(SaystreamError):
    """Another process uses this Redis with a different number of shards."""


class Scope(StrEnum):
    """What a vendor's error has broken."""

    TURN = "turn"
    STREAM = "stream"
    SOCKET = "socket"
    ACCOUNT = "account"


class Action(StrEnum):
    """What can be done about a vendor's error."""

    RECONNECT = "reconnect"  # try at once on another socket
    RETRY_LATER = "retry later"  # the vendor is busy or restarting
    GIVE_UP = "give up"  # the same request will fail again
    FIX_CONFIGURATION = "fix configuration"  # nothing works before an operator acts


class VendorError(SaystreamError):
    """The vendor failed or refused.

    Args:
        vendor: the provider's name.
        text: the vendor's own words, with no key in them.
        code: the vendor's own code, if it gave one.
        scope: what is broken.
        action: whether and how trying again can help.
    """

    def __init__(self, vendor: str, text: str, *, code: int | str | None = None, scope: Scope, action: Action) -> None:
        self.vendor, self.text, self.code, self.scope, self.action = vendor, text, code, scope, action
        super().__init__(f"{vendor}: {text}" + (f" (code {code})" if code is not None else ""))

    @property
    def retryable(self) -> bool:
        """Whether the same text can succeed on another socket, now or later."""
        return self.action in (Action.RECONNECT, Action.RETRY_LATER)


def first_of(group: BaseExceptionGroup[SaystreamError]) -> SaystreamError:
    """Return the first error of a group, however deep it lies."""
    error = group.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error
