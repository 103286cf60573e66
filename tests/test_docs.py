"""The documents say what is so: their commands exist, their code runs, their tables are the code's."""

import asyncio
import re
import shlex
import subprocess
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from saystream.common import errors
from saystream.common.events import Audio
from saystream.common.keys import REPORTED, REPORTS, SHARDS, VOICES, QuotaKeys, ShardKeys
from saystream.common.request import TurnRequest
from saystream.common.settings import LimitSettings, ProviderSettings, Settings, VoiceSettings, WorkerSettings
from saystream.common.states import NEXT, State
from saystream.common.text_rules import TextRules
from saystream.compose.cli.app import app
from saystream.compose.standin import Behaviour
from tests.rig import rig

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
#: A line of a help text that is an example.
EXAMPLE = re.compile(r" +(\w+=\S+ |some-llm \| )?saystream ")
SPEAKING = (ROOT / "docs" / "speaking.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shown_commands() -> list[str]:
    lines = [
        line for page in PAGES for block in blocks(page.read_text("utf-8"), "console") for line in block.splitlines()
    ]
    return sorted({line.removeprefix("$ ").partition("#")[0].strip() for line in lines if line.startswith("$ ")})


def helped_commands() -> list[str]:
    """The examples in the help of each command."""
    groups: list[Any] = [typer.main.get_command(app)]
    helps = [groups[0].help]
    while groups:
        commands = groups.pop().commands.values()
        helps += [command.help for command in commands]
        groups += [command for command in commands if hasattr(command, "commands")]
    return sorted({line.strip() for text in helps for line in text.splitlines() if EXAMPLE.match(line)})


@pytest.mark.parametrize(
    "command",
    [line for line in shown_commands() if "saystream " in line and "pip" not in line] + helped_commands(),
)
def test_every_saystream_command_that_is_shown_is_understood(command: str) -> None:
    words = shlex.split(command.partition("|")[2] or command)
    name, *arguments = words[words.index("saystream") + 1 :]  # variables may stand before it
    of: Any = typer.main.get_command(app)
    while name in (getattr(of, "commands", None) or ()):
        of = of.commands[name]
        if hasattr(of, "commands"):
            name, *arguments = arguments
    with of.make_context(name, arguments):  # raises for an unknown option, a missing argument or an unknown command
        assert not hasattr(of, "commands")


@pytest.mark.parametrize("command", [line for line in shown_commands() if line.startswith("make ")])
def test_every_recipe_that_is_shown_exists(command: str) -> None:
    subprocess.run(["make", "--dry-run", *command.split()[1:]], cwd=ROOT, check=True, capture_output=True)


async def test_the_ten_lines_of_the_readme_run(redis_url: str) -> None:
    """A turn is sent and heard by the very code that the README shows."""
    produce, consume, *_ = blocks(README, "python")
    async with rig(redis_url, voices={"narrator": {"provider": "gradium", "voice_id": "marker"}}):

        async def llm_stream() -> Any:
            for token in ("Hello ", "there."):
                yield token

        await run_shown(produce, redis_url, llm_stream=llm_stream())
        played: list[Any] = []
        consuming = consume.replace('"call-42")', '"call-42", start=BEGINNING, idle_s=0.5)')
        await run_shown("from saystream.consumer import BEGINNING\n" + consuming, redis_url, play=played.append)
        assert [type(event).__name__ for event in played][-1] == "End"
        assert {"Begin", "Audio", "Words"} <= {type(event).__name__ for event in played}


async def test_the_example_of_an_interrupt_cuts_the_history_to_what_was_heard(redis_url: str) -> None:
    text = "one two three four five six seven eight nine ten " * 20
    [play] = [code for code in blocks(README, "python") if "listener.played" in code]
    [interrupt] = [code for code in blocks(README, "python") if "speaker.interrupt" in code]
    history = {"t": text}
    async with rig(redis_url, behaviour=Behaviour(speed=50.0)) as way:
        player = Player()
        playing = asyncio.create_task(run_shown(play, redis_url, player=player))
        await way.say("call-42", "t", text)
        await way.until_spoken("call-42", 300)  # published long before it is played
        await asyncio.wait_for(player.reported.wait(), 10)
        await run_shown(interrupt, redis_url, history=history)
        playing.cancel()
        await asyncio.wait([playing])
        decoded = (await way.hear("call-42", "t")).decoded("t")
    assert history["t"].split() == [word.text for word in decoded.words if word.last_sample <= player.played]
    assert 0 < len(history["t"]) < 300
    assert text.startswith(history["t"] + " ")


class Player:
    """Plays three seconds of the turn, and no more."""

    def __init__(self) -> None:
        self.turn, self.played = "t", 0
        self.reported = asyncio.Event()

    def play(self, event: Any) -> tuple[str, int]:
        if isinstance(event, Audio):
            if self.played < 3 * 24_000:
                self.played = event.offset + event.samples
            elif event.offset > self.played + 24_000:  # what is said of the last word comes a little after its sound
                self.reported.set()  # the report before this event has been made
        return self.turn, self.played


async def test_the_example_of_speaking_interrupts_what_speaks_and_says_how_far_it_had_come(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    example, *_ = blocks(SPEAKING, "python")
    voices = {"narrator": {"provider": "gradium", "voice_id": "marker"}}
    async with rig(redis_url, behaviour=Behaviour(speed=20.0), voices=voices) as way:

        async def llm_stream() -> Any:
            yield "Hello there."

        await way.say("call-42", "t", "one two three four five six seven eight nine ten " * 20, voice="narrator")
        await way.until_spoken("call-42", 10)
        await run_shown(example, redis_url, llm_stream=llm_stream())
    turn, spoken, heard = capsys.readouterr().out.split()
    assert (turn, heard) == ("t", "None")
    assert int(spoken) >= 10


async def test_the_example_of_listening_runs(redis_url: str) -> None:
    example, *_ = blocks((ROOT / "docs" / "listening.md").read_text("utf-8"), "python")
    async with rig(redis_url):
        listening = asyncio.create_task(run_shown(example, redis_url))
        done, _ = await asyncio.wait([listening], timeout=0.3)  # it listens until somebody stops it
        assert not done
        listening.cancel()
        await asyncio.wait([listening])


def test_the_page_of_speaking_names_each_field_of_a_request_and_errors_that_there_are() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", SPEAKING, re.MULTILINE))
    named = {name: default for name, default in rows.items() if not hasattr(errors, name)}
    assert set(named) == set(TurnRequest.model_fields)
    for name in ("voice", "on_busy", "start_within_ms"):
        assert named[name].strip("`") == str(TurnRequest.model_fields[name].default)
    _, _, table = SPEAKING.partition("| error |")
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    told = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert len(told) == 13
    assert all(issubclass(getattr(errors, name), errors.SaystreamError) for name in told)


async def test_the_synchronous_example_runs(redis_url: str) -> None:
    [example] = [code for code in blocks(README, "python") if "BlockingSpeaker" in code]
    async with rig(redis_url, voices={"narrator": {"provider": "gradium", "voice_id": "marker"}}) as way:
        code = example.replace("redis://localhost", redis_url)
        await asyncio.to_thread(exec, compile(code, "README.md", "exec"), {})
        async for event in way.listening("call-42"):
            if type(event).__name__ == "End":
                break


async def run_shown(code: str, url: str, **names: Any) -> None:
    body = textwrap.indent(code.replace("redis://localhost", url), "    ")
    exec(compile(f"async def shown():\n{body}", "README.md", "exec"), names)  # noqa: S102 (it is ours)
    await names["shown"]()


def test_the_settings_of_the_readme_are_settings() -> None:
    [shown] = blocks(README, "toml")
    Settings.model_validate(tomllib.loads(shown))


def models() -> dict[str, type[BaseModel]]:
    sections = (ProviderSettings, VoiceSettings, TextRules, LimitSettings, WorkerSettings)
    return {model.__name__: model for model in sections}


def test_the_page_of_settings_names_each_of_them_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE))
    named = {name for model in models().values() for name in model.model_fields}
    top = {"redis_url", "redis_timeout_s", "redis_replicas", "shards"}
    assert set(rows) == named | top
    for model in models().values():
        for name, field in model.model_fields.items():
            if isinstance(field.default, bool):
                assert rows[name] == str(field.default).lower()
            elif isinstance(field.default, int | float):
                assert rows[name] == f"{field.default:g}" or float(rows[name]) == field.default


def test_the_table_of_keys_names_each_kind_of_key() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    shown = set(re.findall(r"`(saystream:[^`]+)`", page))
    keys, account = ShardKeys(0), QuotaKeys("acme")
    of_shard = {keys.dispatch, keys.dead, keys.deadlines, keys.nothing, *keys.of_session("<session>")}
    of_shard |= {keys.turn("<turn>"), keys.tokens("<turn>"), keys.control("<worker>")}
    assert {key.replace("{0}", "{N}") for key in of_shard} | {SHARDS, VOICES} <= shown
    others = {account.prefix.replace("acme", "<account>"), REPORTS.removesuffix("said"), REPORTED.removesuffix("at")}
    assert {f"{prefix}…" for prefix in others} <= shown


def test_the_picture_of_states_is_drawn_from_the_table() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    [picture] = [block for block in blocks(page, "mermaid") if "stateDiagram" in block]
    drawn = set(re.findall(r"(\w+) --> (\w+)", picture))
    assert drawn == {(str(state), str(following)) for state, row in NEXT.items() for following in row}
    assert len(State) == len({name for pair in drawn for name in pair})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
