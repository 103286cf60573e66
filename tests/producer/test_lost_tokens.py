"""Tokens that Redis had acknowledged and has lost in a failover: they are written again, or the turn ends visibly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from saystream.common.errors import SaystreamError, TokensLost, TurnEnded, TurnInterrupted
from saystream.common.events import End, EndOfText, Text, decode_output
from saystream.common.ledger import Ledger
from saystream.common.redis_client import Client, Command, Wire, call
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.producer import Speaker, Turn
from saystream.producer.outbox import ENTRY_BYTES
from saystream.producer.writer import BATCH_EVENTS, TURN_EVENTS
from tests.producer.conftest import ReadTokens
from tests.proxy import Proxy
from tests.timing import eventually

FailOver = Callable[[], Awaitable[None]]


@pytest.fixture
async def speaker(proxy: Proxy) -> AsyncIterator[Speaker]:
    """A speaker behind the proxy, whose outboxes keep ten tokens of one letter."""
    async with Speaker.connect(proxy.url, settings=Settings(), outbox_bytes=10 * (ENTRY_BYTES + 1)) as speaker:
        yield speaker


async def lagging(ledger: Ledger, proxy: Proxy, *turns: Turn) -> FailOver:
    """Take the state of turns' tokens; the function that is returned goes back to it, as a failover does."""
    dumps = []
    for turn in turns:
        key = ledger.keys(turn.session).tokens(turn.id)
        dumps.append((key, await call(ledger.redis, "DUMP", key)))

    async def fail_over() -> None:
        for key, dump in dumps:
            await call(ledger.redis, "RESTORE", key, 0, dump, "REPLACE")
        await proxy.cut()

    return fail_over


async def keep_sending(turn: Turn) -> None:
    while True:
        await turn.send("x")
        await asyncio.sleep(0)


async def sent(turn: Turn, letters: str, read_tokens: ReadTokens) -> None:
    """Send letters, and wait until they are acknowledged."""
    before = len(await read_tokens(turn))
    for letter in letters:
        await turn.send(letter)
    await eventually(lambda: f"{before + len(letters)} acknowledged" in repr(turn))


@pytest.mark.parametrize("kept", [0, 1, 4])
async def test_lost_tokens_are_written_again_before_anything_new(
    speaker: Speaker, proxy: Proxy, ledger: Ledger, read_tokens: ReadTokens, kept: int
) -> None:
    async with speaker.turn("s") as turn:
        await sent(turn, "abcde"[:kept], read_tokens)
        fail_over = await lagging(ledger, proxy, turn)
        await sent(turn, "abcde"[kept:], read_tokens)
        await fail_over()
        await turn.send("f")
    assert await read_tokens(turn) == list(enumerate([*map(Text, "abcdef"), EndOfText()], 1))


async def test_lost_tokens_of_a_turn_that_has_nothing_new_to_say_are_written_again_too(
    speaker: Speaker, proxy: Proxy, ledger: Ledger, read_tokens: ReadTokens
) -> None:
    async with speaker.turn("s") as turn, speaker.turn("other") as other:
        fail_over = await lagging(ledger, proxy, turn)
        await sent(turn, "abc", read_tokens)
        await fail_over()
        await other.send("x")
        await other.end()
        expected = list(enumerate(map(Text, "abc"), 1))
        await eventually(lambda: _are(read_tokens, turn, expected))


async def test_failing_over_twice_loses_nothing_either(
    speaker: Speaker, proxy: Proxy, ledger: Ledger, read_tokens: ReadTokens
) -> None:
    async with speaker.turn("s") as turn:
        for letters in ("ab", "cd"):
            fail_over = await lagging(ledger, proxy, turn)
            await sent(turn, letters, read_tokens)
            await fail_over()
        await turn.send("e")
    assert [event for _, event in await read_tokens(turn)] == [*map(Text, "abcde"), EndOfText()]


async def test_more_lost_than_is_held_fails_the_turn_and_no_other(
    speaker: Speaker, proxy: Proxy, ledger: Ledger, read_tokens: ReadTokens
) -> None:
    async with speaker.turn("good") as good:
        turn = speaker.turn("s", turn="t")
        await turn.open()
        fail_over = await lagging(ledger, proxy, turn, good)
        for _ in range(3):
            await sent(turn, "abcd", read_tokens)
        await sent(good, "abcd", read_tokens)
        await fail_over()
        await good.send("e")
        with pytest.raises(
            TokensLost, match="turn t: Redis has lost tokens 1 to 12 of the text, and they are no longer"
        ):
            await keep_sending(turn)
    assert [event for _, event in await read_tokens(good)] == [*map(Text, "abcde"), EndOfText()]

    async def is_interrupted() -> bool:
        return (await ledger.inspect("t")).state is State.INTERRUPTED

    await eventually(is_interrupted)
    [(entry_id, fields)] = await call(ledger.redis, "XREVRANGE", ledger.keys("s").audio("s"), "+", "-", "COUNT", 1)
    end = decode_output(entry_id, fields)
    assert isinstance(end, End)
    assert end.cause == "Redis has lost tokens 1 to 12 of the text"


