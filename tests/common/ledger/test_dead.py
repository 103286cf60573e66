"""Dead letters: what failed can be looked at, said again, and forgotten."""

import contextlib
from typing import Any

import pytest

from saystream.common.errors import Overloaded, RedisUnavailable, TextGone, TextIncomplete, UnknownLetter
from saystream.common.events import EndOfText, Flush, Seal, Text, TokenEvent
from saystream.common.keys import ShardKeys
from saystream.common.ledger import DeadLetter, Ledger
from saystream.common.redis_client import Client, call, connect
from saystream.common.states import State
from tests.common.stage import FORMAT, Stage, ref, request
from tests.proxy import Proxy


async def fail(stage: Stage, turn: str = "t", *said: TokenEvent | str, spoken: int = 0, **fields: Any) -> DeadLetter:
    """Let a turn fail after so much of it was spoken; returns its letter."""
    claim = await stage.speaking(turn, **fields)
    if said:
        await stage.append(turn, 1, *said)
    await stage.say(claim, 1, samples=100, spoken=spoken)
    await stage.ledger.finish(claim, 2, State.FAILED, 100, spoken, "no such voice")
    [letter, *_] = await stage.ledger.dead()
    return letter


WHOLE = EndOfText()


async def events(stage: Stage, opened_as: str) -> list[TokenEvent]:
    return [event for _, event in await stage.tokens(opened_as)]  # type: ignore[misc]  # it is not sealed


def again(letter: DeadLetter) -> str:
    return f"redriven:{letter.id}"


@pytest.fixture
def sharded(client: Client) -> Ledger:
    return Ledger(client, shards=4)


async def test_a_letter_tells_what_failed_why_when_and_how_far_it_had_come(stage: Stage) -> None:
    before_ms = await stage.clock_ms()
    letter = await fail(stage, "t", "Hello world", spoken=6, metadata={"caller": "7"})
    assert letter.request == request("t", metadata={"caller": "7"})
    assert (letter.cause, letter.attempts, letter.samples, letter.spoken) == ("no such voice", 1, 100, 6)
    assert before_ms <= letter.at_ms <= await stage.clock_ms()


