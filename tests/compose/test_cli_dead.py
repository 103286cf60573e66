"""Turns that failed on every attempt are looked at, said again and forgotten from the command line."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest

from saystream.common.events import EndOfText, Text, TokenEvent
from saystream.common.redis_client import call
from saystream.common.states import State
from tests.compose.cli_process import House, house, objects
from tests.consumer.studio import SESSION, Studio, studio_at


@pytest.fixture
async def studio(redis_url: str) -> AsyncIterator[Studio]:
    async with studio_at(redis_url) as made:
        yield made


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    with house() as made:
        yield made


class Dead:
    """The commands, on a Redis of the test's."""

    def __init__(self, home: House, studio: Studio) -> None:
        self._home, self.studio = home, studio

    async def __call__(self, command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        run = partial(self._home.run, "dead", command, "--redis", self.studio.url, *arguments)
        return await asyncio.to_thread(run)

    async def list(self) -> list[dict[str, Any]]:
        return objects((await self("list", "--json")).stdout)

    async def fail(self, turn: str, cause: str = "the vendor is down", *, whole: bool = True) -> str:
        """Let a turn fail behind its first word, perhaps before all of its text was there; returns its letter's id."""
        await self.studio.open(turn, metadata={"scene": "7"})
        speech = await self.studio.claim()
        said: list[TokenEvent] = [Text("One two "), Text("three."), EndOfText()]
        if not whole:
            said = [Text("One two "), Text("thr")]
        await self.studio.ledger.append(speech.claim.ref, 1, said)
        await speech.audio(1, samples=10)
        speech.spoken = 4
        await speech.finish(State.FAILED, cause)
        newest, *_ = await self.studio.ledger.dead(1)
        return newest.id

    async def said(self, turn: str) -> str:
        """Return the text of a turn."""
        return (await self.studio.ledger.inspect(turn)).text


@pytest.fixture
def dead(home: House, studio: Studio) -> Dead:
    return Dead(home, studio)


async def test_they_are_listed_with_the_cause(dead: Dead) -> None:
    first, second = await dead.fail("a"), await dead.fail("b", "no voice [red] is there")
    shown = await dead("list")
    assert (shown.returncode, shown.stderr) == (0, "")
    title, *lines = shown.stdout.splitlines()
    assert title.split() == ["id", "failed", "session", "turn", "attempts", "text", "cause"]
    assert [line.split()[0] for line in lines] == [second, first]  # the newest stands first
    assert "no voice [red] is there" in lines[0]
    assert [(letter["id"], letter["cause"], letter["attempts"]) for letter in await dead.list()] == [
        (second, "no voice [red] is there", 1),
        (first, "the vendor is down", 1),
    ]
    assert len(objects((await dead("list", "--json", "--count", "1")).stdout)) == 1


async def test_where_there_are_none_it_says_so(dead: Dead) -> None:
    shown = await dead("list")
    assert (shown.returncode, shown.stdout) == (0, "no dead letters\n")
    assert (await dead("list", "--json")).stdout == ""
    assert (await dead("redrive", "--all")).stdout == "no dead letters\n"


async def test_one_is_shown_with_its_text_and_what_of_it_was_spoken(dead: Dead) -> None:
    letter = await dead.fail("a")
    shown = await dead("show", letter)
    assert shown.returncode == 0
    for piece in (SESSION, "the vendor is down", "4 of 14 characters", "scene = 7", "One two three."):
        assert piece in shown.stdout
    [told] = objects((await dead("show", letter, "--json")).stdout)
    assert (told["turn"], told["text"], told["spoken"]) == ("a", "One two three.", 4)


async def test_one_is_said_again_as_a_new_turn_of_its_session(dead: Dead) -> None:
    letter = await dead.fail("a")
    shown = await dead("redrive", letter)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"{letter} redriven as turn ")
    assert shown.stdout.endswith(f" of session {SESSION}\n")
    turn = shown.stdout.split(" as turn ")[1].split()[0]
    assert await dead.said(turn) == "One two three."
    assert await dead.list() == []


async def test_of_one_only_the_rest_can_be_said(dead: Dead) -> None:
    [told] = objects((await dead("redrive", await dead.fail("a"), "--rest", "--json")).stdout)
    assert told["event"] == "redriven"
    assert await dead.said(told["turn"]) == "two three."


