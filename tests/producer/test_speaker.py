"""A speaker: connecting, opening turns, interrupting sessions, leaving nothing behind."""

import asyncio
import logging
from typing import Any

import pytest

from saystream.common.errors import (
    InvalidId,
    InvalidInput,
    InvalidRequest,
    InvalidSettings,
    RedisUnavailable,
    SaystreamError,
    SessionBusy,
    ShardMismatch,
    TurnConflict,
    TurnInterrupted,
    UnknownTurn,
    UnknownVoice,
)
from saystream.common.ledger import Ledger
from saystream.common.redis_client import call, without_password
from saystream.common.settings import LimitSettings, Settings
from saystream.common.states import State
from saystream.producer import Speaker
from tests.producer.conftest import ReadTokens
from tests.proxy import Proxy
from tests.timing import MS

NOBODY = "redis://someone:secret@127.0.0.1:1/0?password=secret"


async def test_say_opens_sends_and_ends(speaker: Speaker, ledger: Ledger) -> None:
    turn = await speaker.say("call-42", ["Good ", "evening."], turn="t", metadata={"to": "Ann"})
    snapshot = await ledger.inspect("t")
    assert (turn.id, snapshot.text, snapshot.tokens) == ("t", "Good evening.", 3)
    assert snapshot.request.metadata == {"to": "Ann"}


# Requests


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"session": "two words"}, "session: session id 'two words'"),
        ({"session": ""}, "session: session id ''"),
        ({"session": 42}, "session: Input should be a valid string"),
        ({"session": "s", "turn": "t" * 129}, "turn: turn id"),
        ({"session": "s", "voice": ""}, "voice: "),
        ({"session": "s", "on_busy": "shout"}, "on_busy: "),
        ({"session": "s", "start_within_ms": -1}, "start_within_ms: "),
        ({"session": "s", "metadata": {"k": "v" * 1025}}, "metadata.k: "),
        ({"session": "s", "speed": 2}, "speed: "),
    ],
    ids=str,
)
def test_a_bad_request_is_refused_before_anything_touches_redis(fields: dict[str, Any], message: str) -> None:
    speaker = Speaker.connect(NOBODY)
    with pytest.raises(InvalidRequest, match=f"^{message}"):
        speaker.turn(**fields)


async def test_a_turn_gets_an_id_of_its_own(speaker: Speaker) -> None:
    assert speaker.turn("s").id != speaker.turn("s", turn=None).id
    assert speaker.turn("s", turn="t").id == "t"


async def test_opening_again_changes_nothing(redis_url: str, speaker: Speaker, read_tokens: ReadTokens) -> None:
    async with speaker.turn("s", turn="t") as turn:
        assert await turn.open() == turn.opened
        async with Speaker.connect(redis_url) as another, another.turn("s", turn="t") as same:
            assert same.opened == turn.opened
            await same.send("a")
        await turn.send("a")
    assert len(await read_tokens(turn)) == 2


async def test_a_known_id_with_another_request_is_a_conflict(speaker: Speaker, ledger: Ledger) -> None:
    await speaker.say("s", "a", turn="t")
    with pytest.raises(TurnConflict, match="turn t"):
        await speaker.say("s", "a", turn="t", voice="other")
    assert (await ledger.inspect("t")).state is State.READY


async def test_on_busy_queue_waits_behind(speaker: Speaker) -> None:
    await speaker.say("s", "a")
    assert (await speaker.say("s", "b", on_busy="queue")).opened.state is State.WAITING


async def test_on_busy_refuse_is_refused(speaker: Speaker, ledger: Ledger) -> None:
    await speaker.say("s", "a", turn="first")
    with pytest.raises(SessionBusy, match="session s is speaking turn first"):
        await speaker.say("s", "b", turn="second", on_busy="refuse")
    with pytest.raises(UnknownTurn):
        await ledger.inspect("second")


async def test_on_busy_interrupt_tells_what_was_cut(speaker: Speaker) -> None:
    async with speaker.turn("s", turn="first") as first:
        await speaker.say("s", "b", turn="second")
        third = await speaker.say("s", "c", on_busy="interrupt")
        assert [cut.turn for cut in third.opened.cuts] == ["first", "second"]
        assert third.opened.state is State.READY
        with pytest.raises(TurnInterrupted):
            await first.end()
        await first.interrupt()


