"""One server and the connections to it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from saystream.common.errors import InvalidInput
from saystream.common.redis_client.address import without_password
from saystream.common.redis_client.errors import refused


class Server:
    """One server; it is connected to when it is first asked something.

    redis-py connects, packs nothing and repeats nothing: its own way from a command to its reply takes more than twice
    the processor time (docs/performance.md).

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        timeout_s: how long connecting may take.
        connections: sockets at most; a round trip beyond that waits for a free one.

    Attributes:
        where: its address.
        host: the part of it before the port; empty for a Unix socket.
        retired: whether another server has taken its place: what it says is not to be believed any more.

    Raises:
        InvalidInput: the URL is none.
    """

    def __init__(self, url: str, timeout_s: float, connections: int) -> None:
        self.where = without_password(url)
        self.retired = False
        try:
            self._pool = BlockingConnectionPool.from_url(
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
            raise InvalidInput(f"{self.where!r} is not a Redis URL that redis-py understands") from None
        self.host = str(self._pool.connection_kwargs.get("host", ""))
        self._database = int(self._pool.connection_kwargs.get("db") or 0)
        self._connections: set[Connection] = set()
        # redis-py has no annotations for these.
        self._take: Callable[[], Awaitable[Connection]] = self._pool.get_connection

    def __repr__(self) -> str:
        return f"<Server {self.where}{' [retired]' if self.retired else ''}>"

    async def round_trip(self, packed: bytes, count: int) -> list[Any]:
        """Send packed commands and read so many replies; an error of Redis stands in the place of its reply.

        Raises:
            RedisError, OSError: there is no answer.
            WrongURL: Redis refuses what the URL asks for.
        """
        try:
            connection = await self._take()
        except exceptions.RedisError as error:
            self._check_url(error)
            raise
        self._connections.add(connection)
        try:
            return await exchange(connection, packed, count)
        finally:
            if self.retired:
                await hang_up(connection)
            await self._pool.release(connection)

    async def connection(self) -> Connection:
        """Return a new connection that is the caller's own; it is to be disconnected in the end."""
        connection: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        connect: Callable[[], Awaitable[None]] = connection.connect
        try:
            await connect()
        except BaseException as error:
            await hang_up(connection)
            if isinstance(error, exceptions.RedisError):
                self._check_url(error)
            raise
        return connection

    def _check_url(self, error: exceptions.RedisError) -> None:
        """Raise WrongURL if an error at connecting is that Redis refuses what the URL asks for."""
        if wrong := refused(error, self.where, self._database):
            raise wrong from error

    async def retire(self) -> None:
        """Let it go: nothing that it still answers counts, so who waits for an answer is told at once."""
        self.retired = True
        await self.close()

    async def close(self) -> None:
        """Disconnect; a server that stands still is not waited for."""
        for connection in list(self._connections):
            await hang_up(connection)
        with suppress(exceptions.RedisError, OSError):
            await self._pool.disconnect()  # one that was connected for a call which was cancelled just then


async def exchange(connection: Connection, packed: bytes, count: int) -> list[Any]:
    """Send packed commands on a connection and read so many replies; disconnects if that does not succeed."""
    replies: list[Any] = []
    try:
        await connection.send_packed_command([packed])
        for _ in range(count):
            try:
                replies.append(await connection.read_response(disable_decoding=True, disconnect_on_error=False))
            except exceptions.ResponseError as error:
                replies.append(error)
    except BaseException:  # whatever else comes on it would answer somebody else's question
        await hang_up(connection)
        raise
    return replies


async def hang_up(connection: Connection) -> None:
    """Disconnect. The other side's goodbye, which there is with TLS, is not waited for: who stands still says none.

    redis-py need not wait either, but leaves that to asyncio then, which keeps the socket for half a minute.
    """
    writer = connection._writer
    await connection.disconnect(nowait=True)
    if writer is not None:
        writer.transport.abort()
