"""The race of two streams of speech: who wins, whose error counts, and when the second starts."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from saystream.common.errors import Action, Scope, VendorError
from saystream.workers.account import Counts
from saystream.workers.hedge import Race, run
from saystream.workers.sender import Rest
from saystream.workers.speech import Speech
from tests.timing import MS


@dataclass
class Account:
    usable: bool = True
    counts: Counts = field(default_factory=Counts)


@dataclass
class Voice:
    name: str
    account: Account = field(default_factory=Account)


@dataclass(eq=False)
class Runner:
    """A stream of speech that does as it is told: begins when it may, and ends with what it is given."""

    name: str
    race: Race
    got: asyncio.Event = field(default_factory=asyncio.Event)
    owes: asyncio.Event = field(default_factory=asyncio.Event)
    speaks: asyncio.Event = field(default_factory=asyncio.Event)
    ends: asyncio.Future[Rest] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    started: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.voice = Voice(self.name)

    async def run(self) -> Rest:
        self.started.set()
        speaking: asyncio.Future[Any] = asyncio.create_task(self.speaks.wait())
        await asyncio.wait([speaking, self.ends], return_when=asyncio.FIRST_COMPLETED)
        speaking.cancel()
        if self.speaks.is_set():
            await self.race.begins(cast(Speech, self))
        return await self.ends

    def fail(self, text: str) -> None:
        self.ends.set_exception(VendorError(self.name, text, scope=Scope.STREAM, action=Action.RECONNECT))


class Track:
    """A race of two, in which nothing happens that a test has not told."""

    def __init__(self) -> None:
        self.won: list[str] = []
        self.race = Race(lambda winner: self.won.append(winner.voice.name))
        self.first, self.second = Runner("first", self.race), Runner("second", self.race)
        self.text = asyncio.Event()
        self.running: asyncio.Task[Rest] | None = None

    async def _text(self) -> bool:
        return await self.text.wait()

    def start(self, after_s: float = 0.0) -> asyncio.Task[Rest]:
        first, second = cast(Any, self.first), cast(Any, self.second)
        return asyncio.create_task(run(self.race, first, lambda: second, self._text, after_s))

    async def hedged(self) -> asyncio.Task[Rest]:
        """Start it, and let the second start, too."""
        self.first.got.set()
        self.first.owes.set()
        race = self.start()
        await self.second.started.wait()
        return race


async def test_the_first_to_speak_wins_and_the_other_is_cancelled() -> None:
    track = Track()
    race = await track.hedged()
    track.second.speaks.set()
    track.second.ends.set_result(Rest.NOTHING)
    assert await race is Rest.NOTHING
    assert track.won == ["second"]
    assert track.first.ends.cancelled() or not track.first.ends.done()
    counts = track.first.voice.account.counts
    assert (counts.hedges, counts.hedges_won) == (1, 1)


async def test_a_hedges_error_does_not_take_the_place_of_the_firsts() -> None:
    """It may be one that nobody can mend, which says nothing about the voice of the turn."""
    track = Track()
    race = await track.hedged()
    track.second.fail("no such key")
    await asyncio.wait([track.second.ends])
    await asyncio.sleep(5 * MS)
    track.first.fail("it broke")
    with pytest.raises(VendorError, match="first: it broke"):
        await race


async def test_a_winners_error_is_what_counts() -> None:
    track = Track()
    race = await track.hedged()
    track.first.fail("it broke")
    await asyncio.sleep(5 * MS)
    track.second.speaks.set()
    await asyncio.sleep(5 * MS)
    track.second.fail("it broke, too")
    with pytest.raises(VendorError, match="second: it broke, too"):
        await race
    assert track.race.winner is cast(Any, track.second)


async def test_waiting_for_a_stream_with_something_to_say_is_being_late() -> None:
    track = Track()
    race = track.start(20 * MS)
    await asyncio.sleep(40 * MS)
    assert not track.second.started.is_set(), "there is nothing to say yet"
    track.text.set()
    async with asyncio.timeout(1.0):
        await track.second.started.wait()
    track.second.speaks.set()
    track.second.ends.set_result(Rest.NOTHING)
    await race


async def test_a_vendor_that_owes_nothing_yet_is_not_late() -> None:
    """It may wait for more text; how long its stream was waited for counts once it owes audio."""
    track = Track()
    track.text.set()
    race = track.start(400 * MS)
    await asyncio.sleep(300 * MS)
    track.first.got.set()
    await asyncio.sleep(200 * MS)
    assert not track.second.started.is_set()
    track.first.owes.set()
    async with asyncio.timeout(300 * MS):
        await track.second.started.wait()
    race.cancel()
    await asyncio.wait([race])


async def test_a_hedge_is_not_started_with_a_vendor_that_is_not_asked() -> None:
    track = Track()
    track.second.voice.account.usable = False
    track.first.got.set()
    track.first.owes.set()
    race = track.start()
    await asyncio.sleep(20 * MS)
    track.first.speaks.set()
    track.first.ends.set_result(Rest.NOTHING)
    assert await race is Rest.NOTHING
    assert not track.second.started.is_set()
    assert track.first.voice.account.counts.hedges == 0
