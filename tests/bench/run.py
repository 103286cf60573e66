"""`make bench`: what saystream adds between the LLM and the vendor, and between the vendor and the listener.

A real Redis, a worker in a process of its own, the stand-in vendor answering at once, and for each turn a producer that
sends 30 tokens a second and a consumer that tails the session. Twelve tokens make one word of 0.4 s of audio, and each
word ends a phrase: so whatever passes between its last token and its arrival at the vendor is ours.

Then workers are killed in mid-word, under a vendor that speaks in real time, and a listener at the live edge says how
long it heard nothing.
"""

import argparse
import asyncio
import json
import os
import random
import re
import sys
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import redis.asyncio
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from saystream.common.events import Audio, End
from saystream.common.loop import run
from saystream.common.redis_client import call, connect
from saystream.common.settings import WorkerSettings
from saystream.compose.redis_server import PrivateRedis
from saystream.compose.standin import TEST_KEY, Behaviour, StandIn
from saystream.consumer import BEGINNING, listen
from saystream.producer import Speaker
from tests.edge import LiveEdge

TOKEN_S = 1 / 30
TOKENS = 12
#: Scales the marker voice so that a word of twelve characters lasts 0.4 s with the gap behind it.
PACE = 0.5


@dataclass
class Figures:
    """What was measured at one load. Times in seconds."""

    turns: int
    seconds: float
    token_to_vendor: list[float] = field(default_factory=list)
    audio_to_consumer: list[float] = field(default_factory=list)
    audio_s: float = 0.0
    worker_cpu_s: float = 0.0
    redis_cpu_s: float = 0.0
    worker_mb: float = 0.0

    def row(self) -> list[str]:
        to_vendor, to_consumer = (
            np.percentile(np.array(times) * 1000, (50, 99)) for times in (self.token_to_vendor, self.audio_to_consumer)
        )
        minutes = self.audio_s / 60
        return [
            str(self.turns),
            *(f"{value:.2f}" for value in (*to_vendor, *to_consumer)),
            f"{self.worker_cpu_s / minutes:.3f}",
            f"{self.redis_cpu_s / minutes:.3f}",
            f"{self.worker_cpu_s / self.audio_s * 1000:.2f}",
            f"{100 * self.worker_cpu_s / self.seconds:.0f} %",
            f"{self.worker_mb:.0f}",
        ]


COLUMNS = [
    "turns\nat once",
    "to vendor\np50 ms",
    "\np99 ms",
    "to listener\np50 ms",
    "\np99 ms",
    "worker\ns/min",
    "Redis\ns/min",
    "worker\nms/turn-s",
    "of a\ncore",
    "worker\nMB",
]
CAPTION = """\
To vendor: from the last token of a phrase to its arrival there.
To listener: from the vendor's audio to its arrival there.
s/min: processor seconds per minute of audio.
ms/turn-s: processor milliseconds per second of one turn's audio.
MB: the most memory that the worker has had until then."""


def in_letters(digits: str) -> str:
    """Write a number in letters: behind a digit, a comma may be a number's own and no phrase ends."""
    return digits.translate(str.maketrans("0123456789", "abcdefghij"))


