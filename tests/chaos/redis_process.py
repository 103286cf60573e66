"""A Redis that can be killed and comes back: the same port, the same folder, all that it had acknowledged."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from saystream.compose.ports import KeptPort
from saystream.compose.redis_server import ServerBinary, choose
from tests.chaos.processes import Child, Ended

_START_S = 30.0


class RedisProcess:
    """A Redis of its own. It writes each command to its log before it acknowledges it (``appendfsync always``).

    With ``everysec`` a server that is killed while the disk is busy has acknowledged what it has not written.
    """

    def __init__(self, folder: Path, logs: Path, ended: Ended) -> None:
        binary = choose(None)
        assert isinstance(binary, ServerBinary)
        self._kept_port = KeptPort()  # while it is down, too
        self.port = self._kept_port.number
        self.url = f"redis://127.0.0.1:{self.port}/0"
        folder.mkdir(parents=True)
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        arguments += ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
        self.child = Child("redis", [str(binary.path), *arguments], {}, logs, ended)

    async def start(self) -> None:
        """Start it, and return when it answers, with all that it has read from its log."""
        await self.child.start()
        deadline_s = time.monotonic() + _START_S
        while True:
            try:
                await self.ask("PING")
            except RedisError:
                assert self.child.running, "Redis has ended at once"
                assert time.monotonic() < deadline_s, f"Redis does not answer after {_START_S:g} s"
                await asyncio.sleep(0.01)
            else:
                return

    async def close(self) -> None:
        """End it for good."""
        await self.child.stop()
        self._kept_port.close()

    async def stop(self, number: signal.Signals) -> None:
        """End it by a signal."""
        self.child.send(number)
        await self.child.wait()

    async def ask(self, *command: str) -> Any:
        """Run a command, at the server itself."""
        client = redis.asyncio.Redis.from_url(
            self.url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0)
        )
        async with client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]
