"""Which server to ask now."""

from abc import ABC, abstractmethod

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client.errors import Elsewhere
from saystream.common.redis_client.server import Server


class Topology(ABC):
    """Knows which server has a slot now. Only a cluster has slots; elsewhere one server has everything.

    Attributes:
        divided: whether slots matter.
    """

    divided = False

    @abstractmethod
    def known(self, slot: int | None) -> Server | None:
        """Return the server that has the slot, as far as is known and not in doubt."""

    @abstractmethod
    async def find(self, slot: int | None) -> Server:
        """Return the server that has the slot, and ask around if that is not known, or in doubt.

        Raises:
            RedisUnavailable, RedisError, OSError: nobody knows.
        """

    @abstractmethod
    def failed(self, server: Server) -> None:
        """Take note that a server has not done what it was asked: another one may have taken its place."""

    @abstractmethod
    def redirected(self, server: Server, other: Elsewhere) -> Server:
        """Return the server that another one has named, and remember it if it has the slot for good."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect."""


class Single(Topology):
    """One server whose address does not change."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def known(self, slot: int | None) -> Server | None:
        """Return the server."""
        return self._server

    async def find(self, slot: int | None) -> Server:
        """Return the server."""
        return self._server

    def failed(self, server: Server) -> None:
        """Do nothing: there is no other one."""

    def redirected(self, server: Server, other: Elsewhere) -> Server:
        """Raise RedisUnavailable: whoever gave this address did not know what it is."""
        raise RedisUnavailable(f"{server.where} is one server of a cluster: connect by redis+cluster://") from other

    async def close(self) -> None:
        """Disconnect."""
        await self._server.close()
