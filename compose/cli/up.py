"""``saystream up``: everything on this machine, until it is told to stop."""

import asyncio
import shlex
import sys

from rich.console import Console

from saystream.common.redis_client import without_password
from saystream.common.settings import Settings
from saystream.compose.cli import beacon, terminal
from saystream.compose.cli.beacon import Place
from saystream.compose.cli.display import LABEL
from saystream.compose.cli.target import ledger_at
from saystream.compose.local import Local, choose_engine
from saystream.compose.standin import Behaviour


async def up(stop: asyncio.Event, settings: Settings, speed: float, *, json: bool) -> None:
    """Run everything; say how to talk to it."""
    if settings.redis_url:
        async with ledger_at(settings, settings.redis_url):
            pass  # where there is no Redis, this says what to do
    engine, apology = await choose_engine()
    if apology:
        sys.stderr.write(f"{apology}\n")
    async with Local(settings.redis_url, Behaviour(speed=speed), settings, engine) as local:
        with beacon.lit(Place(local.redis_url, local.settings.shards)) as found:
            if json:
                _tell_machine(local)
            else:
                _tell(local, speed, found=found)
            await stop.wait()
            if not json:
                terminal.line("\nStopping: what is being spoken may finish; Ctrl-C once more stops at once.")


def _tell(local: Local, speed: float, *, found: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    redis = f"private {local.redis.version}" if local.redis else "given"
    console.print("saystream is up.\n")
    for label, value in (
        ("Redis", f"{without_password(local.redis_url)}  ({redis})"),
        ("vendor", f"{local.standin.url}  (stand-in, {speed:g} times as fast as real time)"),
        ("voices", ", ".join(sorted(local.settings.voices))),
    ):
        console.print(f"  [{LABEL}]{label:<7}[/] ", end="")
        console.print(value, markup=False)
    console.print(
        "\nIn another terminal:\n" if found else "\nAnother one is up already. In another terminal, name this one:\n"
    )
    to = "" if found else f"--redis {shlex.quote(without_password(local.redis_url))} "
    for command in (
        f"saystream listen {to}kitchen",
        f'saystream say {to}--session kitchen "Dinner is ready, and it is getting cold."',
        f"some-llm | saystream say {to}--session kitchen",
        f"saystream interrupt {to}kitchen",
    ):
        console.print(f"  {command}", markup=False)
    if found and local.redis:
        console.print(
            f"\nPrograms of yours reach it with SAYSTREAM_REDIS_URL={shlex.quote(local.redis_url)}", markup=False
        )
    terminal.line("\nCtrl-C stops it.")


def _tell_machine(local: Local) -> None:
    terminal.as_json(
        event="up",
        redis_url=without_password(local.redis_url),
        standin_url=local.standin.url,
        voices=sorted(local.settings.voices),
    )
