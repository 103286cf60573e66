"""The processes of a run: started, struck by signals, waited for; none outlives the harness."""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

#: The repository, for the programs of this folder.
ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1
_TRACEBACK = "Traceback (most recent call last):"
#: The line below a traceback; in a group it stands behind bars.
_ERROR = re.compile(r"^[\s|]*([A-Za-z_][\w.]*(?:Error|Exception|Group|Interrupt|Exit)\b.*)$", re.MULTILINE)

#: Gets a process's name and exit status.
Ended = Callable[[str, int], None]


def program(module: str, *arguments: str) -> list[str]:
    """Return the command of one of our modules."""
    return [sys.executable, "-m", module, *arguments]


class Child:
    """A process that may be started again after its end. What it writes is appended to ``NAME.log``.

    Args:
        environment: beside the harness's own.
        ended: is told of each end.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], logs: Path, ended: Ended
    ) -> None:
        self.name = name
        self._command, self._ended = command, ended
        self.log = logs / f"{name}.log"
        others = [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        path = os.pathsep.join([*others, str(ROOT)])
        self._environment = {**os.environ, "PYTHONPATH": path, **environment}
        self._process: asyncio.subprocess.Process | None = None
        self._told = False  # to end
        self._starting = False

    def __repr__(self) -> str:
        return f"<Child {self.name} [{self._process.pid if self.running and self._process else 'not running'}]>"

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def crashed(self) -> int | None:
        """The exit status, if it has ended badly without being told to end."""
        code = None if self._process is None else self._process.returncode
        return code if code and not (self._told or self._starting) else None

    def last_words(self) -> str:
        """Return the end of what it has written."""
        return self.log.read_text(errors="replace").strip().rpartition("\n")[2]

    def faults(self) -> list[str]:
        """Return the errors of the tracebacks in what it has written: what nobody has thought of."""
        _, *tracebacks = self.log.read_text(errors="replace").split(_TRACEBACK) if self.log.exists() else ("",)
        return [found[1] for traceback in tracebacks if (found := _ERROR.search(traceback))]

    async def start(self) -> None:
        """Start it; a process of this name must not run."""
        assert not self._starting, f"{self.name} is being started already"
        assert not self.running, f"{self.name} runs already"
        self._starting = True
        try:
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    cwd=self.log.parent,  # no saystream.toml is there
                    env=self._environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is the harness's matter
                    preexec_fn=_die_with_parent,
                )
            self._told = False
        finally:
            self._starting = False

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there to get one."""
        if self.running:
            assert self._process is not None
            self._told = self._told or number in (signal.SIGKILL, signal.SIGTERM)
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for its end; returns its exit status. One that does not end in time is killed."""
        assert self._process is not None
        try:
            code = await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            self.send(signal.SIGKILL)
            code = await self._process.wait()
        self._ended(self.name, code)
        return code

    async def stop(self, timeout_s: float = 10.0) -> None:
        """End it, in good order if it can; it may be frozen."""
        if self.running:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            await self.wait(timeout_s)

    async def kill(self) -> None:
        """End it at once."""
        if self.running:
            self.send(signal.SIGKILL)
            await self.wait()


def _die_with_parent() -> None:
    """Be killed when the harness ends, whatever ends it. Linux alone can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
