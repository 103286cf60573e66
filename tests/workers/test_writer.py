"""The writer: every entry once, in order, in few round trips; what Redis has lost is sent again, or the turn hears."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.exceptions import ResponseError

from saystream.common.audio import AudioFormat
from saystream.common.errors import AudioLost, Fenced, RedisUnavailable, SaystreamError
from saystream.common.events import encode_audio
from saystream.common.ids import EntryId, SessionId, TurnId, TurnRef
from saystream.common.ledger import Claim, Ledger, Message
from saystream.common.redis_client import Command, call, connect
from saystream.common.request import TurnRequest
from saystream.workers.line import ENTRY_BYTES, HELD_BYTES, Line, OutboxFull
from saystream.workers.writer import Writer
from tests.servers import MakeRedis
from tests.timing import eventually

SIZE = 10
REFUSED = ResponseError("The ID specified in XADD is equal or smaller than the target stream top item")


class Server:
    """A Redis as the writer sees it: streams, and ways to misbehave.

    Attributes:
        streams: ids and owners of the entries, by key.
        batches: ids that were appended in one round trip.
        away: so many round trips fail.
        deaf: as many, that are carried out first.
        wires: how many there have been.
    """

    def __init__(self) -> None:
        self.streams: dict[str, list[tuple[EntryId, bytes]]] = {}
        self.batches: list[list[EntryId]] = []
        self.away = self.deaf = self.wires = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def wire(self, key: str) -> "ServersWire":
        self.wires += 1
        return ServersWire(self)

    def ids(self, key: str) -> list[EntryId]:
        return [entry_id for entry_id, _ in self.streams[key]]

    def run(self, *command: Any) -> Any:
        name, key = command[:2]
        if name == "DEL":
            return 0
        stream = self.streams.get(key)
        if name == "XADD":
            if stream is None:
                return None
            entry_id = EntryId.parse(command[3])
            if entry_id <= stream[-1][0]:
                return REFUSED
            stream.append((entry_id, b""))
            return command[3].encode()
        stream = stream or []
        found = stream[-1:] if name == "XREVRANGE" else [entry for entry in stream if str(entry[0]) == command[2]]
        return [[str(entry_id).encode(), [b"owner", owner]] for entry_id, owner in found]


@dataclass
class ServersWire:
    server: Server
    closed: bool = field(default=False)

    async def all(self, commands: Sequence[Command], *, replicated: bool = False) -> list[Any]:
        assert not self.closed
        await self.server.answering.wait()
        if self.server.away:
            self.server.away -= 1
            raise RedisUnavailable
        replies = [self.server.run(*command) for command in commands]
        if self.server.deaf:
            self.server.deaf -= 1
            raise RedisUnavailable
        if appended := [EntryId.parse(str(command[3])) for command in commands if command[0] == "XADD"]:
            self.server.batches.append(appended)
        return replies

    async def close(self) -> None:
        self.closed = True


class Stage:
    """A writer, its server, and what became of its lines."""

    def __init__(self, shards: int = 1) -> None:
        self.server = Server()
        redis: Any = self.server
        self.ledger = Ledger(redis, shards=shards)
        self.writer = Writer(self.ledger)
        self.broken: list[SaystreamError] = []

    def line(self, turn: str = "t", most_bytes: int = 1 << 20) -> Line:
        """Open a line whose first entry is there."""
        mine = claim(turn)
        self.server.streams[self.key(turn)] = [(mine.entry(0), mine.owner.encode())]
        return self.writer.line(mine, most_bytes, self.broken.append)

    def key(self, turn: str = "t") -> str:
        session = claim(turn).ref.session
        return self.ledger.keys(session).audio(session)

    def expected(self, last: int, turn: str = "t") -> bool:
        """Tell whether the entries of a turn are there, from 0 to the last one."""
        return self.server.ids(self.key(turn)) == [claim(turn).entry(seq) for seq in range(last + 1)]

    def lose(self, entries: int, turn: str = "t") -> None:
        """Fail over to a server that lacks the last entries of a turn."""
        stream = self.server.streams[self.key(turn)]
        del stream[len(stream) - entries :]
        self.server.away = 1


def claim(turn: str = "t") -> Claim:
    ref = TurnRef(SessionId(f"session-of-{turn}"), TurnId(turn))
    request = TurnRequest(session=ref.session, turn=ref.turn)
    return Claim(Message(0, "1-0", ref, "v"), request, 7, 1, f"owner of {turn}", AudioFormat(), 0, 0)


def put(line: Line, entries: int = 1, data_bytes: int = SIZE) -> None:
    for _ in range(entries):
        line.put(encode_audio("t", 0, 1, 0, 0, b"ab"), data_bytes)


async def say(line: Line, entries: int = 1, data_bytes: int = SIZE) -> None:
    for _ in range(entries):
        put(line, data_bytes=data_bytes)
        await line.drained()


async def test_entries_are_numbered_from_one_and_appended_in_order() -> None:
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        put(line, 5)
        await line.drained()
    assert stage.expected(5)


async def test_what_comes_while_a_batch_is_in_flight_goes_together() -> None:
    stage = Stage()
    async with stage.writer:
        lines = [stage.line(f"t{number}") for number in range(10)]
        await say(lines[0])
        stage.server.answering.clear()
        put(lines[0])
        await asyncio.sleep(0)
        for line in lines:
            put(line)
        stage.server.answering.set()
        await asyncio.gather(*(line.drained() for line in lines))
    assert len(stage.server.batches) <= 3


async def test_a_batch_is_sent_again_until_redis_answers() -> None:
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        await say(line)
        stage.server.away = 3
        await say(line)
    assert stage.expected(2)
    assert stage.broken == []


async def test_of_an_absence_a_log_tells_the_beginning_and_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "saystream")
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        stage.server.away = 3
        await say(line)
    assert caplog.messages == ["! cannot publish, trying again: Redis does not answer.", "= audio is published again"]


async def test_one_fenced_turn_does_not_keep_the_others_back() -> None:
    stage = Stage()
    async with stage.writer:
        fenced, other = stage.line("a"), stage.line("b")
        put(fenced)
        put(other)
        fenced.close()
        await other.drained()
    assert stage.expected(1, "b")
    assert stage.expected(0, "a")


async def test_a_fenced_line_hears_of_it_once_and_publishes_no_more() -> None:
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        await say(line)
        stage.server.streams[stage.key()].append((EntryId.of(7, 2, 0), b"another"))
        put(line, 2)
        with pytest.raises(Fenced):
            await line.drained()
        with pytest.raises(Fenced):
            put(line)
    assert len(stage.broken) == 1
    assert stage.server.wires == 1  # an interrupt is nothing unusual


async def test_a_turn_holds_no_more_audio_than_allowed_while_redis_is_away() -> None:
    stage = Stage()
    stage.server.answering.clear()
    async with stage.writer:
        line = stage.line(most_bytes=SIZE + ENTRY_BYTES)
        put(line)
        with pytest.raises(OutboxFull):
            put(line)


async def test_a_fault_of_a_lane_is_told_to_who_watches() -> None:
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        stage.server.streams = None  # type: ignore[assignment]
        put(line)
        with pytest.raises(AttributeError):
            await stage.writer.watch()


async def test_shards_do_not_wait_for_each_other() -> None:
    stage = Stage(shards=2)
    async with stage.writer:
        lines = [stage.line(f"t{number}") for number in range(8)]
        put(lines[0])
        await lines[0].drained()
        for line in lines:
            await say(line)
    assert stage.server.wires == 2


# At a new wire


async def test_a_batch_whose_reply_was_lost_is_not_sent_again() -> None:
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        await say(line)
        stage.server.deaf = 1
        put(line, 3)
        await line.drained()
        await say(line)
    assert stage.expected(5)
    assert [len(batch) for batch in stage.server.batches] == [1, 1]


@pytest.mark.parametrize("lost", [1, 3, 5])
async def test_what_a_failover_has_lost_is_sent_again_before_anything_new(lost: int) -> None:
    stage = Stage()
    async with stage.writer:
        line, other = stage.line(), stage.line("other")
        await say(other)
        await say(line, 5)
        stage.lose(lost)
        put(line)
        await line.drained()
        await other.drained()
        await say(other)
    assert stage.expected(6)
    assert stage.expected(2, "other")
    assert stage.broken == []


async def test_what_was_lost_of_a_line_that_has_nothing_new_is_sent_again_too() -> None:
    stage = Stage()
    async with stage.writer:
        line, other = stage.line(), stage.line("other")
        await say(line, 3)
        stage.lose(2)
        put(other)
        await other.drained()
        await line.drained()
    assert stage.expected(3)


async def test_what_was_lost_twice_is_sent_twice() -> None:
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        for last in (3, 6, 9):
            await say(line, 2)
            stage.lose(2)
            await say(line)
            assert stage.expected(last)


async def test_a_line_that_is_doubted_is_looked_at_although_its_wire_is_well() -> None:
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        await say(line, 3)
        stage.lose(2)
        stage.server.away = 0
        line.doubt()
        await line.drained()
    assert stage.expected(3)


async def test_a_turn_that_has_lost_more_than_is_held_breaks_and_says_what() -> None:
    stage = Stage()
    async with stage.writer:
        line, other = stage.line(), stage.line("other")
        await say(line, 5, data_bytes=HELD_BYTES // 2 - ENTRY_BYTES)
        stage.lose(4)
        put(line)
        put(other)
        with pytest.raises(AudioLost, match="turn t: Redis has lost the entries 2 to 3, and they are no longer held"):
            await line.drained()
        await other.drained()
    assert stage.expected(1)
    assert len(stage.broken) == 1


@pytest.mark.parametrize("end", ["gone", "another owner", "a later attempt"])
async def test_a_line_whose_attempt_is_not_the_current_one_any_more_breaks(end: str) -> None:
    """Another owner's: a failover that has lost a claim gives its number out again."""
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        await say(line, 2)
        stream = stage.server.streams[stage.key()]
        match end:
            case "gone":
                stream[:] = [(EntryId.of(6, 1, 0), b"earlier")]
            case "another owner":
                stream[:] = [(claim().entry(seq), b"another") for seq in range(9)]
            case _:
                stream.append((EntryId.of(7, 2, 0), b"another"))
        stage.server.away = 1
        before = list(stream)
        put(line)
        with pytest.raises(Fenced):
            await line.drained()
        assert stream == before


