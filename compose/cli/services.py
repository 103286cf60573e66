"""``saystream worker`` and ``saystream standin``: one part alone, until it is told to stop."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saystream.common.errors import InvalidInput, InvalidSettings
from saystream.common.settings import Settings
from saystream.compose.cli import terminal
from saystream.compose.cli.target import ledger_at
from saystream.compose.standin import Behaviour, StandIn, told
from saystream.workers.worker import Worker


async def work(stop: asyncio.Event, settings: Settings, url: str) -> None:
    """Speak turns."""
    worker = Worker(settings, url)  # first: what is wrong with the settings needs no Redis
    async with ledger_at(settings, url):
        pass
    await worker.run(stop)


def behaviour(file: Path | None, settings: Sequence[str], options: Mapping[str, Any]) -> Behaviour:
    """Put together how the stand-in behaves: what a file says, over that the settings, over these the options.

    Args:
        settings: ``NAME=VALUE``
        options: by the names of the behaviour's fields; None was not given.

    Raises:
        InvalidInput: naming what cannot be.
    """
    base = Behaviour()
    if file is not None:
        try:
            base = told.changed(base, told.read_file(file))
        except InvalidSettings as error:
            raise InvalidSettings(f"{file}: {str(error).removeprefix(f'{file}: ')}") from error
    pairs = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InvalidInput(f"--set {setting}: it takes NAME=VALUE")
        pairs.append((name.strip(), value.strip()))
    return told.changed(base, told.nested(pairs), told.given(options))


async def stand_in(stop: asyncio.Event, standin: StandIn, *, json: bool) -> None:
    """Stand in for the vendors."""
    async with standin:
        key = min(standin.behaviour.api_keys)
        if json:
            terminal.as_json(
                event="up",
                url=standin.url,
                gradium_url=standin.gradium_url,
                kugelaudio_url=standin.kugelaudio_url,
                kugelaudio_multi_url=standin.kugelaudio_multi_url,
                fishaudio_url=standin.fishaudio_url,
                fishaudio_live_url=standin.fishaudio_live_url,
                control_url=standin.control_url,
                api_key=key,
            )
        else:
            terminal.line(f"stand-in at {standin.url}")
            terminal.line(f"  Gradium     {standin.gradium_url}")
            terminal.line(f"  KugelAudio  {standin.kugelaudio_url}")
            terminal.line(f"              {standin.kugelaudio_multi_url}")
            terminal.line(f"  Fish Audio  {standin.fishaudio_url}")
            terminal.line(f"              {standin.fishaudio_live_url}")
            terminal.line(f"  API key     {key}")
            terminal.line(f"  control     {standin.control_url}")
            terminal.line("Ctrl-C stops it.")
        await stop.wait()
