"""Which Redis a command talks to, and with which settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from saystream.common.errors import InvalidSettings
from saystream.common.ledger import Bounds, Ledger
from saystream.common.redis_client import connect
from saystream.common.settings import Settings, load
from saystream.compose.cli import beacon


def read(redis: str | None, config: Path | None) -> Settings:
    """Read the settings; a Redis that was given wins over that of the file and the environment."""
    return load(config, **({"redis_url": redis} if redis else {}))


def find(redis: str | None, config: Path | None) -> tuple[Settings, str]:
    """Read the settings and find Redis: the given one, else the configured one, else that of a running ``up``.

    Raises:
        InvalidSettings: the settings are wrong, or nothing says where Redis is.
    """
    settings = read(redis, config)
    if settings.redis_url:
        return settings, settings.redis_url
    if place := beacon.find():
        update = {"redis_url": place.redis_url, "shards": place.shards}
        return settings.model_copy(update=update), place.redis_url
    raise InvalidSettings(
        "there is no Redis to talk to: run `saystream up` in another terminal, or name one with --redis URL, "
        "SAYSTREAM_REDIS_URL, or redis_url in saystream.toml"
    )


@asynccontextmanager
async def ledger_at(settings: Settings, url: str) -> AsyncIterator[Ledger]:
    """Connect to the ledger.

    Raises:
        RedisUnavailable: on entering, Redis does not answer.
        ShardMismatch: on entering, others use this Redis with another number of shards.
    """
    redis = connect(url, timeout_s=settings.redis_timeout_s, replicas=settings.redis_replicas)
    try:
        ledger = Ledger(redis, shards=settings.shards, bounds=Bounds.of(settings.limits))
        await ledger.greet(settle=False)  # looking around must not decide it; workers and producers do
        yield ledger
    finally:
        await redis.aclose()