async def test_a_turn_that_lost_all_its_workers_tells_how_far_it_had_come(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.say(claim, 1, samples=100, spoken=6)
    await stage.ledger.claim(claim.message, "w/2", attempts=1, format=FORMAT)
    [letter] = await stage.ledger.dead()
    assert (letter.samples, letter.spoken) == (100, 6)


async def test_the_newest_come_first_and_no_more_than_asked_for(stage: Stage) -> None:
    for turn in "abc":
        await fail(stage, turn)
    assert [letter.request.turn for letter in await stage.ledger.dead()] == ["c", "b", "a"]
    assert [letter.request.turn for letter in await stage.ledger.dead(2)] == ["c", "b"]


async def test_letters_of_all_shards_are_listed_and_their_ids_are_different(stage: Stage, sharded: Ledger) -> None:
    sessions = ("a", "b", "c", "d", "e", "f")
    for at_ms, session in enumerate(sessions, 1):
        counts = ("attempts", 1, "samples", 0, "spoken", 0, "tokens", 0, "whole", 0)
        fields = ("request", request("t", session).canonical(), "cause", "c", *counts)
        await call(stage.redis, "XADD", sharded.keys(session).dead, f"{at_ms // 2}-{at_ms % 2}", *fields)
    assert len({sharded.keys(session).shard for session in sessions}) > 1
    letters = await sharded.dead()
    assert {letter.request.session for letter in letters} == set(sessions)
    assert [letter.at_ms for letter in letters] == [3, 2, 2, 1, 1, 0]
    assert len({letter.id for letter in letters}) == len(sessions)
    for letter in letters:
        assert await sharded.dead_letter(letter.id) == letter
        await sharded.drop(letter.id)
    assert await sharded.dead() == []


async def test_showing_one_brings_its_text(stage: Stage) -> None:
    letter = await fail(stage, "t", "Hello ", Flush(), "world")
    shown = await stage.ledger.dead_letter(letter.id)
    assert (shown.id, shown.text, letter.text) == (letter.id, "Hello world", "")


async def test_text_that_is_gone_is_not_shown(stage: Stage) -> None:
    letter = await fail(stage, "t", "Hello")
    await call(stage.redis, "DEL", stage.keys().tokens("t"))
    assert (await stage.ledger.dead_letter(letter.id)).text == ""


async def test_redriving_says_it_again_as_another_turn_of_its_session_and_drops_the_letter(stage: Stage) -> None:
    letter = await fail(stage, "t", "Hello ", Flush(), "world", EndOfText(), voice="narrator", metadata={"caller": "7"})
    opened = await stage.ledger.redrive(letter.id)
    assert opened.state is State.READY
    snapshot = await stage.ledger.inspect(again(letter))
    assert (snapshot.request.session, snapshot.request.voice) == ("s", "narrator")
    assert snapshot.request.metadata == {"caller": "7"}
    assert await events(stage, again(letter)) == [Text("Hello "), Flush(), Text("world"), EndOfText()]
    assert await stage.ledger.dead() == []
    assert (await stage.take()).ref == ref(again(letter))


async def test_it_waits_its_turn_however_long_and_interrupts_nobody(stage: Stage) -> None:
    letter = await fail(stage, "t", "Hello", WHOLE, on_busy="interrupt", start_within_ms=60_000)
    await stage.open("speaker")
    assert (await stage.ledger.redrive(letter.id)).state is State.WAITING
    assert await stage.state("speaker") is State.READY
    asked = (await stage.ledger.inspect(again(letter))).request
    assert (asked.on_busy, asked.start_within_ms) == ("queue", 0)


@pytest.mark.parametrize(
    "said", [["Hello world again"], ["Hello ", "world ag", "ain"], ["Hel", Flush(), "lo world again"]]
)
async def test_only_the_rest_is_what_follows_the_spoken_text(stage: Stage, said: list[TokenEvent | str]) -> None:
    letter = await fail(stage, "t", *said, WHOLE, spoken=6)
    await stage.ledger.redrive(letter.id, rest=True)
    rest = await events(stage, again(letter))
    assert "".join(event.text for event in rest if isinstance(event, Text)) == "world again"
    assert isinstance(rest[0], Text)
    assert rest[-1] == EndOfText()


async def test_a_letter_tells_whether_the_end_of_its_text_was_there(stage: Stage) -> None:
    said: list[list[TokenEvent | str]] = [[], ["Hello"], ["Hello", WHOLE], [WHOLE]]
    letters = [await fail(stage, f"t{number}", *events) for number, events in enumerate(said)]
    assert [(letter.tokens, letter.whole) for letter in letters] == [(0, False), (1, False), (2, True), (1, True)]


async def test_a_letter_of_a_turn_that_lost_its_workers_tells_it_too(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.append("t", 1, "Hello", WHOLE)
    await stage.ledger.claim(claim.message, "w/2", attempts=1, format=FORMAT)
    [letter] = await stage.ledger.dead()
    assert (letter.tokens, letter.whole) == (2, True)


@pytest.mark.parametrize("rest", [False, True])
async def test_a_part_of_a_text_is_said_only_where_that_is_wanted_and_is_ended_then(stage: Stage, rest: bool) -> None:
    letter = await fail(stage, "t", "Hello ", "world", spoken=6)
    before = await stage.dump()
    with pytest.raises(TextIncomplete, match="had not sent all of its text"):
        await stage.ledger.redrive(letter.id, rest=rest)
    assert await stage.dump() == before
    await stage.ledger.redrive(letter.id, rest=rest, incomplete=True)
    assert await events(stage, again(letter)) == [Text("world" if rest else "Hello world"), EndOfText()]


async def test_many_small_tokens_are_said_again_as_a_few_larger_ones(stage: Stage) -> None:
    """One script writes them, and all of Redis waits for it."""
    letter = await fail(stage, "t", *"a" * 5_000, Flush(), *"b" * 5_001, WHOLE)
    await stage.ledger.redrive(letter.id)
    said = await events(stage, again(letter))
    texts = [event.text if isinstance(event, Text) else "" for event in said]
    assert "".join(texts) == "a" * 5_000 + "b" * 5_001
    assert [len(text) for text in texts] == [4_096, 904, 0, 4_096, 905, 0]
    assert said[2] == Flush()


async def test_a_turn_of_many_tokens_is_said_whole(stage: Stage) -> None:
    said = [f"{number} " for number in range(1201)]
    letter = await fail(stage, "t", *said, WHOLE)
    await stage.ledger.redrive(letter.id)
    assert (await stage.ledger.inspect(again(letter))).text == "".join(said)


async def test_a_redrive_that_was_broken_off_has_said_all_and_the_next_one_says_nothing_twice(
    stage: Stage, redis_url: str
) -> None:
    letter = await fail(stage, "t", "Hello ", "world", WHOLE)
    async with (
        Proxy(redis_url) as proxy,
        contextlib.aclosing(connect(proxy.url)) as redis,
        proxy.reply_lost_after(b"EVALSHA"),
    ):
        with pytest.raises(RedisUnavailable):
            await Ledger(redis).redrive(letter.id)
    said = [Text("Hello world"), EndOfText()]
    assert await events(stage, again(letter)) == said
    claim = await stage.claim(await stage.take())
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    assert (await stage.ledger.redrive(letter.id)).state is State.DONE
    assert [event for event in await events(stage, again(letter)) if not isinstance(event, Seal)] == said
    assert await stage.ledger.dead() == []


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "expired"])
@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([], "None of its text had been sent"),
        ([WHOLE], "It had no text"),
        (["Hello"], "All of its text that had been sent was spoken"),
        (["Hello", WHOLE], "spoken to its end"),
    ],
)
async def test_where_there_is_nothing_to_say_it_says_why_and_keeps_the_letter(
    stage: Stage, said: list[TokenEvent | str], sentence: str, kept: bool
) -> None:
    letter = await fail(stage, "t", *said, spoken=5)
    if not kept:
        await call(stage.redis, "DEL", stage.keys().tokens("t"))
        sentence = "no longer in Redis" if "Hello" in said else sentence
    before = await stage.dump()
    with pytest.raises(TextGone, match=sentence):
        await stage.ledger.redrive(letter.id, rest=True, incomplete=True)
    assert await stage.dump() == before


