"""What is written into a stream is read out of it, and what is no event is refused."""

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saystream.common.audio import AudioFormat
from saystream.common.events import (
    Audio,
    Begin,
    Encoded,
    End,
    EndOfText,
    Flush,
    Seal,
    Splice,
    Text,
    TokenEvent,
    Word,
    Words,
    decode_output,
    decode_token,
    encode_audio,
    encode_splice,
    encode_token,
    encode_words,
)
from saystream.common.ids import EntryId
from saystream.common.ledger.output import flat
from saystream.common.redis_client import Client, call
from saystream.common.states import State

AT = EntryId(7, 1)
positions = st.integers(0, 1 << 53)
texts = st.text()
words = st.builds(Word, texts, positions, positions, positions, positions)
token_events: st.SearchStrategy[TokenEvent] = st.one_of(st.builds(Text, texts), st.just(Flush()), st.just(EndOfText()))
audio = st.builds(Audio, st.just(AT), texts, positions, positions, positions, positions, st.binary(max_size=2000))
word_lists = st.builds(
    Words, st.just(AT), texts, positions, positions, positions, st.lists(words, max_size=5).map(tuple)
)
splices = st.builds(Splice, st.just(AT), texts, positions, positions, texts, texts)


def encode(event: Audio | Words | Splice) -> Encoded:
    match event:
        case Audio(_, turn, offset, samples, spoken, cut, data):
            return encode_audio(turn, offset, samples, spoken, cut, data)
        case Words(_, turn, offset, spoken, cut, timed):
            return encode_words(turn, offset, spoken, cut, timed)
        case Splice(_, turn, offset, spoken, cause, voice):
            return encode_splice(turn, offset, spoken, cause, voice)


async def through_redis(redis: Client, fields: Encoded) -> tuple[bytes, dict[bytes, bytes]]:
    await call(redis, "XADD", "stream", str(AT), *flat(fields))
    [(entry_id, read)] = await call(redis, "XRANGE", "stream", "-", "+")
    await call(redis, "DEL", "stream")
    return entry_id, read


on_redis = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@on_redis
@given(event=token_events)
async def test_a_token_event_comes_back_through_redis(client: Client, event: TokenEvent) -> None:
    _, fields = await through_redis(client, encode_token(event))
    assert decode_token(fields) == event


@on_redis
@given(event=st.one_of(audio, word_lists, splices))
async def test_an_output_event_comes_back_through_redis(client: Client, event: Audio | Words | Splice) -> None:
    entry_id, fields = await through_redis(client, encode(event))
    assert decode_output(entry_id, fields) == event


@pytest.mark.parametrize("state", list(State))
def test_a_seal_carries_the_state(state: State) -> None:
    assert decode_token({b"seal": state.encode()}) == Seal(state)


def test_begin_is_read() -> None:
    fields = {
        b"type": b"begin",
        b"turn": b"t",
        b"format": b"pcm_s16le/48000/2",
        b"voice": "Erzähler".encode(),
        b"metadata": b'{"caller":"7"}',
    }
    assert decode_output("7-1", fields) == Begin(
        AT, "t", AudioFormat("pcm_s16le", 48_000, 2), "Erzähler", {"caller": "7"}
    )


def test_end_is_read() -> None:
    fields = {b"type": b"end", b"turn": b"t", b"reason": b"failed", b"samples": b"9", b"spoken": b"4", b"cause": b"no"}
    assert decode_output(b"7-1", fields) == End(AT, "t", State.FAILED, 9, 4, "no")


def test_audio_travels_as_bytes_and_not_as_text() -> None:
    assert encode_audio("t", 0, 2, 0, 0, b"\xff\x00")["data"] == b"\xff\x00"


@pytest.mark.parametrize("fields", [{}, {b"txt": b"a"}, {b"seal": b"over"}, {b"text": b"\xff"}], ids=str)
def test_what_is_no_token_event_is_refused(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r"not a token event|over|codec"):
        decode_token(fields)


AUDIO = {b"offset": b"0", b"samples": b"1", b"spoken": b"0", b"cut": b"1", b"data": b"\0\0"}


@pytest.mark.parametrize("missing", list(AUDIO))
def test_an_entry_without_a_field_says_which_one(missing: bytes) -> None:
    fields = {b"type": b"audio", b"turn": b"t"} | {key: value for key, value in AUDIO.items() if key != missing}
    with pytest.raises(ValueError, match=f"output entry 7-1 has no field .*{missing.decode()}"):
        decode_output("7-1", fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"type": b"audio"},
        {b"type": b"sound", b"turn": b"t"},
        {b"type": b"audio", b"turn": b"t", **AUDIO, b"offset": b"x"},
        {b"type": b"end", b"turn": b"t", b"reason": b"over", b"samples": b"0", b"spoken": b"0", b"cause": b""},
        *(
            {b"type": b"words", b"turn": b"t", **AUDIO, b"words": packed}
            for packed in (b"", b"[[1]]", b"5", b"[5]", b"{}x")
        ),
        {b"type": b"begin", b"turn": b"t", b"format": b"mp3", b"voice": b"v", b"metadata": b"{}"},
    ],
    ids=str,
)
def test_what_is_no_output_event_is_refused(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_output("7-1", fields)


def test_words_are_packed_as_plain_lists() -> None:
    packed = encode_words("t", 0, 2, 9, (Word("Hi", 0, 2, 3, 9),))["words"]
    assert isinstance(packed, bytes)
    assert orjson.loads(packed) == [["Hi", 0, 2, 3, 9]]
