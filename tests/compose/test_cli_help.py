"""Help is there for everyone, quickly, and what is wrong is said in one sentence."""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saystream.common.redis_client import call, connect
from saystream.compose.cli import running
from saystream.compose.cli.app import app
from tests.compose.cli_process import House, house
from tests.servers import MakeRedis

COMMANDS = ("demo", "up", "worker", "say", "listen", "interrupt", "inspect", "dead", "pool", "standin", "version")
OF_DEAD = ("list", "show", "redrive", "drop")
HEAVY = ("redis", "websockets", "numpy", "pydantic", "orjson", "asyncio", "rich.live")
#: What a user of Redis has to be allowed.
MAY = "~saystream:* +@all -@admin -@dangerous"
NOWHERE = "redis://user:secret@localhost:1"


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    with house() as made:
        yield made


def test_help_names_every_command_and_how_to_begin(home: House) -> None:
    shown = home.run("--help")
    assert shown.returncode == 0
    assert "saystream demo" in shown.stdout
    assert all(command in shown.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, *(f"dead {command}" for command in OF_DEAD)])
def test_the_help_of_a_command_shows_an_example(home: House, command: str) -> None:
    shown = home.run(*command.split(), "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    _, _, examples = shown.stdout.partition("Example")
    assert f"saystream {command}" in examples


def test_help_names_the_exit_codes_that_there_are() -> None:
    [told] = re.findall(r"Exit codes: (.*?)\.\n", CliRunner().invoke(app, ["--help"]).output, re.DOTALL)
    codes = {0, 1, 2, running.FAULT, running.BROKEN_PIPE, 128 + signal.SIGINT, 128 + signal.SIGTERM}
    assert {int(code) for code in re.findall(r"\b\d+\b", told)} == codes


def test_only_commands_that_look_for_a_running_up_say_so() -> None:
    def of_redis(command: str) -> str:
        return " ".join(CliRunner().invoke(app, [command, "--help"]).output.partition("--redis URL")[2].split())

    assert "that of a running `saystream up`" in of_redis("say")
    assert "running `saystream up`" not in of_redis("up")
    assert "a private one" in of_redis("up")


def test_version_says_which_it_is(home: House) -> None:
    assert home.run("--version").stdout == home.run("version").stdout
    assert home.run("version").stdout.startswith("saystream 0.")


def test_help_imports_nothing_heavy() -> None:
    code = f"import sys, saystream.compose.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["say", "hi"], 2, "run `saystream up` in another terminal"),
        (["listen", "s"], 2, "there is no Redis"),
        (["say", "--redis", NOWHERE, "hi"], 1, "Redis at redis://localhost:1 cannot be used"),
        (["listen", "--redis", NOWHERE, "s"], 1, "Redis at redis://localhost:1 cannot be used"),
        (["interrupt", "--redis", NOWHERE, "s"], 1, "Redis at redis://localhost:1 cannot be used"),
        (["pool", "--redis", NOWHERE], 1, "Redis at redis://localhost:1 cannot be used"),
        (["inspect", "--redis", NOWHERE, "t"], 1, "Redis at redis://localhost:1 cannot be used"),
        (["say", "--redis", "http://user:secret@host", "hi"], 2, "is not a Redis URL"),
        (["up", "--redis", NOWHERE], 1, "Redis at redis://localhost:1 cannot be used"),
        (["worker", "--redis", NOWHERE], 2, "no voice is configured"),
        (["listen", "--redis", NOWHERE, "bad id"], 2, "session id 'bad id'"),
        (["listen", "--redis", NOWHERE, "s", "--from", "yesterday"], 2, "is not a cursor"),
        (["listen", "--redis", NOWHERE, "s", "--name", "two words"], 2, "listener id 'two words'"),
        (["interrupt", "--redis", NOWHERE, "s", "--turn", "t", "--waiting"], 2, "leave the turn out"),
        (["dead", "list", "--redis", NOWHERE], 1, "Redis at redis://localhost:1 cannot be used"),
        (["dead", "drop", "--all"], 2, "add --yes"),
        (["inspect", "--redis", NOWHERE, "bad id"], 2, "turn id 'bad id'"),
        (["say", "--redis", NOWHERE, "--file", "none.txt"], 2, "none.txt: No such file"),
        (["say", "--redis", NOWHERE, "--no-wait", "--out", "a.wav", "hi"], 2, "--no-wait does not wait"),
        (["worker", "--config", "none.toml"], 2, "there is no settings file none.toml"),
        (["worker", "--config", "bad.toml"], 2, "worker.slots: Input should be a valid integer"),
        (["demo", "--speed", "0"], 2, "--speed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_error_is_a_sentence_and_an_exit_code(home: House, arguments: list[str], code: int, sentence: str) -> None:
    (home.directory / "bad.toml").write_text('[worker]\nslots = "many"\n')
    failed = home.run(*arguments)
    assert failed.returncode == code, failed.stderr
    assert sentence in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "secret" not in failed.stdout + failed.stderr


@pytest.mark.parametrize("command", [("say", "hi"), ("listen", "s"), ("inspect", "t"), ("up",)], ids=" ".join)
def test_a_database_that_there_is_not_is_a_sentence_and_an_exit_code(
    home: House, make_redis: MakeRedis, command: tuple[str, ...]
) -> None:
    place = f"127.0.0.1:{make_redis(port=0).port}/77"
    failed = home.run(*command, "--redis", f"redis://default:secret@{place}")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert f"Redis at redis://{place} cannot be used: DB index is out of range" in failed.stderr
    assert "fault of saystream's own" not in failed.stderr
    assert "secret" not in failed.stderr


def test_a_user_of_redis_needs_our_keys_only_and_what_it_may_not_is_said(home: House, make_redis: MakeRedis) -> None:
    server = make_redis(port=0)
    asyncio.run(let_in(server.url, "reader", "~saystream:* +get"))
    asyncio.run(let_in(server.url, "ours", MAY))
    refused = home.run("dead", "list", "--redis", f"redis://reader:p@127.0.0.1:{server.port}")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Redis does not let this user do what is needed" in refused.stderr
    with home.start("up", "--json", "--speed", "20", "--redis", f"redis://ours:p@127.0.0.1:{server.port}") as running:
        running.object()
        said = home.run("say", "--voice", "marker", "Hello there.")
        assert (said.returncode, said.stderr) == (0, "")
        running.process.terminate()
        assert running.end() == 0
    assert f"`{MAY}`" in (Path(__file__).parents[2] / "docs" / "redis.md").read_text("utf-8")


async def let_in(url: str, user: str, may: str) -> None:
    """Let Redis know a user whose password is `p`."""
    async with contextlib.aclosing(connect(url)) as client:
        await call(client, "ACL", "SETUSER", user, "on", ">p", *may.split())
