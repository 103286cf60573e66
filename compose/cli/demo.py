"""``saystream demo``: everything on this machine, one turn, and a recording of it."""

import sys
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from saystream.common.states import State
from saystream.compose.cli import terminal, tokens
from saystream.compose.cli.display import LABEL, Display, Moving, Plain, Silent, how_it_ended
from saystream.compose.cli.files import check_writable
from saystream.compose.cli.progress import Progress
from saystream.compose.cli.running import complain
from saystream.compose.cli.speaking import speak
from saystream.compose.local import Local, choose_engine
from saystream.compose.standin import Behaviour, EngineChoice
from saystream.producer import Speaker

SESSION = "demo"


@dataclass(frozen=True, slots=True)
class Demo:
    """How it is to be shown.

    Args:
        out: the recording.
        speed: seconds of audio that the stand-in sends in a second.
        tokens_per_second: how fast the text is written.
        json: one object for machines, nothing else.
        still: show no moving picture, even on a terminal: something else is written to it.
    """

    out: Path
    speed: float
    tokens_per_second: float
    json: bool = False
    still: bool = False


async def demo(order: Demo) -> int:
    """Show it; return the exit code. Settings are not read: an operator's voices are spoken somewhere else."""
    check_writable("--out", order.out)
    text = resources.files("saystream.compose.cli").joinpath("demo.txt").read_text(encoding="utf-8").strip()
    engine, apology = await choose_engine()
    if apology:
        sys.stderr.write(f"{apology}\n")
    progress = Progress(SESSION, "")
    moves = not (order.json or order.still) and terminal.moves()
    async with Local(behaviour=Behaviour(speed=order.speed), engine=engine) as local:
        if not order.json:
            _introduce(local, order, engine)
        async with (
            Speaker.connect(local.redis_url, settings=local.settings) as speaker,
            speaker.turn(SESSION, voice="narrator") as turn,
        ):
            progress = Progress(turn.session, turn.id)
            source = tokens.paced(text, order.tokens_per_second)
            with _display(progress, order, moves=moves) as display:
                await speak(
                    turn,
                    source,
                    progress,
                    url=local.redis_url,
                    settings=local.settings,
                    out=order.out,
                    changed=display.changed,
                )
    return _conclude(progress, order)


def _introduce(local: Local, order: Demo, engine: EngineChoice) -> None:
    redis = f"a private {local.redis.version}" if local.redis else "your Redis"
    voice = "marker tones" if engine == "marker" else "a real voice"
    pace = f"{order.speed:g} times real time"
    terminal.line(
        f"saystream {version('saystream')}: {redis}, a stand-in vendor ({voice}, sent at {pace}), one worker; "
        f"text at {order.tokens_per_second:g} tokens a second.\n"
    )


def _display(progress: Progress, order: Demo, *, moves: bool) -> Display:
    if moves:
        return Moving(progress, Console(highlight=False))
    return Silent(progress) if order.json else Plain(progress)


def _conclude(progress: Progress, order: Demo) -> int:
    done = progress.reason is State.DONE
    if order.json:
        terminal.as_json(event="end", **progress.summary(), out=str(order.out))
    elif not done:
        complain(how_it_ended(progress))
    else:
        first_ms = (progress.first_audio_s or 0.0) * 1000
        console = Console(highlight=False, soft_wrap=True)
        console.print()
        for label, value in (
            ("first audio", f"{first_ms:.0f} ms after the first token"),
            ("spoken", f"{progress.words_spoken} of {progress.words} words"),
            ("recording", f"{order.out}, {progress.seconds:.2f} s"),
        ):
            console.print(f"[{LABEL}]{label:<11}[/] {value}")
    return 0 if done else 1
