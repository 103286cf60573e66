"""The command line as processes: run one to its end, or talk to one that runs."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import orjson

from tests.timing import MS

LIMIT_S = 20_000 * MS


class House:
    """A directory of a user's own: working directory, files for a moment, and what tells commands of each other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ours = ("SAYSTREAM_", "XDG_RUNTIME_DIR", "TMPDIR", "GRADIUM_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment |= {"XDG_RUNTIME_DIR": str(directory), "TMPDIR": str(directory), "COLUMNS": "100"}

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            _command(arguments),
            input=stdin,
            env=self.environment | environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    @contextlib.contextmanager
    def start(self, *arguments: str) -> Iterator["Running"]:
        """Start a command; it is killed at the end of the block if it still runs."""
        process = subprocess.Popen(
            _command(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=self.directory,
        )
        with process:
            try:
                yield Running(process)
            finally:
                process.kill()

    @contextlib.contextmanager
    def up(self, *arguments: str) -> Iterator[dict[str, Any]]:
        """Have everything run; gives what it says of itself."""
        with self.start("up", "--json", "--speed", "20", *arguments) as running:
            said = running.object()
            yield said
            running.process.send_signal(signal.SIGTERM)
            assert running.end() == 0


class Running:
    """A command that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def line(self) -> str:
        """The next line of its output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def object(self) -> dict[str, Any]:
        """The next line as a JSON object."""
        line = self.line()
        assert line, self.errors()
        described: dict[str, Any] = orjson.loads(line)
        return described

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read objects up to the first for which it holds."""
        while True:
            described = self.object()
            if holds(described):
                return described

    def write(self, data: bytes) -> Self:
        """Write to its input, and leave that open."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()
        return self

    def end(self) -> int:
        """Close its input and wait for its end; returns the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(LIMIT_S)

    def errors(self) -> str:
        """All of its standard error; it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


@contextlib.contextmanager
def house() -> Iterator[House]:
    """A house for a while. Its path is short, because the path of a Unix socket has to be."""
    directory = Path(tempfile.mkdtemp(prefix="cli-"))
    try:
        yield House(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)  # the keeper of a killed command may be doing the same


def objects(output: str) -> list[dict[str, Any]]:
    """Read one JSON object per line."""
    return [orjson.loads(line) for line in output.splitlines()]


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "saystream.compose.cli", *arguments]
