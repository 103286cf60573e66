"""An account: its breaker, its share of the quota, its reports, its end."""

import asyncio
from typing import Any

import pytest

from saystream.common.errors import Action, RedisUnavailable, Scope, VendorError
from saystream.workers.account import Account, Lease
from saystream.workers.breaker import NotAsked
from saystream.workers.providers.base import Cancel
from tests.timing import MS, eventually
from tests.workers.scripted import SPEC, Places, all_of, error, speak, vendor


async def fails(account: Account) -> VendorError:
    with pytest.raises(VendorError) as caught:
        await speak(account, "hello")
    return caught.value


# the breaker


async def test_failures_in_a_row_open_the_breaker_and_the_next_turn_fails_at_once() -> None:
    async with vendor(fails=error("overloaded")) as here, here.account(breaker_failures=3, breaker_s=60) as account:
        for _ in range(3):
            assert account.usable
            assert (await fails(account)).text == "overloaded"
        assert not account.usable
        assert account.retry_at is not None
        asked = len(here.messages)
        refusal = await fails(account)
        assert (refusal.scope, refusal.action) == (Scope.ACCOUNT, Action.RETRY_LATER)
        assert "overloaded" in refusal.text
        assert len(here.messages) == asked
        assert repr(account).startswith("<Account scripted [breaker: open | pools: 1 | streams: 3, ")


async def test_a_probe_that_speaks_closes_it() -> None:
    settings: dict[str, Any] = {"breaker_failures": 2, "breaker_s": 20 * MS}
    async with vendor(fails=error()) as here, here.account(**settings) as account:
        for _ in range(2):
            await fails(account)
        here.fails = None
        await eventually(lambda: account.usable)
        here.gate.clear()
        probe = asyncio.create_task(speak(account, "are you well?"))
        await here.until(lambda vendor: len(vendor.verbs("finish")) == 3)
        assert not account.usable, "one at a time"
        assert "it broke" in (await fails(account)).text
        here.gate.set()
        assert await probe
        assert account.retry_at is None
        assert await speak(account, "so go on")


async def test_a_probe_that_fails_opens_it_again() -> None:
    settings: dict[str, Any] = {"breaker_failures": 2, "breaker_s": 20 * MS}
    async with vendor(fails=error()) as here, here.account(**settings) as account:
        for _ in range(2):
            await fails(account)
        for _ in range(2):
            await eventually(lambda: account.usable)
            before = account.retry_at
            await fails(account)
            assert (account.retry_at or 0) > (before or 0)
            assert not account.usable


async def test_who_waits_for_the_vendor_is_woken_when_a_probe_has_spoken() -> None:
    settings: dict[str, Any] = {"breaker_failures": 1, "breaker_s": 20 * MS}
    async with vendor(fails=error()) as here, here.account(**settings) as account:
        await fails(account)
        here.fails = None
        await account.until_usable(5.0)  # the pause, which no event ends
        here.gate.clear()
        probe = asyncio.create_task(speak(account, "are you well?"))
        await here.until(lambda vendor: len(vendor.verbs("finish")) == 2)
        assert isinstance(await fails(account), NotAsked)
        waiting = [asyncio.create_task(account.until_usable(30.0)) for _ in range(3)]
        await asyncio.sleep(0)
        here.gate.set()
        assert await probe
        async with asyncio.timeout(1.0):
            await asyncio.gather(*waiting)
        assert account.refusal is None


async def test_a_probe_that_ends_undecided_wakes_those_who_wait() -> None:
    settings: dict[str, Any] = {"breaker_failures": 1, "breaker_s": 20 * MS}
    async with vendor(fails=error()) as here, here.account(**settings) as account:
        await fails(account)
        await account.until_usable(5.0)
        probe = await account.stream(SPEC)
        assert "it broke" in str(account.refusal)
        await account.until_usable(20 * MS)
        assert not account.usable, "it waits for no longer than it is told to"
        waiting = asyncio.create_task(account.until_usable(30.0))
        await asyncio.sleep(0)
        probe.cancel()
        async with asyncio.timeout(1.0):
            await waiting
        assert account.usable


async def test_those_whose_connection_failed_had_asked() -> None:
    """They are told that nobody is asked any more, but it is no refusal of ours: their try has come to nothing."""
    async with vendor(status=503) as here, here.account(breaker_failures=1, breaker_s=60, min=1) as account:
        first = await fails(account)
        assert not isinstance(first, NotAsked)
        assert isinstance(await fails(account), NotAsked)


async def test_stalls_count_as_failures() -> None:
    async with vendor(silent=True) as here, here.account(breaker_failures=2, breaker_s=60) as account:
        for _ in range(2):
            stream = await account.stream(SPEC)
            stream.fail(error("stalled", Scope.STREAM))
        assert not account.usable
        assert account.counts.failures == 2


