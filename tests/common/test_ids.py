"""Ids say what they are, sort as Redis sorts them, and find their shard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.errors import InvalidId
from saystream.common.ids import FENCE, EntryId, new_turn_id, session_id, shard_of, turn_id

# What Redis Cluster answers to CLUSTER KEYSLOT.
KEY_SLOTS = {"123456789": 0x31C3, "foo": 12182, "bar": 5061, "hello": 866, "somekey": 11058}

ids = st.text("ABCXYZabcxyz0189._:-", min_size=1, max_size=128)
numbers = st.integers(0, (1 << 33) - 1)
attempts = st.integers(0, FENCE)
seqs = st.integers(0, (1 << 64) - 1)
entry_ids = st.builds(EntryId.of, numbers, attempts, seqs)


def crc16_xmodem(data: bytes) -> int:
    """Compute the checksum bit by bit, as its definition has it: polynomial 0x1021, start 0, nothing reflected."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


@pytest.mark.parametrize(("key", "slot"), KEY_SLOTS.items())
def test_shards_are_redis_clusters_slots(key: str, slot: int) -> None:
    assert shard_of(key, 16_384) == slot


@given(ids, st.integers(1, 16_384))
def test_a_shard_is_the_checksum_modulo_the_shard_count(session: str, shards: int) -> None:
    assert shard_of(session, shards) == crc16_xmodem(session.encode()) % shards


@given(ids)
def test_with_one_shard_there_is_one_shard(session: str) -> None:
    assert shard_of(session, 1) == 0


@given(ids)
def test_an_id_of_the_allowed_characters_is_taken_as_it_is(text: str) -> None:
    assert session_id(text) == text
    assert turn_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "a" * 129, "a b", "a\n", "\n", "é", "{a}", "a/b", "a*", "a\0", "١", "a" * 10_000, None, 7, b"bytes"]
)
def test_anything_else_is_refused_and_shown_in_short(text: str) -> None:
    for check, what in ((session_id, "session"), (turn_id, "turn")):
        with pytest.raises(InvalidId, match=f"{what} id .*1 to 128 of A-Z a-z 0-9") as raised:
            check(text)
        assert len(str(raised.value)) < 200


def test_new_turn_ids_are_ids_and_differ() -> None:
    made = {new_turn_id() for _ in range(100)}
    assert len(made) == 100
    assert {turn_id(text) for text in made} == made


@given(entry_ids)
def test_an_entry_id_reads_what_it_writes(entry_id: EntryId) -> None:
    assert EntryId.parse(str(entry_id)) == EntryId.parse(str(entry_id).encode()) == entry_id


@given(numbers, attempts, seqs)
def test_an_entry_id_knows_its_turn_and_attempt(number: int, attempt: int, seq: int) -> None:
    entry_id = EntryId.of(number, attempt, seq)
    assert (entry_id.number, entry_id.attempt, entry_id.seq) == (number, attempt, seq)


@given(st.tuples(numbers, attempts, seqs), st.tuples(numbers, attempts, seqs))
def test_entry_ids_are_ordered_by_turn_then_attempt_then_seq(a: tuple[int, int, int], b: tuple[int, int, int]) -> None:
    assert (EntryId.of(*a) < EntryId.of(*b)) == (a < b)


@given(numbers, st.integers(0, FENCE - 1), seqs)
def test_the_fence_is_above_every_attempt_and_below_the_next_turn(number: int, attempt: int, seq: int) -> None:
    assert EntryId.of(number, attempt, seq) < EntryId.of(number, FENCE, 0) < EntryId.of(number + 1, 0, 0)


@pytest.mark.parametrize(
    "text", ["", "-", "1", "1-", "-1", "1-2-3", "1-x", "0x1-0", "$", "+", " 1-0", "1-0\n", "-1-0", b"\xff-1"]
)
def test_what_is_no_cursor_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidId, match="is not a cursor: it looks like 1234-5"):
        EntryId.parse(text)


@pytest.mark.parametrize("text", [f"{2**64}-0", f"0-{2**64}", "9" * 5000 + "-0", "٣-٤"], ids=lambda text: text[:20])
def test_a_cursor_that_redis_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(InvalidId) as raised:
        EntryId.parse(text)
    assert len(str(raised.value)) < 200
