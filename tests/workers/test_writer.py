"""The writer: every entry once, in order, in few round trips; a turn that is fenced hears of it."""

import asyncio
from collections.abc import Sequence

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.errors import Fenced, RedisUnavailable, SaystreamError
from saystream.common.events import encode_audio
from saystream.common.ids import SessionId, TurnId, TurnRef
from saystream.common.ledger import Append, Claim, Ledger, Message, Outcome
from saystream.common.redis_client import connect
from saystream.common.request import TurnRequest
from saystream.workers.writer import Line, OutboxFull, Writer


class Book(Ledger):
    """A ledger that keeps what is published and can be told to misbehave."""

    def __init__(self) -> None:
        super().__init__(connect("unix:///nowhere"))
        self.batches: list[list[Append]] = []
        self.away = 0
        self.outcome = Outcome.APPENDED
        self.answering = asyncio.Event()
        self.answering.set()

    async def publish(self, appends: Sequence[Append]) -> list[Outcome]:
        await self.answering.wait()
        if self.away:
            self.away -= 1
            raise RedisUnavailable
        self.batches.append(list(appends))
        return [self.outcome] * len(appends)


def claim(turn: str = "t") -> Claim:
    ref = TurnRef(SessionId("s"), TurnId(turn))
    return Claim(Message(0, "1-0", ref, "v"), TurnRequest(session=ref.session), 7, 1, AudioFormat(), 0, 0)


def line_of(writer: Writer, turn: str = "t", most_bytes: int = 1 << 20) -> tuple[Line, list[SaystreamError]]:
    broken: list[SaystreamError] = []
    return writer.line(claim(turn), most_bytes, broken.append), broken


FIELDS = encode_audio("t", 0, 1, 0, 0, b"ab")


async def test_entries_are_numbered_from_one_and_appended_in_order() -> None:
    book = Book()
    async with Writer(book) as writer:
        line, _ = line_of(writer)
        for _ in range(5):
            line.put(FIELDS, 2)
        await line.drained()
    assert [append.id for batch in book.batches for append in batch] == [claim().entry(seq) for seq in range(1, 6)]


async def test_what_comes_while_a_batch_is_in_flight_goes_together() -> None:
    book = Book()
    book.answering.clear()
    async with Writer(book) as writer:
        lines = [line_of(writer, f"t{number}")[0] for number in range(10)]
        lines[0].put(FIELDS)
        await asyncio.sleep(0)
        for line in lines:
            line.put(FIELDS)
        book.answering.set()
        await asyncio.gather(*(line.drained() for line in lines))
    assert len(book.batches) <= 2


async def test_a_batch_is_sent_again_until_redis_answers() -> None:
    book = Book()
    book.away = 2
    async with Writer(book) as writer:
        line, broken = line_of(writer)
        line.put(FIELDS)
        await line.drained()
        assert len(book.batches) == 1
        assert broken == []


@pytest.mark.parametrize("outcome", [Outcome.FENCED, Outcome.GONE])
async def test_a_fenced_line_hears_of_it_once_and_publishes_no_more(outcome: Outcome) -> None:
    book = Book()
    book.outcome = outcome
    async with Writer(book) as writer:
        line, broken = line_of(writer)
        line.put(FIELDS)
        with pytest.raises(Fenced):
            await line.drained()
        with pytest.raises(Fenced):
            line.put(FIELDS)
    assert len(broken) == 1


async def test_one_fenced_turn_does_not_keep_the_others_back() -> None:
    book = Book()
    async with Writer(book) as writer:
        fenced, _ = line_of(writer, "a")
        other, _ = line_of(writer, "b")
        fenced.put(FIELDS)
        other.put(FIELDS)
        fenced.close()
        await other.drained()
    assert [append.id for batch in book.batches for append in batch] == [claim().entry(1)]


async def test_an_own_earlier_copy_counts_as_published() -> None:
    book = Book()
    book.outcome = Outcome.REPEATED
    async with Writer(book) as writer:
        line, broken = line_of(writer)
        line.put(FIELDS)
        await line.drained()
    assert broken == []


async def test_a_turn_holds_no_more_audio_than_allowed_while_redis_is_away() -> None:
    book = Book()
    book.answering.clear()
    async with Writer(book) as writer:
        line, _ = line_of(writer, most_bytes=10)
        line.put(FIELDS, 10)
        with pytest.raises(OutboxFull):
            line.put(FIELDS, 1)
