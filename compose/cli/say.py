"""``saystream say``: a text becomes a turn, while it is still being written."""

import asyncio
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from saystream.common.errors import InvalidInput, TurnEnded
from saystream.common.request import OnBusy
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.compose.cli import terminal
from saystream.compose.cli.again import compared
from saystream.compose.cli.display import Display, Moving, Silent, how_it_ended
from saystream.compose.cli.files import check_writable
from saystream.compose.cli.progress import Progress
from saystream.compose.cli.running import complain
from saystream.compose.cli.source import begun, open_source
from saystream.compose.cli.speaking import speak
from saystream.compose.cli.target import ledger_at
from saystream.producer import Speaker, Turn


@dataclass(frozen=True, slots=True)
class Say:
    """What is to be said, and how."""

    text: str | None = None
    file: Path | None = None
    session: str | None = None
    turn: str | None = None
    voice: str = "default"
    on_busy: OnBusy = "queue"
    wait: bool = True
    out: Path | None = None
    json: bool = False
    still: bool = False
    """Show no moving picture, even on a terminal: something else is written to it."""


async def say(order: Say, settings: Settings, url: str) -> int:
    """Say it; return the exit code: 1 if it was not spoken to its end.

    No turn is opened, and none interrupted for it, before there is text, and all that was given can be used.
    """
    _check(order)
    source = open_source(order.text, order.file, settings.limits.token_bytes)
    session = f"say-{uuid.uuid4().hex[:8]}" if order.session is None else order.session
    # The ledger first: where there is no Redis, it says so in the command line's own words.
    async with ledger_at(settings, url) as ledger, Speaker.connect(url, settings=settings) as speaker:
        turn = speaker.turn(session, turn=order.turn, voice=order.voice, on_busy=order.on_busy)
        text = await begun(source)
        if order.turn is not None:
            text = await compared(ledger, turn.session, turn.id, text)
        progress = Progress(turn.session, turn.id)
        try:
            async with turn:
                _tell_opened(turn, order)
                if not order.wait:
                    await turn.say(progress.counted(text))
                    return 0
                try:
                    with _display(progress, order) as display:
                        await speak(
                            turn, text, progress, url=url, settings=settings, out=order.out, changed=display.changed
                        )
                except asyncio.CancelledError:
                    _tell_end(progress, order)
                    raise
        except TurnEnded:
            if progress.reason is None:
                raise
    return _tell_end(progress, order)


def _check(order: Say) -> None:
    if order.turn is not None and order.session is None:
        raise InvalidInput("--turn needs --session: a turn is known again only in its session, which is new without it")
    if order.out and not order.wait:
        raise InvalidInput("--out records what is spoken, and --no-wait does not wait for it: choose one of them")
    if order.out:
        check_writable("--out", order.out)


def _display(progress: Progress, order: Say) -> Display:
    typed = order.text is None and order.file is None and sys.stdin.isatty()
    if order.json or order.still or typed or not terminal.moves():
        return Silent(progress)
    return Moving(progress, Console(highlight=False))


def _tell_opened(turn: Turn, order: Say) -> None:
    if order.json:
        terminal.as_json(
            event="opened", session=turn.session, turn=turn.id, number=turn.opened.number, state=turn.opened.state
        )
    else:
        terminal.line(f"session {turn.session}  turn {turn.id}")


def _tell_end(progress: Progress, order: Say) -> int:
    done = progress.reason is State.DONE
    if order.json:
        terminal.as_json(event="end", **progress.summary(), out=str(order.out) if order.out else None)
    else:
        (terminal.line if done else complain)(how_it_ended(progress) + (f": {order.out}" if order.out else ""))
    return 0 if done else 1