class Bench:
    """One set-up, measured at several loads."""

    def __init__(self, url: str, standin: StandIn, worker: asyncio.subprocess.Process) -> None:
        self.url, self.standin, self.worker = url, standin, worker
        self.redis = connect(url)

    async def measure(self, turns: int, seconds: float, round_: str) -> Figures:
        figures = Figures(turns, seconds)
        sent: dict[str, float] = {}
        heard: dict[str, list[float]] = {}
        worker_cpu, redis_cpu = self._worker_cpu_s(), await self._redis_cpu_s()
        began = time.monotonic()
        async with Speaker.connect(self.url) as speaker, asyncio.TaskGroup() as group:
            for number in range(turns):
                name = f"{round_}-{number:03}"
                group.create_task(self._produce(speaker, name, number, seconds, sent))
                group.create_task(self._consume(name, heard, figures))
        figures.seconds = time.monotonic() - began
        figures.worker_cpu_s = self._worker_cpu_s() - worker_cpu
        figures.redis_cpu_s = await self._redis_cpu_s() - redis_cpu
        figures.worker_mb = self._worker_mb()
        self._compare(sent, heard, figures)
        return figures

    async def _produce(self, speaker: Speaker, name: str, number: int, seconds: float, sent: dict[str, float]) -> None:
        """Send words of a token a letter; the last token holds the comma and the blank that end the phrase."""
        begin = time.monotonic() + TOKEN_S * (number % 7) / 7  # producers are not in step
        async with speaker.turn(name, turn=name, voice="marker") as turn:
            for word in range(int(seconds / (TOKENS * TOKEN_S))):
                text = in_letters(f"{number:03}{word:0{TOKENS - 4}}")
                for part, token in enumerate((*text, ", ")):
                    await asyncio.sleep(max(0.0, begin + (TOKENS * word + part) * TOKEN_S - time.monotonic()))
                    sent[f"{name} {text},"] = time.monotonic()
                    await turn.send(token)

    async def _consume(self, name: str, heard: dict[str, list[float]], figures: Figures) -> None:
        times = heard[name] = []
        async for event in listen(self.url, name, start=BEGINNING):
            if isinstance(event, Audio):
                times.append(time.monotonic())
            elif isinstance(event, End):
                figures.audio_s += event.samples / 24_000
                return

    def _compare(self, sent: dict[str, float], heard: dict[str, list[float]], figures: Figures) -> None:
        """Match what left with what arrived: phrases by their text, audio by its place in the turn."""
        names = {f"{key.split()[1][:3]}": key.split()[0] for key in sent}
        for request in list(self.standin.stats.requests)[-figures.turns :]:
            words = [(at, text.split()[0]) for at, text in request.texts if text.split()[0] != "<flush>"]
            if not words:
                continue
            name = names[words[0][1][:3]]
            figures.token_to_vendor += [at - sent[f"{name} {word}"] for at, word in words]
            figures.audio_to_consumer += [
                arrived - left for left, arrived in zip(request.frames, heard[name], strict=True)
            ]

    def _worker_cpu_s(self) -> float:
        fields = Path(f"/proc/{self.worker.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _worker_mb(self) -> float:
        [peak] = re.findall(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{self.worker.pid}/status").read_text(), re.MULTILINE)
        return int(peak) / 1024

    async def _redis_cpu_s(self) -> float:
        info = await call(self.redis, "INFO", "cpu")
        return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])


async def yardstick_us(url: str, times: int = 2000) -> float:
    """Measure what one XADD of 4 KB by redis-py's plain client costs here, in microseconds of processor time."""
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.xadd("yardstick", {"data": bytes(4096)}, maxlen=10)
        began = time.process_time()
        for _ in range(times):
            await client.xadd("yardstick", {"data": bytes(4096)}, maxlen=10)
        used = time.process_time() - began
        await client.delete("yardstick")
    return used / times * 1e6


