"""The stand-in TTS server: sockets and tasks around the vendors' rules and the voices."""

import asyncio
import contextlib
import http
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as websocket_serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from saystream.compose.standin import gradium, voices
from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.frames import Frame
from saystream.compose.standin.orders import (
    Abandon,
    Begin,
    Close,
    Finish,
    Flush,
    Key,
    Note,
    Order,
    Send,
    Speak,
    Vendor,
)
from saystream.compose.standin.speaker import FaultError, Speaker
from saystream.compose.standin.stats import ConnectionLog, RequestLog, Stats
from saystream.compose.standin.voices import EngineChoice

logger = logging.getLogger(__name__)

VENDORS: Final[Mapping[str, Callable[[Behaviour], Vendor]]] = {
    gradium.PATH: lambda behaviour: gradium.Gradium(behaviour.api_keys, behaviour.word_lag),
}
"""The rules to be spoken at each path."""

DEFAULT_PORT = 8900

_VOICE_FAILED = 1011
_ABNORMAL = 1006
_HANDSHAKE_TIMEOUT_S = 60.0
_GOODBYE_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 1.0


class StandIn:
    """A server that speaks the vendors' protocols at the vendors' paths. An asynchronous context manager.

    Args:
        host: the interface to listen on
        port: 0 takes a free one; `port` tells which
        behaviour: how it behaves; may be replaced at any time, for the connections and requests that begin later
        engine: which voice speaks; see `voices.open_voice`

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        behaviour: Behaviour | None = None,
        engine: EngineChoice = "auto",
    ) -> None:
        self.host = host
        self.port = port
        self.engine: EngineChoice = engine
        self.stats = Stats()
        self.behaviour = behaviour or Behaviour()
        self._server: Server | None = None
        self._connections: set[ServerConnection] = set()
        self._sockets: set[_Socket] = set()
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        stats = self.stats
        return (
            f"<StandIn {self.url} [Requests: {stats.requests_started} started, {stats.requests_completed} completed, "
            f"{stats.requests_failed} failed, {stats.requests_aborted} aborted | "
            f"Connections: {stats.connections_open} open, {stats.connections_opened} opened]>"
        )

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves; setting it also starts the count of `faulty_requests` anew."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._faults_left = behaviour.faulty_requests

    @property
    def url(self) -> str:
        """What an SDK's base URL begins with."""
        return f"http://{self.host}:{self.port}"

    @property
    def gradium_url(self) -> str:
        """The address of Gradium's socket."""
        return f"ws://{self.host}:{self.port}{gradium.PATH}"

    async def __aenter__(self) -> Self:
        self._server = await websocket_serve(
            self._handle,
            self.host,
            self.port,
            compression=None,
            process_request=self._process_request,
            open_timeout=_HANDSHAKE_TIMEOUT_S,
            close_timeout=_GOODBYE_TIMEOUT_S,
            create_connection=self._connection_type(),
            ping_interval=None,  # no vendor's page promises pings; a client that is busy is not to be dropped for it
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        logger.info("= stand-in listens on %s", self.url)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Listen no more, say goodbye (1001) for a second, cut whoever has not answered."""
        assert self._server is not None
        self._stopping.set()
        self._server.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await self._server.wait_closed()
        except TimeoutError:
            await self.drop_connections()
            await self._server.wait_closed()
        logger.info("= stand-in stopped")

    async def drop_connections(self) -> None:
        """Cut every open connection without a goodbye; returns when all are gone."""
        sockets = list(self._sockets)
        for connection in list(self._connections):
            connection.transport.abort()
        for socket in sockets:
            await socket.gone.wait()

    def meets_fault(self) -> bool:
        """Say whether the next request is one that the behaviour's faults are meant for, and count it."""
        if self.behaviour.drop_after_frames is None and self.behaviour.error is None:
            return False
        if self._faults_left is None:
            return True
        self._faults_left -= 1
        return self._faults_left >= 0

    def _connection_type(self) -> type[ServerConnection]:
        """A connection that is known from its first byte on: the server itself lists it only after the upgrade."""
        connections = self._connections

        class Connection(ServerConnection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                connections.add(self)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.discard(self)
                super().connection_lost(exc)

        return Connection

    async def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if urlsplit(request.path).path not in VENDORS:
            return connection.respond(http.HTTPStatus.NOT_FOUND, "No vendor is stood in for at this path.\n")
        if self.behaviour.handshake_delay_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self.behaviour.handshake_delay_s)
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        socket = _Socket(self, connection)
        self._sockets.add(socket)
        try:
            await socket.run()
        finally:
            self._sockets.discard(socket)


async def serve(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    behaviour: Behaviour | None = None,
    *,
    engine: EngineChoice = "auto",
    started: Callable[[StandIn], None] | None = None,
) -> None:
    """Run a stand-in until cancelled; `started` is called when it listens.

    Raises:
        OSError: the port is taken.
    """
    async with StandIn(host, port, behaviour, engine) as standin:
        if started is not None:
            started(standin)
        await asyncio.Event().wait()


@dataclass(slots=True)
class _Spoken:
    """A request that is being spoken."""

    log: RequestLog
    speaker: Speaker | None = None
    task: "asyncio.Task[None] | None" = None


@dataclass(eq=False, slots=True)
class _Socket:
    """One connection: carries out what its vendor's rules order."""

    standin: StandIn
    connection: ServerConnection
    behaviour: Behaviour = field(init=False)
    vendor: Vendor = field(init=False)
    log: ConnectionLog = field(init=False)
    requests: dict[Key, _Spoken] = field(default_factory=dict)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Serve the connection to its end."""
        request = self.connection.request
        assert request is not None
        url = urlsplit(request.path)
        self.behaviour = self.standin.behaviour
        self.vendor = VENDORS[url.path](self.behaviour)
        self.log = self.standin.stats.connected(url.path)
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        try:
            await self.obey(self.vendor.connected(headers, dict(parse_qsl(url.query))))
            async for message in self.connection:
                await self.obey(self.vendor.received(message))
        except ConnectionClosed:
            pass  # how it ended is in the log
        finally:
            await self._end()

    async def obey(self, orders: Iterable[Order]) -> None:
        """Carry out orders, in their order.

        Raises:
            ConnectionClosed: the client is gone.
        """
        for order in orders:
            match order:
                case Send(message):
                    await self.connection.send(message, text=True)
                case Close(code, reason):
                    await self.connection.close(code, reason)
                case Begin():
                    await self._begin(order)
                case Note(key, text, flushes):
                    self._note(key, text, flushes)
                case Abandon(key):
                    self._abandon(key)
                case Speak(key) | Flush(key) | Finish(key):
                    await self._pass_on(key, order)

    async def _begin(self, begin: Begin) -> None:
        stats, behaviour = self.standin.stats, self.standin.behaviour
        log = stats.begun(self.log, begin.request_id, begin.setup)
        spoken = self.requests[begin.key] = _Spoken(log)
        logger.debug("→ %s voice %s", begin.request_id, begin.voice)
        faulty = self.standin.meets_fault()
        if faulty and behaviour.error is not None and behaviour.error_after_frames == 0:
            await self.obey(self.vendor.failed(begin.key, behaviour.error.code, behaviour.error.message))
            return
        try:
            voice = await voices.open_voice(begin.voice, self.standin.engine, behaviour.marker_pace)
        except voices.UnknownVoiceError:
            await self.obey(self.vendor.unknown_voice(begin.key, begin.voice))
            return
        except voices.VoiceUnavailableError as error:
            logger.warning("! %s %s", begin.request_id, error)
            await self.obey(self.vendor.failed(begin.key, _VOICE_FAILED, str(error)))
            return
        await self.obey(self.vendor.accepted(begin.key))

        async def send_frame(frame: Frame) -> None:
            for message in self.vendor.frame(begin.key, frame):
                await self.connection.send(message, text=True)
            log.sent(len(frame.words), len(frame.samples))
            stats.changed()

        spoken.speaker = Speaker(voice, begin.format.rate, behaviour, send_frame, faulty=faulty)
        spoken.task = asyncio.create_task(self._speak(begin.key, spoken.speaker, log))
        self.tasks.add(spoken.task)
        spoken.task.add_done_callback(self.tasks.discard)

    async def _speak(self, key: Key, speaker: Speaker, log: RequestLog) -> None:
        try:
            await speaker.run()
            del self.requests[key]
            self.standin.stats.ended(log, "completed")
            logger.debug("← %s %d frames", log.request_id, log.frames_sent)
            await self.obey(self.vendor.finished(key))
        except FaultError as fault:
            if fault.error is not None:
                await self.obey(self.vendor.failed(key, fault.error.code, fault.error.message))
            else:
                # Not abort: what was sent before is to arrive, and then nothing.
                self.connection.transport.close()
        except ConnectionClosed:
            pass
        except Exception as error:  # a voice that breaks down must not leave its client waiting
            logger.exception("! %s", log.request_id)
            with contextlib.suppress(ConnectionClosed):
                await self.obey(self.vendor.failed(key, _VOICE_FAILED, f"the voice failed: {error}"))

    async def _pass_on(self, key: Key, order: Speak | Flush | Finish) -> None:
        spoken = self.requests.get(key)
        if spoken is None or spoken.speaker is None:
            return  # it has failed meanwhile
        match order:
            case Speak(_, items):
                spoken.speaker.say(items)
                await spoken.speaker.room()
            case Flush():
                spoken.speaker.flush()
            case Finish():
                spoken.log.end_of_stream_s = time.monotonic()
                spoken.speaker.finish()
        self.standin.stats.changed()

    def _note(self, key: Key, text: str, flushes: int) -> None:
        spoken = self.requests.get(key)
        if spoken is not None:
            spoken.log.texts.append((time.monotonic(), text))
            spoken.log.flushes += flushes
            self.standin.stats.changed()

    def _abandon(self, key: Key) -> None:
        spoken = self.requests.pop(key, None)
        if spoken is None:
            return
        self.standin.stats.ended(spoken.log, "failed")
        logger.debug("! %s", spoken.log.request_id)
        # A request that abandons itself is on its way out, and still has the error to send.
        if spoken.task is not None and spoken.task is not asyncio.current_task():
            spoken.task.cancel()

    async def _end(self) -> None:
        for spoken in self.requests.values():
            self.standin.stats.ended(spoken.log, "aborted")
        for task in list(self.tasks):
            task.cancel()
        if self.tasks:
            await asyncio.wait(list(self.tasks))
        self.standin.stats.disconnected(self.log, self.connection.close_code or _ABNORMAL)
        self.gone.set()
