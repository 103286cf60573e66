"""One turn from the command line: its tokens go out while its audio comes back."""

import asyncio
from collections.abc import AsyncIterable, Callable
from contextlib import ExitStack, aclosing, suppress
from pathlib import Path

from saystream.common.errors import SaystreamError, TurnEnded
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

    When cancelled, it interrupts the turn, and still hears what was published until then.

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

    # The id directly before the turn's first entry: neither older turns are heard, nor is any of this one missed.
    place = EntryId.of(turn.opened.number, 0, 0)

    async def hear() -> None:
        nonlocal place
        shards, timeout_s = settings.shards, settings.redis_timeout_s
        events = listen(url, turn.session, place, until_turn=turn.id, shards=shards, timeout_s=timeout_s)
        async with aclosing(events):
            async for event in events:
                place = event.cursor
                progress.heard(event)
                if recorder and getattr(event, "turn", None) == turn.id:
                    recorder.add(event)
                changed()
                if isinstance(event, End) and event.turn == turn.id:
                    return

    async def silence() -> None:
        if progress.reason is not None:
            return
        with suppress(SaystreamError, TimeoutError):  # leaving the turn's block tries it again
            async with asyncio.timeout(settings.redis_timeout_s):
                cut = await turn.interrupt()
                progress.interrupted(cut)
                if progress.begun or cut.samples:  # the end of one that has only waited comes in its place in the line
                    await hear()

    with ExitStack() as stack:
        recorder = stack.enter_context(Recorder(out)) if out else None
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(send(), name="tokens"), group.create_task(wonder(), name="wondering")]
                await hear()
                for task in beside:
                    task.cancel()
        except asyncio.CancelledError:
            await silence()
            raise
