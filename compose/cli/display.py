"""Showing a turn while it is spoken: a picture that moves on a terminal, plain text elsewhere."""

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.text import Text

from saystream.common.states import State
from saystream.compose.cli.progress import Progress
from saystream.compose.cli.wording import counted

SPOKEN, PRESENT, COMING, LABEL = "", "bold reverse", "dim", "cyan"
#: What the picture needs beside the text, in lines.
_OTHER_LINES = 5
_FRAMES_PER_S = 15


class Display(AbstractContextManager["Display"], Protocol):
    """Shows one turn from its opening to its end."""

    def changed(self) -> None:
        """There was progress."""


class Silent(Display):
    """Shows nothing, but says on standard error what is being waited for."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._note = progress, ""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def changed(self) -> None:
        if self._progress.note != self._note:
            self._note = self._progress.note
            if self._note:
                sys.stderr.write(f"{self._note}\n")


class Plain(Silent):
    """Writes the text as it is spoken."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress)
        self._shown = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._shown and not self._progress.text[: self._shown].endswith("\n"):
            sys.stdout.write("\n")

    def changed(self) -> None:
        super().changed()
        if self._progress.spoken > self._shown:
            sys.stdout.write(self._progress.text[self._shown : self._progress.spoken])
            sys.stdout.flush()
            self._shown = self._progress.spoken


class Moving(Display):
    """A picture of the turn that is drawn anew several times a second; at the end the text stays."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress, self._console = progress, console
        self._live = Live(
            get_renderable=lambda: Picture(progress),
            console=console,
            refresh_per_second=_FRAMES_PER_S,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()
        self._console.print(_text(self._progress, present=False))

    def changed(self) -> None:
        pass  # the next frame shows it


class Picture:
    """The turn's text around the word that is being spoken, as much as the terminal has room for, and its numbers."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        progress = self._progress
        lines = _text(progress).wrap(console, options.max_width)
        room = max(1, console.height - _OTHER_LINES)
        spoken_lines = len(Text(progress.text[: progress.spoken]).wrap(console, options.max_width))
        first = min(max(0, spoken_lines - room // 2), max(0, len(lines) - room))
        yield Group(*lines[first : first + room], Text(), _numbers(progress))


def _text(progress: Progress, *, present: bool = True) -> Text:
    text = Text(progress.text, style=COMING)
    text.stylize(f"not dim {SPOKEN}", 0, progress.spoken)
    if present:
        text.stylize(PRESENT, *progress.word)
    return text


def _numbers(progress: Progress) -> Text:
    if progress.note:
        return Text(progress.note, style="yellow")
    first = "…" if progress.first_audio_s is None else f"{progress.first_audio_s * 1000:.0f} ms"
    return Text("   ").join(
        Text.assemble((f"{label} ", LABEL), value)
        for label, value in (
            ("tokens", str(progress.tokens)),
            ("first audio", first),
            ("spoken", f"{progress.seconds:.1f} s"),
            ("words", f"{progress.words_spoken} of {progress.words}"),
        )
    )


def how_it_ended(progress: Progress) -> str:
    """Say in one sentence how the turn ended."""
    words = f"{progress.words_spoken} of {counted(progress.words, 'word')} spoken"
    match progress.reason:
        case State.DONE:
            return f"{words}, {progress.seconds:.2f} s of audio"
        case None:
            return f"its end was not heard: {words}"
        case reason:
            cause = f" ({progress.cause})" if progress.cause else ""
            return f"{reason}{cause}: {words}, {progress.seconds:.2f} s of audio"