async def test_too_many_waiting_turns_are_refused(redis_url: str) -> None:
    settings = Settings(limits=LimitSettings(waiting_turns=1))
    async with Speaker.connect(redis_url, settings=settings) as speaker:
        await speaker.say("s", "a")
        await speaker.say("s", "b")
        with pytest.raises(SessionBusy, match="1 turns wait already in session s"):
            await speaker.say("s", "c")


async def test_retention_is_the_settings(redis_url: str, ledger: Ledger) -> None:
    settings = Settings(limits=LimitSettings(retention_s=100))
    async with Speaker.connect(redis_url, settings=settings) as speaker:
        turn = await speaker.say("s", "a")
    assert 90_000 < await call(ledger.redis, "PTTL", ledger.keys("s").turn(turn.id)) <= 100_000


# Voices


async def test_any_voice_is_accepted_while_no_worker_has_ever_been_there(speaker: Speaker) -> None:
    await speaker.say("s", "a", voice="anything")


async def test_a_voice_that_no_worker_speaks_is_refused_by_name(speaker: Speaker, ledger: Ledger) -> None:
    await ledger.announce(["narrator", "clerk"])
    with pytest.raises(UnknownVoice, match="no worker speaks the voice 'naratour'; known are: clerk, narrator"):
        await speaker.say("s", "a", turn="t", voice="naratour")
    with pytest.raises(UnknownTurn):
        await ledger.inspect("t")


async def test_a_voice_that_a_worker_has_just_brought_is_found(speaker: Speaker, ledger: Ledger) -> None:
    await ledger.announce(["narrator"])
    await speaker.say("s", "a", voice="narrator")
    await ledger.announce(["clerk"])
    await speaker.say("s", "a", voice="clerk")


# Interrupting


async def test_interrupting_a_session_cuts_all_of_it_in_order(speaker: Speaker, ledger: Ledger) -> None:
    turns = [await speaker.say("s", "a") for _ in range(3)]
    assert [cut.turn for cut in await speaker.interrupt("s")] == [turn.id for turn in turns]
    assert {(await ledger.inspect(turn.id)).state for turn in turns} == {State.INTERRUPTED}
    assert await speaker.interrupt("s") == ()


async def test_interrupting_one_turn_leaves_the_others(speaker: Speaker, ledger: Ledger) -> None:
    first, second = [await speaker.say("s", "a") for _ in range(2)]
    (cut,) = await speaker.interrupt("s", first.id)
    assert cut.turn == first.id
    assert (await ledger.inspect(second.id)).state is State.READY


async def test_interrupting_refuses_bad_ids_and_unknown_turns(speaker: Speaker) -> None:
    with pytest.raises(InvalidId, match="session id"):
        await speaker.interrupt("two words")
    with pytest.raises(InvalidId, match="turn id ''"):
        await speaker.interrupt("s", "")
    with pytest.raises(UnknownTurn, match="turn nobody"):
        await speaker.interrupt("s", "nobody")


# Many


async def test_many_turns_at_once_each_get_their_own_tokens(speaker: Speaker, ledger: Ledger) -> None:
    async def one(number: int) -> None:
        async with speaker.turn(f"session-{number}", turn=f"turn-{number}") as turn:
            for token in range(30):
                await turn.send(f"{number}/{token} ")
                await asyncio.sleep(0)

    await asyncio.gather(*map(one, range(300)))
    for number in range(300):
        assert (await ledger.inspect(f"turn-{number}")).text == "".join(f"{number}/{token} " for token in range(30))


# Connecting and leaving


async def test_a_redis_that_is_not_there_is_named_without_its_password() -> None:
    said = r"Redis at redis://127\.0\.0\.1:1/0 cannot be used: .*Start it"
    with pytest.raises(RedisUnavailable, match=said) as caught:
        async with Speaker.connect(NOBODY):
            pass
    assert "secret" not in str(caught.value)


async def test_a_redis_that_says_nothing_is_reported_in_time(proxy: Proxy) -> None:
    with proxy.silent():
        async with asyncio.timeout(2000 * MS):
            with pytest.raises(RedisUnavailable, match="cannot be used"):
                async with Speaker.connect(proxy.url, patience_s=200 * MS):
                    pass


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:pw@host:1/2", "redis://host:1/2"),
        ("rediss://host/0?password=pw", "rediss://host/0"),
        ("unix://me:pw@/tmp/r.sock?db=1", "unix:///tmp/r.sock"),
        ("redis://host/0?password=at@pw", "redis://…"),
        ("redis://:question?pw@host", "redis://…"),
        ("redis://:a://pw@host", "redis://host"),
        ("me:pw@host", "host"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_a_url_of_something_else_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="is not a Redis URL"):
        Speaker.connect("http://localhost")


