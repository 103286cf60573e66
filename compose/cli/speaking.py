"""One turn from the command line: its tokens go out while its audio comes back."""

import asyncio
from collections.abc import AsyncIterable, Callable
from contextlib import ExitStack, aclosing, suppress
from pathlib import Path

from saystream.common.errors import TurnEnded
from saystream.common.events import End
from saystream.common.ids import EntryId
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.compose.cli.progress import Progress
from saystream.consumer import Recorder, listen
from saystream.producer import Turn

#: After so long without a sign of life, the user is told what is being waited for, in seconds.
_WONDER_S = 3.0


async def speak(
    turn: Turn,
    tokens: AsyncIterable[str],
    progress: Progress,
    *,
    url: str,
    settings: Settings,
    out: Path | None = None,
    changed: Callable[[], None] = lambda: None,
) -> None:
    """Send a turn's text, and listen to it until it has ended; `progress` says how.

    Args:
        turn: it is open.
        tokens: its text.
        progress: is kept up to date.
        url, settings: where Redis is, and what it needs.
        out: a WAV file for the audio.
        changed: called whenever there is progress.

    Raises:
        ExceptionGroup: of what `Turn.say`, `listen` and `Recorder` raise. That the turn has ended is no error.
    """

    async def send() -> None:
        with suppress(TurnEnded):  # its end is heard
            await turn.say(progress.counted(tokens))
            await turn.end()

    async def wonder() -> None:
        await asyncio.sleep(_WONDER_S)
        if not progress.begun:
            behind = turn.opened.state is State.WAITING
            progress.note = "it waits behind other turns" if behind else "no worker has taken it yet: is one running?"
            changed()

    async def hear() -> None:
        # The id directly before the turn's first entry: neither older turns are heard, nor is any of this one missed.
        start = EntryId.of(turn.opened.number, 0, 0)
        shards, timeout_s = settings.shards, settings.redis_timeout_s
        events = listen(url, turn.session, start, until_turn=turn.id, shards=shards, timeout_s=timeout_s)
        async with aclosing(events):
            async for event in events:
                progress.heard(event)
                if recorder and getattr(event, "turn", None) == turn.id:
                    recorder.add(event)
                changed()
                if isinstance(event, End) and event.turn == turn.id:
                    return

    with ExitStack() as stack:
        recorder = stack.enter_context(Recorder(out)) if out else None
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(send(), name="tokens"), group.create_task(wonder(), name="wondering")]
            await hear()
            for task in beside:
                task.cancel()
