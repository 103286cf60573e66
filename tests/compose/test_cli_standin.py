"""``saystream standin``: what is told on its command line, in a file, and while it runs."""

import re
import signal
import tomllib
import urllib.request
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from saystream.compose.cli.app import app
from saystream.compose.cli.services import behaviour
from saystream.compose.standin import Behaviour, Fault, Kind, told
from tests.compose.cli_process import House, house

PAGE = (Path(__file__).parents[2] / "docs" / "standin.md").read_text("utf-8")

URLS = {
    "gradium_url": "/api/speech/tts",
    "kugelaudio_url": "/ws/tts/stream",
    "kugelaudio_multi_url": "/ws/tts/multi",
    "fishaudio_url": "/v1/tts/live/with-timestamp",
    "fishaudio_live_url": "/v1/tts/live",
}


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    with house() as made:
        yield made


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 (it is ours)
        return orjson.loads(answer.read())


def said(connection: ClientConnection) -> list[str]:
    """Have a request spoken; return the types of what comes."""
    connection.send('{"type":"setup","voice_id":"marker"}')
    connection.send('{"type":"text","text":"one two three <flush>"}')
    connection.send('{"type":"end_of_stream"}')
    return [orjson.loads(message)["type"] for message in connection]


def test_it_tells_where_each_vendor_is_and_misbehaves_as_it_is_told(home: House) -> None:
    (home.directory / "bad day.toml").write_text('marker_pace = 0.5\n[fault]\nkind = "stall"\n')
    options = "--fault close --after 2 --code 3001 --times 1 --api-key key".split()
    with home.start("standin", "--port", "0", "--json", "--behaviour", "bad day.toml", *options) as running:
        up = running.object()
        for name, path in URLS.items():
            assert up[name] == up["url"].replace("http:", "ws:") + path
        headers = {"x-api-key": up["api_key"]}
        with connect(up["gradium_url"], additional_headers=headers) as first:
            with pytest.raises(ConnectionClosedError) as closed:
                said(first)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 3001
        with connect(up["gradium_url"], additional_headers=headers) as second:
            assert said(second)[-1] == "end_of_stream"
        now = get(up["control_url"] + "/behaviour?draining=true")
        assert (now["marker_pace"], now["draining"], now["api_keys"]) == (0.5, True, ["key"])
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0


def test_for_people_it_lists_every_address_and_the_key(home: House) -> None:
    with home.start("standin", "--port", "0") as running:
        lines = [running.line() for _ in range(9)]
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 130
    shown = "\n".join(lines)
    assert all(path in shown for path in URLS.values())
    assert "test-key" in shown
    assert "/standin" in shown


def test_options_win_over_settings_and_these_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file.toml"
    file.write_text('speed = 1\nword_lag = 1\ndrip_bytes = 1\n[fault]\nkind = "error"\ncode = 500\nmessage = "no"\n')
    settings = ["word_lag=2", "drip_bytes = 2", "fault.after_frames=5"]
    wanted = behaviour(file, settings, {"drip_bytes": 3, "most_streams": None, "fault.code": 503})
    assert wanted == Behaviour(speed=1.0, word_lag=2, drip_bytes=3, fault=Fault(Kind.ERROR, 5, 503, "no"))


def test_help_names_every_kind_of_fault() -> None:
    shown = CliRunner().invoke(app, ["standin", "--help"]).output
    assert [kind for kind in Kind if kind not in shown] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fault", "bang"], "fault.kind: Input should be 'close'"),
        (["--fault", "close"], "the fault close needs a code"),
        (["--fault", "close", "--code", "1006"], "no socket can be closed with code 1006"),
        (["--after", "3"], "there is no fault whose after_frames could be changed: say its kind"),
        (["--set", "idle_trun_s=1"], "there is no idle_trun_s; is it idle_turn_s?"),
        (["--set", "idle_turn_s"], "--set idle_turn_s: it takes NAME=VALUE"),
        (["--behaviour", "none.toml"], "none.toml: No such file"),
        (["--behaviour", "misspelt.toml"], "misspelt.toml: there is no speeed; is it speed?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_in_a_sentence(home: House, arguments: list[str], sentence: str) -> None:
    (home.directory / "misspelt.toml").write_text("speeed = 1\n")
    failed = home.run("standin", "--port", "0", *arguments)
    assert failed.returncode == 2, failed.stderr
    assert sentence in failed.stderr
    assert "Traceback" not in failed.stderr


def test_what_the_page_asks_a_running_one_is_answered(home: House) -> None:
    asked = re.findall(r"curl 'http://127.0.0.1:8900(/standin\S*)'", PAGE)
    assert len(asked) > 10
    with home.start("standin", "--port", "0", "--json") as running:
        up = running.object()
        with connect(up["gradium_url"], additional_headers={"x-api-key": "test-key"}):
            answers = [get(up["url"] + path) for path in asked]
        assert all(answers)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0


def test_the_file_of_the_page_can_be_read() -> None:
    [shown] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert told.changed(Behaviour(), tomllib.loads(shown)).fault == Fault(Kind.CLOSE, 3, 1011, "worker failure")


def test_the_page_names_every_field_with_its_default_and_every_fault() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", PAGE, re.MULTILINE))
    defaults = told.shown(Behaviour()) | {"api_keys": "test-key"}
    assert set(rows) >= {field.name for field in fields(Behaviour)}
    for name, default in defaults.items():
        assert rows[name] == (f"{default:g}" if type(default) in (int, float) else str(default).lower())
    assert [kind for kind in Kind if f"| `{kind}` |" not in PAGE] == []