async def test_a_stream_that_is_not_there_is_looked_for_once_more() -> None:
    """A server that is no primary any more need not have it."""
    stage = Stage()
    async with stage.writer:
        line = stage.line()
        await say(line)
        stream = stage.server.streams.pop(stage.key())
        stage.server.answering.clear()
        put(line)
        new_wire = stage.server.wire

        async def wire(key: str) -> ServersWire:
            stage.server.streams[stage.key()] = stream
            return await new_wire(key)

        stage.server.wire = wire  # type: ignore[method-assign]
        stage.server.answering.set()
        await line.drained()
        assert stage.expected(2)
        assert stage.broken == []
        del stage.server.streams[stage.key()]
        stage.server.wire = new_wire  # type: ignore[method-assign]
        put(line)
        with pytest.raises(Fenced):
            await line.drained()


async def test_a_key_that_is_no_stream_stops_its_turn_and_no_other(redis_url: str) -> None:
    """Their entries go together, and Redis refuses those of one."""
    async with aclosing(connect(redis_url)) as redis, Writer(Ledger(redis)) as writer:
        ledger, broken = Ledger(redis), list[SaystreamError]()
        lines = []
        for turn in ("wrong", "well"):
            mine = claim(turn)
            key = ledger.keys(mine.ref.session).audio(mine.ref.session)
            await call(redis, "XADD", key, str(mine.entry(0)), "owner", mine.owner)
            lines.append(writer.line(mine, 1 << 20, broken.append))
            await say(lines[-1])
        await call(redis, "SET", ledger.keys("session-of-wrong").audio("session-of-wrong"), "a key of another kind")
        for line in (*lines, lines[1]):
            put(line)
        await lines[1].drained()
        with pytest.raises(Fenced):
            await lines[0].drained()
        assert await call(redis, "XLEN", ledger.keys("session-of-well").audio("session-of-well")) == 4
        assert len(broken) == 1


async def test_a_permission_that_is_missing_for_a_while_costs_no_turn(make_redis: MakeRedis) -> None:
    """Redis does not even let the writer ask what is there; that is no reason for the worker to end."""
    server = make_redis()
    async with aclosing(connect(server.url)) as redis, Writer(ledger := Ledger(redis)) as writer:
        mine, broken = claim(), list[SaystreamError]()
        key = ledger.keys(mine.ref.session).audio(mine.ref.session)
        await call(redis, "XADD", key, str(mine.entry(0)), "owner", mine.owner)
        line = writer.line(mine, 1 << 20, broken.append)
        await say(line)
        await call(redis, "ACL", "SETUSER", "default", "-xrevrange")
        await call(redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        put(line)

        async def refused() -> bool:
            return bool(await call(redis, "ACL", "LOG"))

        await eventually(refused)
        await call(redis, "ACL", "SETUSER", "default", "+xrevrange")
        await line.drained()
        assert await call(redis, "XLEN", key) == 3
        assert broken == []
