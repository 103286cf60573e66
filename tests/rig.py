"""The whole way on one machine, for tests: a stand-in vendor, workers here or as processes, a way to listen."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from saystream.common.errors import TurnEnded
from saystream.common.events import Audio, Begin, End, Splice, Words
from saystream.common.redis_client import connect
from saystream.common.reports import Reports
from saystream.common.settings import Settings, load
from saystream.compose.standin import Behaviour, StandIn
from saystream.compose.standin.marker import Decoded, decode
from saystream.consumer import BEGINNING, Event, Gap, listen
from saystream.producer import Speaker
from saystream.workers.worker import Worker
from tests.timing import MS, eventually
from tests.vendors import GRADIUM, Row

#: Short, so that a take-over does not make the tests long.
LEASE_S = 400 * MS


@dataclass
class Heard:
    """All that a session's output says, in its order.

    Attributes:
        events: as they came.
        ends: how each turn has ended.
    """

    events: list[Event] = field(default_factory=list)
    ends: dict[str, End] = field(default_factory=dict)

    def decoded(self, turn: str) -> Decoded:
        """Return the marker words of a turn, as a recording by the splice rule holds them."""
        begin = next(event for event in self.events if isinstance(event, Begin) and event.turn == turn)
        audio = bytearray()
        width = begin.format.sample_bytes
        for event in self.events:
            if isinstance(event, Splice) and event.turn == turn:
                del audio[event.offset * width :]
            elif isinstance(event, Audio) and event.turn == turn:
                assert len(audio) == event.offset * width, "audio does not follow on what was published before"
                audio += event.data
        return decode(np.frombuffer(bytes(audio), np.int16), begin.format.sample_rate)

    def words(self, turn: str) -> list[str]:
        """Return a turn's words; fails if one of them is broken."""
        decoded = self.decoded(turn)
        assert decoded.faults == []
        return [word.text for word in decoded.words]

    def told(self, turn: str) -> list[tuple[int, int]]:
        """Return where in the text the words stand whose times were told, as a caption holds them in the end."""
        known: dict[int, int] = {}
        last: dict[int, int] = {}
        for event in self.events:
            if isinstance(event, Splice) and event.turn == turn:
                known = {start: end for start, end in known.items() if last[start] <= event.offset}
            elif isinstance(event, Words) and event.turn == turn:
                known |= {word.start: word.end for word in event.words}
                last |= {word.start: word.last_sample for word in event.words}
        return sorted(known.items())

    def of(self, turn: str, kind: type[Any]) -> list[Any]:
        """Return a turn's events of one kind."""
        return [event for event in self.events if isinstance(event, kind) and event.turn == turn]


