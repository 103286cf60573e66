"""What `say` does before it opens a turn, with a turn that is known already, and when it is told to stop."""

import asyncio
import os
import wave
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import orjson
import pytest

from saystream.common.errors import InvalidInput, TurnConflict
from saystream.common.events import EndOfText, Flush, Text, TokenEvent
from saystream.common.ids import SessionId, TurnId, TurnRef
from saystream.common.redis_client import call
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.compose.cli import stdin
from saystream.compose.cli.files import check_writable
from saystream.compose.cli.say import Say, say
from saystream.compose.cli.source import NothingToSay
from saystream.compose.cli.stdin import arriving
from tests.consumer.studio import CHUNK, SESSION, Studio, studio_at
from tests.timing import eventually

TEXT = "Hello there."
#: Longer than any test: what only ends when Redis is given up fails.
PATIENCE_S = 300.0


@pytest.fixture
async def studio(redis_url: str) -> AsyncIterator[Studio]:
    async with studio_at(redis_url) as made:
        yield made


def saying(studio: Studio, text: str | None = TEXT, **order: object) -> "asyncio.Task[int]":
    """Say something in the studio's session."""
    fields = {"text": text, "session": SESSION, "json": True} | order
    settings = Settings(redis_timeout_s=PATIENCE_S)
    return asyncio.create_task(say(Say(**fields), settings, studio.url))  # type: ignore[arg-type]


async def write(studio: Studio, turn: str, *events: TokenEvent) -> None:
    """Write what another producer has said."""
    await studio.ledger.append(TurnRef(SessionId(SESSION), TurnId(turn)), 1, events)


async def turns(studio: Studio) -> list[bytes]:
    return list(await call(studio.redis, "KEYS", "*turn*"))


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]


# what is wrong is said before anything is done


async def test_a_turn_is_known_again_only_in_a_session(studio: Studio) -> None:
    with pytest.raises(InvalidInput, match="--turn needs --session"):
        await saying(studio, turn="t", session=None)
    assert await turns(studio) == []


async def test_a_file_that_cannot_be_written_leaves_what_speaks_alone(studio: Studio) -> None:
    await studio.begin("before")
    with pytest.raises(InvalidInput, match=r"--out /nonexistent/a\.wav: No such file"):
        await saying(studio, on_busy="interrupt", out=Path("/nonexistent/a.wav"))
    assert (await studio.ledger.inspect("before")).state is State.SPEAKING


def test_looking_whether_a_file_can_be_written_changes_nothing(tmp_path: Path) -> None:
    check_writable("--out", tmp_path / "new.wav")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.wav").write_text("a recording")
    check_writable("--out", tmp_path / "old.wav")
    assert (tmp_path / "old.wav").read_text() == "a recording"
    (tmp_path / "link.wav").symlink_to(tmp_path / "nowhere.wav")
    check_writable("--out", tmp_path / "link.wav")
    assert (tmp_path / "link.wav").is_symlink()
    with pytest.raises(InvalidInput, match="Is a directory"):
        check_writable("--out", tmp_path)


@pytest.mark.parametrize("blank", ["", " \n\t"])
async def test_no_text_is_no_turn(studio: Studio, blank: str, tmp_path: Path) -> None:
    with pytest.raises(NothingToSay):
        await saying(studio, blank)
    (tmp_path / "empty.txt").write_text(blank)
    with pytest.raises(NothingToSay):
        await saying(studio, None, file=tmp_path / "empty.txt")
    assert await turns(studio) == []


async def test_a_pipe_opens_a_turn_when_it_has_text_and_loses_none(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(stdin, "arriving", partial(arriving, reader))
    try:
        os.write(writer, b"\n ")
        from_pipe = saying(studio, None, turn="t", wait=False)
        done, _ = await asyncio.wait([from_pipe], timeout=0.05)
        assert not done
        assert await turns(studio) == []
        os.write(writer, b"Hello ")

        async def is_open() -> bool:
            return bool(await turns(studio))

        await eventually(is_open)
        os.write(writer, b"there.")
        os.close(writer)
        assert await from_pipe == 0
        assert (await studio.ledger.inspect("t")).text == "\n Hello there."
    finally:
        os.close(reader)


async def test_an_empty_pipe_is_no_turn(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    monkeypatch.setattr(stdin, "arriving", partial(arriving, reader))
    try:
        with pytest.raises(NothingToSay):
            await saying(studio, None)
    finally:
        os.close(reader)
    assert await turns(studio) == []


# a turn that is known already


async def test_the_same_text_is_not_said_twice_however_it_was_cut(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = await studio.begin("t")
    await write(studio, "t", Text("Hello "), Text("there."), EndOfText())
    await speech.audio(1)
    again = saying(studio, turn="t")
    await speech.finish()
    assert await again == 0
    end = told(capsys)[-1]
    assert (end["reason"], end["samples"], end["tokens"]) == ("done", CHUNK, 2)
    assert (await studio.ledger.inspect("t")).tokens == 3


@pytest.mark.parametrize("other", ["Hello there. And more.", "Hello", "Something else entirely."])
@pytest.mark.parametrize("spoken", [False, True])
async def test_another_text_is_refused_and_the_turn_goes_on(studio: Studio, other: str, spoken: bool) -> None:
    speech = await studio.begin("t")
    await write(studio, "t", Text(TEXT), EndOfText())
    if spoken:
        await speech.finish()
    with pytest.raises(TurnConflict, match="with another text: give this one another --turn"):
        await saying(studio, other, turn="t")
    record = await studio.ledger.inspect("t")
    assert (record.state, record.text) == (State.DONE if spoken else State.SPEAKING, TEXT)


async def test_the_rest_of_a_text_is_said_whose_producer_has_died(studio: Studio) -> None:
    await studio.open("t")
    await write(studio, "t", Text("Hel"), Text("lo "))
    assert await saying(studio, turn="t", wait=False) == 0
    record = await studio.ledger.inspect("t")
    assert (record.text, record.tokens) == (TEXT, 4)  # two that were there, the rest, and the end
    with pytest.raises(TurnConflict):
        await saying(studio, TEXT + " And more.", turn="t", wait=False)


async def test_a_turn_of_another_program_is_left_alone(studio: Studio) -> None:
    await studio.begin("t")
    await write(studio, "t", Text(TEXT), Flush())
    with pytest.raises(TurnConflict, match="another program's"):
        await saying(studio, turn="t")
    assert (await studio.ledger.inspect("t")).state is State.SPEAKING


# told to stop


async def test_what_was_said_until_ctrl_c_is_told_and_recorded(
    studio: Studio, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "a.wav"
    speaking = saying(studio, turn="t", out=out)
    await eventually(lambda: "opened" in capsys.readouterr().out)
    speech = await studio.claim()
    await speech.audio(1)
    await speech.audio(2)
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    [end] = told(capsys)
    assert (end["event"], end["reason"], end["out"]) == ("end", "interrupted", str(out))
    assert (end["samples"], end["spoken"]) == (2 * CHUNK, 10)
    with wave.open(str(out)) as recording:
        assert recording.getnframes() == 2 * CHUNK
    assert (await studio.ledger.inspect("t")).state is State.INTERRUPTED


async def test_the_end_of_a_turn_that_waits_is_told_at_ctrl_c_too(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    await studio.begin("before")
    waiting = saying(studio, turn="t", json=False, out=Path("/dev/null"))
    await eventually(lambda: "turn t" in capsys.readouterr().out)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert capsys.readouterr().err == "saystream: interrupted: 0 of 2 words spoken, 0.00 s of audio: /dev/null\n"
