"""``saystream worker`` and ``saystream standin``: one part alone, until it is told to stop."""

import asyncio

from saystream.common.settings import Settings
from saystream.compose.cli import terminal
from saystream.compose.cli.target import ledger_at
from saystream.compose.standin import Behaviour, EngineChoice, StandIn
from saystream.workers.worker import Worker


async def work(stop: asyncio.Event, settings: Settings, url: str) -> None:
    """Speak turns."""
    worker = Worker(settings, url)  # first: what is wrong with the settings needs no Redis
    async with ledger_at(settings, url):
        pass
    await worker.run(stop)


async def stand_in(
    stop: asyncio.Event, host: str, port: int, behaviour: Behaviour, engine: EngineChoice, *, json: bool
) -> None:
    """Stand in for the vendors."""
    async with StandIn(host, port, behaviour, engine) as standin:
        key = min(behaviour.api_keys)
        if json:
            terminal.as_json(event="up", url=standin.url, gradium_url=standin.gradium_url, api_key=key)
        else:
            terminal.line(f"stand-in at {standin.url}")
            terminal.line(f"  Gradium  {standin.gradium_url}")
            terminal.line(f"  API key  {key}")
            terminal.line("Ctrl-C stops it.")
        await stop.wait()
