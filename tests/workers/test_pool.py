"""Pools and their connections, against a scripted vendor."""

import asyncio
import contextlib
from typing import Any

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.errors import VendorError
from saystream.workers.account import Account
from saystream.workers.providers.base import Cancel, Finished, StreamSpec
from tests.timing import MS, eventually
from tests.workers.scripted import SPEC, Places, Vendor, all_of, error, speak, vendor

ACKNOWLEDGED = {"cancel": Cancel.ACKNOWLEDGED}


def other_model(name: str) -> StreamSpec:
    return StreamSpec("anna", AudioFormat(), model=name)


async def test_warm_connections_are_there_before_the_first_turn() -> None:
    async with vendor() as here, here.account(min=3) as account:
        await account.warmed()
        assert here.opened == 3
        assert [repr(pool) for pool in account.pools] == [
            "<Pool scripted [connections: 0 active, 3 idle, 0 opening | turns waiting: 0, parting: 0]>"
        ]
        stream = await account.stream(SPEC)
        assert stream.warm
        assert account.counts.warm == 1


async def test_a_turn_that_has_to_wait_for_a_handshake_did_not_find_one_warm() -> None:
    async with vendor() as here, here.account(min=0) as account:
        assert not (await account.stream(SPEC)).warm
        assert (account.counts.streams, account.counts.warm) == (1, 0)


async def test_turns_one_after_the_other_share_a_connection() -> None:
    async with vendor() as here, here.account() as account:
        await account.warmed()
        for _ in range(5):
            assert await speak(account, "once more") == b"once more"
        assert len({number for number, _ in here.verbs("open")}) == 1


@pytest.mark.parametrize(
    "capabilities",
    [
        {},
        {"cancel": Cancel.ACKNOWLEDGED},
        {"cancel": Cancel.ACKNOWLEDGED, "streams": 5},
        {"turns": 1},
        {"settle_s": 2 * MS},
    ],
    ids=["reused", "acknowledged", "multiplexed", "single use", "settling"],
)
async def test_two_hundred_turns_go_through_eight_connections(capabilities: dict[str, Any]) -> None:
    """Every fourth is cancelled on its way. Nothing leaks: no socket, no task, no place in the quota."""
    places = Places()
    async with vendor() as here:
        async with here.account(places, capabilities=capabilities, max=8, connect_timeout_s=30.0) as account:

            async def turn(number: int) -> bool:
                if number % 4 == 0:
                    stream = await account.stream(SPEC)
                    await stream.text("never mind")
                    stream.cancel()
                    return True
                return await speak(account, f"number {number}") == f"number {number}".encode()

            assert all(await asyncio.gather(*(turn(number) for number in range(200))))
            assert here.most_open <= 8
            assert account.counts.streams == 200
            assert account.counts.failures == 0
            await eventually(lambda: places.out == 0)
            assert places.given == places.taken == 200
        assert here.streams == 0


async def test_no_turn_waits_while_a_connection_is_free() -> None:
    async with vendor() as here, here.account(min=2, max=2) as account:
        await account.warmed()
        here.gate.clear()
        turns = [asyncio.create_task(speak(account, "hello")) for _ in range(20)]
        for done in range(20):
            await here.until(lambda vendor, done=done: len(vendor.verbs("finish")) >= min(20, done + 2))  # type: ignore[misc]
            here.gate.set()
            await asyncio.sleep(0)
            here.gate.clear()
        here.gate.set()
        await asyncio.gather(*turns)
        assert here.opened == 2


async def test_waiting_turns_are_served_in_their_order() -> None:
    async with vendor() as here, here.account(max=1) as account:
        order: list[int] = []

        async def turn(number: int) -> None:
            stream = await account.stream(SPEC)
            order.append(number)
            await stream.finish("hello")
            await all_of(stream)

        await asyncio.gather(*(turn(number) for number in range(10)))
        assert order == list(range(10))