async def start_worker(url: str, standin: StandIn) -> asyncio.subprocess.Process:
    """Start a worker as operators do, and wait until it is ready."""
    voice = {"provider": "gradium", "voice_id": "marker"}
    environment = os.environ | {
        "SAYSTREAM_REDIS_URL": url,
        "SAYSTREAM_PROVIDERS": json.dumps({"gradium": {"url": standin.gradium_url, "api_key": TEST_KEY, "max": 512}}),
        "SAYSTREAM_VOICES": json.dumps({"marker": voice}),
        "SAYSTREAM_WORKER": json.dumps({"slots": 512}),
    }
    command = [sys.executable, "-m", "saystream.compose.cli", "worker", "-v"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    assert process.stderr
    while b"is ready" not in (line := await process.stderr.readline()):
        if not line:
            raise SystemExit(f"the worker ended with {await process.wait()}")
    return process


async def take_over(url: str, standin: StandIn, kills: int) -> list[float]:
    """Kill workers, each in the middle of a turn that another one goes on with.

    Returns for each how long a listener at the live edge heard nothing, beyond what it had buffered, in lease periods.
    """
    silences, lease_s = [], WorkerSettings().lease_s
    standin.behaviour = Behaviour(speed=1.0, marker_pace=PACE)
    speaks = await start_worker(url, standin)
    async with Speaker.connect(url) as speaker:
        for number in range(kills):
            name, begun = f"kill-{number}", asyncio.Event()
            hearing = asyncio.create_task(hear_another(url, name, begun))
            await speaker.say(name, "word " * 60, voice="marker")
            await begun.wait()
            goes_on = await start_worker(url, standin)
            await asyncio.sleep(random.uniform(0.0, 0.5))
            speaks.kill()
            silences.append(await hearing / lease_s)
            await speaker.interrupt(name)
            await speaks.wait()
            speaks = goes_on
    speaks.terminate()
    await speaks.wait()
    return silences


async def hear_another(url: str, name: str, begun: asyncio.Event) -> float:
    """Listen until another worker has gone on with a turn; returns the longest silence."""
    edge = LiveEdge()
    async with aclosing(listen(url, name, start=BEGINNING)) as events:
        async for event in events:
            edge.hear(event)
            begun.set()
            if isinstance(event, Audio) and event.cursor.attempt == 2:
                break
    return edge.longest_s


async def main(loads: list[int], seconds: float, kills: int) -> tuple[list[list[str]], list[float]]:
    """Measure at each load, then at each kill; print the table, and return its rows and the silences."""
    console = Console(width=None if sys.stdout.isatty() else 100)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(PrivateRedis())
        yardstick = await yardstick_us(server.url)
        standin = await stack.enter_async_context(StandIn(behaviour=Behaviour(marker_pace=PACE), engine="marker"))
        worker = await start_worker(server.url, standin)
        assert worker.stderr
        draining = asyncio.create_task(worker.stderr.read())  # its log must not fill the pipe
        bench = Bench(server.url, standin, worker)
        stack.push_async_callback(bench.redis.aclose)
        try:
            with Progress(console=console, transient=True) as progress:
                bar = progress.add_task("measuring", total=len(loads))
                await bench.measure(4, 2.0, "warm-up")
                rows = []
                for turns in loads:
                    progress.update(bar, description=f"{turns} turns at once, {seconds:g} s")
                    rows.append(await bench.measure(turns, seconds, f"load{turns}"))
                    progress.advance(bar)
        finally:
            worker.terminate()
            await worker.wait()
            await draining
        with console.status(f"killing {kills} workers"):
            silences = await take_over(server.url, standin, kills) if kills else []
    title = f"saystream, {server.version}, {seconds:g} s a load, 30 tokens/s and 1 s of audio/s a turn"
    table = Table(title=title, caption=CAPTION, caption_justify="left", box=box.SIMPLE)
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for figures in rows:
        table.add_row(*figures.row())
    console.print(table)
    console.print(
        f"Yardstick: one XADD of 4 KB by redis-py's plain client costs {yardstick:.0f} µs of processor time here. "
        f"At {rows[-1].turns} turns, the worker costs {rows[-1].worker_cpu_s / rows[-1].audio_s * 1e6 / yardstick:.0f} "
        "of them a turn-second."
    )
    if silences:
        median, longest = np.median(silences), max(silences)
        console.print(
            f"Take-over: after kill -9, a listener at the live edge hears nothing for {median:.2f} lease periods "
            f"beyond what was buffered (median of {kills}; the longest: {longest:.2f})."
        )
    return [figures.row() for figures in rows], silences


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, nargs="+", default=[1, 10, 50], help="turns at once (default: 1 10 50)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each load lasts (default: 20)")
    parser.add_argument("--out", type=Path, help="also write the table as JSON to this file")
    parser.add_argument("--kills", type=int, default=10, help="how many workers are killed (default: 10)")
    given = parser.parse_args()
    rows, silences = run(main(given.turns, given.seconds, given.kills))
    if given.out:
        given.out.write_bytes(orjson.dumps({"columns": COLUMNS, "rows": rows, "take-over, leases": silences}))
