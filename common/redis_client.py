"""Connections to Redis with our own rules: no silent retries, a time-out on every round trip.

redis-py's defaults repeat a write whose reply was lost (two entries where there should be one) and let a dead
connection hang for about a minute. Repeating is our decision, made where the id makes it harmless. Nor does redis-py
keep the time: its time-out for sending goes through `asyncio.wait_for`, which before Python 3.12 may swallow a
cancellation and makes a task for each command.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import hiredis
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from saystream.common.errors import InvalidInput, RedisUnavailable

SCHEMES = ("redis://", "rediss://", "unix://")

Part = str | bytes | int
Command = Sequence[Part]

_pack: Callable[[Command], bytes] = cast(Any, hiredis.pack_command)  # its annotation allows one part only
_MULTI, _EXEC = _pack(("MULTI",)), _pack(("EXEC",))

#: Errors of a server that will be itself again, or whose place another one takes; those of a script's command stand
#: behind a hyphen in the script's own error, those of EXEC behind a colon.
_PASSING = re.compile(
    r"(?:^|-|: )(?:UNBLOCKED|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|LOADING|READONLY|OOM|BUSY) "
)


class Client(Redis):
    """A client that knows where it connects to (without a password) and how long a round trip may take, in seconds."""

    def __init__(self, pool: ConnectionPool, where: str, timeout_s: float) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self.where, self.timeout_s = where, timeout_s


def connect(url: str, *, timeout_s: float = 5.0, block_ms: int = 0, connections: int = 64) -> Client:
    """Make a client; it connects at its first command.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        timeout_s: how long a round trip may take.
        block_ms: how long this client's blocking commands wait at most; its round trips may take longer by so much.
        connections: sockets at most; a round trip beyond that waits for a free one, in its time.

    Raises:
        InvalidInput: the URL is none of ours.
    """
    where = without_password(url)
    if not url.startswith(SCHEMES):
        raise InvalidInput(f"{where!r} is not a Redis URL: use one of {', '.join(SCHEMES)}")
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            timeout=None,
            protocol=2,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            socket_timeout=None,
            socket_connect_timeout=timeout_s,
            max_connections=connections,
            **({} if url.startswith("unix://") else {"socket_keepalive": True}),
        )
    except ValueError:  # whose text may hold a part of the password
        raise InvalidInput(f"{where!r} is not a Redis URL: write / : @ ? in its password as %2F %3A %40 %3F") from None
    return Client(pool, where, timeout_s + block_ms / 1000)


async def call(redis: Client, *command: Part, **parsing: Any) -> Any:
    """Run one command; ``parsing`` is what redis-py's reader of its reply wants to know.

    Raises:
        RedisUnavailable: no answer in time. A command that writes may or may not have been carried out.
        ResponseError: redis-py's, where Redis refuses the command.
    """
    with translated():
        async with asyncio.timeout(redis.timeout_s):
            execute: Callable[..., Awaitable[Any]] = redis.execute_command  # redis-py has no annotations for it
            return await execute(*command, **parsing)


async def call_raw(redis: Client, *command: Part) -> Any:
    """Run one command and return its reply as it is, lists of bytes and all: for loops whose every round trip counts.

    Raises:
        RedisUnavailable, ResponseError: as for `call`.
    """
    [reply] = await _round_trip(redis, _pack(command), 1)
    if isinstance(reply, Exception):
        raise reply
    return reply


async def call_all(redis: Client, commands: Sequence[Command]) -> list[Any]:
    """Run commands in one transaction and one round trip; where Redis refuses one, the answer holds the error there.

    A transaction, because a server that is short of memory, say, refuses all of it or nothing: no later entry of a
    stream can be there without an earlier one. Replies are as they are, lists of bytes and all.

    Raises:
        RedisUnavailable: no answer in time. All of them have been carried out, or none.
    """
    if not commands:
        return []
    if len(commands) == 1:
        return await _round_trip(redis, _pack(tuple(commands[0])), 1)
    packed = b"".join([_MULTI, *(_pack(tuple(command)) for command in commands), _EXEC])
    *queued, executed = await _round_trip(redis, packed, len(commands) + 2)
    if isinstance(executed, Exception):
        raise next((reply for reply in queued if isinstance(reply, Exception)), executed)
    return _without_passing(executed)


async def _round_trip(redis: Client, packed: bytes, count: int) -> list[Any]:
    """Send packed commands and read so many replies; an error of Redis stands in the place of its reply.

    redis-py's own way from command to reply takes more than twice the processor time (docs/performance.md).
    """
    with translated():
        async with asyncio.timeout(redis.timeout_s):
            pool = redis.connection_pool
            take: Callable[[], Awaitable[Connection]] = pool.get_connection  # redis-py has no annotations for it
            connection = await take()
            try:
                await connection.send_packed_command([packed])
                replies = [await _reply(connection) for _ in range(count)]
            except BaseException:  # whatever else comes on it would answer somebody else's question
                await connection.disconnect(nowait=True)
                raise
            finally:
                await pool.release(connection)
        return _without_passing(replies)


def _without_passing(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception) and _is_passing(reply):
            raise RedisUnavailable(f"Redis does not answer: {reply}") from reply
    return replies


async def _reply(connection: Connection) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except exceptions.ResponseError as error:
        return error


@contextmanager
def translated() -> Iterator[None]:
    """Turn what redis-py raises for an absent, slow, loading, full or read-only server into RedisUnavailable."""
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        if _is_passing(error):
            raise RedisUnavailable(f"Redis does not answer: {str(error) or 'no reply in time'}") from error
        raise


def _is_passing(error: Exception) -> bool:
    unavailable = (
        exceptions.ConnectionError,
        exceptions.TimeoutError,
        exceptions.ReadOnlyError,
        exceptions.OutOfMemoryError,
        OSError,
    )
    return isinstance(error, unavailable) or _PASSING.search(str(error)) is not None


def without_password(url: str) -> str:
    """Return a URL's scheme, host and path: passwords stand before the host or behind the question mark."""
    scheme, mark, rest = url.rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2].partition('?')[0]}"
