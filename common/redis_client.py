"""Connections to Redis with our own rules: no silent retries, a time-out on every call.

redis-py's defaults repeat a write whose reply was lost (two entries where there should be one) and let a dead
connection hang for about a minute. Repeating is our decision, made where the id makes it harmless.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from saystream.common.errors import InvalidInput, RedisUnavailable

SCHEMES = ("redis://", "rediss://", "unix://")


def connect(url: str, *, timeout_s: float = 5.0, block_ms: int = 0, connections: int = 64) -> Redis:
    """Make a client; it connects at its first command.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        timeout_s: how long a reply may take.
        block_ms: how long this client's blocking commands wait at most; the time-out is longer by so much.
        connections: sockets at most; a call beyond that waits for a free one.

    Raises:
        InvalidInput: the URL is none of ours.
    """
    if not url.startswith(SCHEMES):
        raise InvalidInput(f"{_without_password(url)!r} is not a Redis URL: use one of {', '.join(SCHEMES)}")
    try:
        return Redis.from_url(
            url,
            protocol=2,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            socket_timeout=timeout_s + block_ms / 1000,
            socket_connect_timeout=timeout_s,
            **({} if url.startswith("unix://") else {"socket_keepalive": True}),
            max_connections=connections,
        )
    except ValueError as error:
        raise InvalidInput(f"{_without_password(url)!r} is not a Redis URL: {error}") from error


async def call(redis: Redis, *command: str | bytes | int, **parsing: Any) -> Any:
    """Run one command; ``parsing`` is what redis-py's reader of its reply wants to know.

    Raises:
        RedisUnavailable: no answer in time. A command that writes may or may not have been carried out.
    """
    with translated():
        return await redis.execute_command(*command, **parsing)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what redis-py raises for an absent, slow, loading or read-only server into RedisUnavailable."""
    try:
        yield
    except (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ReadOnlyError, OSError) as error:
        raise RedisUnavailable(f"Redis does not answer: {error}") from error
    except exceptions.OutOfMemoryError as error:
        raise RedisUnavailable(f"Redis is out of memory: {error}") from error


def _without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