def test_no_url_at_all_is_refused_at_once_and_says_what_to_do() -> None:
    with pytest.raises(InvalidSettings, match="SAYSTREAM_REDIS_URL"):
        Speaker.connect(settings=Settings(redis_url=None))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": 5}, r"a Redis URL is text \(str\), not int"),
        ({"url": b"redis://localhost"}, r"a Redis URL is text \(str\), not bytes"),
        ({"patience_s": 0}, "a patience of 0 s"),
        ({"patience_s": float("inf")}, "a patience of inf s"),
        ({"patience_s": float("nan")}, "a patience of nan s"),
        ({"patience_s": "5"}, "a number of seconds, not '5'"),
        ({"outbox_bytes": 0}, "outbox_bytes: 0 is no number of bytes"),
        ({"outbox_bytes": "many"}, "outbox_bytes: 'many' is no number of bytes"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_at_once_and_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Speaker.connect(**{"url": NOBODY, "settings": Settings(), **given})


async def test_the_url_and_the_shards_come_from_the_settings(redis_url: str, ledger: Ledger) -> None:
    settings = Settings(redis_url=redis_url, shards=16)
    async with Speaker.connect(settings=settings) as speaker:
        turn = await speaker.say("call-42", "a")
    snapshot = await Ledger(ledger.redis, shards=16).inspect(turn.id)
    assert snapshot.text == "a"
    with pytest.raises(ShardMismatch, match="16"):
        async with Speaker.connect(redis_url, settings=Settings(shards=2)):
            pass


async def test_leaving_interrupts_turns_that_were_not_ended(
    redis_url: str, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "saystream"):
        async with Speaker.connect(redis_url) as speaker:
            whole, half = speaker.turn("s"), speaker.turn("t")
            await whole.open()
            await whole.say("all of it")
            await whole.end()
            await half.open()
            await half.send("half a ")
    assert (await ledger.inspect(whole.id)).state is State.READY
    assert (await ledger.inspect(half.id)).state is State.INTERRUPTED
    assert caplog.messages == [f"! turn {half.id} was not ended"]
    with pytest.raises(TurnInterrupted):
        await half.send("word")


async def test_leaving_waits_for_an_end_that_is_on_its_way(redis_url: str, ledger: Ledger) -> None:
    async with Speaker.connect(redis_url) as speaker:
        turn = speaker.turn("s")
        await turn.open()
        await turn.send("all of it")
        ending = asyncio.create_task(turn.end())
        await asyncio.sleep(0)
    await ending
    assert (await ledger.inspect(turn.id)).tokens == 2


async def test_leaving_leaves_no_task_behind(redis_url: str) -> None:
    before = asyncio.all_tasks()
    async with Speaker.connect(redis_url) as speaker:
        await speaker.say("s", "a")
        assert asyncio.all_tasks() != before
    assert asyncio.all_tasks() == before


async def test_a_speaker_works_inside_its_block_only_and_once(redis_url: str) -> None:
    speaker = Speaker.connect(redis_url)
    with pytest.raises(SaystreamError, match="not connected: use `async with`"):
        await speaker.say("s", "a")
    async with speaker:
        pass
    with pytest.raises(SaystreamError, match="This speaker is closed"):
        await speaker.say("s", "a")
    with pytest.raises(SaystreamError, match="This speaker is closed"):
        await speaker.interrupt("s")
    with pytest.raises(SaystreamError, match="entered once"):
        await speaker.__aenter__()
    await speaker.close()


async def test_its_repr_and_that_of_its_turns_are_sentences(redis_url: str) -> None:
    speaker = Speaker.connect("redis://me:secret@host:6379/0")
    assert repr(speaker) == "<Speaker at redis://host:6379/0 [not connected]>"
    async with Speaker.connect(redis_url) as speaker:
        turn = speaker.turn("s", turn="t")
        assert repr(turn) == "<Turn t of session s [not opened]>"
        async with turn:
            await turn.send("a")
            assert repr(speaker).endswith("[Turns: 1 open | Tokens: 1 waiting]>")
            assert repr(turn) == "<Turn t of session s [open | Tokens: 1 sent, 0 acknowledged]>"
        assert repr(turn) == "<Turn t of session s [ended | Tokens: 2 sent, 2 acknowledged]>"
        assert repr(speaker).endswith("[Turns: 0 open | Tokens: 0 waiting]>")
    assert repr(speaker).endswith("[closed]>")