async def test_where_it_cannot_be_opened_now_the_letter_stays(stage: Stage) -> None:
    letter = await fail(stage, "t", "Hello", WHOLE)
    await stage.open("u", "another")
    with pytest.raises(Overloaded):
        await stage.bounded(ready_turns=1).redrive(letter.id)
    assert await stage.ledger.dead() == [letter]


async def test_a_letter_that_was_redriven_is_no_longer_known(stage: Stage) -> None:
    letter = await fail(stage, "t", "Hello", WHOLE)
    await stage.ledger.redrive(letter.id)
    before = await stage.dump()
    for step in (stage.ledger.redrive, stage.ledger.dead_letter):
        with pytest.raises(UnknownLetter, match=letter.id):
            await step(letter.id)
    assert await stage.dump() == before


async def test_dropping_forgets_it_and_repeating_that_is_harmless(stage: Stage) -> None:
    kept, dropped = await fail(stage, "kept"), await fail(stage, "dropped")
    for _ in range(2):
        await stage.ledger.drop(dropped.id)
    assert await stage.ledger.dead() == [kept]


@pytest.mark.parametrize("wrong", ["", "t", "1:1-1", "-1:1-1", "0:x", "0:1-1:2", "0", "²:1-1"])
async def test_what_cannot_be_an_id_is_unknown(stage: Stage, wrong: str) -> None:
    for step in (stage.ledger.redrive, stage.ledger.dead_letter, stage.ledger.drop):
        with pytest.raises(UnknownLetter, match="looks like 0:1234-5"):
            await step(wrong)


async def test_letters_live_as_long_as_the_one_that_lives_longest(stage: Stage) -> None:
    await fail(stage, "t")
    short = stage.bounded(retention_ms=50_000)
    await short.open(request("u"))
    claim = await stage.claim(await stage.take())
    await short.finish(claim, 1, State.FAILED, 0, 0, "no such voice")
    assert await call(stage.redis, "PTTL", ShardKeys(0).dead) > 50_000
