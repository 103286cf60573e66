"""A vendor of the tests' own, with a wire protocol of a few words, that does as it is told: server and provider."""

import asyncio
import http
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from saystream.common.audio import AudioFormat
from saystream.common.errors import Action, Scope, VendorError
from saystream.common.settings import ProviderSettings, VoiceSettings
from saystream.workers.account import Account, Lease, Quota
from saystream.workers.connection import Stream
from saystream.workers.providers.base import (
    AudioData,
    Cancel,
    Capabilities,
    Failed,
    Finished,
    Frame,
    Handshake,
    Protocol,
    Provider,
    Released,
    Started,
    StreamKey,
    StreamSpec,
    VendorEvent,
)

SPEC = StreamSpec("anna", AudioFormat())
CAPABILITIES = Capabilities(
    phrases=None,
    streams=1,
    turns=0,
    cancel=Cancel.CLOSE,
    word_times=False,
    sample_rates=frozenset({24_000}),
)


def error(
    text: str = "it broke",
    scope: Scope = Scope.SOCKET,
    action: Action = Action.RECONNECT,
    code: int | str | None = None,
) -> VendorError:
    return VendorError("scripted", text, code=code, scope=scope, action=action)


class ScriptedProtocol(Protocol):
    """JSON lists: a verb, the stream, and what it needs."""

    def __init__(self, prepares: bool) -> None:
        self._opened, self._prepares = 0, prepares

    def prepare(self, spec: StreamSpec) -> list[Frame]:
        return [json.dumps(["prepare", "", spec.voice_id])] if self._prepares else []

    def open(self, spec: StreamSpec) -> tuple[StreamKey, list[Frame]]:
        self._opened += 1
        key = f"s{self._opened}"
        return key, [json.dumps(["open", key, spec.voice_id])]

    def text(self, stream: StreamKey, text: str) -> list[Frame]:
        return [json.dumps(["text", stream, text])]

    def flush(self, stream: StreamKey, text: str) -> list[Frame]:
        return [json.dumps(["flush", stream, text])]

    def finish(self, stream: StreamKey, text: str) -> list[Frame]:
        return [json.dumps(["finish", stream, text])]

    def keep_alive(self, stream: StreamKey) -> list[Frame]:
        return [json.dumps(["alive", stream, ""])]

    def cancel(self, stream: StreamKey) -> list[Frame]:
        return [json.dumps(["cancel", stream, ""])]

    def receive(self, frame: Frame) -> list[VendorEvent]:
        kind, key, said = json.loads(frame)
        match kind:
            case "started":
                return [Started(key, 24_000)]
            case "audio":
                return [AudioData(key, said.encode())]
            case "finished":
                return [Finished(key)]
            case "released":
                return [Released(key)]
            case _:
                return [Failed(key or None, error(said["text"], Scope(said["scope"]), Action(said["action"])))]

    def closed(self, code: int | None, reason: str) -> VendorError:
        return error(reason or "the connection broke", code=code)


class Scripted(Provider):
    """An account with it. A model is bound to the connection."""

    vendor = "scripted"

    def __init__(self, settings: ProviderSettings, capabilities: Capabilities, prepares: bool) -> None:
        super().__init__("scripted", settings)
        self.capabilities, self._prepares = capabilities, prepares

    def binding(self, spec: StreamSpec) -> str:
        return spec.model or ""

    def handshake(self, binding: str) -> Handshake:
        return Handshake(f"{self.settings.url}{binding}", {})

    def refused(self, status: int, body: str) -> VendorError:
        if status == 401:
            return error(f"HTTP {status}", Scope.ACCOUNT, Action.FIX_CONFIGURATION, status)
        if status == 404:
            return error(f"HTTP {status}", Scope.SOCKET, Action.FIX_CONFIGURATION, status)
        if status == 429:
            return error(f"HTTP {status}", Scope.ACCOUNT, Action.RETRY_LATER, status)
        return error(f"HTTP {status}", Scope.SOCKET, Action.RETRY_LATER, status)

    def protocol(self) -> Protocol:
        return ScriptedProtocol(self._prepares)

    def check(self, name: str, voice: VoiceSettings) -> None:
        pass


