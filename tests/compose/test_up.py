"""What `up` says of itself: who speaks, how it is found, and nothing that does not work."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from saystream.common.settings import ProviderSettings, Settings, VoiceSettings
from saystream.compose.cli import beacon
from saystream.compose.cli.beacon import Place
from saystream.compose.cli.up import up
from tests.servers import MakeRedis
from tests.timing import MS, eventually


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of a user's own for moments."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@asynccontextmanager
async def shown(capsys: pytest.CaptureFixture[str], settings: Settings, *, json: bool = False) -> AsyncIterator[str]:
    """Have it up; gives what it says."""
    stop, said = asyncio.Event(), [""]
    capsys.readouterr()  # what was said of one before

    def all_said() -> bool:
        said[0] += capsys.readouterr().out
        return said[0].endswith("}\n" if json else "Ctrl-C stops it.\n")

    running = asyncio.create_task(up(stop, settings, 20.0, json=json))
    try:
        await eventually(lambda: all_said() or running.done(), 20_000 * MS)
        yield said[0]
    finally:
        stop.set()
        await running


def at(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url)


async def test_the_vendors_of_the_settings_are_told(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    account = ProviderSettings.model_validate({"vendor": "gradium", "api_key": "none", "url": "ws://[::1]:1", "min": 0})
    voice = VoiceSettings(provider="mine", voice_id="x")
    settings = Settings(
        redis_url=redis_url, providers={"mine": account, "idle": account}, voices={"butler": voice, "default": voice}
    )
    async with shown(capsys, settings) as said:
        assert "  vendor  mine  (as the settings say, for butler, default)\n" in said
        assert "idle" not in said
    async with shown(capsys, settings, json=True) as said:
        assert orjson.loads(said)["accounts"] == {"mine": ["butler", "default"]}


async def test_another_one_that_is_up_is_told_from_a_directory_that_is_not_there(
    redis_url: str, capsys: pytest.CaptureFixture[str], runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with beacon.lit(Place("unix:///elsewhere", 1)):
        async with shown(capsys, at(redis_url)) as said:
            assert "Another one is up already. In another terminal, name this one:" in said
            assert f"saystream interrupt --redis {shlex.quote(redis_url)} kitchen\n" in said
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "none"))
    async with shown(capsys, at(redis_url)) as said:
        assert "Another one" not in said
        assert "saystream.json cannot be used: No such file or directory. In another terminal, name this one:" in said


async def test_commands_for_a_redis_with_a_password_take_it_from_the_environment(
    make_redis: MakeRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    # Anybody may come in without a password, and with any: what counts is that the URL has one.
    settings = at(f"redis://default:secret@127.0.0.1:{make_redis(port=0).port}")
    with beacon.lit(Place("unix:///elsewhere", 1)):
        async with shown(capsys, settings) as said:
            commands = re.findall(r"--redis (\S+)", said)
            assert commands == ['"$SAYSTREAM_REDIS_URL"'] * 4
            assert "password in SAYSTREAM_REDIS_URL:" in said
            assert "secret" not in said
    async with shown(capsys, settings) as said:
        assert "--redis" not in said
    async with shown(capsys, settings, json=True) as said:
        assert orjson.loads(said)["password"] is True
        assert "secret" not in said


async def test_programs_are_told_how_to_reach_a_private_redis(capsys: pytest.CaptureFixture[str]) -> None:
    async with shown(capsys, Settings()) as said:
        [url] = re.findall(r"^  SAYSTREAM_REDIS_URL=(\S+)$", said, re.MULTILINE)
        assert f"Redis   {url}  " in said
        assert "`Speaker.connect()`" in said
    async with shown(capsys, Settings(), json=True) as said:
        assert orjson.loads(said)["password"] is False
