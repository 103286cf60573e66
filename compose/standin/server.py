"""The stand-in TTS server: listens, lets clients in, and stops."""

import asyncio
import contextlib
import http
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

import orjson
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as websocket_serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from saystream.compose.standin import fishaudio, gradium, kugelaudio
from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.conduct import Account, Conduct, Slots
from saystream.compose.standin.connection import Connection
from saystream.compose.standin.control import PREFIX, Control
from saystream.compose.standin.orders import Greeting, Refuse
from saystream.compose.standin.stats import Stats
from saystream.compose.standin.vendors import RULES
from saystream.compose.standin.voices import EngineChoice
from saystream.compose.standin.wire import Wire

logger = logging.getLogger(__name__)

DEFAULT_PORT = 8900

_HANDSHAKE_TIMEOUT_S: Final = 60.0
_GOODBYE_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 1.0


class StandIn:
    """A server that speaks the vendors' protocols at the vendors' paths. An asynchronous context manager.

    Args:
        host: the interface to listen on
        port: 0 takes a free one; `port` tells which
        behaviour: how it behaves; may be replaced at any time, for the connections and requests that begin later
        engine: which voice speaks; see `voices.open_voice`
        control_by_anyone: the control endpoint answers not only clients of this machine

    Attributes:
        connections: those that are open, by number, oldest first.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        behaviour: Behaviour | None = None,
        engine: EngineChoice = "auto",
        *,
        control_by_anyone: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.connections: dict[int, Connection] = {}
        self._conduct = Conduct(behaviour or Behaviour(), engine)
        self._control = Control(self._conduct, self.connections, self._become, anyone=control_by_anyone)
        self._server: Server | None = None
        self._wires: set[Wire] = set()
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        stats = self.stats
        return (
            f"<StandIn {self.url} [Requests: {stats.requests_started} started, {stats.requests_completed} completed, "
            f"{stats.requests_failed} failed, {stats.requests_aborted} aborted | "
            f"Connections: {stats.connections_open} open, {stats.connections_opened} opened]>"
        )

    @property
    def stats(self) -> Stats:
        """What it has seen and done."""
        return self._conduct.stats

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves; setting it also starts the count of `faulty_requests` anew."""
        return self._conduct.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._become(behaviour)

    def _become(self, behaviour: Behaviour) -> None:
        self._conduct.behaviour = behaviour
        if behaviour.draining:
            self.roll()

    @property
    def slots(self) -> Slots:
        """The streams of speech that are open, and were at most."""
        return self._conduct.slots

    @property
    def url(self) -> str:
        """What an SDK's base URL begins with."""
        return f"http://{self.host}:{self.port}"

    @property
    def control_url(self) -> str:
        """Where it is told to behave otherwise; see `control`."""
        return f"{self.url}{PREFIX}"

    @property
    def gradium_url(self) -> str:
        """The address of Gradium's socket."""
        return self._socket_url(gradium.PATH)

    @property
    def kugelaudio_url(self) -> str:
        """The address of KugelAudio's socket for one turn after another."""
        return self._socket_url(kugelaudio.STREAM_PATH)

    @property
    def kugelaudio_multi_url(self) -> str:
        """The address of KugelAudio's socket for several contexts."""
        return self._socket_url(kugelaudio.MULTI_PATH)

    @property
    def fishaudio_url(self) -> str:
        """The address of Fish Audio's socket that tells when each word is heard."""
        return self._socket_url(fishaudio.WITH_TIMESTAMP)

    @property
    def fishaudio_live_url(self) -> str:
        """The address of Fish Audio's socket that tells no times."""
        return self._socket_url(fishaudio.LIVE)

    def _socket_url(self, path: str) -> str:
        return f"ws://{self.host}:{self.port}{path}"

    async def __aenter__(self) -> Self:
        self._server = await websocket_serve(
            self._handle,
            self.host,
            self.port,
            compression=None,
            process_request=self._process_request,
            process_response=_process_response,
            open_timeout=_HANDSHAKE_TIMEOUT_S,
            close_timeout=_GOODBYE_TIMEOUT_S,
            create_connection=self._wire_type(),
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
        for wire in self._wires:
            if wire.silent:  # it says no goodbye either
                wire.transport.abort()
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
        connections = list(self.connections.values())
        for wire in list(self._wires):
            wire.transport.abort()
        for connection in connections:
            await connection.gone.wait()

    def roll(self) -> None:
        """Do what a rolling deploy does: close idle connections with 1012 at once, busy ones after their requests."""
        for connection in list(self.connections.values()):
            connection.do("roll")

    def _wire_type(self) -> type[ServerConnection]:
        """A connection that is known from its first byte on: the server itself lists it only after the upgrade."""
        wires = self._wires

        class Listed(Wire):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                wires.add(self)

            def connection_lost(self, exc: Exception | None) -> None:
                wires.discard(self)
                super().connection_lost(exc)

        return Listed

    async def _process_request(self, wire: ServerConnection, request: Request) -> Response | None:
        assert isinstance(wire, Wire)
        told = self._control.answer(request.path, wire.peer)
        if told is not None:
            return _response(Refuse(told.status, told.body, {"Content-Type": "application/json"}))
        url = urlsplit(request.path)
        rules = RULES.get(url.path)
        if rules is None:
            return wire.respond(http.HTTPStatus.NOT_FOUND, "No vendor is stood in for at this path.\n")
        behaviour = self.behaviour
        if behaviour.handshake_delay_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), behaviour.handshake_delay_s)
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        query = dict(parse_qsl(url.query))
        wire.vendor = rules.make(behaviour)
        refusal = _overloaded(behaviour) or wire.vendor.upgrading(headers, query)
        if refusal is not None:
            self.stats.refused()
            return _response(refusal)
        wire.account = Account(rules.vendor, _api_key(headers, query))
        wire.draining = behaviour.draining
        return None

    async def _handle(self, wire: ServerConnection) -> None:
        assert isinstance(wire, Wire)
        assert wire.request is not None
        log = self.stats.connected(urlsplit(wire.request.path).path, wire.account.vendor)
        connection = Connection(wire, wire.vendor, wire.account, self._conduct, log, wire.draining)
        self.connections[log.number] = connection
        try:
            await connection.run()
        finally:
            del self.connections[log.number]


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


def _process_response(wire: ServerConnection, request: Request, response: Response) -> None:
    if response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
        assert isinstance(wire, Wire)
        if isinstance(wire.vendor, Greeting):
            response.headers.update(wire.vendor.handshake_headers)


def _overloaded(behaviour: Behaviour) -> Refuse | None:
    if behaviour.upgrade_status is None:
        return None
    status = http.HTTPStatus(behaviour.upgrade_status)
    body = orjson.dumps({"message": status.phrase, "status": status.value})
    return Refuse(status.value, body, {"Content-Type": "application/json", "Retry-After": "1"})


def _response(refusal: Refuse) -> Response:
    status = http.HTTPStatus(refusal.status)
    headers = Headers({"Content-Length": str(len(refusal.body)), "Connection": "close"} | dict(refusal.headers))
    return Response(status.value, status.phrase, headers, refusal.body)


def _api_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The key, in whichever of the vendors' ways it came."""
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    return headers.get("x-api-key") or query.get("api_key") or bearer
