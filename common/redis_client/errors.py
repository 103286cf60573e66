"""What redis-py raises, in our words: what passes by itself, or with the next server, is RedisUnavailable."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions

from saystream.common.errors import InvalidInput, RedisUnavailable

#: Errors of a server that will be itself again, or whose place another one takes; those of a script's command stand
#: behind a hyphen in the script's own error, those of EXEC behind a colon. The last one is a script's that does not
#: find a key which was there when it was sent: its slot is on its way to another server.
_PASSING = re.compile(
    r"(?:^|-|: )(?:UNBLOCKED|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|LOADING|READONLY|OOM|BUSY) "
    r"|attempted to access a non local key"
)
_ELSEWHERE = re.compile(r"(MOVED|ASK) (\d+) (.*):(\d+)$")
_UNAVAILABLE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.TryAgainError,
    OSError,
)


def known(host: str) -> str:
    """Return a host as Redis names it; empty where it says that it does not know.

    `?` it says where hosts are to be named and this one has no name.
    """
    return "" if host == "?" else host


class Elsewhere(Exception):
    """Another server has the keys, and the one that says so has done nothing.

    Attributes:
        slot: of the keys.
        host, port: of the other server; no host: that of the one that says so.
        for_good: whether it has the whole slot (MOVED), or only these keys while the slot is on its way (ASK).
    """

    def __init__(self, slot: int, host: str, port: int, for_good: bool) -> None:
        super().__init__(f"slot {slot} is at {host}:{port}")
        self.slot, self.host, self.port, self.for_good = slot, known(host), port, for_good


class WrongURL(InvalidInput, exceptions.ResponseError):
    """Redis refuses what the URL asks for, such as a database that it does not have."""


def elsewhere(error: Exception) -> Elsewhere | None:
    """Return where an error says that the keys are, if it does; redis-py 5 reads it for clients of its own only."""
    if isinstance(error, exceptions.AskError):
        return Elsewhere(error.slot_id, error.host, error.port, isinstance(error, exceptions.MovedError))
    if said := _ELSEWHERE.match(str(error)):
        return Elsewhere(int(said[2]), said[3], int(said[4]), said[1] == "MOVED")
    return None


def is_passing(error: Exception) -> bool:
    """Tell whether the same command may succeed later, or with another server."""
    return isinstance(error, _UNAVAILABLE) or _PASSING.search(str(error)) is not None


def unavailable(error: Exception) -> RedisUnavailable:
    """Return what a caller gets for an error that passes."""
    # Over a Unix socket redis-py tells it as the reason of another error.
    if any(isinstance(reason, exceptions.AuthenticationError) for reason in (error, error.__context__)):
        return RedisUnavailable(f"Redis does not let us in, by the user name and password of its URL: {error}")
    return RedisUnavailable(f"Redis does not answer: {str(error) or 'no reply in time'}")


def refused(error: exceptions.RedisError, where: str, database: int) -> WrongURL | None:
    """Return what a caller gets for an error at connecting, if it is that Redis refuses what the URL asks for.

    It is a ResponseError too: who repeats what Redis refuses goes on, for another Redis may be there tomorrow.
    """
    # Over a Unix socket redis-py tells it as the reason of another error.
    said = error if isinstance(error, exceptions.ResponseError) else error.__cause__
    if not isinstance(said, exceptions.ResponseError) or isinstance(said, exceptions.NoPermissionError):
        return None
    if is_passing(said):
        return None
    wanted = f" (its URL asks for database {database})" if database else ""
    return WrongURL(f"Redis at {where} cannot be used: {said}{wanted}")


@contextmanager
def translated() -> Iterator[None]:
    """Turn what redis-py raises for an absent, slow, loading, full or read-only server into RedisUnavailable."""
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        if is_passing(error):
            raise unavailable(error) from error
        raise
