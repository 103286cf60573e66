"""With TLS a connection ends with a goodbye on both sides; nobody waits for that of a server that stands still."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Self

import hiredis
import pytest

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client import Client, call, connect
from saystream.common.redis_client.address import parse
from saystream.common.redis_client.batch import pack
from saystream.common.redis_client.sentinel import Sentinels
from saystream.common.redis_client.server import Server
from tests.proxy import Proxy
from tests.timing import MS

HOST, NAME = "127.0.0.1", "mymaster"
#: Nothing here may wait for a time-out: it would last until long after the test has given up.
TIMEOUT_S, SOON_S = 20_000 * MS, 5000 * MS
#: Without a certificate: what is encrypted here is nobody's secret.
CIPHERS = "aNULL:@SECLEVEL=0"
OPTIONS = "?ssl_cert_reqs=none&ssl_check_hostname=false&ssl_ciphers=aNULL:%40SECLEVEL%3D0"
PING = pack(("PING",))


class Speaker:
    """A server of TLS that says OK to everything, and is a sentinel, too.

    Attributes:
        primary: the port of whom it takes for the primary.
        epoch: since when.
    """

    def __init__(self) -> None:
        self.port = self.primary = 0
        self.epoch = 1
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def speaking(self) -> AsyncIterator[Self]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the last one that needs no certificate
        context.set_ciphers(CIPHERS)
        server = await asyncio.start_server(self._serve, HOST, 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        commands = hiredis.Reader()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                commands.feed(data)
                while command := commands.gets():
                    writer.write(self._answer(command))

    def _answer(self, command: list[bytes]) -> bytes:
        port = str(self.primary)
        if command[:2] == [b"SENTINEL", b"MASTER"]:
            return pack(("ip", HOST, "port", port, "flags", "master", "config-epoch", str(self.epoch)))
        if command[0] == b"SENTINEL":
            return pack((HOST, port))
        return b"+OK\r\n"


@pytest.fixture
async def speaker() -> AsyncIterator[Speaker]:
    async with Speaker().speaking() as speaker:
        yield speaker


@pytest.fixture
async def proxy(speaker: Speaker) -> AsyncIterator[Proxy]:
    """The wire to the server; where it is silent, it is as if the server stood still."""
    async with Proxy(f"redis://{HOST}:{speaker.port}") as proxy:
        yield proxy


def encrypted(proxy: Proxy) -> str:
    return proxy.url.replace("redis://", "rediss://") + OPTIONS


async def used(server: Server) -> None:
    """Have several connections to a server that wait for the next call."""
    assert await asyncio.gather(*(server.round_trip(PING, 1) for _ in range(3))) == [[b"OK"]] * 3


async def test_a_client_of_a_server_that_stands_still_is_closed_at_once(proxy: Proxy) -> None:
    redis = connect(encrypted(proxy), timeout_s=TIMEOUT_S)
    await asyncio.gather(*(call(redis, "PING") for _ in range(3)))
    with proxy.silent():
        async with asyncio.timeout(SOON_S):
            await redis.aclose()


async def test_a_primary_that_stands_still_does_not_hold_up_the_next_one(speaker: Speaker, proxy: Proxy) -> None:
    speaker.primary = int(proxy.url.rpartition(":")[2])
    group = parse(f"rediss+sentinel://{HOST}:{speaker.port}/{NAME}{OPTIONS}")
    assert group is not None
    servers = Sentinels(group, TIMEOUT_S, 64)
    async with contextlib.aclosing(Client(servers, "", TIMEOUT_S, 0)) as redis:
        former = await servers.find(None)
        await used(former)
        with proxy.silent():
            blocked = asyncio.create_task(call(redis, "PING"))
            await asyncio.sleep(0)  # it is on its way to the former one
            speaker.primary, speaker.epoch = speaker.port, 2
            servers.failed(former)
            async with asyncio.timeout(SOON_S):
                new = await servers.find(None)
                assert new.where == f"rediss://{HOST}:{speaker.port}/0"
                assert await new.round_trip(PING, 1) == [b"OK"]
                with pytest.raises(RedisUnavailable):  # nothing that the former one says will count
                    await blocked
