"""The demo ends by itself, leaves a recording of every word, and nothing else."""

import signal
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.cli_process import House, house, objects
from tests.timing import MS

FAST = ("--speed", "60", "--tokens-per-second", "400")


@pytest.fixture
def home() -> Iterator[House]:
    with house() as made:
        yield made


def seconds(path: Path) -> float:
    with wave.open(str(path)) as recording:
        return float(recording.getnframes() / recording.getframerate())


def test_the_demo_leaves_a_recording_of_every_word(home: House) -> None:
    shown = home.run("demo", *FAST)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "tokens a second.\n\nHello." in shown.stdout
    text = shown.stdout.partition("\n\n")[2].rpartition("\n\n")[0]
    words = len([word for word in text.split() if any(letter.isalnum() for letter in word)])
    assert f"{words} of {words} words" in shown.stdout
    assert f"demo.wav, {seconds(home.directory / 'demo.wav'):.2f} s" in shown.stdout
    assert [path.name for path in home.directory.iterdir()] == ["demo.wav"]


def test_for_machines_the_demo_is_one_object_and_an_operators_settings_do_not_matter(home: House) -> None:
    (home.directory / "saystream.toml").write_text(
        """
        redis_url = "redis://localhost:1"
        redis_replicas = 1
        [providers.gradium]
        url = "ws://127.0.0.1:1"
        api_key = "none"
        [voices.narrator]
        provider = "gradium"
        voice_id = "x"
        """
    )
    shown = home.run("demo", "--json", "--out", "other.wav", *FAST)
    (end,) = objects(shown.stdout)
    assert (shown.returncode, end["reason"], end["out"]) == (0, "done", "other.wav")
    assert end["words_spoken"] == end["words"] > 200
    assert end["seconds"] == pytest.approx(seconds(home.directory / "other.wav"), abs=0.001)
    assert 0 < end["first_audio_ms"] < 10_000


def test_ctrl_c_in_the_middle_of_the_demo_leaves_only_what_was_recorded(home: House) -> None:
    with home.start("demo") as running:
        assert running.line().startswith("saystream")
        running.line()
        assert running.process.stdout is not None
        assert running.process.stdout.read(5) == b"Hello"
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 130
        assert running.errors() == ""
    assert [path.name for path in home.directory.iterdir()] == ["demo.wav"]
    assert seconds(home.directory / "demo.wav") > 50 * MS
