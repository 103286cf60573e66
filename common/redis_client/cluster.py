"""The servers of a cluster, each with its share of the slots."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client.address import Group
from saystream.common.redis_client.batch import pack
from saystream.common.redis_client.errors import Elsewhere, known
from saystream.common.redis_client.inquiry import Inquiry
from saystream.common.redis_client.place import HostPort
from saystream.common.redis_client.server import Server
from saystream.common.redis_client.slots import SLOTS
from saystream.common.redis_client.topology import Topology

log = logging.getLogger(__name__)

#: So long may a server think about who has what; one that is gone must not hold up the others.
_ASK_S = 0.5


class Range(NamedTuple):
    """A run of slots: from the first to the last, who has them, and who has copies."""

    first: int
    last: int
    master: HostPort
    replicas: tuple[HostPort, ...]


class Cluster(Topology):
    """Keeps the table of slots: read first of all, and again after each failure and each redirection.

    Not from time to time: a master that was cut off stops taking writes by itself, and one that was replaced says who
    has its slots now. While a server is in doubt, the others go on undisturbed.

    Args:
        group: members, whom to ask first.
        timeout_s, connections: of each server.
    """

    divided = True

    def __init__(self, group: Group, timeout_s: float, connections: int) -> None:
        self._group, self._timeout_s, self._connections = group, timeout_s, connections
        self._ask_s = min(_ASK_S, timeout_s / 2)
        self._inquiry = Inquiry(self._ask)
        self._members: tuple[HostPort, ...] = group.members  # whom to ask, in this order
        self._servers: dict[HostPort, Server] = {}
        self._table: list[Server | None] = [None] * SLOTS
        self._doubted: set[Server] = set()

    def known(self, slot: int | None) -> Server | None:
        """Return the server that has the slot, if it is not in doubt; without a slot, any server."""
        if slot is None:
            return next((server for server in self._servers.values() if server not in self._doubted), None)
        server = self._table[slot]
        return None if server in self._doubted else server

    async def find(self, slot: int | None) -> Server:
        """Return the server that has the slot, after asking the members who has what."""
        await self._inquiry.answered()
        if server := self.known(slot):
            return server
        what = f"has slot {slot}" if slot is not None else "answers"
        raise RedisUnavailable(f"Redis does not answer: no server of the cluster {what}")

    def failed(self, server: Server) -> None:
        """Ask before the next call to this server."""
        if not server.retired:
            self._doubted.add(server)

    def redirected(self, server: Server, other: Elsewhere) -> Server:
        """Return the server that another one has named; if it has the slot for good, read the table again as well."""
        address = other.host or server.host, other.port
        named = self._server(address)
        if other.for_good:
            self._table[other.slot] = named
            self._members = tuple(dict.fromkeys((address, *self._members)))  # it knows of its own slots at least
            self._inquiry.begin()
        return named

    async def close(self) -> None:
        """Disconnect."""
        await self._inquiry.close()
        for server in self._servers.values():
            await server.close()

    def _server(self, address: HostPort) -> Server:
        if address not in self._servers:
            self._servers[address] = Server(self._group.server(address), self._timeout_s, self._connections)
        return self._servers[address]

    async def _ask(self) -> None:
        doubted = {address for address, server in self._servers.items() if server in self._doubted}
        members = dict.fromkeys((*self._members, *self._group.members))
        for member in sorted(members, key=lambda address: address in doubted):
            if ranges := await self._ranges(member):
                await self._adopt(ranges)
                return

    async def _ranges(self, member: HostPort) -> list[Range]:
        """Ask one member who has what; empty if it does not answer, or knows nothing yet."""
        asked = Server(self._group.server(member), self._ask_s, 1)
        try:
            async with asyncio.timeout(self._ask_s):
                [reply] = await asked.round_trip(pack(("CLUSTER", "SLOTS")), 1)
        except (RedisError, OSError):
            return []
        finally:
            await asked.close()
        return list(read(reply, member[0])) if isinstance(reply, list) else []

    async def _adopt(self, ranges: list[Range]) -> None:
        table: list[Server | None] = [None] * SLOTS
        for part in ranges:
            table[part.first : part.last + 1] = [self._server(part.master)] * (part.last + 1 - part.first)
        self._table = table
        masters = {part.master: None for part in ranges}
        self._members = (*masters, *(replica for part in ranges for replica in part.replicas))
        self._doubted.clear()
        for address in [address for address in self._servers if address not in masters]:
            log.info("= %s:%d has no slots of Redis any more", *address)
            await self._servers.pop(address).retire()


def read(reply: list[Any], asked: str) -> Iterator[Range]:
    """Read what CLUSTER SLOTS has answered; a server that does not know its own host is where it was asked."""
    for first, last, master, *replicas in reply:
        yield Range(first, last, _address(master, asked), tuple(_address(replica, asked) for replica in replicas))


def _address(node: list[Any], asked: str) -> HostPort:
    host, port, _, *more = node
    name = known((host or b"").decode())
    if host and not name and more:  # Redis 7 says in another place where the one without a name is
        name = dict(zip(more[0][::2], more[0][1::2], strict=True)).get(b"ip", b"").decode()
    return name or asked, int(port)
