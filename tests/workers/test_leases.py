"""Leases: renewed in time, or dropped, and never taken back."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from redis.exceptions import ResponseError

from saystream.common.errors import Fenced, RedisUnavailable
from saystream.common.ids import TurnRef, session_id, turn_id
from saystream.common.ledger import Message
from saystream.common.ledger.queue import Queue
from saystream.common.outage import Outage
from saystream.workers.leases import Held, LeaseLost, Leases
from tests.timing import MS, eventually

LEASE_S = 200 * MS
log = logging.getLogger("saystream.test")


class Shard:
    """A shard's server, as the leases see it.

    Attributes:
        renewals: what was renewed, and when.
        answers: whether it does.
        gone: turns that have ended, or are another's for good.
    """

    def __init__(self) -> None:
        self.renewals: list[tuple[float, set[str]]] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.refuses: Exception | None = None
        self.gone: set[str] = set()

    def away(self, how: str) -> None:
        self.refuses = {"it refuses": RedisUnavailable(), "it has no group": ResponseError("NOGROUP")}.get(how)
        self.answers.clear()

    def back(self) -> None:
        self.refuses = None
        self.answers.set()

    async def renew(self, messages: Iterable[str]) -> set[str]:
        self.renewals.append((time.monotonic(), set(messages)))
        if self.refuses:
            raise self.refuses
        await self.answers.wait()
        return set(messages) - self.gone


def message(number: int) -> Message:
    return Message(0, f"{number}-0", TurnRef(session_id("s"), turn_id(f"t{number}")), "narrator")


def new_outage() -> Outage:
    return Outage(log, "leases are in order again")


@asynccontextmanager
async def kept(shard: Shard, outage: Outage | None = None) -> AsyncIterator[Leases]:
    leases = Leases(cast(Queue, shard), LEASE_S, outage or new_outage())
    keeping = asyncio.create_task(leases.keep())
    yield leases
    keeping.cancel()
    await asyncio.wait([keeping])


async def until_dropped(held: Held) -> float:
    """Return how long it took."""
    began = time.monotonic()
    await eventually(lambda: held.lost)
    return time.monotonic() - began


async def test_what_is_held_is_renewed_several_times_a_lease() -> None:
    shard = Shard()
    async with kept(shard) as leases:
        held = leases.take(message(1))
        await eventually(lambda: len(shard.renewals) > 8)
        assert held.lost is None
        assert shard.renewals[-1][1] == {"1-0"}
        leases.let_go(held)
        await eventually(lambda: shard.renewals[-1][1] == set())


async def test_what_has_ended_elsewhere_is_dropped() -> None:
    shard = Shard()
    async with kept(shard) as leases:
        gone, well = leases.take(message(1)), leases.take(message(2))
        shard.gone = {"1-0"}
        await until_dropped(gone)
        assert isinstance(gone.lost, Fenced)
        assert well.lost is None
        assert leases.held == [well]


@pytest.mark.parametrize("how", ["it says nothing", "it refuses"])
async def test_a_server_that_is_away_for_a_while_costs_nothing(how: str) -> None:
    shard = Shard()
    async with kept(shard) as leases:
        held = leases.take(message(1))
        await eventually(lambda: shard.renewals)
        shard.away(how)
        before = len(shard.renewals)
        await eventually(lambda: len(shard.renewals) > before + 6)
        shard.back()
        before = len(shard.renewals)
        await eventually(lambda: len(shard.renewals) > before + 2)
        assert held.lost is None
        assert shard.renewals[-1][1] == {"1-0"}


@pytest.mark.parametrize("how", ["it says nothing", "it refuses", "it has no group"])
async def test_a_server_that_stays_away_costs_its_turns_in_the_end(how: str) -> None:
    """A call that hangs does not put it off, and another shard's turns stay."""
    shard, other = Shard(), Shard()
    async with kept(shard) as leases, kept(other) as others:
        held, kept_on = leases.take(message(1)), others.take(message(1))
        await eventually(lambda: shard.renewals)
        shard.away(how)
        taken_s = await until_dropped(held)
        assert isinstance(held.lost, LeaseLost)
        assert 8 * LEASE_S < taken_s < 14 * LEASE_S
        assert len(leases) == 0
        assert kept_on.lost is None


async def test_what_was_lost_while_the_worker_was_frozen_is_dropped_and_not_renewed() -> None:
    shard = Shard()
    async with kept(shard) as leases:
        taken, left = leases.take(message(1)), leases.take(message(2))
        await eventually(lambda: shard.renewals)
        time.sleep(1.5 * LEASE_S)  # noqa: ASYNC251  # nothing at all happens in this process meanwhile
        shard.gone = {"1-0"}
        await until_dropped(taken)
        before = len(shard.renewals)
        await eventually(lambda: len(shard.renewals) > before + 2)
        assert shard.renewals[-1][1] == {"2-0"}
        assert left.lost is None


async def test_a_turn_that_comes_again_drops_what_is_left_of_its_first_stay() -> None:
    leases = Leases(cast(Queue, Shard()), LEASE_S, new_outage())
    first = leases.take(message(1))
    second = leases.take(message(1))
    assert isinstance(first.lost, LeaseLost)
    leases.let_go(first)
    assert leases.held == [second]
    assert message(1) in leases


@pytest.mark.parametrize("how", ["it says nothing", "it refuses"])
async def test_of_an_absence_a_log_tells_the_beginning_and_the_end_once_for_all_shards(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "saystream")
    shards, outage = [Shard() for _ in range(3)], new_outage()
    async with kept(shards[0], outage), kept(shards[1], outage), kept(shards[2], outage):
        await eventually(lambda: all(shard.renewals for shard in shards))
        for shard in shards:
            shard.away(how)
        before = [len(shard.renewals) for shard in shards]
        await eventually(lambda: all(len(s.renewals) > count + 3 for s, count in zip(shards, before, strict=True)))
        for shard in shards:
            shard.back()
        await eventually(lambda: "again" in caplog.text)
    [begun, ended] = caplog.messages
    assert begun.startswith("! cannot renew leases: ")
    assert ended == "= leases are in order again"