@dataclass
class Rig:
    """What `rig` puts together."""

    url: str
    standin: StandIn
    settings: Settings
    providers: dict[str, Any]
    workers: list[Worker]
    stops: list[asyncio.Event]
    runs: list[asyncio.Task[None]]
    _stack: AsyncExitStack

    async def start_worker(self, **changes: Any) -> int:
        """Start one more worker in this process; returns its place in `workers`."""
        worker, stop = Worker(self.settings.model_copy(update=changes), self.url), asyncio.Event()
        run = asyncio.create_task(worker.run(stop))
        ready = asyncio.create_task(worker.ready.wait())
        await asyncio.wait([run, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if run.done():
            await run
        self.workers.append(worker)
        self.stops.append(stop)
        self.runs.append(run)
        return len(self.workers) - 1

    @asynccontextmanager
    async def worker_process(self, url: str = "") -> AsyncIterator[subprocess.Popen[str]]:
        """Run a worker as a process of its own, by the command that operators use; killed in the end.

        Args:
            url: where it finds Redis, if not where the rig does.
        """
        environment = os.environ | {
            "SAYSTREAM_REDIS_URL": url or self.url,
            "SAYSTREAM_PROVIDERS": json.dumps(self.providers),
            "SAYSTREAM_VOICES": json.dumps({name: voice.model_dump() for name, voice in self.settings.voices.items()}),
            "SAYSTREAM_WORKER": self.settings.worker.model_dump_json(),
        }
        command = [sys.executable, "-m", "saystream.compose.cli", "worker", "-v"]
        # A blocking start is what a test wants: nothing else is to happen meanwhile.
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
            try:
                assert process.stderr
                loop = asyncio.get_running_loop()
                while "is ready" not in (line := await loop.run_in_executor(None, process.stderr.readline)):
                    assert line, f"the worker ended with {process.wait()}"
                draining = loop.run_in_executor(None, process.stderr.read)  # its log must not fill the pipe
                try:
                    yield process
                finally:
                    process.kill()
                    await draining
            finally:
                process.kill()

    @asynccontextmanager
    async def speaker(self) -> AsyncIterator[Speaker]:
        async with Speaker.connect(self.url, settings=self.settings) as speaker:
            yield speaker

    async def stop(self) -> None:
        """Let the workers drain, and wait until they have."""
        for stop in self.stops:
            stop.set()
        for run in self.runs:
            with suppress(asyncio.CancelledError):
                await run

    async def until_heard(self, session: str, word: str) -> None:
        """Wait until the session's audio has had a word."""
        heard = Heard()
        async with aclosing(self.listening(session)) as events:
            async for event in events:
                heard.events.append(event)
                if isinstance(event, Audio) and word in [spoken.text for spoken in heard.decoded(event.turn).words]:
                    return

    async def until_spoken(self, session: str, chars: int) -> None:
        """Wait until the session's output says that so much of a turn's text is spoken."""
        async with aclosing(self.listening(session)) as events:
            async for event in events:
                if isinstance(event, Audio | Words) and event.spoken >= chars:
                    return

    async def until_breaker(self, provider: str, state: str) -> None:
        """Wait until the breaker of the first worker's account is in a state."""
        reports = self.workers[0].reports
        await eventually(lambda: any((r.provider, r.breaker) == (provider, state) for r in reports()))

    async def until_reported(self) -> None:
        """Wait until all workers have told how they are."""
        async with aclosing(connect(self.url)) as redis:
            names = {worker.name for worker in self.workers}
            while not names <= {report.worker for report in (await Reports(redis).read()).workers}:  # noqa: ASYNC110
                await asyncio.sleep(10 * MS)

    async def until_reported_by(self, count: int) -> None:
        """Wait until so many workers say that they take turns."""
        async with aclosing(connect(self.url)) as redis:
            while len((await Reports(redis).read()).beside("")) < count:  # noqa: ASYNC110
                await asyncio.sleep(10 * MS)

    async def say(self, session: str, turn: str, said: str | Iterable[str], **request: Any) -> None:
        """Open a turn, send its text in pieces of four characters (or as given), end it.

        A turn that ends before is no error here: its end is heard.
        """
        tokens = [said[at : at + 4] for at in range(0, len(said), 4)] if isinstance(said, str) else said
        async with self.speaker() as speaker:
            with suppress(TurnEnded):
                async with speaker.turn(session, turn=turn, **request) as opened:
                    for token in tokens:
                        await opened.send(token)

    async def hear(self, session: str, *turns: str) -> Heard:
        """Listen from the beginning until turns have ended, each exactly once and with no gap."""
        heard = Heard()
        async with aclosing(self.listening(session)) as events:
            async for event in events:
                heard.events.append(event)
                assert not isinstance(event, Gap)
                if isinstance(event, End):
                    assert event.turn not in heard.ends, "a turn ended twice"
                    heard.ends[event.turn] = event
                    if set(turns) <= set(heard.ends):
                        break
        return heard

    async def listening(self, session: str) -> AsyncGenerator[Event, None]:
        """Listen from the beginning; to be closed by whoever does not listen to the end (`contextlib.aclosing`)."""
        async for event in listen(self.url, session, start=BEGINNING, shards=self.settings.shards):
            yield event


@asynccontextmanager
async def rig(
    url: str,
    workers: int = 1,
    behaviour: Behaviour | None = None,
    *,
    row: Row = GRADIUM,
    account: Mapping[str, Any] | None = None,
    voice: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """Put a stand-in vendor and workers together over the Redis at ``url``; all of it is gone afterwards.

    Args:
        row: which vendor, and how.
        account: settings of its account.
        voice: settings of the voice, beside those of the row.
    """
    async with AsyncExitStack() as stack:
        behaviour = replace(behaviour or Behaviour(), **row.behaviour)
        standin = await stack.enter_async_context(StandIn(behaviour=behaviour, engine="marker"))
        providers = {row.vendor: row.provider(standin, **(account or {}))}
        spoken = {"provider": row.vendor, "voice_id": "marker", **row.voice, **(voice or {})}
        chosen = load(
            redis_url=url,
            **{
                "providers": providers,
                "voices": dict.fromkeys(("default", "other"), spoken),
                "worker": {"lease_s": LEASE_S},
                **settings,
            },
        )
        built = Rig(url, standin, chosen, dict(settings.get("providers", providers)), [], [], [], stack)
        try:
            for _ in range(workers):
                await built.start_worker()
            yield built
        finally:
            await built.stop()
