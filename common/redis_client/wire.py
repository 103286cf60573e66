"""A connection of its own to one server, for a writer who has to know when there may have been a failover."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Connection
from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client.batch import Batch, Command
from saystream.common.redis_client.errors import Elsewhere, translated
from saystream.common.redis_client.server import Server, exchange, hang_up
from saystream.common.redis_client.topology import Topology


class Wire:
    """One connection to the server that had a key when the wire was made.

    Whatever is acknowledged on it has come to this one server, in this order. It is closed for good after any error but
    a refused command's; its owner makes a new one, and knows then that the new one's server may lack what this one's
    had. One call at a time.

    Args:
        servers: says when another server has taken the place of this one.
        slot: whose server it is.
        server, connection: what it consists of.
        timeout_s: how long a round trip may take.
        replicas: so many have to acknowledge what is `replicated`.
    """

    def __init__(
        self,
        servers: Topology,
        slot: int | None,
        server: Server,
        connection: Connection,
        timeout_s: float,
        replicas: int,
    ) -> None:
        self._servers, self._slot, self._server, self._connection = servers, slot, server, connection
        self._timeout_s, self._replicas = timeout_s, replicas
        self._asked: dict[Server, Connection] = {}  # servers that the slot is moving to, and have keys of it already
        self.closed = False

    def __repr__(self) -> str:
        return f"<Wire to {self._server.where}{' [closed]' if self.closed else ''}>"

    async def all(self, commands: Sequence[Command], *, replicated: bool = False) -> list[Any]:
        """Run commands as `call_all` does, on this connection.

        Raises:
            RedisUnavailable: the wire is closed. All of the commands have been carried out, or none.
            ResponseError: Redis refuses the transaction; the wire goes on.
        """
        if not commands:
            return []
        if self.closed:
            raise RedisUnavailable("Redis does not answer: the connection is closed")
        batch = Batch(commands, self._replicas if replicated else 0, self._timeout_s)
        try:
            with translated():
                async with asyncio.timeout(self._timeout_s):
                    return await self._run(batch)
        except ResponseError:
            raise
        except BaseException as error:  # cancelled, too: nobody has read the replies
            if isinstance(error, RedisUnavailable):
                self._servers.failed(self._server)
            await self.close()
            raise

    async def _run(self, batch: Batch) -> list[Any]:
        server = self._servers.known(self._slot) or await self._servers.find(self._slot)
        if server is self._server:
            try:
                answers = batch.answers(await exchange(self._connection, batch.packed, batch.count))
            except Elsewhere as other:
                answers = await self._ask(batch, server, other)
            if not server.retired:
                return answers
        raise RedisUnavailable("Redis does not answer: another server has taken over")

    async def _ask(self, batch: Batch, server: Server, other: Elsewhere) -> list[Any]:
        """Send the batch to the server that the slot is moving to, and that has all of these keys already.

        Raises:
            RedisUnavailable: the slot has gone there for good; or that server knows nothing of it, because the move was
                given up, or another one has taken its place.
        """
        server = self._servers.redirected(server, other)
        if other.for_good:
            raise RedisUnavailable("Redis does not answer: another server has these keys now") from other
        if server not in self._asked:
            self._asked[server] = await server.connection()
        _, *replies = await exchange(self._asked[server], batch.asking(), batch.count + 1)
        try:
            return batch.answers(replies)
        except Elsewhere as another:
            raise RedisUnavailable(f"Redis does not answer: each server names another one: {another}") from another

    async def close(self) -> None:
        """Disconnect. Closing it again does nothing."""
        self.closed = True
        for connection in (self._connection, *self._asked.values()):
            await hang_up(connection)
