"""A WebSocket connection that can also end, or hang, in the ways that no protocol foresees."""

import socket
import struct

from websockets.asyncio.server import ServerConnection

from saystream.compose.standin.conduct import Account
from saystream.compose.standin.orders import Vendor

_AT_ONCE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds: what is unsent is dropped, and RST goes out for FIN


class Wire(ServerConnection):
    """A connection to a client.

    Attributes:
        vendor: whose rules let the client in.
        account: whose streams of speech it is to carry.
        draining: it was let in during a rolling deploy.
    """

    vendor: Vendor
    account: Account
    draining = False
    silent = False
    """Nothing is sent or answered any more."""

    @property
    def peer(self) -> str:
        """The client's IP address."""
        return str(self.transport.get_extra_info("peername")[0])

    def cut(self) -> None:
        """End the connection without a goodbye; what was sent before still arrives."""
        self.transport.close()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def silence(self) -> None:
        """Leave the connection half-open: what comes is dropped unread, until the client is gone."""
        self.silent = True

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye, unless the connection is silent."""
        if not self.silent:
            await super().close(code, reason)

    async def gate(self) -> None:
        """Pass, unless the connection is silent: then wait for its end.

        Raises:
            ConnectionClosed: it has ended.
        """
        if self.silent:
            await self.wait_closed()
            raise self.protocol.close_exc

    def data_received(self, data: bytes) -> None:
        # Not paused: a transport that does not read would not notice that the client is gone.
        if not self.silent:
            super().data_received(data)

    def eof_received(self) -> None:
        if not self.silent:
            super().eof_received()
