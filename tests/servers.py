"""The Redis that the tests run on, chosen by SAYSTREAM_TEST_REDIS: unset, `docker`, or a URL."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import redis

from saystream.compose.redis_server import GivenURL, PrivateRedis, choose, describe_server

DOCKER_IMAGE = "redis:7.2-alpine"


@dataclass(frozen=True)
class RedisSource:
    """The server of this run of the tests."""

    url: str
    version: str
    origin: str

    def __str__(self) -> str:
        return f"{self.version}, {self.origin}"


class MakeRedis(Protocol):
    """Start a server for one test, which may stop, freeze or kill it; the arguments are those of `PrivateRedis`."""

    def __call__(self, **options: Any) -> PrivateRedis: ...


@contextlib.contextmanager
def redis_source() -> Iterator[RedisSource]:
    """Run the server that the environment asks for, or say why that is impossible."""
    wanted = os.environ.get("SAYSTREAM_TEST_REDIS")
    if wanted == "docker":
        from testcontainers.community.redis import RedisContainer  # takes long, and few runs need it

        with RedisContainer(DOCKER_IMAGE) as container:
            url = f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
            yield RedisSource(url, describe_server(url), f"container of {DOCKER_IMAGE}")
        return
    source = choose(wanted or None)
    if isinstance(source, GivenURL):
        _refuse_if_used(source.url)
        yield RedisSource(source.url, describe_server(source.url), "from SAYSTREAM_TEST_REDIS")
        flush(source.url)
        return
    with PrivateRedis(source) as server:
        yield RedisSource(server.url, server.version, f"private, {source.path} ({source.origin})")


def flush(url: str) -> None:
    """Empty the database."""
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        client.flushdb()


def _refuse_if_used(url: str) -> None:
    # Every test empties the database. Somebody's own data must not be what it finds there.
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        if client.dbsize():
            raise RuntimeError(
                "The database of SAYSTREAM_TEST_REDIS is not empty, and the tests would empty it. "
                "Name another one (redis://host:port/9), or run FLUSHDB there first."
            )
