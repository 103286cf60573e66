"""Ports of the loopback address that stay ours, while the server that shall listen there starts, and starts again."""

import socket
import sys

_HOST = "127.0.0.1"
_HIGHEST = 65_535


class KeptPort:
    """A free port. Nobody else gets it before `close`, neither a server nor a client, and a server of ours does.

    A socket is bound to it, and never listens. With ``SO_REUSEADDR``, which every server sets, Linux lets another one
    bind and listen there; without it, and to whoever asks for any port, it gives another (see ``socket(7)``). Other
    systems let no second one in: there the port is only free at the moment.

    Args:
        beside: How far above it a second port lies that is kept, too: that of a cluster's own talk. 0 for none.
    """

    def __init__(self, *, beside: int = 0) -> None:
        self._sockets: list[socket.socket] = []
        self.number = 0
        while not self._take(beside):
            self.close()
        if sys.platform != "linux":
            self.close()

    def close(self) -> None:
        """Give it back."""
        while self._sockets:
            self._sockets.pop().close()

    def _take(self, beside: int) -> bool:
        self.number = self._bind(0)
        second = self.number + beside
        try:
            return not beside or (second <= _HIGHEST and bool(self._bind(second)))
        except OSError:
            return False

    def _bind(self, number: int) -> int:
        own = socket.socket()
        self._sockets.append(own)
        own.bind((_HOST, number))
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # only now: two of ours shall never meet
        port: int = own.getsockname()[1]
        return port
