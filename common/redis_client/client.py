"""A client: round trips to whichever server has the keys now."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client.address import parse, without_password
from saystream.common.redis_client.batch import Batch, Command, Part
from saystream.common.redis_client.cluster import Cluster
from saystream.common.redis_client.errors import Elsewhere, is_passing, translated, unavailable
from saystream.common.redis_client.sentinel import Sentinels
from saystream.common.redis_client.server import Server
from saystream.common.redis_client.slots import slot_of_key
from saystream.common.redis_client.topology import Single, Topology
from saystream.common.redis_client.wire import Wire

#: So often is one batch passed on to the server that another one names; more would be going round in circles.
_REDIRECTS = 5


class Client:
    """Connections to Redis: one server, a primary that sentinels watch, or a cluster.

    Args:
        servers: which server to ask now.
        where: the address, without a password.
        timeout_s: how long a round trip may take; finding the server is a part of it.
        replicas: so many have to acknowledge what is `replicated`.

    Attributes:
        divided: whether commands may have to go to different servers, each with some of the slots.
        answered: the server that has answered last. Another one may lack what was there before a failover.
    """

    def __init__(self, servers: Topology, where: str, timeout_s: float, replicas: int) -> None:
        self._servers, self.where, self.timeout_s, self.replicas = servers, where, timeout_s, replicas
        self.divided = servers.divided
        self.answered: Server | None = None

    def __repr__(self) -> str:
        return f"<Client of {self.where}>"

    async def wire(self, key: Part) -> Wire:
        """Return a connection of its own to the server that has ``key`` now.

        Raises:
            RedisUnavailable: no server has it now, or it does not answer.
        """
        slot = slot_of_key(key) if self.divided else None
        server: Server | None = None
        try:
            with translated():
                async with asyncio.timeout(self.timeout_s):
                    server = self._servers.known(slot) or await self._servers.find(slot)
                    connection = await server.connection()
        except RedisUnavailable:
            self._doubt(server)
            raise
        return Wire(self._servers, slot, server, connection, self.timeout_s, self.replicas)

    async def aclose(self) -> None:
        """Disconnect; wires have owners of their own."""
        await self._servers.close()

    # for the calls of this package

    async def run(self, commands: Sequence[Command], replicated: bool = False, slot: int | None = None) -> list[Any]:
        """Have commands carried out, as one `Batch`, by the server that has their slot; returns each one's reply.

        A server that names another one has not acted, so the batch is passed on. Nothing else is ever repeated.

        Raises:
            RedisUnavailable: no answer in time. All of it has been carried out, or none.
            ResponseError: Redis refuses the transaction.
        """
        batch = Batch(commands, self.replicas if replicated else 0, self.timeout_s)
        server: Server | None = None
        try:
            async with asyncio.timeout(self.timeout_s):
                server = self._servers.known(slot) or await self._servers.find(slot)
                try:
                    answers = batch.answers(await server.round_trip(batch.packed, batch.count))
                except Elsewhere as other:
                    server, answers = await self._passed_on(batch, server, other)
            if server.retired:
                raise RedisUnavailable("Redis does not answer: another server has taken over")
        except RedisUnavailable:
            self._doubt(server)
            raise
        except (RedisError, OSError) as error:  # not `translated()`, which costs a microsecond or two
            if not is_passing(error):
                raise
            self._doubt(server)
            raise unavailable(error) from error
        self.answered = server
        return answers

    async def _passed_on(self, batch: Batch, server: Server, other: Elsewhere) -> tuple[Server, list[Any]]:
        for _ in range(_REDIRECTS):
            server = self._servers.redirected(server, other)
            try:
                if other.for_good:
                    return server, batch.answers(await server.round_trip(batch.packed, batch.count))
                _, *replies = await server.round_trip(batch.asking(), batch.count + 1)
                return server, batch.answers(replies)
            except Elsewhere as another:
                other = another
        raise RedisUnavailable(f"Redis does not answer: each server names another one: {other}") from other

    def _doubt(self, server: Server | None) -> None:
        if server is not None:
            self._servers.failed(server)


def connect(url: str, *, timeout_s: float = 5.0, block_ms: int = 0, connections: int = 64, replicas: int = 0) -> Client:
    """Make a client; it connects at its first command.

    Args:
        url: of one server: ``redis://``, ``rediss://`` (TLS) or ``unix://``. Of sentinels, and the primary's name:
            ``redis+sentinel://user:password@host:port,host:port/name/db``; user and password are the primary's, those
            of the sentinels are ``?sentinel_username=…&sentinel_password=…``. Of a cluster, some members:
            ``redis+cluster://user:password@host:port,host:port``. ``rediss+…`` speaks TLS with all of them.
        timeout_s: how long a round trip may take.
        block_ms: how long this client's blocking commands wait at most; its round trips may take longer by so much.
        connections: sockets to one server at most; a round trip beyond that waits for a free one, in its time.
        replicas: so many have to acknowledge what is sent as ``replicated``.

    Raises:
        InvalidInput: the URL is none of ours.
    """
    group = parse(url)
    servers: Topology
    if group is None:
        servers = Single(Server(url, timeout_s, connections))
    elif group.kind == "sentinel":
        servers = Sentinels(group, timeout_s, connections)
    else:
        servers = Cluster(group, timeout_s, connections)
    return Client(servers, without_password(url), timeout_s + block_ms / 1000, replicas)
