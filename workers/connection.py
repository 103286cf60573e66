"""One warm WebSocket to a vendor and the streams of speech on it: all I/O of a provider, the same for every vendor."""

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from saystream.common.backoff import DICE
from saystream.common.errors import Action, Scope, VendorError
from saystream.common.redis_client import without_password
from saystream.workers.providers.base import (
    AudioData,
    Cancel,
    Failed,
    Finished,
    Frame,
    Provider,
    Released,
    StreamKey,
    StreamSpec,
    VendorEvent,
    Warned,
)

log = logging.getLogger(__name__)

#: Vendor frames are small; a larger one is a fault, not audio.
_MOST_FRAME_BYTES = 16 << 20
#: What is sent at once where nothing waits to be sent: less than websockets' limit, even if each character is 4 bytes.
_SMALL = 4096
#: How long a polite close may take before the socket is cut.
_CLOSE_S = 1.0
#: A connection is to be replaced when this share of the time that it may get old or idle has passed; by chance, so that
#: connections that were opened together do not go together.
_RETIRE = (0.75, 0.9)


class Witness(Protocol):
    """Whoever is told how a stream goes: at most one of finished, failed and cancelled, and `gone` at last, once."""

    def spoke(self) -> None:
        """Its first audio has come."""

    def finished(self) -> None:
        """All its audio has come."""

    def failed(self, error: VendorError, *, stalled: bool) -> None:
        """The vendor broke it, or we found it ``stalled``."""

    def cancelled(self) -> None:
        """It is not wanted any more."""

    def gone(self) -> None:
        """The vendor holds no place for it any more."""


class Stream:
    """One turn's use of a connection. Reading and writing are independent of each other.

    What the vendor says waits here until it is read; how much that can be is bounded by the length of the turn. What
    goes wrong is told by `events`, behind all that was said before; text for a stream that is over goes nowhere.

    Attributes:
        warm: a connection was ready when the stream was asked for.
        over: it has finished or failed, or was cancelled.
    """

    def __init__(self, connection: "Connection", key: StreamKey, witness: Witness) -> None:
        self.key, self.witness = key, witness
        self._connection = connection
        self._events: deque[VendorEvent] = deque()
        self._arrived = asyncio.Event()
        self._spoke = False
        self.warm = self.over = False

    async def text(self, text: str) -> None:
        """Send text: a phrase where the client forms them."""
        if not self.over:
            await self._connection.tell(self._connection.protocol.text(self.key, text))

    async def flush(self, text: str) -> None:
        """Send text, which may be empty, and have it spoken at once."""
        if not self.over:
            await self._connection.tell(self._connection.protocol.flush(self.key, text))

    async def finish(self, text: str) -> None:
        """Send the last text, which may be empty, with the one flush at the end."""
        if not self.over:
            await self._connection.tell(self._connection.protocol.finish(self.key, text))

    async def keep_alive(self) -> None:
        """Keep the vendor from giving up a stream that waits for text."""
        if not self.over:
            await self._connection.tell(self._connection.protocol.keep_alive(self.key))

    async def events(self) -> list[VendorEvent]:
        """Return what the vendor has said since the last call; wait until it says something.

        Raises:
            VendorError: the stream has failed, and all that was said before has been read.
        """
        await self._arrived.wait()
        if isinstance(self._events[0], Failed):
            raise self._events[0].error
        events = []
        while self._events and not isinstance(self._events[0], Failed):
            events.append(self._events.popleft())
        if not self._events:
            self._arrived.clear()
        return events

    def cancel(self) -> None:
        """Stop the stream, if it is not over, in the vendor's way."""
        if not self.over:
            self.over = True
            self.witness.cancelled()
            self._connection.cancel(self)

    def fail(self, error: VendorError) -> None:
        """Give the stream up, if it is not over, because we found it broken; `events` will raise the error.

        Its connection is dropped; where others may be on that, it only gets no more streams.
        """
        if not self.over:
            self.deliver(Failed(self.key, error), stalled=True)
            self._connection.give_up(self)

    # from the connection

    def hear(self, audio: AudioData) -> None:
        """Take audio."""
        self._events.append(audio)
        self._arrived.set()
        if not self._spoke and audio.data:
            self._spoke = True
            self.witness.spoke()

    def deliver(self, event: VendorEvent, *, stalled: bool = False) -> None:
        """Take anything else."""
        self._events.append(event)
        self._arrived.set()
        if isinstance(event, Finished):
            self.over = True
            self.witness.finished()
        elif isinstance(event, Failed):
            self.over = True
            self.witness.failed(event.error, stalled=stalled)


