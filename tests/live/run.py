"""A turn at each real vendor whose key is in the environment: ``make test-live``. No part of ``make test``.

It costs a few cents, needs an account, and prints figures; a vendor without a key is skipped, and says so.
"""

import asyncio
import contextlib
import os
import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from saystream.common.errors import SaystreamError
from saystream.common.events import Audio, Begin, End, Splice, Words
from saystream.common.loop import run
from saystream.common.settings import Settings, load
from saystream.common.states import State
from saystream.compose.redis_server import GivenURL, PrivateRedis, choose
from saystream.consumer import BEGINNING, listen
from saystream.producer import Speaker
from saystream.workers.worker import Worker

TEXT = (
    "Good morning. This is a test of a text to speech system, and it has two sentences. "
    "The last word of it is finished."
)
#: Vendor, the variable of its key, the variable of the voice's id, and the voice that is taken without it.
VENDORS = (
    ("gradium", "GRADIUM_API_KEY", "GRADIUM_VOICE", "YTpq7expH9539ERJ"),
    ("kugelaudio", "KUGELAUDIO_API_KEY", "KUGELAUDIO_VOICE", "1071"),
    ("fishaudio", "FISH_API_KEY", "FISH_VOICE", "802e3bc2b27e49c2995d23ef70e6ac89"),
)
TOKEN_S = 0.02
LONGEST_S = 60.0


@dataclass
class Figures:
    """What a turn has shown; times in ms since its first token."""

    end: End
    first_audio_ms: float
    last_audio_ms: float
    audio_s: float
    words: int
    splices: int


def settings_for(vendor: str, voice_id: str) -> Settings:
    return load(
        providers={vendor: {}},
        voices={"default": {"provider": vendor, "voice_id": voice_id, "language": "en"}},
    )


async def speak(url: str, vendor: str, voice_id: str) -> Figures | str:
    """Have the text spoken; returns what it has shown, or why it could not be."""
    failed: list[str] = []
    try:
        return await _speak(url, settings_for(vendor, voice_id), f"live-{vendor}")
    except* (SaystreamError, TimeoutError) as errors:
        failed += [str(error) or repr(error) for error in errors.exceptions]
    return ", ".join(failed)


async def _speak(url: str, settings: Settings, session: str) -> Figures:
    """Say the text, a token every 20 ms, with a worker that has connected before."""
    worker, stop = Worker(settings, url), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        working = group.create_task(worker.run(stop))
        try:
            ready = asyncio.create_task(worker.ready.wait())
            await asyncio.wait([ready, working], return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if working.done():
                await working
            async with asyncio.timeout(LONGEST_S):
                return await _turn(url, settings, session)
        finally:
            stop.set()


async def _turn(url: str, settings: Settings, session: str) -> Figures:
    began_s = time.monotonic()

    async def say() -> None:
        async with Speaker.connect(url, settings=settings) as speaker, speaker.turn(session, turn=session) as turn:
            for word in TEXT.split(" "):
                await turn.send(word + " ")
                await asyncio.sleep(TOKEN_S)

    saying = asyncio.create_task(say())
    rate, samples, words, splices, times = 1, 0, 0, 0, list[float]()
    async for event in listen(url, session, start=BEGINNING):
        now_ms = (time.monotonic() - began_s) * 1000
        match event:
            case Begin():
                rate = event.format.sample_rate
            case Audio():
                times.append(now_ms)
                samples = event.offset + event.samples
            case Words():
                words += len(event.words)
            case Splice():
                splices += 1
            case End():
                with contextlib.suppress(SaystreamError):  # why the turn has failed is in its end
                    await saying
                first, last = (times[0], times[-1]) if times else (float("nan"), float("nan"))
                return Figures(event, first, last, samples / rate, words, splices)
            case _:
                pass
    raise AssertionError("the session has no end")


async def everything(url: str) -> int:
    """Run all vendors; returns how many have failed."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    table = Table("vendor", "result", "first audio ms", "last audio ms", "audio s", "words told", "splices")
    failures = 0
    for vendor, key, voice_variable, voice_id in VENDORS:
        if not os.environ.get(key):
            table.add_row(vendor, f"skipped: {key} is not set")
            continue
        figures = await speak(url, vendor, os.environ.get(voice_variable, voice_id))
        if isinstance(figures, str):
            failures += 1
            table.add_row(vendor, f"failed: {figures}")
            continue
        good = figures.end.reason is State.DONE and figures.end.spoken >= len(TEXT)
        failures += not good
        result = "done" if good else f"{figures.end.reason}: {figures.end.cause}"
        numbers = (figures.first_audio_ms, figures.last_audio_ms)
        table.add_row(
            vendor,
            result,
            *(f"{number:.0f}" for number in numbers),
            f"{figures.audio_s:.2f}",
            f"{figures.words} of {len(TEXT.split())}",
            str(figures.splices),
        )
    console.print(table)
    return failures


def main() -> None:
    source = choose(os.environ.get("SAYSTREAM_TEST_REDIS"))
    if isinstance(source, GivenURL):
        sys.exit(run(everything(source.url)) > 0)
    with PrivateRedis(source) as server:
        sys.exit(run(everything(server.url)) > 0)


if __name__ == "__main__":
    main()
