"""The page about listening says what is so: its examples run, and events have what it says that they have."""

import asyncio
import dataclasses
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from saystream import consumer
from saystream.common import events
from saystream.common.audio import AudioFormat
from saystream.common.ledger.ledger import MOST_NAMES
from tests.consumer.studio import SESSION, Studio, read_wav, tone

PAGE = (Path(__file__).parents[2] / "docs" / "listening.md").read_text("utf-8")


def example(mark: str, url: str) -> str:
    """Return the example that has these words in it, for this Redis."""
    [code] = [code for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) if mark in code]
    return str(code).replace("redis://localhost", url)


async def run(code: str) -> None:
    names: dict[str, Any] = {}
    exec(f"async def shown():\n{textwrap.indent(code, '    ')}", names)  # noqa: S102 (it is ours)
    await names["shown"]()


async def test_the_program_writes_the_samples(studio: Studio) -> None:
    await studio.say("a", [1, 2])
    # All of it, and an end: what is shown listens from now on, and for ever.
    code = example("stdout.buffer", studio.url).replace(f'"{SESSION}")', f'"{SESSION}", "0-0", until_turn="a")')
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, told = await program.communicate()
    assert told.decode().splitlines() == ["a 24000 Hz", "a done "]
    assert out == tone(1) + tone(2)


async def test_the_examples_of_recording_record(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    await studio.say("greeting", [1])
    await studio.say("b", [2])
    await run(example("import record", studio.url))
    await run(example("Recorder(", studio.url).replace("idle_s=5", "idle_s=0.001"))
    assert read_wav(tmp_path / "greeting.wav")[1] == [1]
    assert read_wav(tmp_path / "call.wav")[1] == [1, 2]
    assert capsys.readouterr().out.splitlines()[0] == f"{100 / 24_000} True []"


def test_the_tables_name_what_the_events_have() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", PAGE, re.MULTILINE)
    assert {name for name, _ in rows} == {"Begin", "Audio", "Words", "Splice", "End", "Gap", "Unreadable"}
    values = {"pcm_s16le", "done", "interrupted", "failed", "expired"}
    beside = {*dir(consumer.Gap), *dir(AudioFormat), *events.Word._fields}
    for name, has in rows:
        event = getattr(events, name, None) or getattr(consumer, name)
        fields = {field.name for field in dataclasses.fields(event)}
        told = set(re.findall(r"`(\w+)`", has)) - values
        assert fields - {"cursor", "turn", "spoken", "cut"} <= told <= fields | beside


def test_the_page_says_how_many_names_a_session_remembers() -> None:
    assert f"remembers {MOST_NAMES} names" in PAGE
