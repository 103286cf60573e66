"""Publishing appends to the output; what may not be there, Redis refuses by its id."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

import pytest

from saystream.common.errors import RedisUnavailable
from saystream.common.events import Audio, Word, Words, encode_audio
from saystream.common.ids import EntryId
from saystream.common.ledger import Append, Claim, Ledger, Outcome
from saystream.common.ledger.output import publish
from saystream.common.redis_client import call, call_all, connect
from saystream.common.states import State
from tests.common.stage import Stage
from tests.servers import MakeRedis


def audio(stage: Stage, claim: Claim, seq: int, data: bytes = b"\0\1") -> Append:
    fields = encode_audio(claim.ref.turn, 0, len(data) // 2, 0, 0, data)
    return Append(stage.audio_key(claim), claim.entry(seq), fields)


async def test_audio_is_appended_with_any_bytes(stage: Stage) -> None:
    claim = await stage.speaking("t")
    data = bytes(range(256)) + b"\r\n$-1\r\n" + b"\0\xff" * 5000
    assert await stage.say(claim, 1, offset=3, samples=9, spoken=4, data=data) is Outcome.APPENDED
    assert (await stage.output())[-1] == Audio(claim.entry(1), "t", 3, 9, 4, cut=12, data=data)


async def test_words_are_appended(stage: Stage) -> None:
    claim = await stage.speaking("t")
    words = (Word("Grüß", 0, 4, 0, 480), Word("dich\U0001f600", 5, 10, 480, 960))
    assert await stage.say_words(claim, 1, 960, 10, *words) is Outcome.APPENDED
    assert (await stage.output())[-1] == Words(claim.entry(1), "t", 960, 10, 960, words)


async def test_a_batch_goes_to_many_sessions_and_keeps_its_order(stage: Stage) -> None:
    claims = [await stage.speaking(f"t{number}", f"s{number}") for number in range(3)]
    batch = [audio(stage, claim, seq) for seq in (1, 2) for claim in claims]
    assert await stage.ledger.publish(batch) == [Outcome.APPENDED] * 6
    for claim in claims:
        cursors = [event.cursor for event in await stage.output(claim.ref.session)]
        assert cursors == [claim.entry(seq) for seq in range(3)]


async def test_an_empty_batch_is_nothing(stage: Stage) -> None:
    assert await stage.ledger.publish([]) == []


async def test_repeating_a_batch_changes_nothing(stage: Stage) -> None:
    claim = await stage.speaking("t")
    batch = [audio(stage, claim, seq, bytes([seq])) for seq in range(1, 5)]
    await stage.ledger.publish(batch)
    before = await stage.dump()
    assert await stage.ledger.publish(batch) == [Outcome.REPEATED] * 4
    assert await stage.dump() == before


async def test_repeating_a_batch_of_which_only_the_first_part_arrived_appends_the_rest(stage: Stage) -> None:
    claim = await stage.speaking("t")
    batch = [audio(stage, claim, seq) for seq in range(1, 5)]
    await stage.ledger.publish(batch[:2])
    assert await stage.ledger.publish(batch) == [Outcome.REPEATED] * 2 + [Outcome.APPENDED] * 2


async def test_what_is_called_repeated_is_there(stage: Stage) -> None:
    # A failover may lose it, after which the new server takes a later one.
    claim = await stage.speaking("t")
    await stage.ledger.publish([audio(stage, claim, 2)])
    assert await stage.ledger.publish([audio(stage, claim, 1)]) == [Outcome.FENCED]


class ShortOfReplicas:
    """Stands before a server that, for the time of one command, has too few replicas to take a write.

    Args:
        port: the server's.
        data: the last bytes of the command.
    """

    def __init__(self, port: int, data: bytes) -> None:
        self._port, self._end = port, data + b"\r\n"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with contextlib.AsyncExitStack() as stack:
            operator = await stack.enter_async_context(contextlib.aclosing(connect(f"redis://127.0.0.1:{self._port}")))

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
                with contextlib.closing(writer), contextlib.closing(server_writer):
                    while data := await reader.read(1 << 20):
                        before, refused, rest = data.partition(self._end)
                        if refused:
                            start = before.rindex(b"XADD") - len(b"*18\r\n$4\r\n")
                            for part, replicas in ((before[:start], 1), (before[start:] + refused, 0)):
                                server_writer.write(part)
                                writer.write(await server_reader.read(1 << 20))  # it has been dealt with
                                await call(operator, "CONFIG", "SET", "min-replicas-to-write", replicas)
                            self._end = b"only once"
                        server_writer.write(rest if refused else data)
                        writer.write(await server_reader.read(1 << 20))

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            stack.callback(server.close)
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_what_a_server_refused_for_a_moment_is_there_once_it_has_been_sent_again(make_redis: MakeRedis) -> None:
    port = make_redis(port=0).port
    assert port
    async with (
        contextlib.aclosing(connect(f"redis://127.0.0.1:{port}")) as straight,
        ShortOfReplicas(port, b"second").running() as url,
        contextlib.aclosing(connect(url)) as client,
    ):
        ledger = Ledger(straight)
        stage = Stage(straight, ledger, ledger.queue(0, straight, "first"), ledger.queue(0, straight, "second"))
        await stage.queue.join()
        claim = await stage.speaking("t")
        batch = [audio(stage, claim, seq, data) for seq, data in enumerate((b"first", b"second", b"third"), 1)]
        with pytest.raises(RedisUnavailable, match="NOREPLICAS"):
            await publish(partial(call_all, client), batch)
        await publish(partial(call_all, client), batch)
        said = [event.data for event in await stage.output() if isinstance(event, Audio)]
        assert said == [b"first", b"second", b"third"]


async def test_a_later_attempt_fences(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.say(first, 1)
    await stage.claim(first.message)
    before = await stage.dump()
    assert await stage.say(first, 2) is Outcome.FENCED
    assert await stage.dump() == before


async def test_what_an_attempt_published_before_it_was_fenced_is_there_when_it_is_repeated(stage: Stage) -> None:
    first = await stage.speaking("t")
    await stage.say(first, 1)
    await stage.claim(first.message)
    assert await stage.say(first, 1) is Outcome.REPEATED
    assert await stage.say(first, 2) is Outcome.FENCED


@pytest.mark.parametrize("turn", ["", "t"])
async def test_an_interrupt_fences(stage: Stage, turn: str) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.interrupt("s", turn)
    before = await stage.dump()
    assert await stage.say(claim, 1) is Outcome.FENCED
    assert await stage.dump() == before


async def test_a_later_turn_fences(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    await stage.speaking("u")
    before = await stage.dump()
    assert await stage.say(claim, 2) is Outcome.FENCED
    assert await stage.dump() == before


async def test_a_stream_that_is_gone_is_not_made_anew(stage: Stage) -> None:
    claim = await stage.speaking("t")
    await call(stage.redis, "DEL", stage.audio_key(claim))
    assert await stage.say(claim, 1) is Outcome.GONE
    assert not await call(stage.redis, "EXISTS", stage.audio_key(claim))


async def test_entries_that_are_refused_do_not_keep_the_others_back(stage: Stage) -> None:
    fenced = await stage.speaking("fenced", "a")
    await stage.claim(fenced.message)
    gone = await stage.speaking("gone", "b")
    await call(stage.redis, "DEL", stage.audio_key(gone))
    repeated = await stage.speaking("repeated", "c")
    await stage.say(repeated, 1)
    well = await stage.speaking("well", "d")
    batch = [audio(stage, claim, 1) for claim in (fenced, gone, repeated, well)]
    outcomes = await stage.ledger.publish([*batch, audio(stage, well, 2)])
    expected = [Outcome.FENCED, Outcome.GONE, Outcome.REPEATED, Outcome.APPENDED, Outcome.APPENDED]
    assert outcomes == expected


async def test_a_stream_remembers_its_last_id_when_it_has_been_trimmed_to_nothing(stage: Stage) -> None:
    first = await stage.speaking("t")
    second = await stage.claim(first.message)
    await call(stage.redis, "XTRIM", stage.audio_key(first), "MAXLEN", 0)
    assert await stage.say(first, 1) is Outcome.FENCED
    assert await stage.say(second, 1) is Outcome.APPENDED


async def test_ids_of_the_largest_turn_number_are_exact(stage: Stage) -> None:
    # 2^53 / 2^20: beyond it, Lua's numbers would round an id to its neighbour.
    await call(stage.redis, "HSET", stage.keys().session("s"), "turns", (1 << 33) - 2)
    first = await stage.speaking("t")
    second = await stage.claim(first.message)
    assert second.number == (1 << 33) - 1
    assert [event.cursor for event in await stage.output()] == [
        EntryId.of((1 << 33) - 1, attempt, 0) for attempt in (1, 2)
    ]
    await stage.say(second, 1, samples=3, spoken=2)
    assert (await stage.claim(first.message)).cut == 3
    await stage.ledger.interrupt("s")
    assert (await stage.output())[-1].cursor == EntryId((1 << 53) - 1, 0)


async def test_positions_of_a_week_of_audio_are_exact(stage: Stage) -> None:
    claim = await stage.speaking("t")
    week = 7 * 24 * 3600 * 192_000 + 1
    await stage.say(claim, 1, offset=week, samples=1, spoken=week)
    again = await stage.claim(claim.message)
    assert (again.cut, again.spoken) == (week + 1, week)
    [cut] = await stage.ledger.interrupt("s")
    assert (cut.samples, cut.spoken) == (week + 1, week)
    assert await stage.ledger.interrupt("s", "t") == (cut,)
