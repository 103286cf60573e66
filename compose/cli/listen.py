"""``saystream listen``: a session's words on the terminal, its audio in a file or on the loudspeaker."""

import asyncio
import sys
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

from saystream.common.audio import AudioFormat
from saystream.common.errors import RedisUnavailable, UnknownTurn
from saystream.common.events import Begin, End
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.compose.cli import terminal
from saystream.compose.cli.captions import Captions
from saystream.compose.cli.events import as_fields
from saystream.compose.cli.files import check_writable
from saystream.compose.cli.player import Player
from saystream.compose.cli.target import ledger_at
from saystream.consumer import Event, Gap, Listener, Recorder, Start, Unreadable

#: How often captions look where the loudspeaker is, in seconds.
_LOOK_S = 0.03
#: How often it is told how far the loudspeaker is, in seconds.
_TELL_S = 0.25


@dataclass(frozen=True, slots=True)
class Listen:
    """What is to be heard, and what becomes of it."""

    session: str
    start: str = "live"
    out: Path | None = None
    name: str | None = None
    play: bool = False
    until_end: bool = False
    json: bool = False


async def follow(order: Listen, settings: Settings, url: str) -> None:
    """Listen until the end that was asked for, or for ever."""
    start = Start(order.start) if order.start in (Start.LIVE.value, Start.BEGINNING.value) else order.start
    listener = Listener(
        url, order.session, start, name=order.name, shards=settings.shards, timeout_s=settings.redis_timeout_s
    )
    if order.out:
        check_writable("--out", order.out)
    async with ledger_at(settings, url):
        pass  # Redis is there: else it would be waited for
    with ExitStack() as stack:
        player = stack.enter_context(Player()) if order.play else None
        recorder = stack.enter_context(Recorder(order.out)) if order.out else None
        if recorder:
            stack.callback(_tell_recording, recorder)
        shown = None if order.json else _Shown(player)
        async with listener, aclosing(listener.events()) as events, asyncio.TaskGroup() as group:
            beside = [group.create_task(shown.keep_up(), name="captions")] if shown else []
            if player:
                beside.append(group.create_task(_keep_telling(listener, player), name="playhead"))
            async for event in events:
                if order.json:
                    terminal.as_json(**as_fields(event))
                if recorder:
                    recorder.add(event)
                if shown:
                    shown.take(event)
                if player:
                    await player.take(event)
                    if isinstance(event, End):
                        await _tell_played(listener, player)
                if shown:
                    shown.tell(event)
                if order.until_end and isinstance(event, End):
                    break
            for task in beside:
                task.cancel()


async def _keep_telling(listener: Listener, player: Player) -> None:
    while True:
        await asyncio.sleep(_TELL_S)
        await _tell_played(listener, player)


async def _tell_played(listener: Listener, player: Player) -> None:
    """Tell what the loudspeaker has played; what is not told now is told the next time."""
    if player.place:
        with suppress(UnknownTurn, RedisUnavailable):
            await listener.played(*player.place)


class _Shown:
    """Captions: one line a turn, each word when it is spoken.

    With a loudspeaker a word is spoken when it is played; without one, when its audio is published.
    """

    def __init__(self, player: Player | None) -> None:
        self._captions, self._player = Captions(), player
        self._format = AudioFormat()
        self._line_open = False

    async def keep_up(self) -> None:
        """Show words when the loudspeaker reaches them."""
        while self._player:
            self._show(self._player.position)
            await asyncio.sleep(_LOOK_S)

    def take(self, event: Event) -> None:
        """Take a listener's next event."""
        self._captions.take(event)
        if isinstance(event, Begin):
            self._format = event.format

    def tell(self, event: Event) -> None:
        """Show what the event makes known, when it has been played."""
        if self._player is None:
            self._show(self._captions.position)
        match event:
            case End():
                self._end(event)
            case Gap():
                self._remark(f"something was lost before {event.before}")
            case Unreadable():
                self._remark(f"entry {event.cursor} cannot be understood: {event.problem}")

    def _show(self, sample: int) -> None:
        for word in self._captions.due(sample):
            self._write(word.text.strip())

    def _write(self, text: str) -> None:
        sys.stdout.write(f"{' ' if self._line_open else ''}{text}")
        sys.stdout.flush()
        self._line_open = True

    def _end(self, end: End) -> None:
        self._show(self._player.position if self._player else end.samples)
        if end.reason is not State.DONE:
            cause = f": {end.cause}" if end.cause else ""
            seconds = self._format.seconds(end.samples)
            self._write(f"[{end.reason} after {seconds:.2f} s{cause}]")
        if self._line_open:
            terminal.line()
        self._line_open = False

    def _remark(self, sentence: str) -> None:
        sys.stderr.write(f"[{sentence}]\n")


def _tell_recording(recorder: Recorder) -> None:
    sys.stderr.write(f"{recorder.path}: {recorder.seconds:.2f} s\n")
