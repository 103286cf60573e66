"""The parts of the command line that decide without a terminal: tokens, captions, words, players, places."""

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import ClassVar, cast

import pytest
from rich.console import Console

from saystream.common.audio import AudioFormat
from saystream.common.events import Audio, Begin, End, Splice, Word, Words
from saystream.common.ids import EntryId
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.compose.cli import beacon, stdin, tokens
from saystream.compose.cli import listen as cli_listen
from saystream.compose.cli.beacon import Place
from saystream.compose.cli.captions import Captions
from saystream.compose.cli.display import Picture
from saystream.compose.cli.listen import Listen, follow
from saystream.compose.cli.player import Buffer, CannotPlay, Player
from saystream.compose.cli.progress import Progress, count_spoken
from saystream.consumer import Drop, Put
from tests.consumer.studio import SESSION, studio_at
from tests.timing import MS, eventually

FORMAT = AudioFormat()
CURSOR = EntryId(1, 0)


def words(*texts: str, start: int = 0, sample: int = 0) -> tuple[Word, ...]:
    """Words behind one another, one blank between them, a hundred samples each."""
    made = []
    for text in texts:
        made.append(Word(text, start, start + len(text), sample, sample + 100))
        start, sample = start + len(text) + 1, sample + 100
    return tuple(made)


@pytest.mark.parametrize("text", ["", "Hello, world.", "  two\n\nlines ", "Donaudampfschifffahrt äöü ß 3.14 🙂"])
def test_tokens_are_the_text_in_pieces(text: str) -> None:
    pieces = list(tokens.cut(text))
    assert "".join(pieces) == text
    assert all(1 <= len(piece) <= 7 for piece in pieces)


async def test_input_is_given_as_it_comes_and_a_letter_only_when_it_is_whole() -> None:
    reader, writer = os.pipe()
    arriving = stdin.arriving(reader)
    try:
        os.write(writer, b"no line, no end, caf\xc3")
        assert await anext(arriving) == "no line, no end, caf"
        os.write(writer, b"\xa9 \xff")
        assert await anext(arriving) == "é \ufffd"
        os.write(writer, b"\xc3")
        os.close(writer)
        assert await anext(arriving) == "\ufffd"
        assert [text async for text in arriving] == []
    finally:
        os.close(reader)


def test_a_word_is_due_when_its_audio_is() -> None:
    captions = Captions()
    captions.take(Begin(CURSOR, "t", FORMAT, "v", {}))
    captions.take(Words(CURSOR, "t", 0, 0, 0, words("one", "two", "three")))
    assert captions.due(99) == list(words("one"))
    assert [word.text for word in captions.due(150)] == ["two"]
    captions.take(End(CURSOR, "t", State.INTERRUPTED, 150, 3, ""))
    assert captions.due(1000) == []


def test_a_word_that_is_spoken_again_after_a_splice_is_shown_once() -> None:
    captions = Captions()
    captions.take(Begin(CURSOR, "t", FORMAT, "v", {}))
    captions.take(Words(CURSOR, "t", 0, 0, 0, words("one", "two", "three")))
    assert [word.text for word in captions.due(150)] == ["one", "two"]
    captions.take(Splice(CURSOR, "t", 100, 3))
    captions.take(Words(CURSOR, "t", 100, 3, 100, words("two", "three", start=4, sample=100)))
    assert [word.text for word in captions.due(400)] == ["three"]


@pytest.mark.parametrize(("spoken", "count"), [(0, 0), (3, 0), (4, 1), (8, 2), (10, 2), (100, 3)])
def test_a_word_counts_when_the_audio_covers_all_of_it(spoken: int, count: int) -> None:
    places = (Word("One,", 0, 4, 0, 1), Word("two", 5, 8, 1, 2), Word("three", 11, 16, 2, 3))
    assert count_spoken("One, two – three", places, spoken) == count


def test_what_is_dropped_before_it_is_played_is_never_played() -> None:
    buffer = Buffer(FORMAT)
    buffer.apply(Put(0, b"aabbccdd"))
    assert buffer.take(1) == b"aa"
    buffer.apply(Drop(2))
    buffer.apply(Put(2, b"CCDD"))
    assert (buffer.take(9), buffer.played, buffer.waiting) == (b"bbCCDD", 4, 0)


def test_what_was_played_is_not_played_again_and_what_is_missing_is_silence() -> None:
    buffer = Buffer(FORMAT)
    buffer.apply(Put(0, b"aabb"))
    assert buffer.take(2) == b"aabb"
    buffer.apply(Drop(1))
    buffer.apply(Put(1, b"BBCC"))
    buffer.apply(Put(4, b"EE"))
    assert buffer.take(9) == b"CC\0\0EE"


def test_who_joins_in_the_middle_of_a_turn_hears_it_at_once() -> None:
    buffer = Buffer(FORMAT)
    buffer.apply(Put(1000, b"aabb"))
    assert (buffer.take(9), buffer.played) == (b"aabb", 1002)


