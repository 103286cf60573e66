"""The stage of a run: Redis, the stand-in vendor, workers, producers and consumers as processes, and proxies."""

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saystream.compose.standin import TEST_KEY
from tests.chaos import plan, schedule
from tests.chaos.brief import Brief
from tests.chaos.evidence import Gone, Witness
from tests.chaos.faults import Cast
from tests.chaos.processes import Child, program
from tests.chaos.redis_process import RedisProcess
from tests.proxy import Proxy

#: Seconds of audio that the vendor sends in a second, and the scale of its words' durations.
SPEED, PACE = 2.0, 0.7
LEASE_S = 1.0
_READY_S = 60.0
#: A worker that starts while Redis is away says so, and ends; whoever keeps it running starts it again.
_NO_REDIS = "cannot be used"
_SAMPLE_RATE = 8000
#: So short that what a fault costs is not the time-out of a setting.
_IMPATIENCE = {
    "first_audio_s": 1.5,
    "pause_s": 1.0,
    "stall_s": 0.5,
    "connect_timeout_s": 2.0,
    "breaker_s": 0.5,
    "cancel_s": 0.5,
    "limit_wait_s": 5.0,
    "limit_lowered_s": 3.0,
}


@dataclass
class Stage:
    """All that plays in a run.

    Attributes:
        crashes: processes that ended without being told to, as sentences.
    """

    brief: Brief
    cast: Cast
    workers: list[Child]
    producers: list[Child]
    consumers: list[Child]
    crashes: list[str] = field(default_factory=list)

    @property
    def audience(self) -> list[Child]:
        """Those that end by themselves when all is said and heard."""
        return [*self.producers, *self.consumers]

    @property
    def wrong(self) -> list[str]:
        """What no process may do: end by itself, or meet an error that nobody has thought of."""
        children = [*self.workers, *self.audience]
        return self.crashes + sorted({f"{child.name}: {error}" for child in children for error in child.faults()})

    async def watch(self) -> None:
        """Start again, and note, what has ended without being told to; until cancelled."""
        while True:
            await asyncio.sleep(0.5)
            for child in [*self.workers, *self.audience, self.cast.redis.child]:
                if (code := child.crashed) is not None:
                    if (
                        _NO_REDIS not in child.last_words()
                    ):  # a worker that starts while Redis is away says so, and ends
                        why = (child.faults() or [child.last_words()])[-1]
                        self.crashes.append(f"{child.name} ended by itself with {code}: {why}")
                    await child.wait()
                    await child.start()


@contextlib.asynccontextmanager
async def stage(
    folder: Path, witness: Witness, *, seed: int, turns: int, seconds: float, saying_s: float, words: tuple[int, int]
) -> AsyncIterator[Stage]:
    """Start all of it; nothing of it runs afterwards.

    Args:
        saying_s: in how many seconds all sessions begin.
    """
    logs = folder / "logs"
    logs.mkdir(parents=True)

    def ended(name: str, code: int) -> None:
        witness.note(Gone(name=name, code=code))

    async with contextlib.AsyncExitStack() as stack:

        def child(name: str, command: list[str], environment: dict[str, str]) -> Child:
            made = Child(name, command, environment, logs, ended)
            stack.push_async_callback(made.stop)
            return made

        stack.callback(shutil.rmtree, folder / "redis", ignore_errors=True)  # what it held is in the evidence
        redis = RedisProcess(folder / "redis", logs, ended)
        stack.push_async_callback(redis.close)
        standin = child("standin", _standin(), {})
        await asyncio.gather(redis.start(), standin.start())
        urls = json.loads(await _line(standin, '{"event"'))
        settings = _settings(urls)
        names = [*schedule.WORKERS, *schedule.PRODUCERS, schedule.MORTAL]
        proxies = {name: await stack.enter_async_context(Proxy(redis.url)) for name in names}
        environment = {f"SAYSTREAM_{name.upper()}": json.dumps(value) for name, value in settings.items()}

        def at(name: str) -> dict[str, str]:
            url = proxies[name].url if name in proxies else redis.url
            return environment | {"SAYSTREAM_REDIS_URL": url}

        command = program("saystream.compose.cli", "worker", "-v")
        workers = [child(name, command, at(name)) for name in schedule.WORKERS]
        await asyncio.gather(*(worker.start() for worker in workers))
        await asyncio.gather(*(_line(worker, "is ready") for worker in workers))

        brief = Brief(
            folder=str(folder),
            began_s=time.monotonic(),
            seed=seed,
            turns=turns,
            seconds=saying_s,
            producers=len(schedule.PRODUCERS),
            words=words,
            redis_url=redis.url,
            settings=settings,
        )
        told = brief.write()
        producers = [
            child(name, program("tests.chaos.producing", name, str(number)), at(name) | told)
            for number, name in enumerate(schedule.PRODUCERS)
        ]
        consumers = [
            child(schedule.STEADY, program("tests.chaos.consuming", schedule.STEADY, "--steady"), at("") | told),
            child(schedule.MORTAL, program("tests.chaos.consuming", schedule.MORTAL), at(schedule.MORTAL) | told),
        ]
        await asyncio.gather(*(made.start() for made in [*consumers, *producers]))
        children = {made.name: made for made in [*workers, *producers, *consumers]}
        yield Stage(brief, Cast(redis, urls["control_url"], children, proxies), workers, producers, consumers)


def _standin() -> list[str]:
    options = ["--port", "0", "--json", "--engine", "marker", "--speed", str(SPEED), "--set", f"marker_pace={PACE}"]
    return program("saystream.compose.cli", "standin", *options)


async def _line(child: Child, beginning: str) -> str:
    """Wait until a process has written a line with this in it."""
    deadline_s = time.monotonic() + _READY_S
    while time.monotonic() < deadline_s:
        for line in child.log.read_text(errors="replace").splitlines():
            if beginning in line:
                return line
        assert child.running, f"{child.name} ended at once: {child.last_words()}"
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{child.name} is not ready after {_READY_S:g} s: {child.last_words()}")


def _settings(standin: dict[str, str]) -> dict[str, Any]:
    """Three vendors that stand in for one another, one of them with few streams."""
    vendors = ("gradium", "kugelaudio", "fishaudio")
    providers: dict[str, dict[str, Any]] = {
        vendor: {"vendor": vendor, "url": standin[f"{vendor}_url"], "api_key": TEST_KEY, **_IMPATIENCE}
        for vendor in vendors
    }
    providers["kugelaudio"]["limit"] = 8
    voices: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(plan.VOICES):
        others = plan.VOICES[place + 1 :] + plan.VOICES[:place]
        voices[name] = {"provider": vendors[place], "voice_id": "marker", "fallback": others}
    voices[plan.DOOMED] = {"provider": "gradium", "voice_id": "unknown-voice"}
    for voice in voices.values():
        voice["sample_rate"] = _SAMPLE_RATE
    return {
        "providers": providers,
        "voices": voices,
        "worker": {"lease_s": LEASE_S, "drain_s": 5.0},
        "limits": {"idle_s": 3.0, "retention_s": 7200.0},
        "redis_timeout_s": 5.0,
    }
