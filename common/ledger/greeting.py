"""Making sure that a Redis can be used: its version, and the number of shards that others use it with."""

from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable, ShardMismatch
from saystream.common.keys import SHARDS
from saystream.common.redis_client import Client, call

#: The oldest version of Redis that has what the scripts and streams need.
OLDEST = (6, 2)


async def greet(redis: Client, shards: int, *, settle: bool = True) -> bool:
    """Make sure that this Redis can be used with so many shards; returns whether that number is written down.

    Args:
        settle: whether to write it down where nobody has yet. Who only looks around, or interrupts, must not decide it.

    Raises:
        RedisUnavailable: it does not answer, or is too old; the sentence says where it is and what to do.
        ShardMismatch: others use it with another number of shards.
    """
    try:
        await _check_version(redis)
        if settle:
            await agree_on_shards(redis, shards)
        return settle or await check_shards(redis, shards)
    except RedisUnavailable as error:
        raise RedisUnavailable(
            f"Redis at {redis.where} cannot be used: {str(error).rstrip('.')}. Start it, or name another one: "
            "--redis URL, SAYSTREAM_REDIS_URL, or redis_url in saystream.toml."
        ) from error


async def _check_version(redis: Client) -> None:
    try:
        server = await call(redis, "INFO", "server")
    except ResponseError:
        return  # a hosted Redis that does not say
    if server.get("redis_mode") == "sentinel":
        raise RedisUnavailable("it is a sentinel: connect by redis+sentinel://HOST:PORT/NAME")
    version = server.get("redis_version", "")
    if version and tuple(int(part) for part in str(version).split(".")[:2]) < OLDEST:
        raise RedisUnavailable(f"it is version {version}, and {'.'.join(map(str, OLDEST))} is the oldest that will do")


async def agree_on_shards(redis: Client, shards: int) -> None:
    """Write the number of shards, or check it; raises ShardMismatch."""
    await call(redis, "SET", SHARDS, shards, "NX")
    await check_shards(redis, shards)


async def check_shards(redis: Client, shards: int) -> bool:
    """Make sure that nobody uses this Redis with another number of shards; returns whether anybody has written it.

    Raises:
        ShardMismatch: somebody does.
    """
    known = await call(redis, "GET", SHARDS)
    if known is not None and int(known) != shards:
        number = int(known)
        raise ShardMismatch(
            f"this Redis is used with {number} shards, and this process was started with {shards}: set shards = "
            f"{number} (SAYSTREAM_SHARDS)"
        )
    return known is not None