async def test_all_are_said_again_the_oldest_first_and_it_is_told_how_far_it_has_come(dead: Dead) -> None:
    letters = [await dead.fail(turn) for turn in ("a", "b", "c")]
    shown = await dead("redrive", "--all")
    assert shown.returncode == 0
    assert [line.split(" redriven")[0] for line in shown.stdout.splitlines()] == [
        f"{place} of 3  {letter}" for place, letter in enumerate(letters, 1)
    ]
    assert await dead.list() == []


async def test_one_that_cannot_be_said_again_stays_and_the_others_are_said(dead: Dead) -> None:
    textless, whole = await dead.fail("a"), await dead.fail("b")
    await call(dead.studio.redis, "DEL", dead.studio.keys.tokens("a"))
    shown = await dead("redrive", textless, whole)
    assert shown.returncode == 1
    assert f"1 of 2  {textless}: " in shown.stderr
    assert "`saystream dead drop` forgets it" in shown.stderr
    assert f"2 of 2  {whole} redriven" in shown.stdout
    assert [letter["id"] for letter in await dead.list()] == [textless]


async def test_of_each_it_is_told_whether_its_text_is_whole(dead: Dead) -> None:
    part, whole = await dead.fail("a", whole=False), await dead.fail("b")
    lines = (await dead("list")).stdout.splitlines()[1:]
    assert ["not whole" in line for line in lines] == [False, True]
    assert [letter["whole"] for letter in await dead.list()] == [True, False]
    assert "not whole: its producer had not sent the end of it" in " ".join((await dead("show", part)).stdout.split())
    assert "not whole" not in (await dead("show", whole)).stdout
    assert objects((await dead("show", part, "--json")).stdout)[0]["whole"] is False


async def test_one_whose_text_is_not_whole_is_said_again_only_if_that_is_wanted(dead: Dead) -> None:
    """A turn that breaks off in mid-sentence would end as done."""
    part, whole = await dead.fail("a", whole=False), await dead.fail("b")
    shown = await dead("redrive", "--all")
    assert shown.returncode == 1
    assert f"2 of 2  {whole} redriven" in shown.stdout
    assert f"1 of 2  {part}: " in shown.stderr
    assert "had not sent all of its text" in shown.stderr
    assert "--incomplete" in shown.stderr
    assert [letter["id"] for letter in await dead.list()] == [part]
    [told] = objects((await dead("redrive", part, "--incomplete", "--json")).stdout)
    assert await dead.said(told["turn"]) == "One two thr"
    assert await dead.list() == []


async def test_some_or_all_are_forgotten(dead: Dead) -> None:
    letters = [await dead.fail(turn) for turn in ("a", "b", "c")]
    shown = await dead("drop", letters[0])
    assert (shown.returncode, shown.stdout) == (0, f"{letters[0]} dropped\n")
    refused = await dead("drop", "--all")
    assert refused.returncode == 2
    assert "add --yes" in refused.stderr
    assert len(await dead.list()) == 2
    assert (await dead("drop", "--all", "--yes")).returncode == 0
    assert await dead.list() == []


@pytest.mark.parametrize(
    ("command", "letter"),
    [("show", "0:1-0"), ("show", "0:nonsense"), ("redrive", "nonsense"), ("redrive", "0:1-0"), ("drop", "99:1-0")],
)
async def test_an_id_that_is_none_of_theirs_is_told(dead: Dead, command: str, letter: str) -> None:
    failed = await dead(command, letter)
    assert failed.returncode in (1, 2)
    assert failed.stderr.count(letter) == 1
    assert ".." not in failed.stderr
    assert "5 `saystream" not in failed.stderr  # two sentences
    assert "Traceback" not in failed.stderr
    assert "fault of saystream's own" not in failed.stderr


@pytest.mark.parametrize("arguments", [["redrive"], ["drop", "0:1-0", "--all"]], ids=["none", "both"])
async def test_it_has_to_be_said_which(dead: Dead, arguments: list[str]) -> None:
    failed = await dead(*arguments)
    assert failed.returncode == 2
    assert "--all" in failed.stderr
