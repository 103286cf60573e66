"""One warm WebSocket to a vendor and the streams of speech on it: all I/O of a provider, the same for every vendor."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from saystream.common.errors import Action, Scope, VendorError
from saystream.common.redis_client import without_password
from saystream.workers.providers.base import (
    Cancel,
    Failed,
    Finished,
    Frame,
    Provider,
    StreamKey,
    StreamSpec,
    VendorEvent,
    Warned,
)

log = logging.getLogger(__name__)

#: Vendor frames are small; a larger one is a fault, not audio.
_MOST_FRAME_BYTES = 16 << 20
#: How long a polite close may take before the socket is cut.
_CLOSE_S = 1.0


class Stream:
    """One turn's use of a connection. Reading and writing are independent of each other.

    What the vendor says waits here until it is read; how much that can be is bounded by the length of the turn.
    """

    def __init__(self, connection: "Connection", key: StreamKey) -> None:
        self._connection, self._key = connection, key
        self._events: deque[VendorEvent] = deque()
        self._arrived = asyncio.Event()
        self.over = False

    async def text(self, text: str) -> None:
        """Send text: a phrase where the client forms them."""
        await self._connection.send(self._connection.protocol.text(self._key, text))

    async def flush(self, text: str) -> None:
        """Send text, which may be empty, and have it spoken at once."""
        await self._connection.send(self._connection.protocol.flush(self._key, text))

    async def finish(self, text: str) -> None:
        """Send the last text, which may be empty, with the one flush at the end."""
        await self._connection.send(self._connection.protocol.finish(self._key, text))

    async def events(self, timeout_s: float) -> list[VendorEvent]:
        """Return what the vendor has said since the last call; nothing, if it says nothing for so many seconds.

        Raises:
            VendorError: the stream has failed, and all that was said before has been read.
        """
        if not self._arrived.is_set():
            timer = asyncio.get_running_loop().call_later(timeout_s, self._arrived.set)
            try:
                await self._arrived.wait()
            finally:
                timer.cancel()
        if not self._events:
            self._arrived.clear()
            return []
        if isinstance(self._events[0], Failed):
            raise self._events[0].error
        events = []
        while self._events and not isinstance(self._events[0], Failed):
            events.append(self._events.popleft())
        if not self._events:
            self._arrived.clear()
        return events

    def cancel(self) -> None:
        """Stop the stream if it is not over: abandon it, or close its connection where that is the vendor's way."""
        if not self.over:
            self.over = True
            self._connection.abandon(self._key)

    def deliver(self, event: VendorEvent) -> None:
        """Take an event from the connection's reader."""
        if isinstance(event, Finished | Failed):
            self.over = True
        self._events.append(event)
        self._arrived.set()


