"""The fixtures give each test an empty Redis, and say which one it is."""

import contextlib

import pytest
import redis

from tests.servers import MakeRedis, RedisSource
from tests.timing import MS, eventually


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_finds_an_empty_database(redis_url: str, turn: str) -> None:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        assert client.dbsize() == 0
        client.set("left behind by", turn)


def test_a_server_of_the_tests_own_is_another_one(redis_url: str, make_redis: MakeRedis) -> None:
    assert len({redis_url, make_redis().url, make_redis().url}) == 3


def test_the_source_says_what_it_is(redis_source: RedisSource) -> None:
    assert redis_source.version.startswith(("Redis ", "Valkey "))
    assert str(redis_source).startswith(redis_source.version)


async def test_eventually_returns_the_first_true_answer_of_either_kind() -> None:
    answers = iter([0, 0, 7])

    async def later() -> int:
        return next(answers)

    assert await eventually(later) == 7
    assert await eventually(lambda: "now") == "now"


async def test_eventually_fails_with_the_last_answer() -> None:
    with pytest.raises(AssertionError, match="still '' after"):
        await eventually(lambda: "", timeout=10 * MS)
