"""Every call has a time-out, nothing is repeated in silence, and what Redis cannot do now has one name."""

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.exceptions import ResponseError

from saystream.common.audio import AudioFormat
from saystream.common.errors import InvalidInput, RedisUnavailable
from saystream.common.events import Text, encode_audio
from saystream.common.ids import EntryId
from saystream.common.ledger import Append, Ledger, Message
from saystream.common.redis_client import Client, call, connect, without_password
from saystream.common.states import State
from tests.common.stage import ref, request
from tests.servers import MakeRedis
from tests.timing import MS, eventually

PRIVATE = "what the user said"
PASSWORD = "do-not-show"  # noqa: S105


class Listener:
    """A server that takes commands and answers as it is told: not at all, by hanging up, or with one reply."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.received = b""
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Listener"]:
        writers: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            while data := await reader.read(65536):
                self.received += data
                if b"CLIENT" in data:  # what redis-py says of itself when it connects
                    writer.write(b"+OK\r\n" * data.count(b"CLIENT"))
                elif self.answer:
                    writer.write(self.answer)
                elif self.answer is not None:
                    break
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for writer in writers:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()


SILENCE, HANG_UP = None, b""


@pytest.mark.parametrize("answer", [SILENCE, HANG_UP], ids=["silence", "hang-up"])
async def test_a_write_without_an_answer_is_sent_once_and_raises(answer: bytes | None) -> None:
    async with (
        Listener(answer).running() as listener,
        contextlib.aclosing(connect(listener.url, timeout_s=50 * MS)) as redis,
        asyncio.timeout(5000 * MS),
    ):
        with pytest.raises(RedisUnavailable, match="Redis does not answer"):
            await call(redis, "XADD", "stream", "*", "a", "b")
    assert listener.received.count(b"XADD") == 1


async def test_a_blocking_call_has_its_own_time_on_top(redis_url: str) -> None:
    async with contextlib.aclosing(connect(redis_url, timeout_s=300 * MS, block_ms=10_000)) as redis:
        assert await call(redis, "XREAD", "BLOCK", int(600 * MS * 1000), "STREAMS", "nothing", "0") in (None, [], {})


async def test_without_it_the_call_ends_after_the_time_out() -> None:
    async with (
        Listener(SILENCE).running() as listener,
        contextlib.aclosing(connect(listener.url, timeout_s=20 * MS, block_ms=20)) as redis,
        asyncio.timeout(5000 * MS),
    ):
        with pytest.raises(RedisUnavailable):
            await call(redis, "XREAD", "BLOCK", 20, "STREAMS", "nothing", "0")


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    for url in ("redis://127.0.0.1:1", "unix:///nowhere/redis.sock"):
        async with contextlib.aclosing(connect(url)) as redis:
            with pytest.raises(RedisUnavailable):
                await call(redis, "PING")


async def test_a_call_beyond_the_most_connections_waits_for_a_free_one(redis_url: str) -> None:
    async with contextlib.aclosing(connect(redis_url, connections=2)) as redis:
        answers = await asyncio.gather(*(call(redis, "PING") for _ in range(20)))
    assert {bool(answer) for answer in answers} == {True}


async def test_waiting_for_a_free_connection_counts_as_waiting() -> None:
    async with (
        Listener(SILENCE).running() as listener,
        contextlib.aclosing(connect(listener.url, timeout_s=50 * MS, connections=1)) as redis,
        asyncio.timeout(5000 * MS),
    ):
        answers = await asyncio.gather(*(call(redis, "PING") for _ in range(5)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {RedisUnavailable}


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "", "redis:/localhost", "redis://localhost:x"])
def test_what_is_no_redis_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="is not a Redis URL"):
        connect(url)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{PASSWORD}@somewhere",
        f"user:{PASSWORD}@somewhere:6379",
        f"redis://:{PASSWORD}@somewhere:port",
        f"redis://:{PASSWORD}/slash@somewhere:6379",
        f"redis://somewhere?password={PASSWORD}&db=x",
    ],
)
def test_no_password_is_shown_in_an_error_or_its_traceback(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        connect(url)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


async def test_tcp_works_as_the_socket_does(make_redis: MakeRedis) -> None:
    server = make_redis(port=0)
    async with contextlib.aclosing(connect(f"redis://127.0.0.1:{server.port}")) as redis:
        assert await call(redis, "SET", "key", b"\xff")
        assert await call(redis, "GET", "key") == b"\xff"


async def test_a_wrong_command_is_the_callers_own_error(client: Client) -> None:
    with pytest.raises(ResponseError):
        await call(client, "XADD", "stream")


# What a server says while it cannot take writes, and how a test makes it say so.
REFUSALS = {
    "read-only": ["REPLICAOF", "127.0.0.1", "1"],
    "without replicas": ["CONFIG", "SET", "min-replicas-to-write", "1"],
    "out of memory": ["CONFIG", "SET", "maxmemory", "1"],
}
FORMAT = AudioFormat()
STEPS: dict[str, Callable[[Ledger], Awaitable[object]]] = {
    "open": lambda ledger: ledger.open(request("u")),
    "claim": lambda ledger: ledger.claim(Message(0, "1-0", ref("t"), "v"), "w", attempts=1, format=FORMAT),
    "interrupt": lambda ledger: ledger.interrupt("s"),
    "append": lambda ledger: ledger.append(ref("t"), 1, [Text("Hello")]),
    "publish": lambda ledger: ledger.publish(
        [Append(ledger.keys("s").audio("s"), EntryId(1 << 52, 0), encode_audio("t", 0, 1, 0, 1, b"\0\0"))]
    ),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_server_that_cannot_take_writes_now_is_unavailable_whatever_the_step(
    make_redis: MakeRedis, refusal: str, step: str
) -> None:
    async with contextlib.aclosing(connect(make_redis().url)) as redis:
        ledger = Ledger(redis)
        await ledger.open(request("t"))
        await call(redis, "HSET", ledger.keys("s").turn("t"), "message", "1-0")
        await call(redis, *REFUSALS[refusal])
        with pytest.raises(RedisUnavailable):
            await STEPS[step](ledger)
        assert (await ledger.inspect("t")).state is State.READY


@pytest.mark.parametrize("events", [1, 3])
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_what_users_say_stands_in_no_error(make_redis: MakeRedis, refusal: str, events: int) -> None:
    async with contextlib.aclosing(connect(make_redis().url)) as redis:
        ledger = Ledger(redis)
        await ledger.open(request("t"))
        await call(redis, *REFUSALS[refusal])
        with pytest.raises(RedisUnavailable) as raised:
            await ledger.append(ref("t"), 1, [Text(PRIVATE)] * events)
    assert PRIVATE not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("user", ["", ":wrong@"])
async def test_a_wrong_password_is_told_from_a_server_that_is_away(make_redis: MakeRedis, user: str) -> None:
    server = make_redis()
    async with contextlib.aclosing(connect(server.url)) as redis:
        await call(redis, "CONFIG", "SET", "requirepass", PASSWORD)
    async with contextlib.aclosing(connect(server.url.replace("://", f"://{user}", 1))) as redis:
        with pytest.raises(RedisUnavailable, match="does not let us in"):
            await call(redis, "PING")


async def test_a_database_that_there_is_not_is_the_urls_fault(make_redis: MakeRedis) -> None:
    """As with other refusals of Redis, who tries again and again goes on doing so: hence an error of both kinds."""
    server = make_redis(port=0)
    for url in (f"redis://default:{PASSWORD}@127.0.0.1:{server.port}/77", f"{server.url}?db=77"):
        async with contextlib.aclosing(connect(url)) as redis:
            for ask in (lambda: call(redis, "GET", "k"), lambda: redis.wire("k")):
                with pytest.raises(InvalidInput, match=r"cannot be used: DB index .* database 77") as raised:
                    await ask()
                assert isinstance(raised.value, ResponseError)
                assert without_password(url) in str(raised.value)
                assert PASSWORD not in str(raised.value)


async def test_a_call_that_is_cancelled_at_any_moment_leaves_no_connection_behind(make_redis: MakeRedis) -> None:
    server = make_redis()
    for ticks in range(60):
        redis = connect(server.url)
        calling = asyncio.create_task(call(redis, "PING"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        calling.cancel()
        await asyncio.wait([calling])
        await redis.aclose()

    async with contextlib.aclosing(connect(server.url)) as redis:

        async def alone() -> bool:
            return len((await call(redis, "CLIENT", "LIST")).split(b"\n")) == 2  # this one, and the end of its line

        await eventually(alone)
