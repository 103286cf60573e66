"""``saystream say``: a text becomes a turn, while it is still being written."""

import sys
import uuid
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from saystream.common.errors import InvalidInput, TurnEnded
from saystream.common.request import OnBusy
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.compose.cli import stdin, terminal
from saystream.compose.cli.display import Display, Moving, Silent, how_it_ended
from saystream.compose.cli.progress import Progress
from saystream.compose.cli.running import complain
from saystream.compose.cli.speaking import speak
from saystream.compose.cli.target import ledger_at
from saystream.producer import Speaker, Turn
from saystream.producer.turn import pieces


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
    """Say it; return the exit code: 1 if it was not spoken to its end."""
    if order.out and not order.wait:
        raise InvalidInput("--out records what is spoken, and --no-wait does not wait for it: choose one of them")
    text = _source(order, settings)
    async with ledger_at(settings, url):
        pass  # where there is no Redis, this says so in the command line's own words
    session = f"say-{uuid.uuid4().hex[:8]}" if order.session is None else order.session
    async with Speaker.connect(url, settings=settings) as speaker:
        turn = speaker.turn(session, turn=order.turn, voice=order.voice, on_busy=order.on_busy)
        progress = Progress(turn.session, turn.id)
        try:
            async with turn:
                _tell_opened(turn, order)
                if not order.wait:
                    await turn.say(progress.counted(text))
                    return 0
                with _display(progress, order) as display:
                    await speak(
                        turn, text, progress, url=url, settings=settings, out=order.out, changed=display.changed
                    )
        except TurnEnded:
            if progress.reason is None:
                raise
    return _tell_end(progress, order)


def _source(order: Say, settings: Settings) -> AsyncIterable[str]:
    limit = settings.limits.token_bytes
    if order.text is not None and order.file:
        raise InvalidInput("there is a text and a --file: give one of them")
    if order.file and str(order.file) != "-":
        try:
            return _pieces(order.file.read_text(encoding="utf-8"), limit)
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{order.file} is not a text in UTF-8: {error}") from error
    if order.text is not None:
        return _pieces(order.text, limit)
    if sys.stdin.isatty():
        sys.stderr.write("Each line that you type is spoken. Ctrl-D ends it.\n")
    return _cut(stdin.arriving(), limit)


async def _pieces(text: str, limit_bytes: int) -> AsyncIterator[str]:
    for piece in pieces(text, limit_bytes):
        yield piece


async def _cut(texts: AsyncIterable[str], limit_bytes: int) -> AsyncIterator[str]:
    async for text in texts:
        for piece in pieces(text, limit_bytes):
            yield piece


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
    elif done:
        terminal.line(how_it_ended(progress) + (f": {order.out}" if order.out else ""))
    else:
        complain(how_it_ended(progress))
    return 0 if done else 1