class Connection:
    """One WebSocket to a vendor. Its reader always runs, so that a socket that dies idle is noticed at once.

    Args:
        provider: whose account.
        socket: open.
        changed: called when a stream has ended or the connection is lost.

    Attributes:
        error: why the connection is lost; None while it is good.
        opened_at, idle_since: on the monotonic clock, in seconds.
        turns: streams that were started on it.
    """

    def __init__(self, provider: Provider, socket: ClientConnection, changed: Callable[["Connection"], None]) -> None:
        self.provider, self.protocol = provider, provider.protocol()
        self.error: VendorError | None = None
        self.opened_at = self.idle_since = time.monotonic()
        self.turns = 0
        self._socket, self._changed = socket, changed
        self._streams: dict[StreamKey, Stream] = {}
        self._reserved = 0
        self._parting: set[asyncio.Task[None]] = set()  # last words to the vendor about abandoned streams
        self._reader = asyncio.create_task(self._read(), name=f"{provider.name} reader")

    @classmethod
    async def open(cls, provider: Provider, changed: Callable[["Connection"], None]) -> "Connection":
        """Connect.

        Raises:
            VendorError: the vendor refused or did not answer in time.
        """
        settings, handshake = provider.settings, provider.handshake()
        try:
            socket = await connect(
                handshake.url,
                additional_headers=dict(handshake.headers),
                compression=None,  # audio does not shrink, and deflate costs more than the rest of the read
                open_timeout=settings.connect_timeout_s,
                ping_interval=settings.ping_s,
                ping_timeout=settings.ping_s,
                close_timeout=_CLOSE_S,
                max_size=_MOST_FRAME_BYTES,
            )
        except InvalidStatus as refusal:
            response = refusal.response
            body = (response.body or b"").decode("utf-8", "replace")
            raise provider.refused(response.status_code, body) from None
        except (OSError, WebSocketException, ValueError, EOFError) as error:
            wrong_url = isinstance(error, InvalidURI | ValueError)
            said = "it is not a WebSocket URL" if wrong_url else str(error) or type(error).__name__
            text = f"cannot connect to {without_password(handshake.url)}: {said}"
            action = Action.FIX_CONFIGURATION if wrong_url else Action.RETRY_LATER
            raise VendorError(provider.vendor, text, scope=Scope.SOCKET, action=action) from error
        return cls(provider, socket, changed)

    @property
    def active(self) -> int:
        """Streams that are on it now or have a place reserved."""
        return len(self._streams) + self._reserved

    @property
    def free(self) -> int:
        """Streams that could be started on it now."""
        abilities = self.provider.capabilities
        if self.error is not None or (abilities.turns and self.turns >= abilities.turns):
            return 0
        return abilities.streams - self.active

    def reserve(self) -> None:
        """Keep a place for a stream that `start` will start, unless `give_back` is called instead."""
        self._reserved += 1

    def give_back(self) -> None:
        """Give up a reserved place."""
        self._reserved -= 1
        self._ended()

    async def start(self, spec: StreamSpec) -> Stream:
        """Start a stream of speech in the place that was reserved for it.

        Raises:
            VendorError: the connection has been lost.
        """
        self._reserved -= 1
        if self.error is not None:
            raise self.error
        key, frames = self.protocol.open(spec)
        stream = self._streams[key] = Stream(self, key)
        self.turns += 1
        try:
            await self.send(frames)
        except BaseException:
            stream.cancel()
            raise
        return stream

    async def send(self, frames: list[Frame]) -> None:
        """Send frames.

        Raises:
            VendorError: the connection has been lost, or the vendor takes no more.
        """
        try:
            if not self._socket.transport.get_write_buffer_size():  # nothing waits: this will not either
                for frame in frames:
                    await self._socket.send(frame)
                return
            async with asyncio.timeout(self.provider.settings.silence_s):
                for frame in frames:
                    await self._socket.send(frame)
        except ConnectionClosed:
            await asyncio.wait([self._reader], timeout=_CLOSE_S)  # it knows why
            raise self.error or self.protocol.closed(None, "") from None
        except TimeoutError:
            self._lose(self.protocol.closed(None, ""))
            raise VendorError(
                self.provider.vendor, "the vendor takes no more text", scope=Scope.SOCKET, action=Action.RECONNECT
            ) from None

    def abandon(self, key: StreamKey) -> None:
        """Cancel a stream in the vendor's way."""
        if self._streams.pop(key, None) is None:
            return
        if self.provider.capabilities.cancel is Cancel.CLOSE or self.error is not None:
            self._lose(self.protocol.closed(None, "cancelled"))
        else:
            task = asyncio.create_task(self._part(self.protocol.cancel(key)))
            self._parting.add(task)
            task.add_done_callback(self._parting.discard)
        self._ended()

    async def close(self) -> None:
        """Close the socket; returns when the reader has ended."""
        if self.error is None:
            self.error = self.protocol.closed(None, "closed by us")
        with contextlib.suppress(Exception):
            await self._socket.close()
        self._reader.cancel()
        await asyncio.wait([self._reader, *self._parting])

    async def _part(self, frames: list[Frame]) -> None:
        with contextlib.suppress(VendorError):
            await self.send(frames)

    async def _read(self) -> None:
        receive = self.protocol.receive
        try:
            while True:
                for event in receive(await self._socket.recv()):
                    self._deliver(event)
        except ConnectionClosed as closed:
            frame = closed.rcvd
            self._lose(self.protocol.closed(frame.code if frame else None, frame.reason if frame else ""))
        except Exception:  # a fault of ours must not leave the streams waiting
            log.exception("! reading from %s failed", self.provider.name)
            self._lose(self.protocol.closed(None, ""))

    def _deliver(self, event: VendorEvent) -> None:
        if isinstance(event, Warned):
            return
        if isinstance(event, Failed) and event.stream is None:
            self._lose(event.error)
            return
        stream = self._streams.get(event.stream or "")
        if stream is None:
            return
        stream.deliver(event)
        if stream.over:
            del self._streams[event.stream or ""]
            self._ended()

    def _lose(self, error: VendorError) -> None:
        """The connection is of no more use: every stream on it fails."""
        if self.error is None:
            self.error = error
        streams, self._streams = self._streams, {}
        for key, stream in streams.items():
            stream.deliver(Failed(key, self.error))
        self._changed(self)

    def _ended(self) -> None:
        self.idle_since = time.monotonic()
        self._changed(self)

    def __repr__(self) -> str:
        state = "lost" if self.error else "busy" if self._streams else "idle"
        return f"<Connection to {self.provider.name}: {state}, {self.turns} turns>"
