"""A standard stream that is closed, or full, ends a command as it would end otherwise, or with a sentence."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.compose.cli_process import LIMIT_S, House, house, objects

#: What a shell does before it starts us.
CLOSED = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"]


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    with house() as made:
        yield made


@pytest.fixture(scope="module")
def turn(home: House) -> Iterator[str]:
    """Everything is up; the id of a turn that was spoken."""
    with home.up():
        [opened, _] = objects(home.run("say", "--json", "--voice", "marker", "Here.").stdout)
        yield opened["turn"]


def shell(home: House, command: str, streams: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as a shell does that was told something about its streams."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -m saystream.compose.cli {command} {streams}', sys.executable],
        env=home.environment,
        cwd=home.directory,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize("streams", CLOSED)
@pytest.mark.parametrize("command", ["inspect {turn}", "pool --once", "say --voice marker Hello."])
def test_a_closed_stream_changes_no_exit_code(home: House, turn: str, command: str, streams: str) -> None:
    ended = shell(home, command.format(turn=turn), streams)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-"])
def test_nor_that_of_a_failure(home: House, turn: str, streams: str) -> None:
    ended = shell(home, "inspect no-such-turn", streams)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["--help", "version", "say --help", "inspect {turn}", "pool --once --json"])
def test_a_full_disk_is_said_in_a_sentence(home: House, turn: str, command: str) -> None:
    ended = shell(home, command.format(turn=turn), ">/dev/full")
    assert (ended.returncode, ended.stderr) == (1, "saystream: No space left on device\n")
