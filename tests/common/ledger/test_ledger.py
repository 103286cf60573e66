"""Beside the steps: agreeing on shards, voices that are spoken, and looking at a turn."""

import contextlib
from collections.abc import Awaitable, Callable

import pytest

from saystream.common.errors import RedisUnavailable, ShardMismatch, UnknownTurn
from saystream.common.events import EndOfText, Flush
from saystream.common.keys import SHARDS, VOICES
from saystream.common.ledger import Claim, Ledger
from saystream.common.ledger.greeting import agree_on_shards
from saystream.common.redis_client import Client, call, connect
from saystream.common.states import State
from tests.common.stage import FORMAT, Stage, request
from tests.proxy import Proxy
from tests.timing import MS, eventually


async def test_the_first_process_writes_the_number_of_shards_and_others_agree(client: Client) -> None:
    for _ in range(2):
        await agree_on_shards(client, 16)
    assert await call(client, "GET", SHARDS) == b"16"


async def test_another_number_of_shards_is_refused_and_both_are_named(client: Client) -> None:
    await agree_on_shards(client, 16)
    with pytest.raises(ShardMismatch, match=r"used with 16 shards.*started with 8: set shards = 16"):
        await agree_on_shards(client, 8)
    assert await call(client, "GET", SHARDS) == b"16"


async def test_a_redis_that_cannot_be_used_is_named_without_its_password_and_what_to_do() -> None:
    async with contextlib.aclosing(connect("redis://:do-not-show@127.0.0.1:1/0?password=do-not-show")) as nowhere:
        with pytest.raises(
            RedisUnavailable, match=r"Redis at redis://127\.0\.0\.1:1/0 cannot be used: .*--redis"
        ) as raised:
            await Ledger(nowhere).greet()
    assert "do-not-show" not in str(raised.value)


async def test_greeting_a_redis_agrees_on_shards(client: Client) -> None:
    await Ledger(client, shards=16).greet()
    with pytest.raises(ShardMismatch):
        await Ledger(client, shards=8).greet()


async def test_who_only_looks_around_decides_nothing(client: Client) -> None:
    await Ledger(client).greet(settle=False)
    assert await call(client, "GET", SHARDS) is None
    await Ledger(client, shards=16).greet()
    with pytest.raises(ShardMismatch, match="SAYSTREAM_SHARDS"):
        await Ledger(client).greet(settle=False)


async def test_interrupting_decides_nothing_and_opening_a_turn_does(client: Client) -> None:
    ledger = Ledger(client)
    await ledger.greet(settle=False)
    assert await ledger.interrupt("s") == ()
    assert await call(client, "GET", SHARDS) is None
    other = Ledger(client, shards=16)
    await other.greet(settle=False)
    await other.open(request("t"))
    assert await call(client, "GET", SHARDS) == b"16"
    with pytest.raises(ShardMismatch):
        await ledger.open(request("t"))