async def test_errors_of_a_turn_or_a_stream_do_not_count() -> None:
    async with vendor() as here, here.account(breaker_failures=1) as account:
        for failure in (
            error("too long", Scope.TURN, Action.GIVE_UP),
            error("no such voice", Scope.STREAM, Action.FIX_CONFIGURATION),
            error("a hiccup", Scope.STREAM, Action.RECONNECT),
        ):
            here.fails_alone = failure
            assert (await fails(account)).text == failure.text
        assert account.usable


async def test_a_vendor_that_cannot_be_reached_opens_it_and_those_who_wait_are_told() -> None:
    async with vendor(status=503) as here, here.account(breaker_failures=2, breaker_s=60) as account:
        assert "HTTP 503" in (await fails(account)).text
        refusal = await fails(account)
        assert (refusal.scope, refusal.action) == (Scope.ACCOUNT, Action.RETRY_LATER)
        assert "HTTP 503" in refusal.text
        assert not account.usable
        tries = here.upgrades
        await asyncio.sleep(50 * MS)
        assert here.upgrades == tries, "nobody knocks while it is open"


async def test_half_open_one_connection_is_tried_at_a_time() -> None:
    settings: dict[str, Any] = {"min": 4, "breaker_failures": 1, "breaker_s": 20 * MS}
    async with vendor(status=503) as here, here.account(**settings) as account:
        await eventually(lambda: not account.usable)
        tries = here.upgrades
        here.gated = "upgrade"
        here.gate.clear()
        await here.until(lambda vendor: vendor.upgrades == tries + 1)
        await asyncio.sleep(20 * MS)
        assert here.upgrades == tries + 1
        here.status = 0
        here.gate.set()
        await account.warmed()
        assert await speak(account, "hello")
        assert account.retry_at is None


async def test_a_bad_key_opens_it_at_once_and_is_told_as_it_is() -> None:
    async with vendor(status=401) as here, here.account(breaker_s=60) as account:
        for _ in range(2):
            refusal = await fails(account)
            assert refusal.action is Action.FIX_CONFIGURATION
            assert refusal.code == 401
        assert here.upgrades <= 2, "one for the pool and one for the turn, at the same moment"
        with pytest.raises(VendorError, match="HTTP 401"):
            await account.warmed()


async def test_a_bad_key_that_is_refused_after_the_handshake_does_so_too() -> None:
    denial = error("no such key", Scope.ACCOUNT, Action.FIX_CONFIGURATION)
    async with vendor(fails=denial) as here, here.account(breaker_s=60) as account:
        await fails(account)
        assert (await fails(account)).action is Action.FIX_CONFIGURATION
        assert len(here.verbs("open")) == 1


@pytest.mark.parametrize("code", [1001, 1012, 1013])
async def test_a_rolling_deploy_does_not_open_it(code: int) -> None:
    async with vendor(silent=True) as here, here.account(breaker_failures=1, min=3) as account:
        streams = [await account.stream(SPEC) for _ in range(3)]
        for stream in streams:
            await stream.finish("hello")
        await account.warmed()
        await here.close(code)
        for stream in streams:
            with pytest.raises(VendorError):
                await all_of(stream)
        assert account.usable
        here.silent = False
        assert await speak(account, "hello")


async def test_connections_that_break_together_do_not_open_it_and_idle_ones_never() -> None:
    async with vendor(silent=True) as here, here.account(breaker_failures=2, min=4) as account:
        streams = [await account.stream(SPEC) for _ in range(4)]
        await account.warmed()
        here.cut()
        for stream in streams:
            with pytest.raises(VendorError):
                await all_of(stream)
        assert account.counts.failures == 4
        assert account.usable


# the quota


async def test_no_more_streams_are_open_than_the_quota_allows_and_turns_wait_for_it() -> None:
    places = Places(limit=3)
    async with vendor() as here, here.account(places, max=8) as account:
        here.gate.clear()
        turns = [asyncio.create_task(speak(account, "hello")) for _ in range(30)]
        await here.until(lambda vendor: vendor.streams == 3)
        here.gate.set()
        await asyncio.gather(*turns)
        assert places.most == here.most_streams == 3
        assert places.out == 0


async def test_a_turn_that_gets_no_place_in_time_says_so() -> None:
    places = Places(limit=1)
    async with vendor() as here, here.account(places, limit_wait_s=20 * MS) as account:
        stream = await account.stream(SPEC)
        waiting = asyncio.create_task(account.stream(SPEC))
        await eventually(lambda: account.reports()[0].queued == 1)
        with pytest.raises(VendorError, match="all 1 streams that the account is allowed were in use") as caught:
            await waiting
        assert (caught.value.scope, caught.value.action) == (Scope.ACCOUNT, Action.RETRY_LATER)
        stream.cancel()
        assert await speak(account, "hello")