class _Connect(connect):
    """Follows no redirects: the key is meant for the host that the operator has named, and for no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _is_here(url: str) -> bool:
    """Tell whether a URL leads to this machine: what is said to the stand-in is nothing for a proxy."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Connection:
    """One WebSocket to a vendor. Its reader always runs, so that a socket that dies idle is noticed at once.

    A stream that was cancelled where the connection can stay is *parting*: it holds its place until the vendor has done
    with it.

    Args:
        provider: whose account.
        binding: what of a stream is bound to it.
        socket: open.
        changed: called when a place has become free or the connection is lost.

    Attributes:
        error: why the connection is lost; None while it is good.
        opened_at, idle_since, ready_at, retire_at, expire_at: on the monotonic clock, in seconds; see `Place`.
        turns: streams that were started on it.
        active: streams that are on it now or have a place reserved.
        proving: a stream has just finished, and the vendor has yet to show whether the connection stays.
    """

    def __init__(
        self, provider: Provider, binding: str, socket: ClientConnection, changed: Callable[["Connection"], None]
    ) -> None:
        self.provider, self.protocol, self.binding = provider, provider.protocol(), binding
        self.error: VendorError | None = None
        self.opened_at = self.idle_since = time.monotonic()
        self.ready_at = 0.0
        self.turns = self.active = 0
        self.proving = False
        self._socket, self._changed = socket, changed
        self._abilities = provider.capabilities
        self._streams: dict[StreamKey, Stream] = {}
        self._parting: dict[StreamKey, Stream] = {}
        self._leaving: list[Stream] = []  # the vendor knows that they are over when the socket is closed
        self._timers: dict[StreamKey, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # last words to the vendor about cancelled streams
        self._condemned = False  # takes no more streams
        self._share = DICE.uniform(*_RETIRE)
        self._age()
        self._reader = asyncio.create_task(self._read(), name=f"{provider.name} reader")

    @classmethod
    async def open(cls, provider: Provider, binding: str, changed: Callable[["Connection"], None]) -> "Connection":
        """Connect.

        Raises:
            VendorError: the vendor refused or did not answer in time.
        """
        settings, handshake = provider.settings, provider.handshake(binding)
        try:
            socket = await _Connect(
                handshake.url,
                additional_headers=dict(handshake.headers),
                compression=None,  # audio does not shrink, and deflate costs more than the rest of the read
                open_timeout=settings.connect_timeout_s,
                ping_interval=settings.ping_s,
                ping_timeout=settings.ping_s,
                close_timeout=_CLOSE_S,
                proxy=None if _is_here(handshake.url) else True,  # True: as the environment says
                max_size=_MOST_FRAME_BYTES,
            )
        except InvalidStatus as refusal:
            response = refusal.response
            body = (response.body or b"").decode("utf-8", "replace")
            raise provider.refused(response.status_code, body) from None
        except (OSError, WebSocketException, ValueError, EOFError) as error:
            wrong_url = isinstance(error, InvalidURI | ValueError)
            said = "it is not a WebSocket URL" if wrong_url else str(error) or type(error).__name__
            text = handshake.without_key(f"cannot connect to {without_password(handshake.url)}: {said}")
            if wrong_url:
                scope, action = Scope.ACCOUNT, Action.FIX_CONFIGURATION
            else:
                scope, action = Scope.SOCKET, Action.RETRY_LATER
            raise VendorError(provider.vendor, text, scope=scope, action=action) from error
        return cls(provider, binding, socket, changed)

    async def prepare(self, spec: StreamSpec) -> None:
        """Say what can be said before the first stream, which will probably be like ``spec``."""
        await self.tell(self.protocol.prepare(spec))

    @property
    def parting(self) -> int:
        """Cancelled streams that the vendor has not done with."""
        return len(self._parting)

    @property
    def spent(self) -> bool:
        """It takes no more streams, ever."""
        most = self._abilities.turns
        return self._condemned or self.error is not None or bool(most and self.turns >= most)

    @property
    def free(self) -> int:
        """Streams that could be started on it, if its time allows."""
        return 0 if self.spent else self._abilities.streams - self.active - len(self._parting)

    def reserve(self) -> None:
        """Keep a place for a stream that `start` will start, unless `give_back` is called instead."""
        self.active += 1

    def give_back(self) -> None:
        """Give up a reserved place."""
        self.active -= 1
        self._ended()

    def start(self, spec: StreamSpec, witness: Witness) -> tuple[Stream, list[Frame]]:
        """Start a stream of speech in the place that was reserved for it; what is returned with it is to be sent."""
        key, frames = self.protocol.open(spec)
        stream = self._streams[key] = Stream(self, key, witness)
        self.turns += 1
        self.proving = False
        return stream, frames

    async def tell(self, frames: Sequence[Frame]) -> None:
        """Send frames; if that fails the connection is lost, and its streams know."""
        with contextlib.suppress(VendorError):
            await self.send(frames)

    async def send(self, frames: Sequence[Frame]) -> None:
        """Send the frames of a verb, and hear what it has brought about by itself.

        Raises:
            VendorError: the connection has been lost, or the vendor takes no more.
        """
        await self._send(frames, self.protocol.pending())

    async def _send(self, frames: Sequence[Frame], pending: Sequence[VendorEvent]) -> None:
        await self._write(frames)
        for event in pending:
            self._hear(event)

    async def _write(self, frames: Sequence[Frame]) -> None:
        try:
            small = sum(map(len, frames)) <= _SMALL
            if small and not self._socket.transport.get_write_buffer_size():  # nothing waits: this will not either
                for frame in frames:
                    await self._socket.send(frame)
                return
            async with asyncio.timeout(self.provider.settings.first_audio_s):
                for frame in frames:
                    await self._socket.send(frame)
        except ConnectionClosed:
            await asyncio.wait([self._reader], timeout=_CLOSE_S)  # it knows why
            raise self._lose(self.protocol.closed(None, "")) from None
        except TimeoutError:
            text = "the vendor takes no more text"
            error = VendorError(self.provider.vendor, text, scope=Scope.SOCKET, action=Action.RECONNECT)
            raise self._lose(error, cut=True) from None

    def cancel(self, stream: Stream) -> None:
        """Cancel a stream in the vendor's way."""
        if self._streams.pop(stream.key, None) is None:
            return
        self.active -= 1
        if self._abilities.cancel is Cancel.CLOSE:
            self._leaving.append(stream)
            self._lose(self.protocol.closed(None, "cancelled"))
        else:
            self._part(stream)
            self._ended()

    def give_up(self, stream: Stream) -> None:
        """Drop a stream that does not go on, and the connection if nothing else can be on it."""
        if self._streams.pop(stream.key, None) is None:
            return
        self.active -= 1
        self._condemned = True  # more streams might meet the same fate
        if self._abilities.cancel is Cancel.CLOSE or self._abilities.streams == 1:
            self._leaving.append(stream)
            self._lose(self.protocol.closed(None, "given up"), cut=True)
        else:
            self._part(stream)
            self._ended()

    async def close(self) -> None:
        """Close the socket; returns when the reader has ended."""
        self._lose(self.protocol.closed(None, "closed by us"), notify=False)
        try:
            with contextlib.suppress(Exception):
                await self._socket.close()
        finally:
            self._reader.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.wait([self._reader, *self._tasks])
            self._release_all()

    # streams that part

    def _part(self, stream: Stream) -> None:
        """Tell the vendor, and keep the place until it has done with the stream."""
        key = stream.key
        self._parting[key] = stream
        if self._abilities.cancel is Cancel.ACKNOWLEDGED:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(self.provider.settings.cancel_s, self._unacknowledged)
        frames = self.protocol.cancel(key)
        last_words = self._say_last(frames, self.protocol.pending())
        task = asyncio.create_task(last_words, name=f"{self.provider.name} cancel")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say_last(self, frames: Sequence[Frame], pending: Sequence[VendorEvent]) -> None:
        with contextlib.suppress(VendorError):
            await self._send(frames, pending)

    def _unacknowledged(self) -> None:
        self._condemned = True  # whoever else is on it may stay to the end
        if not self.active:
            text = "the vendor did not acknowledge a cancelled stream"
            error = VendorError(self.provider.vendor, text, scope=Scope.SOCKET, action=Action.RECONNECT)
            self._lose(error, cut=True)

    def _released(self, key: StreamKey) -> None:
        stream = self._parting.pop(key, None)
        if stream is None:
            return
        if timer := self._timers.pop(key, None):
            timer.cancel()
        stream.witness.gone()
        self._ended()

    def _release_all(self) -> None:
        """The vendor knows that all streams on it are over."""
        gone = [*self._leaving, *self._parting.values()]
        self._leaving.clear()
        self._parting.clear()
        for stream in gone:
            stream.witness.gone()

    # what the vendor says

    async def _read(self) -> None:
        receive, recv, streams = self.protocol.receive, self._socket.recv, self._streams
        try:
            while True:
                for event in receive(await recv()):
                    if type(event) is AudioData:
                        if (stream := streams.get(event.stream)) is not None:
                            stream.hear(event)
                    else:
                        self._hear(event)
        except ConnectionClosed as closed:
            frame = closed.rcvd
            self._lose(self.protocol.closed(frame.code if frame else None, frame.reason if frame else ""), gone=True)
        except Exception:  # a fault of ours must not leave the streams waiting
            log.exception("! reading from %s failed", self.provider.name)
            self._lose(self.protocol.closed(None, ""))

    def _hear(self, event: VendorEvent) -> None:
        if isinstance(event, Warned):
            log.info("= %s: %s", self.provider.name, event.text)
            return
        if isinstance(event, Failed) and event.stream is None:
            self._lose(event.error, gone=True)
            return
        key = event.stream or ""
        over = isinstance(event, Finished | Failed)
        stream = self._streams.get(key)
        if stream is None:
            if over or isinstance(event, Released):
                self._released(key)
            return
        if not over:
            stream.deliver(event)
            return
        del self._streams[key]
        self.active -= 1
        if isinstance(event, Finished) and self._abilities.settle_s:
            self.proving, self.ready_at = True, time.monotonic() + self._abilities.settle_s
        stream.deliver(event)
        stream.witness.gone()
        self._ended()

    def _lose(self, error: VendorError, *, gone: bool = False, cut: bool = False, notify: bool = True) -> VendorError:
        """The connection is of no more use: every stream on it fails. Return why it was lost in the first place.

        With ``gone`` the vendor knows that they are over; else it does when the socket is closed. ``cut``: no use in
        being polite about that.
        """
        first = self.error is None
        self.error = self.error or error
        if cut:
            self._socket.transport.abort()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        streams = list(self._streams.values())
        self._streams.clear()
        self.active -= len(streams)
        for stream in streams:
            stream.deliver(Failed(stream.key, self.error))
        self._leaving += streams
        if gone:
            self._release_all()
        if first and notify:
            self._changed(self)
        return self.error

    def _ended(self) -> None:
        self.idle_since = time.monotonic()
        self._age()
        self._changed(self)

    def _age(self) -> None:
        settings = self.provider.settings
        ages = ((self.opened_at, settings.max_age_s), (self.idle_since, settings.max_idle_s))
        self.retire_at = min(since + self._share * most_s for since, most_s in ages)
        self.expire_at = min(since + most_s for since, most_s in ages)

    def __repr__(self) -> str:
        state = "lost" if self.error else f"{self.active} active" if self.active else "idle"
        parting = f", {len(self._parting)} parting" if self._parting else ""
        to = f"{self.provider.name} {self.binding}".rstrip()
        return f"<Connection to {to}: {state}{parting}, {self.turns} turns>"