class Device:
    """What miniaudio offers, with a loudspeaker that plays when the test says so."""

    class MiniaudioError(Exception):
        pass

    class SampleFormat:
        SIGNED16 = 2

    def __init__(self, **wanted: object) -> None:
        self.wanted = wanted
        self.heard = b""
        Device.last = self

    last: ClassVar["Device"]
    PlaybackDevice: ClassVar[type["Device"]]

    def start(self, feed: Generator[bytes, int, None]) -> None:
        self._feed = feed

    def play(self, samples: int) -> None:
        self.heard += self._feed.send(samples)

    def close(self) -> None:
        self._feed.close()


Device.PlaybackDevice = Device


async def test_a_turn_is_played_to_its_end_and_an_interrupted_one_is_silent_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "miniaudio", cast(ModuleType, Device))
    low = AudioFormat(sample_rate=8000)
    with Player() as player:
        await player.take(Begin(EntryId(1, 0), "t", low, "v", {}))
        await player.take(Audio(EntryId(1, 1), "t", 0, 2, 0, 0, b"aabb"))
        device = Device.last
        assert device.wanted["sample_rate"] == 8000
        device.play(1)
        ending = asyncio.ensure_future(player.take(End(EntryId(1, 2), "t", State.DONE, 2, 0, "")))
        done, _ = await asyncio.wait({ending}, timeout=50 * MS)
        assert not done
        device.play(9)
        await ending
        assert (device.heard, player.position) == (b"aabb", 2)

        await player.take(Begin(EntryId(2, 0), "u", low, "v", {}))
        await player.take(Audio(EntryId(2, 1), "u", 0, 2, 0, 0, b"ccdd"))
        device.play(1)
        await player.take(End(EntryId(2, 2), "u", State.INTERRUPTED, 2, 0, ""))
        device.play(9)
        assert (device.heard, player.position, player.place) == (b"aabbcc", 1, ("u", 1))


async def test_what_the_loudspeaker_has_played_is_told(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miniaudio", cast(ModuleType, Device))
    monkeypatch.setattr(cli_listen, "_TELL_S", 10 * MS)
    async with studio_at(redis_url) as studio:
        speech = await studio.begin("a")
        for value in (1, 2):
            await speech.audio(value)
        order = Listen(SESSION, "beginning", play=True, until_end=True, json=True)
        listening = asyncio.create_task(follow(order, Settings(redis_url=redis_url), redis_url))

        async def told() -> tuple[int | None, int | None]:
            heard = await studio.ledger.heard(speech.claim.ref)
            return heard.played, heard.heard

        async def plays_some() -> bool:
            Device.last.play(30)
            return await told() == (200, 10)

        async def has_come() -> bool:
            return await told() == (0, 0)

        await eventually(has_come)
        Device.last.play(150)
        await eventually(partial(_is, told, (150, 5)))
        await speech.finish()
        await eventually(plays_some)
        await listening


async def _is(asked: Callable[[], Awaitable[object]], expected: object) -> bool:
    return await asked() == expected


def test_without_its_extra_playing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    with pytest.raises(CannotPlay, match=r"saystream\[play\]"):
        Player()


def test_a_place_is_known_as_long_as_somebody_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    place = Place("unix:///somewhere", 4)
    assert beacon.find() is None
    with beacon.lit(place) as first, beacon.lit(Place("redis://elsewhere", 1)) as second:
        assert (first, second) == ("", beacon.TAKEN)
        assert beacon.find() == place
    assert beacon.find() is None
    assert list(tmp_path.iterdir()) == []


def test_why_a_place_cannot_be_announced_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    with beacon.lit(Place("unix:///somewhere", 1)) as why:
        assert why.endswith(f"{tmp_path}/none/saystream.json cannot be used: No such file or directory.")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "saystream.json").touch(0o666)
    (tmp_path / "saystream.json").chmod(0o666)
    with beacon.lit(Place("unix:///somewhere", 1)) as why:
        assert why.endswith("it belongs to somebody else, or others may use it.")


def test_a_place_that_others_could_have_written_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with beacon.lit(Place("unix:///somewhere", 1)):
        beacon.path().chmod(0o666)
        assert beacon.find() is None
        beacon.path().unlink()
        beacon.path().symlink_to("/etc/hostname")
        assert beacon.find() is None


async def test_the_picture_fits_the_terminal_around_the_word_that_is_spoken() -> None:
    progress = Progress("s", "t")
    text = " ".join(f"w{number}" for number in range(1000))
    async for _ in progress.counted(once(text)):
        pass
    at = text.index("w500")
    progress.heard(Begin(EntryId(1, 0), "t", FORMAT, "v", {}))
    progress.heard(Words(EntryId(1, 1), "t", 0, 0, 0, (Word("w500", at, at + 4, 0, 1),)))
    progress.heard(Audio(EntryId(1, 2), "t", 0, 1, at + 4, 1, b"ab"))
    console = Console(width=60, height=20, file=io.StringIO())
    with console.capture() as captured:
        console.print(Picture(progress))
    assert len(captured.get().splitlines()) < 20
    assert "w500" in captured.get()
    assert "words 1 of 1000" in captured.get()


async def once(text: str) -> AsyncIterator[str]:
    yield text