async def test_what_is_settled_is_not_asked_for_again_by_each_turn(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def asking(_redis: Client, shards: int) -> None:
        asked.append(shards)

    new, known = Ledger(client), Ledger(client)
    await new.greet(settle=False)
    await Ledger(client).greet()
    await known.greet(settle=False)
    monkeypatch.setattr("saystream.common.ledger.greeting.agree_on_shards", asking)
    for number in range(2):
        await known.open(request(f"k{number}"))
        await new.open(request(f"n{number}"))
    assert asked == [1]  # once, by the one that had found nothing


async def test_all_keys_of_a_session_lie_in_its_shard(client: Client) -> None:
    ledger = Ledger(client, shards=16)
    for number in range(8):
        session = f"s{number}"
        await ledger.open(request(f"t{number}", session))
        shard = ledger.keys(session).shard
        assert (await ledger.inspect(f"t{number}")).state is State.READY
        assert await call(client, "EXISTS", f"saystream:{{{shard}}}:turn:t{number}") == 1
    tags = {key.partition(b"}")[0] for key in await call(client, "KEYS", "*")}
    assert len(tags) > 1


async def test_voices_are_those_that_workers_made_known(client: Client) -> None:
    ledger = Ledger(client)
    assert await ledger.voices() == set()
    await ledger.announce([])
    await ledger.announce(["narrator", "Erzähler"])
    await ledger.announce(["narrator"])
    assert await ledger.voices() == {"narrator", "Erzähler"}


async def test_a_voice_that_no_worker_makes_known_any_more_is_forgotten(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(client)
    monkeypatch.setattr("saystream.common.ledger.ledger.SPOKEN_MS", int(300 * MS * 1000))
    await ledger.announce(["old"])
    monkeypatch.undo()
    await ledger.announce(["new"])  # which does not put off the end of the other one
    assert await ledger.voices() == {"old", "new"}

    async def forgotten() -> bool:
        return await ledger.voices() == {"new"}

    await eventually(forgotten)
    await ledger.announce(["new"])
    assert await call(client, "ZCARD", VOICES) == 1


async def test_where_no_worker_has_been_lately_no_voices_are_known(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saystream.common.ledger.ledger.SPOKEN_MS", int(50 * MS * 1000))
    await Ledger(client).announce(["old"])

    async def none_known() -> bool:
        return not await Ledger(client).voices()

    await eventually(none_known)


async def test_voices_expire_though_the_worker_was_lost_while_it_made_them_known(
    redis_url: str, client: Client
) -> None:
    async with (
        Proxy(redis_url) as proxy,
        contextlib.aclosing(connect(proxy.url)) as redis,
        proxy.reply_lost_after(b"ZADD"),
    ):
        with pytest.raises(RedisUnavailable):
            await Ledger(redis).announce(["narrator"])
    assert await call(client, "PTTL", VOICES) > 0


async def test_inspect_shows_a_turn_that_has_only_been_opened(stage: Stage) -> None:
    opened = await stage.open("t", voice="narrator")
    snapshot = await stage.ledger.inspect("t")
    assert snapshot.request == request("t", voice="narrator")
    assert (snapshot.number, snapshot.state, snapshot.attempt, snapshot.owner) == (opened.number, State.READY, 0, "")
    assert (snapshot.format, snapshot.began_ms, snapshot.ended_ms) == (None, 0, 0)
    assert (snapshot.text, snapshot.tokens) == ("", 0)


async def test_inspect_shows_who_speaks_and_what_the_text_is(stage: Stage) -> None:
    await stage.speaking("t")
    await stage.append("t", 1, "Hel", "lo ", Flush(), "you", EndOfText())
    snapshot = await stage.ledger.inspect("t")
    assert (snapshot.state, snapshot.attempt, snapshot.owner, snapshot.format) == (State.SPEAKING, 1, "worker", FORMAT)
    assert (snapshot.text, snapshot.tokens) == ("Hello you", 5)


@pytest.mark.parametrize("released", [False, True])
async def test_inspect_shows_how_far_a_turn_has_come_before_it_ends(stage: Stage, released: bool) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, offset=0, samples=480, spoken=7)
    if released:
        await stage.ledger.release(claim)
    snapshot = await stage.ledger.inspect("t")
    assert (snapshot.samples, snapshot.spoken) == (480, 7)


async def test_inspect_does_not_count_the_seal(stage: Stage) -> None:
    await stage.open("t")
    await stage.append("t", 1, "Hello")
    await stage.ledger.interrupt("s")
    snapshot = await stage.ledger.inspect("t")
    assert (snapshot.text, snapshot.tokens, snapshot.state) == ("Hello", 1, State.INTERRUPTED)
    assert snapshot.opened_ms <= snapshot.ended_ms


async def test_a_turn_that_nobody_opened_is_unknown(client: Client) -> None:
    with pytest.raises(UnknownTurn):
        await Ledger(client, shards=4).inspect("t")


async def test_what_a_producer_is_told_is_accepted_has_to_be_with_the_replicas(stage: Stage, redis_url: str) -> None:
    """Here there are none, so that each such step says that it is not acknowledged, though it was carried out."""
    async with contextlib.aclosing(connect(redis_url, timeout_s=500 * MS, replicas=1)) as replicated:
        ledger = Ledger(replicated)

        async def refused(step: Callable[[], Awaitable[object]]) -> None:
            for _ in range(2):  # nor does it say so when it is repeated and finds nothing to do
                with pytest.raises(RedisUnavailable, match="does not answer"):
                    await step()

        await refused(lambda: ledger.open(request("t")))
        claim = await ledger.claim(await stage.take(), "w/1", attempts=3, format=FORMAT)
        assert isinstance(claim, Claim)
        await refused(lambda: ledger.finish(claim, 1, State.FAILED, 0, 0, "no such voice"))
        await refused(lambda: ledger.interrupt("s"))
        assert await stage.state("t") is State.FAILED


async def test_what_a_worker_can_do_again_does_not_wait_for_replicas(stage: Stage, redis_url: str) -> None:
    claim = await stage.speaking("t")
    async with contextlib.aclosing(connect(redis_url, timeout_s=500 * MS, replicas=1)) as replicated:
        ledger = Ledger(replicated)
        await ledger.played(claim.ref, 1, 1)
        await ledger.report_cursor("s", "phone", claim.entry(0))
        await ledger.release(claim)
        await ledger.expire_late(0)
        assert await ledger.heard(claim.ref)