async def test_a_turn_that_was_sealed_while_the_connection_was_broken_takes_no_more(
    speaker: Speaker, proxy: Proxy, ledger: Ledger, read_tokens: ReadTokens
) -> None:
    turn, other = speaker.turn("s"), speaker.turn("other")
    await asyncio.gather(turn.open(), other.open())
    await sent(turn, "abc", read_tokens)
    async with proxy.refusing():
        await ledger.interrupt("s")
        await other.send("x")
    await other.end()
    with pytest.raises(TurnInterrupted):
        await turn.send("d")


async def test_a_turn_that_was_not_found_is_looked_for_at_another_server(
    speaker: Speaker, ledger: Ledger, read_tokens: ReadTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is no primary any more, and has not noticed, need not know it."""
    key = ledger.keys("s").tokens("t")
    new_wire = Client.wire

    async def wire(client: Client, of: str) -> Wire:
        await call(ledger.redis, "COPY", "elsewhere", key)
        return await new_wire(client, of)

    async with speaker.turn("s", turn="t") as turn:
        await sent(turn, "ab", read_tokens)
        await call(ledger.redis, "RENAME", key, "elsewhere")
        monkeypatch.setattr(Client, "wire", wire)
        await turn.send("c")
        await turn.end()
        assert [event for _, event in await read_tokens(turn)] == [*map(Text, "abc"), EndOfText()]


async def test_a_turn_that_is_gone_takes_no_more(speaker: Speaker, ledger: Ledger, read_tokens: ReadTokens) -> None:
    turn = speaker.turn("s", turn="t")
    await turn.open()
    await sent(turn, "ab", read_tokens)
    await call(ledger.redis, "FLUSHDB")
    await turn.send("c")
    with pytest.raises(TurnEnded, match="turn t: The turn is no longer in Redis"):
        await turn.end()


async def test_a_turn_that_is_gone_is_looked_for_once_however_many_others_are_busy(
    redis_url: str, ledger: Ledger, read_tokens: ReadTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others fill the first batch on each new wire, and it is always in the second."""
    wires, new_wire = [], Client.wire

    async def wire(client: Client, of: str) -> Wire:
        wires.append(of)
        return await new_wire(client, of)

    monkeypatch.setattr(Client, "wire", wire)
    async with Speaker.connect(redis_url, settings=Settings()) as speaker:
        turns = [speaker.turn(f"s{number}") for number in range(2 * BATCH_EVENTS // TURN_EVENTS)]
        for turn in turns:
            await turn.open()
            await sent(turn, "a", read_tokens)
        gone = turns[-1]
        await call(ledger.redis, "DEL", ledger.keys(gone.session).tokens(gone.id))
        for turn in turns:
            for _ in range(10 * TURN_EVENTS):
                await turn.send("b")
        with pytest.raises(TurnEnded, match="no longer in Redis"):
            await gone.end()
        await asyncio.gather(*(turn.end() for turn in turns[:-1]))
    assert len(wires) == 2


async def test_the_end_of_a_text_is_acknowledged_by_replicas_and_no_other_token(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicated = []
    write = Wire.all

    async def watched(wire: Wire, commands: list[Command], **how: bool) -> list[object]:
        replicated.append(([command[4] for command in commands if command[0] == "XADD"], how))
        return await write(wire, commands, **how)

    monkeypatch.setattr(Wire, "all", watched)
    async with speaker.turn("s") as turn:
        await turn.send("a")
        await eventually(lambda: "1 acknowledged" in repr(turn))
    assert replicated[-2:] == [(["text"], {}), (["end"], {"replicated": True})]


async def test_a_fault_of_the_writer_is_told_to_its_turns_and_the_next_one_is_written(
    speaker: Speaker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = speaker.turn("s")
    await turn.open()
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "append_all", None)
        await turn.send("a")
        with pytest.raises(SaystreamError, match="by a fault of ours"):
            await turn.end()
    later = await speaker.say("later", "b")
    assert (await ledger.inspect(later.id)).text == "b"


async def _are(read_tokens: ReadTokens, turn: Turn, expected: list[tuple[int, Text]]) -> bool:
    return await read_tokens(turn) == expected