async def test_a_turn_that_gives_up_waiting_leaves_the_place_to_the_next() -> None:
    async with vendor() as here, here.account(max=1, connect_timeout_s=0.2) as account:
        busy = await account.stream(SPEC)
        waiting = asyncio.create_task(account.stream(SPEC))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        with pytest.raises(VendorError, match=r"no connection became free within 0\.2 s"):
            await account.stream(SPEC)
        await busy.finish("first")
        await all_of(busy)
        await speak(account, "second")
        assert here.opened == 1


async def test_single_use_connections_are_replaced() -> None:
    async with vendor() as here, here.account(capabilities={"turns": 1}) as account:
        for _ in range(3):
            await speak(account, "once more")
        assert len({number for number, _ in here.verbs("open")}) == 3


# cancelling


async def test_an_acknowledged_cancel_keeps_the_connection_for_the_next_turn() -> None:
    places = Places()
    async with vendor() as here, here.account(places, capabilities=ACKNOWLEDGED, max=1) as account:
        stream = await account.stream(SPEC)
        await stream.text("never mind")
        stream.cancel()
        stream.cancel()
        assert places.out == 1, "the vendor still holds its place"
        assert await speak(account, "go on") == b"go on"
        assert here.opened == 1
        assert places.out == 0


async def test_a_cancel_without_acknowledgement_drops_the_connection() -> None:
    places = Places()
    behaviour: dict[str, Any] = {"capabilities": ACKNOWLEDGED, "max": 1, "cancel_s": 10 * MS}
    async with vendor(acknowledges=False) as here, here.account(places, **behaviour) as account:
        (await account.stream(SPEC)).cancel()
        assert await speak(account, "go on") == b"go on"
        assert here.opened == 2
        assert places.out == 0


async def test_where_cancelling_closes_the_connection_a_spare_takes_over_at_once() -> None:
    places = Places()
    async with vendor() as here, here.account(places, min=1, max=2) as account:
        stream = await account.stream(SPEC)
        await eventually(lambda: account.pools[0].idle == 1)
        stream.cancel()
        again = await account.stream(SPEC)
        assert again.warm
        await eventually(lambda: places.out == 1)
        await here.until(lambda vendor: vendor.opened == 3)
        assert here.most_open == 2


# idle and ageing connections


async def test_when_one_connection_goes_silent_the_unused_ones_are_replaced() -> None:
    """A NAT that has forgotten one connection has forgotten all that were as quiet."""
    async with vendor() as here, here.account(min=3) as account:
        await account.warmed()
        stream = await account.stream(SPEC)
        await eventually(lambda: here.opened == 4)
        [pool] = account.pools
        quiet = [connection for connection in pool._connections if not connection.active][:2]
        for connection in quiet:
            connection.idle_since -= 60
        stream.fail(error("stalled"))
        await eventually(lambda: pool.idle == 3 and not set(quiet) & set(pool._connections))
        assert here.opened == 6  # the one that was just opened is not in doubt; two others came


async def test_an_idle_connection_that_dies_is_noticed_and_replaced() -> None:
    async with vendor() as here, here.account(min=2) as account:
        await account.warmed()
        here.cut()
        await here.until(lambda vendor: vendor.opened == 4)
        await account.warmed()
        await speak(account, "still here")
        assert account.counts.failures == 0


@pytest.mark.parametrize("limit", ["max_idle_s", "max_age_s"])
async def test_a_connection_is_replaced_before_its_time_is_over_and_another_is_ready_first(limit: str) -> None:
    settings: dict[str, Any] = {limit: 100 * MS}
    async with vendor() as here, here.account(**settings) as account:
        await account.warmed()
        pool = account.pools[0]
        while here.opened < 4:
            assert pool.idle >= 1, "no gap"
            await asyncio.sleep(MS)
        assert here.most_open <= 3
        assert (await account.stream(SPEC)).warm


async def test_where_there_is_no_room_it_is_replaced_all_the_same() -> None:
    async with vendor() as here, here.account(max=1, max_age_s=20 * MS) as account:
        await here.until(lambda vendor: vendor.opened >= 3)
        assert here.most_open == 1
        await speak(account, "hello")


