"""Making sure that a Redis can be used: its version, and the number of shards that others use it with."""

from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable, ShardMismatch
from saystream.common.keys import SHARDS
from saystream.common.redis_client import Client, call

#: The oldest version of Redis that has what the scripts and streams need.
OLDEST = (6, 2)


async def greet(redis: Client, shards: int) -> None:
    """Make sure that this Redis can be used with so many shards.

    Raises:
        RedisUnavailable: it does not answer, or is too old; the sentence says where it is and what to do.
        ShardMismatch: others use it with another number of shards.
    """
    try:
        await _check_version(redis)
        await agree_on_shards(redis, shards)
    except RedisUnavailable as error:
        raise RedisUnavailable(
            f"Redis at {redis.where} cannot be used: {str(error).rstrip('.')}. Start it, or name another one: "
            "--redis URL, SAYSTREAM_REDIS_URL, or redis_url in saystream.toml."
        ) from error


async def _check_version(redis: Client) -> None:
    try:
        version = (await call(redis, "INFO", "server")).get("redis_version", "")
    except ResponseError:
        return  # a hosted Redis that does not say
    if version and tuple(int(part) for part in str(version).split(".")[:2]) < OLDEST:
        raise RedisUnavailable(f"it is version {version}, and {'.'.join(map(str, OLDEST))} is the oldest that will do")


async def agree_on_shards(redis: Client, shards: int) -> None:
    """Write the number of shards, or check it; raises ShardMismatch."""
    await call(redis, "SET", SHARDS, shards, "NX")
    known = int(await call(redis, "GET", SHARDS))
    if known != shards:
        raise ShardMismatch(
            f"this Redis is used with {known} shards, and this process was started with {shards}: set shards = {known}"
        )