async def test_places_are_given_back_on_every_path() -> None:
    """Each exactly once: the scripted quota does not forgive a second time."""
    places = Places()
    async with (
        vendor() as here,
        here.account(places, max=2, breaker_failures=100, connect_timeout_s=200 * MS) as account,
    ):
        await speak(account, "finished")
        here.fails_alone = error("failed", Scope.STREAM)
        await fails(account)
        here.fails_alone, here.fails = None, error("failed with the connection")
        await fails(account)
        here.fails = None
        cancelled = await account.stream(SPEC)
        cancelled.cancel()
        cancelled.cancel()
        stalled = await account.stream(SPEC)
        stalled.fail(error("stalled"))
        stalled.cancel()
        here.silent = True
        cut = await account.stream(SPEC)
        here.cut()
        with pytest.raises(VendorError):
            await all_of(cut)
        busy = [await account.stream(SPEC) for _ in range(2)]
        with pytest.raises(VendorError, match="no connection became free"):
            await account.stream(SPEC)
        for stream in busy:
            stream.cancel()
        await eventually(lambda: places.out == 0)
        assert places.given == places.taken == 9


async def test_a_refusal_as_too_many_lowers_the_limit_and_leaves_the_breaker_closed() -> None:
    places = Places()
    held: list[int] = []

    async def refused() -> None:
        held.append(places.out)

    places.refused = refused  # type: ignore[method-assign]
    too_many = error("too many at once", Scope.ACCOUNT, Action.RETRY_LATER)
    async with vendor(fails=too_many) as here, here.account(places, breaker_failures=1) as account:
        assert (await fails(account)).text == "too many at once"
        await eventually(lambda: places.out == 0)
        assert held == [1], "while its place is still held"
        assert account.usable
        assert (account.counts.refusals, account.counts.failures) == (1, 0)


async def test_a_handshake_refused_as_too_many_lowers_it_only_for_a_turn_that_waits() -> None:
    places = Places()
    async with vendor(status=429) as here, here.account(places, breaker_failures=1) as account:
        await eventually(lambda: account.counts.refusals == 1)
        assert places.refusals == 0
        assert (await fails(account)).code == 429
        assert places.refusals >= 1
        assert account.usable


class Broken(Places):
    async def take(self) -> Lease:
        raise RedisUnavailable


async def test_a_quota_that_cannot_be_asked_fails_the_turn() -> None:
    async with vendor() as here, here.account(Broken()) as account:
        with pytest.raises(VendorError, match="Redis does not answer"):
            await account.stream(SPEC)


# reports


async def test_it_reports_on_each_pool() -> None:
    places = Places(limit=7)
    async with vendor() as here, here.account(places, max=4) as account:
        await account.warmed()
        stream = await account.stream(SPEC)
        await eventually(lambda: account.pools[0].idle == 1)
        account.counts.hedges += 1
        (report,) = account.reports()
        assert report.model_dump(exclude_defaults=True) == {
            "provider": "scripted",
            "vendor": "scripted",
            "active": 1,
            "idle": 1,
            "most": 4,
            "limit": 7,
            "held": 1,
            "streams": 1,
            "warm": 1,
            "hedges": 1,
        }
        stream.cancel()
        assert repr(account) == (
            "<Account scripted [breaker: closed | pools: 1 | streams: 1, 1 warm, 0 failed, 0 refused]>"
        )


async def test_a_report_says_what_is_wrong() -> None:
    async with vendor(status=401) as here, here.account(breaker_s=60) as account:
        await eventually(lambda: not account.usable)
        (report,) = account.reports()
        assert (report.breaker, report.error) == ("open", "scripted: HTTP 401 (code 401)")


# the end


@pytest.mark.parametrize("cancel", [Cancel.CLOSE, Cancel.ACKNOWLEDGED])
async def test_closing_the_account_ends_whatever_is_under_way(cancel: Cancel) -> None:
    places = Places(limit=4)
    async with vendor(silent=True, acknowledges=False) as here:
        async with here.account(places, capabilities={"cancel": cancel}, max=3) as account:
            speaking, cancelled, _ = [await account.stream(SPEC) for _ in range(3)]
            cancelled.cancel()
            waiting = [asyncio.create_task(account.stream(SPEC)) for _ in range(3)]
            await asyncio.sleep(0)
        with pytest.raises(VendorError, match="closed by us"):
            await all_of(speaking)
        for turn in waiting:
            with pytest.raises(VendorError, match="the worker stops"):
                await turn
        with pytest.raises(VendorError, match="the worker stops"):
            await account.stream(SPEC)
        assert places.out == 0


async def test_closing_does_not_wait_for_a_handshake() -> None:
    async with vendor(gated="upgrade") as here:
        here.gate.clear()
        async with asyncio.timeout(2.0):
            async with here.account(min=3):
                await here.until(lambda vendor: vendor.upgrades == 3)
