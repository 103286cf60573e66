"""A proxy in front of Redis, or anything else that speaks over a socket, which can be told to misbehave."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

CHUNK_BYTES = 1 << 16


class Proxy:
    """Passes bytes between clients and a Redis, unless told otherwise; `url` is what clients connect to.

    Misbehaviour is a context manager and ends with its block::

        async with Proxy(redis_url) as proxy:
            with proxy.replies_delayed(0.2): ...
            with proxy.silent(): ...
            async with proxy.reply_lost_after(b"XADD"): ...

    Args:
        target: ``redis://host:port/…`` or ``unix:///path``.
    """

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self.url = ""
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._delay_s = 0.0
        self._audible = asyncio.Event()
        self._audible.set()
        self._refusing = False
        self._losing: bytes | None = None
        self._lost = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Proxy of {self._target.geturl()} at {self.url} [Connections: {len(self._connections)}]>"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        path = "" if self._target.scheme == "unix" else self._target.path
        self.url = f"redis://{host}:{port}{path}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()

    async def lead_to(self, target: str) -> None:
        """Lead to another Redis from now on, as an address does behind which there is a failover."""
        self._target = urlsplit(target)
        await self.cut()

    async def cut(self) -> None:
        """Break all connections."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    @contextlib.contextmanager
    def replies_delayed(self, seconds: float) -> Iterator[None]:
        """Hold every reply back for so long, however many of them there are."""
        self._delay_s = seconds
        try:
            yield
        finally:
            self._delay_s = 0.0

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Accept everything and answer nothing, as if the wire were cut: nothing passes, in either direction."""
        self._audible.clear()
        try:
            yield
        finally:
            self._audible.set()

    @contextlib.asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Break all connections, and each new one at once."""
        self._refusing = True
        await self.cut()
        try:
            yield
        finally:
            self._refusing = False

    @contextlib.asynccontextmanager
    async def reply_lost_after(self, command: bytes) -> AsyncIterator[asyncio.Event]:
        """Break a connection once: when the server has answered a request with these bytes in it.

        The server has acted then, and the client cannot know it. The event tells that it has happened, which leaving
        the block waits for.
        """
        self._losing, self._lost = command, asyncio.Event()
        try:
            yield self._lost
            await self._lost.wait()
        finally:
            self._losing = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.accepted += 1
        try:
            # Not returned from: asyncio's own callback would report the cancellation of a client's handler as an error.
            with contextlib.suppress(asyncio.CancelledError, OSError):
                if not self._refusing:
                    await self._pass(reader, writer)
        finally:
            self._connections.discard(task)
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._target.scheme == "unix":
            from_server, to_server = await asyncio.open_unix_connection(unquote(self._target.path))
        else:
            from_server, to_server = await asyncio.open_connection(self._target.hostname, self._target.port or 6379)
        answers = _Answers()
        halves = [
            asyncio.create_task(self._requests(reader, to_server, answers)),
            asyncio.create_task(self._receive(from_server, answers)),
            asyncio.create_task(self._replies(answers, writer)),
        ]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_server.transport.abort()  # before any await, which `cut` may cancel
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)
            with contextlib.suppress(OSError):
                await to_server.wait_closed()

    async def _requests(
        self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter, answers: "_Answers"
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._audible.wait()
            if self._losing is not None and self._losing in data:
                self._losing = None
                answers.doomed = True
            to_server.write(data)
            await to_server.drain()

    async def _receive(self, from_server: asyncio.StreamReader, answers: "_Answers") -> None:
        now = asyncio.get_running_loop().time
        while data := await from_server.read(CHUNK_BYTES):
            if answers.doomed:
                self._lost.set()
                return
            answers.due.put_nowait((now() + self._delay_s, data))

    async def _replies(self, answers: "_Answers", writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due_s, data = await answers.due.get()
            await asyncio.sleep(max(0.0, due_s - now()))
            await self._audible.wait()
            writer.write(data)
            await writer.drain()


class _Answers:
    """What the server has said on one connection and the client has not got yet."""

    def __init__(self) -> None:
        self.due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self.doomed = False
