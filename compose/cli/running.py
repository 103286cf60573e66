"""Running a command: signals, logs, and what its end looks like from outside.

Exit codes: 0 done; 1 it failed; 2 what was given cannot be used; 70 a fault of ours; 128 + n ended by signal n (130 for
Ctrl-C). A service that SIGTERM has drained ends with 0.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from typing import NoReturn

import typer

from saystream.common.errors import InvalidInput, SaystreamError
from saystream.common.loop import run

FAULT = 70
BROKEN_PIPE = 128 + signal.SIGPIPE

#: A service gets told when to stop, and returns when it has.
Service = Callable[[asyncio.Event], Coroutine[None, None, None]]

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def show_logs(verbosity: int) -> None:
    """Write logs to standard error: warnings; with 1 what happens, with 2 everything."""
    style = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    handler = logging.StreamHandler()
    handler.setFormatter(style)
    if not verbosity:
        handler.addFilter(_without_traceback)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("saystream").setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


def finish(command: Coroutine[None, None, int | None]) -> NoReturn:
    """Run a command to its end, and end the process with its exit code. The first signal cancels it."""
    _exit(_Signals(service=False), lambda _: command)


def serve(service: Service) -> NoReturn:
    """Run a service until it is told to stop. The first signal asks it to stop, the second one cancels it."""
    _exit(_Signals(service=True), service)


class _Signals:
    """What signals do, and which came first."""

    def __init__(self, *, service: bool) -> None:
        self._service = service
        self._stop = asyncio.Event()
        self._first = 0
        self._cancelled = False

    async def watch(self, command: Callable[[asyncio.Event], Coroutine[None, None, int | None]]) -> int:
        """Run the command; return its exit code."""
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(command(self._stop))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._arrived, number, task)
        try:
            code = await task
        except asyncio.CancelledError:
            if not self._first:
                raise
            return 128 + self._first
        drained = self._first == signal.SIGTERM and self._service and not self._cancelled
        return 128 + self._first if self._first and not drained else code or 0

    def _arrived(self, number: int, task: "asyncio.Task[int | None]") -> None:
        self._first = self._first or number
        if self._service and not self._stop.is_set():
            self._stop.set()
        else:
            self._cancelled = True
            task.cancel()


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Turn what goes wrong before a command runs (its settings, say) into a sentence and an exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        raise typer.Exit(report(first_of(error))) from error


def _exit(signals: _Signals, command: Callable[[asyncio.Event], Coroutine[None, None, int | None]]) -> NoReturn:
    try:
        code = run(signals.watch(command))
        sys.stdout.flush()
    except KeyboardInterrupt:  # before the loop watched for it
        code = 128 + signal.SIGINT
    except Exception as error:
        code = report(first_of(error))
    raise typer.Exit(code)


def report(error: BaseException) -> int:
    """Say in one sentence what went wrong; return the exit code."""
    if isinstance(error, BrokenPipeError):
        # Nobody reads any more. Python's own flush at the end must not complain about that.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    if isinstance(error, SaystreamError):
        complain(str(error))
        return 2 if isinstance(error, InvalidInput) else 1
    if isinstance(error, OSError):
        complain(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
        return 1
    from redis.exceptions import NoPermissionError  # not above: help is there at once

    if isinstance(error, NoPermissionError):
        complain(f"Redis does not let this user do what is needed: {error}")
        return 1
    if logging.getLogger("saystream").isEnabledFor(logging.INFO):
        traceback.print_exception(error)
    complain(f"a fault of saystream's own: {type(error).__name__}: {error} (-v shows where)")
    return FAULT


def complain(sentence: str) -> None:
    """Write an error to standard error, red on a terminal."""
    typer.secho(f"saystream: {sentence}", err=True, fg=typer.colors.RED)


def first_of(error: BaseException) -> BaseException:
    """Return the first error of a group, however deep it lies."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