async def test_a_connection_in_use_is_never_retired() -> None:
    async with vendor() as here, here.account(max_age_s=MS) as account:
        here.gate.clear()
        turn = asyncio.create_task(speak(account, "this takes longer than the connection may live"))
        await here.until(lambda vendor: bool(vendor.verbs("finish")))
        await asyncio.sleep(20 * MS)
        here.gate.set()
        assert await turn


async def test_parting_streams_do_not_keep_an_old_connection() -> None:
    abandoning = {"cancel": Cancel.ABANDON, "streams": 2}
    places = Places()
    settings: dict[str, Any] = {"capabilities": abandoning, "max": 1, "max_age_s": 50 * MS}
    async with vendor(acknowledges=False) as here, here.account(places, **settings) as account:
        (await account.stream(SPEC)).cancel()
        await here.until(lambda vendor: vendor.opened == 2)
        await eventually(lambda: places.out == 0)
        assert account.pools[0].parting == 0


# vendors that may close a connection after a turn


async def test_a_vendor_that_closes_after_a_turn_is_learned_and_its_connections_are_good_for_one() -> None:
    here: Vendor
    async with vendor(closes_after=1000) as here, here.account(capabilities={"settle_s": 100.0}, max=1) as account:
        await speak(account, "first")
        here.gated = "close"
        await speak(account, "second")  # on a new one, for the first was closed
        here.gate.clear()
        await speak(account, "third")
        await speak(account, "fourth")  # nobody waits for what will be closed anyhow
        assert [number for number, _ in here.verbs("open")] == [1, 2, 3, 4]
        assert account.counts.failures == 0


async def test_a_vendor_that_leaves_a_connection_open_is_learned_too() -> None:
    here: Vendor
    async with vendor(closes_after=1000) as here, here.account(capabilities={"settle_s": 20 * MS}, max=1) as account:
        await speak(account, "first")
        await here.until(lambda vendor: vendor.opened == 2)
        here.closes_after = None
        await speak(account, "second")
        await asyncio.sleep(40 * MS)
        for _ in range(3):
            await speak(account, "once more")
        assert [number for number, _ in here.verbs("open")] == [1, 2, 2, 2, 2]


async def test_no_turn_gets_a_connection_that_may_be_closed_any_moment() -> None:
    async with vendor() as here, here.account(capabilities={"settle_s": 50 * MS}, min=1, max=2) as account:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(4):
            await speak(account, "hello")
        opened = [number for number, _ in here.verbs("open")]
        assert opened[0] != opened[1]
        assert loop.time() - began >= 50 * MS, "the third waits for the first's connection"


# warm connections are made ready


async def test_a_warm_connection_is_told_what_its_turn_will_probably_be_like() -> None:
    async with vendor() as here, here.account(prepares=True) as account:
        await account.warmed()
        await here.until(lambda vendor: bool(vendor.verbs("prepare")))
        stream = await account.stream(StreamSpec("bert", AudioFormat()))
        await here.until(lambda vendor: len(vendor.verbs("prepare")) == 2)
        assert [voice for _, voice in here.verbs("prepare")] == ["anna", "bert"]
        stream.cancel()


# bindings


async def test_what_is_bound_to_a_connection_has_a_pool_of_its_own() -> None:
    specs = [other_model("small"), other_model("large")]
    async with vendor() as here, here.account(usual=specs, min=1, max=8) as account:
        await account.warmed()
        assert [pool.binding for pool in account.pools] == ["large", "small"]
        assert here.opened == 2
        await speak(account, "hello", other_model("third"))
        assert repr(account.pools[2]).startswith("<Pool scripted third [connections:")


async def test_connections_for_what_no_voice_asks_for_are_not_kept_for_ever() -> None:
    async with vendor() as here, here.account(max_idle_s=50 * MS) as account:
        await speak(account, "hello", other_model("earlier"))
        usual, other = account.pools
        assert other.idle
        await eventually(lambda: other.size == 0)
        assert usual.idle


