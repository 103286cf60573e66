"""A failover has forgotten what was heard: whoever listens, or comes back, is told, and misses nothing that follows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest

from saystream.common.ids import EntryId
from saystream.common.redis_client import call_raw
from saystream.common.states import State
from saystream.consumer import BEGINNING, Gap, listen
from tests.clusters import Sentinels
from tests.consumer.studio import SESSION, Studio, heard, kinds, studio_at
from tests.proxy import Proxy
from tests.servers import MakeRedis


class History:
    """Two servers behind one address: what is said at both, both have."""

    def __init__(self, before: Studio, after: Studio, proxy: Proxy) -> None:
        self.before, self.after, self._proxy = before, after, proxy

    async def say(self, turn: str, values: Sequence[int]) -> None:
        for studio in (self.before, self.after):
            await studio.say(turn, values)

    async def fail_over(self) -> None:
        self.after._claims = 50  # so that nobody has a name that was there before
        await self._proxy.lead_to(self.after.url)


@asynccontextmanager
async def history(make_redis: MakeRedis) -> AsyncIterator[History]:
    primary, replica = make_redis(), make_redis()
    async with (
        Proxy(primary.url) as proxy,
        studio_at(primary.url) as before,
        studio_at(replica.url) as after,
    ):
        for studio in (before, after):
            await studio.pretend_age(1000)
        before.url = proxy.url
        yield History(before, after, proxy)


async def test_who_comes_back_before_anything_else_is_said_is_told(make_redis: MakeRedis) -> None:
    async with history(make_redis) as there:
        await there.say("a", [1])
        await there.before.say("b", [2])
        cursor = (await heard(there.before, until_turn="b", idle_s=5.0))[-1].cursor
        await there.fail_over()
        async with aclosing(listen(there.before.url, SESSION, cursor, until_turn="d")) as events:
            gap = await anext(events)
            assert isinstance(gap, Gap)
            assert gap.rewinds
            await there.after.say("d", [7, 8, 9])
            assert kinds([event async for event in events]) == "begin d, audio 7, audio 8, audio 9, end d"


async def test_who_comes_back_after_several_turns_were_lost_is_told(make_redis: MakeRedis) -> None:
    """And hears what follows. That was said instead until then, it cannot tell from what it has heard."""
    async with history(make_redis) as there:
        await there.say("a", [1])
        for turn in ("b", "c"):
            await there.before.say(turn, [2])
        cursor = (await heard(there.before, until_turn="c", idle_s=5.0))[-1].cursor
        await there.fail_over()
        await there.after.say("d", [7])
        async with aclosing(listen(there.before.url, SESSION, cursor, until_turn="e")) as events:
            assert isinstance(await anext(events), Gap)
            await there.after.say("e", [8])
            assert kinds([event async for event in events]) == "begin e, audio 8, end e"


async def test_who_listens_hears_what_gets_the_numbers_of_several_lost_turns(make_redis: MakeRedis) -> None:
    async with history(make_redis) as there:
        await there.say("a", [1])
        async with aclosing(listen(there.before.url, SESSION, BEGINNING, until_turn="e")) as events:
            await there.before.say("b", [2])
            lost = await there.before.begin("c")
            await lost.audio(3)
            said = "begin a, audio 1, end a, begin b, audio 2, end b, begin c, audio 3"
            assert kinds([await anext(events) for _ in range(8)]) == said
            following = asyncio.ensure_future(anext(events))
            await there.before.blocked_readers(1)
            await there.fail_over()
            assert isinstance(await following, Gap)
            await there.after.say("d", [7])
            await there.after.say("e", [8])
            assert kinds([event async for event in events]) == "begin d, audio 7, end d, begin e, audio 8, end e"


@pytest.mark.parametrize("said", ["d", "de", "def"])
async def test_who_was_away_hears_what_has_got_the_numbers_of_several_lost_turns(
    make_redis: MakeRedis, said: str
) -> None:
    """The listener waits where it was; some or all of the lost numbers have been given out before it asks again."""
    async with history(make_redis) as there:
        await there.say("a", [1])
        async with aclosing(listen(there.before.url, SESSION, BEGINNING, until_turn=said[-1])) as events:
            for turn in ("b", "c"):
                await there.before.say(turn, [2])
            assert [await anext(events) for _ in range(9)]
            following = asyncio.ensure_future(anext(events))
            await there.before.blocked_readers(1)
            there.after._claims = 50
            for turn in said:
                await there.after.say(turn, [7])
            await there.fail_over()
            rest = [await following] + [event async for event in events]
            assert kinds(rest) == "gap, " + ", ".join(f"begin {turn}, audio 7, end {turn}" for turn in said)


async def test_a_turn_that_is_said_again_behind_the_gap_is_not_heard_twice(make_redis: MakeRedis) -> None:
    """Its producer has opened it again, under the number that it had."""
    async with history(make_redis) as there:
        await there.say("a", [1])
        async with aclosing(listen(there.before.url, SESSION, BEGINNING, until_turn="d")) as events:
            for turn in ("b", "c"):
                await there.before.say(turn, [2])
            assert [await anext(events) for _ in range(9)]
            following = asyncio.ensure_future(anext(events))
            await there.before.blocked_readers(1)
            await there.fail_over()
            assert isinstance(await following, Gap)
            for turn in ("b", "d"):
                await there.after.say(turn, [7])
            assert kinds([event async for event in events]) == "begin d, audio 7, end d"


async def test_an_end_from_outside_whose_id_comes_again_for_another_turn_is_told(make_redis: MakeRedis) -> None:
    """Nobody owns it: whose it is, its turn tells."""
    async with history(make_redis) as there:
        await there.say("a", [1])
        async with aclosing(listen(there.before.url, SESSION, BEGINNING, until_turn="c")) as events:
            await there.before.open("b")
            await there.before.ledger.interrupt(SESSION)
            assert kinds([await anext(events) for _ in range(4)]) == "begin a, audio 1, end a, end b"
            following = asyncio.ensure_future(anext(events))
            await there.before.blocked_readers(1)
            await there.after.open("c")
            await there.after.ledger.interrupt(SESSION)
            await there.fail_over()
            assert kinds([await following] + [event async for event in events]) == "gap, end c"


async def test_an_end_that_says_less_than_was_heard_is_no_gap_for_who_comes_back(studio: Studio) -> None:
    """The last audio is forgotten, and the turn was interrupted then."""
    speech = await studio.begin("a")
    await speech.audio(1)
    earlier = await call_raw(studio.redis, "DUMP", studio.keys.audio(SESSION))
    for value in (2, 3):
        await speech.audio(value)
    cursor = (await heard(studio))[-1].cursor
    await call_raw(studio.redis, "RESTORE", studio.keys.audio(SESSION), 0, earlier, "REPLACE")
    [cut] = await studio.ledger.interrupt(SESSION)
    assert (cut.state, cut.samples) == (State.INTERRUPTED, 100)
    assert kinds(await heard(studio, cursor)) == "end a"


async def test_what_was_trimmed_in_the_middle_of_a_turn_is_still_a_gap(studio: Studio) -> None:
    speech = await studio.begin("a")
    cursor = await speech.audio(1)
    for value in (2, 3):
        await speech.audio(value)
    await studio.trim(EntryId(cursor.major, cursor.seq + 2))
    assert kinds(await heard(studio, cursor)) == "gap, audio 3"


async def test_a_listener_that_is_led_to_a_new_primary_without_an_error_looks_there(sentinels: Sentinels) -> None:
    """The old one was frozen, and answers when it wakes up: what the client asks next, it asks of the new one."""
    former = await sentinels.primary()
    async with (
        studio_at(former.url) as before,
        aclosing(listen(sentinels.url, SESSION, BEGINNING, until_turn="d", timeout_s=30.0)) as events,
    ):
        await before.pretend_age(1000)
        await before.say("a", [1])
        assert kinds([await anext(events) for _ in range(3)]) == "begin a, audio 1, end a"
        await former.ask("ACL", "SETUSER", "default", "-psync", "-sync")
        await former.ask("CLIENT", "KILL", "TYPE", "replica")
        lost = await before.begin("b")
        for value in (2, 3):
            await lost.audio(value)
        assert kinds([await anext(events) for _ in range(3)]) == "begin b, audio 2, audio 3"
        following = asyncio.ensure_future(anext(events))
        await before.blocked_readers(1)
        former.freeze()
        try:
            new = await sentinels.failed_over(former)
        finally:
            former.thaw()
        async with studio_at(new.url) as after:
            after._claims = 50
            await after.say("d", [7, 8, 9, 10])
            rest = [await following] + [event async for event in events]
            assert kinds(rest) == "gap, begin d, audio 7, audio 8, audio 9, audio 10, end d"