@dataclass
class Vendor:
    """The server. Its attributes say how it behaves from now on, and what it has seen.

    Args:
        status: answers the upgrade with it, if it is not 0.
        fails: answers "finish" with this error of the whole connection.
        fails_alone: answers "finish" with this error of the stream.
        silent: says nothing to "finish".
        acknowledges: answers "cancel".
        closes_after: closes a connection with this code when a stream has finished on it.
        gate: while it is not set no stream finishes, or what else ``gated`` says: no "upgrade", no "close" after one.
    """

    url: str = ""
    status: int = 0
    fails: VendorError | None = None
    fails_alone: VendorError | None = None
    silent: bool = False
    acknowledges: bool = True
    closes_after: int | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    gated: str = ""

    sockets: set[ServerConnection] = field(default_factory=set)
    upgrades: int = 0
    opened: int = 0
    most_open: int = 0
    most_streams: int = 0
    streams: int = 0
    messages: list[tuple[int, str, str, str]] = field(default_factory=list)  # connection, verb, stream, what
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def verbs(self, verb: str) -> list[tuple[int, str]]:
        """Return on which connection a verb has come, and what with it."""
        return [(number, what) for number, said, _, what in self.messages if said == verb]

    async def until(self, holds: Callable[["Vendor"], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(10):
            while not holds(self):
                self.news.clear()
                await self.news.wait()

    async def upgrade(self, _: ServerConnection, request: Request) -> Response | None:
        self.upgrades += 1
        self.news.set()
        if self.gated == "upgrade":
            await self.gate.wait()
        if self.status:
            return Response(self.status, http.HTTPStatus(self.status).phrase, request.headers.__class__(), b"no")
        return None

    async def serve(self, socket: ServerConnection) -> None:
        self.opened += 1
        number = self.opened
        self.sockets.add(socket)
        self.most_open = max(self.most_open, len(self.sockets))
        self.news.set()
        mine: set[str] = set()
        answers: set[asyncio.Task[None]] = set()
        try:
            async for message in socket:
                verb, key, what = json.loads(message)
                self.messages.append((number, verb, key, what))
                self.news.set()
                if verb == "open":
                    mine.add(key)
                    self.streams += 1
                    self.most_streams = max(self.most_streams, self.streams)
                    await socket.send(json.dumps(["started", key, ""]))
                else:
                    answers.add(asyncio.create_task(self.answer(socket, verb, key, what, mine)))
        except ConnectionClosed:
            pass
        finally:
            for answer in answers:
                answer.cancel()
            self.streams -= len(mine)
            self.sockets.discard(socket)
            self.news.set()

    async def answer(self, socket: ServerConnection, verb: str, key: str, what: str, mine: set[str]) -> None:
        async def say(kind: str, said: Any = "", key: str = key) -> None:
            await socket.send(json.dumps([kind, key, said]))

        try:
            if verb == "cancel" and self.acknowledges:
                await say("audio", "late")  # what was on its way
                self._over(key, mine)
                await say("released")
            elif verb == "text":
                await say("audio", what)
            elif verb == "finish" and not self.silent:
                if not self.gated:
                    await self.gate.wait()
                if failure := self.fails or self.fails_alone:
                    said = {"text": failure.text, "scope": failure.scope, "action": failure.action}
                    self._over(key, mine)
                    await say("error", said, "" if self.fails else key)
                    return
                await say("audio", what)
                self._over(key, mine)
                await say("finished")
                if self.closes_after is not None:
                    if self.gated == "close":
                        await self.gate.wait()
                    await socket.close(self.closes_after)
        except ConnectionClosed:
            pass

    def _over(self, key: str, mine: set[str]) -> None:
        if key in mine:
            mine.discard(key)
            self.streams -= 1

    def cut(self) -> None:
        """Break every connection."""
        for socket in list(self.sockets):
            socket.transport.abort()

    async def close(self, code: int) -> None:
        """Close every connection."""
        await asyncio.gather(*(socket.close(code) for socket in list(self.sockets)))

    def provider(self, capabilities: Capabilities = CAPABILITIES, prepares: bool = False, **settings: Any) -> Scripted:
        """Make an account with it."""
        return Scripted(ProviderSettings.model_validate({"url": self.url, **settings}), capabilities, prepares)

    @asynccontextmanager
    async def account(
        self,
        quota: Quota | None = None,
        usual: Sequence[StreamSpec] = (SPEC,),
        prepares: bool = False,
        capabilities: dict[str, Any] | None = None,
        **settings: Any,
    ) -> AsyncIterator[Account]:
        """Open an account with it; fails if that leaves a task or a socket behind."""
        before = asyncio.all_tasks()
        provider = self.provider(replace(CAPABILITIES, **(capabilities or {})), prepares, **settings)
        async with Account(provider, usual, quota) as account:
            yield account
        await self.until(lambda vendor: not vendor.sockets)
        mine = {task for task in asyncio.all_tasks() - before if task.get_name().startswith("scripted")}
        assert not mine, f"tasks are left: {mine}"


@asynccontextmanager
async def vendor(**behaviour: Any) -> AsyncIterator[Vendor]:
    """Run one."""
    here = Vendor(**behaviour)
    here.gate.set()
    async with serve(here.serve, "127.0.0.1", 0, process_request=here.upgrade, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        here.url = f"ws://127.0.0.1:{port}/"
        yield here
        here.gate.set()


class Places(Quota):
    """A quota that counts."""

    def __init__(self, limit: int = 100) -> None:
        self._free, self._limit = asyncio.Semaphore(limit), limit
        self.taken = self.given = self.refusals = self.most = self.queued_now = 0

    async def take(self) -> Lease:
        self.queued_now += 1
        try:
            await self._free.acquire()
        finally:
            self.queued_now -= 1
        self.taken += 1
        self.most = max(self.most, self.out)
        return _Place(self)

    async def refused(self) -> None:
        self.refusals += 1

    def back(self) -> None:
        self.given += 1
        self._free.release()

    @property
    def out(self) -> int:
        return self.taken - self.given

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def held(self) -> int | None:
        return self.out

    @property
    def queued(self) -> int:
        return self.queued_now


class _Place:
    """One of them; here giving it twice is a fault."""

    def __init__(self, places: Places) -> None:
        self._places: Places | None = places

    def give(self) -> None:
        assert self._places is not None, "given back twice"
        self._places.back()
        self._places = None


async def all_of(stream: Stream) -> bytes:
    """Read a stream to its end; return its audio."""
    audio = b""
    async with asyncio.timeout(5.0):
        while True:
            for event in await stream.events():
                if isinstance(event, AudioData):
                    audio += event.data
                elif isinstance(event, Finished):
                    return audio


async def speak(account: Account, text: str, spec: StreamSpec = SPEC) -> bytes:
    """Have a text spoken; return its audio."""
    stream = await account.stream(spec)
    try:
        await stream.finish(text)
        return await all_of(stream)
    finally:
        stream.cancel()
