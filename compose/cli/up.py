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
        with beacon.lit(Place(local.redis_url, local.settings.shards)) as hidden:
            if json:
                _tell_machine(local, settings)
            else:
                _tell(local, settings, speed, hidden)
            await stop.wait()
            if not json:
                terminal.line("\nStopping: what is being spoken may finish; Ctrl-C once more stops at once.")


def _tell(local: Local, given: Settings, speed: float, hidden: str) -> None:
    """Tell people. Hidden is why the other commands do not find it by themselves."""
    console = Console(highlight=False, soft_wrap=True)
    redis = f"private {local.redis.version}" if local.redis else "given"
    console.print("saystream is up.\n")
    for label, value in (
        ("Redis", f"{without_password(local.redis_url)}  ({redis})"),
        ("vendor", f"{local.standin.url}  (stand-in, {speed:g} times as fast as real time)"),
        *(("vendor", f"{account}  (as the settings say, for {', '.join(of)})") for account, of in _own(given).items()),
        ("voices", ", ".join(sorted(local.settings.voices))),
    ):
        console.print(f"  [{LABEL}]{label:<7}[/] ", end="")
        console.print(value, markup=False)
    console.print(f"\n{_where(local, hidden)}:\n", markup=False)
    to = f"--redis {_named(local)} " if hidden else ""
    for command in (
        f"saystream listen {to}kitchen",
        f'saystream say {to}--session kitchen "Dinner is ready, and it is getting cold."',
        f"some-llm | saystream say {to}--session kitchen",
        f"saystream interrupt {to}kitchen",
    ):
        console.print(f"  {command}", markup=False)
    if local.redis:
        console.print(
            "\nPrograms of yours that name no URL (`Speaker.connect()`, `listen(None, …)`) reach it with\n\n"
            f"  SAYSTREAM_REDIS_URL={shlex.quote(local.redis_url)}",
            markup=False,
        )
    terminal.line("\nCtrl-C stops it.")


def _own(given: Settings) -> dict[str, list[str]]:
    """Return the vendors' accounts of the settings that voices are spoken by, and these voices."""
    accounts: dict[str, list[str]] = {}
    for name, voice in sorted(given.voices.items()):
        accounts.setdefault(voice.provider, []).append(name)
    return dict(sorted(accounts.items()))


def _where(local: Local, hidden: str) -> str:
    if not hidden:
        return "In another terminal"
    if _has_password(local):
        return f"{hidden} In another terminal, with this Redis's URL and its password in SAYSTREAM_REDIS_URL"
    return f"{hidden} In another terminal, name this one"


def _named(local: Local) -> str:
    """Return Redis's URL as a shell takes it; one with a password is not shown."""
    return '"$SAYSTREAM_REDIS_URL"' if _has_password(local) else shlex.quote(local.redis_url)


def _has_password(local: Local) -> bool:
    """Tell whether something of the URL is not shown."""
    return without_password(local.redis_url) != local.redis_url


def _tell_machine(local: Local, given: Settings) -> None:
    terminal.as_json(
        event="up",
        redis_url=without_password(local.redis_url),
        password=_has_password(local),
        standin_url=local.standin.url,
        voices=sorted(local.settings.voices),
        accounts=_own(given),
    )