async def test_the_pools_of_an_account_share_its_room() -> None:
    """A turn that waits gets the room of a connection that nobody uses."""
    models = [other_model(name) for name in ("small", "large", "third")]
    async with vendor() as here, here.account(usual=models, min=1, max=2) as account:
        for _ in range(3):
            for model in models:
                await speak(account, "hello", model)
        busy = [await account.stream(model) for model in models[:2]]
        waiting = asyncio.create_task(speak(account, "at last", models[2]))
        await eventually(lambda: sum(pool.waiting for pool in account.pools) == 1)
        await busy[0].finish("done")
        await all_of(busy[0])
        assert await waiting == b"at last"
        assert here.most_open <= 2


# vendors that are not well


async def test_a_vendor_that_is_not_there_fails_the_turn_in_time_and_says_so() -> None:
    async with vendor() as here:
        pass
    async with Account(here.provider(connect_timeout_s=100 * MS), [SPEC]) as account:
        with pytest.raises(VendorError, match="cannot connect to ws://127"):
            await account.stream(SPEC)


async def test_a_try_to_connect_is_not_repeated_in_haste() -> None:
    async with vendor(status=503) as here, here.account(connect_timeout_s=50 * MS) as account:
        for _ in range(3):
            with pytest.raises(VendorError, match="HTTP 503"):
                await account.stream(SPEC)
        assert here.upgrades <= 4


async def test_who_waits_for_the_only_try_to_connect_is_told_that_it_failed() -> None:
    async with vendor(gated="upgrade", status=503) as here, here.account(min=1, max=1) as account:
        here.gate.clear()
        waiting = [asyncio.create_task(account.stream(SPEC)) for _ in range(3)]
        await here.until(lambda vendor: vendor.upgrades == 1)
        here.gate.set()
        for turn in waiting:
            with pytest.raises(VendorError, match="HTTP 503"):
                await turn
        assert here.upgrades == 1


async def test_who_can_wait_for_a_busy_connection_goes_on_waiting() -> None:
    async with vendor() as here, here.account(min=1, max=2) as account:
        busy = await account.stream(SPEC)
        await eventually(lambda: account.pools[0].idle == 1)
        spare = await account.stream(SPEC)
        spare.cancel()
        here.status = 503
        waiting = asyncio.create_task(speak(account, "hello"))
        await eventually(lambda: account.pools[0].error)
        await busy.finish("done")
        await all_of(busy)
        assert await waiting == b"hello"


@pytest.mark.parametrize("status", [401, 404])
async def test_a_refusal_is_forgotten_when_the_vendor_is_well_again(status: int) -> None:
    """With no warm connection, too, the next turn tries anew, once the pause after the refusal is over."""
    async with vendor(status=status) as here, here.account(min=0, max=1, breaker_s=50 * MS) as account:
        with pytest.raises(VendorError):
            await speak(account, "hello")
        here.status = 0

        async def speaks() -> bool:
            with contextlib.suppress(VendorError):
                return bool(await speak(account, "hello"))
            return False

        assert await eventually(speaks)


async def test_an_error_of_the_connection_fails_its_turn_and_the_next_gets_another() -> None:
    async with vendor(fails=error("broken")) as here, here.account() as account:
        with pytest.raises(VendorError, match="broken"):
            await speak(account, "hello")
        here.fails = None
        assert await speak(account, "hello") == b"hello"
        assert account.counts.failures == 1


async def test_a_connection_lost_in_the_moment_in_which_it_is_given_is_not_the_turns_matter() -> None:
    async with vendor() as here, here.account(max=1) as account:
        await account.stream(SPEC)
        waiting = asyncio.create_task(speak(account, "hello"))
        await asyncio.sleep(0)
        (connection,) = account.pools[0]._connections
        connection._hear(Finished("s1"))
        connection._lose(error("gone"), gone=True)
        assert await waiting == b"hello"
        assert account.counts.failures == 0
