"""Fish Audio's rules, fed by hand."""

import struct
from collections.abc import Iterator
from typing import Any

import orjson
import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.fishaudio import LIVE, PATHS, WITH_TIMESTAMP
from saystream.compose.standin.fishaudio.rules import HELD_MS
from saystream.compose.standin.fishaudio.text import LONGEST_WORD, TextBuffer, spoken_items
from saystream.compose.standin.orders import (
    Abandon,
    Begin,
    Close,
    Finish,
    Key,
    Mark,
    Note,
    Order,
    Pause,
    Send,
    Sound,
    Speak,
    Wake,
)
from saystream.compose.standin.sound import SpokenWord

API_KEY = "key"
RATE = 8_000
HELD = 2 * RATE * HELD_MS // 1000
"""Bytes that are kept back."""


class Socket:
    """The rules of one socket that a client with a good key has opened."""

    def __init__(self, path: str = LIVE, **behaviour: Any) -> None:
        self.rules = PATHS[path](Behaviour(api_keys=frozenset({API_KEY}), **behaviour))
        assert self.rules.upgrading({"authorization": f"Bearer {API_KEY}", "model": "s1"}, {}) is None
        self.sample = 0

    def receive(self, event: str, **fields: Any) -> list[Order]:
        return self.rules.received(ormsgpack.packb({"event": event, **fields}))

    def start(self, **request: Any) -> list[Order]:
        return self.receive("start", request={"text": "", "format": "pcm", "sample_rate": RATE, **request})

    def begin(self, **request: Any) -> Begin:
        self.sample = 0
        begin = next(order for order in self.start(**request) if isinstance(order, Begin))
        assert self.rules.accepted(begin.key) == []
        return begin

    def text(self, text: str) -> list[Order]:
        """The orders that a text leads to, without the note of it."""
        note, *orders = self.receive("text", text=text)
        assert isinstance(note, Note)
        return orders

    def sound(self, key: Key, samples: int, *words: str) -> list[dict[str, Any]]:
        """The events for so many samples, all of whose words are equally long."""
        each = samples // max(len(words), 1)
        spoken = [SpokenWord(w, self.sample + i * each, self.sample + (i + 1) * each) for i, w in enumerate(words)]
        sound = Sound(bytes(2 * samples), self.sample, self.sample + samples, tuple(spoken))
        self.sample += samples
        return [ormsgpack.unpackb(message) for message in self.rules.sound(key, sound)]

    def reached(self, key: Key, label: str) -> list[Order]:
        return self.rules.reached(key, label, self.sample)


def sent(orders: list[Order]) -> list[dict[str, Any]]:
    return [ormsgpack.unpackb(order.message) for order in orders if isinstance(order, Send)]


def spoken(orders: list[Order]) -> list[str | Pause]:
    return [item for order in orders if isinstance(order, Speak) for item in order.items]


def marks(orders: list[Order]) -> list[str]:
    return [order.label for order in orders if isinstance(order, Mark)]


def refused(orders: list[Order]) -> str:
    """What the `error` event says, behind which the socket is closed."""
    (error,) = sent(orders)
    assert error["event"] == "error"
    assert isinstance(orders[-1], Close)
    assert orders[-1].code == 1008
    return str(error["error"])


# Opening


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer other", API_KEY, f"Basic {API_KEY}"])
def test_a_missing_or_wrong_key_is_401_at_the_upgrade(header: str) -> None:
    for make in PATHS.values():
        refuse = make(Behaviour()).upgrading({"authorization": header} if header else {}, {})
        assert refuse is not None
        assert refuse.status == 401
        assert refuse.headers["content-type"] == "application/json"
        assert orjson.loads(refuse.body) == {"message": "Invalid API key", "status": 401}


def test_the_paths_are_the_vendors_and_their_messages_binary() -> None:
    assert set(PATHS) == {LIVE, WITH_TIMESTAMP} == {"/v1/tts/live", "/v1/tts/live/with-timestamp"}
    assert all(make(Behaviour()).binary for make in PATHS.values())


@pytest.mark.parametrize(("named", "speaks"), [("s1", "s1"), ("s3", "s2.1-pro"), (None, "s2.1-pro")])
def test_an_unknown_model_is_replaced_without_a_word(named: str | None, speaks: str) -> None:
    socket = Socket()
    headers = {"authorization": f"Bearer {API_KEY}"} | ({} if named is None else {"model": named})
    assert socket.rules.upgrading(headers, {}) is None
    assert socket.begin().setup["model"] == speaks


def test_text_frames_and_unknown_events_are_passed_over() -> None:
    socket = Socket()
    assert socket.rules.connected() == []
    assert socket.rules.received('{"event":"text"}') == []
    assert socket.receive("ping") == []
    assert socket.rules.received(ormsgpack.packb({"no": "event"})) == []


@pytest.mark.parametrize("message", [b"", b"\xc1", b'{"event":"start"}', ormsgpack.packb(["start"])])
def test_what_is_not_a_messagepack_map_is_an_error(message: bytes) -> None:
    socket = Socket()
    assert refused(socket.rules.received(message))
    assert socket.start() == []  # the socket is closing


# Start


def test_a_start_begins_a_request_and_has_no_answer() -> None:
    (begin,) = Socket().start(reference_id="marker")
    assert isinstance(begin, Begin)
    assert (begin.voice, begin.format, begin.frame_ms) == ("marker", AudioFormat("pcm", RATE), 100)


def test_a_start_has_the_documented_defaults() -> None:
    (begin,) = Socket().receive("start", request={"text": "", "format": "pcm"})
    assert isinstance(begin, Begin)
    assert (begin.voice, begin.format.rate) == ("default", 44_100)


def test_nulls_and_unknown_fields_are_accepted() -> None:
    names = ("sample_rate", "reference_id", "prosody", "references", "latency", "chunk_length", "features", "normalize")
    (begin,) = Socket().receive("start", request={"text": "", "format": "wav", **dict.fromkeys(names), "new": 1})
    assert isinstance(begin, Begin)
    assert begin.format.rate == 44_100


def test_several_speakers_are_spoken_by_the_first_ones_voice() -> None:
    assert Socket().begin(reference_id=["marker", "other"]).voice == "marker"


def test_the_record_of_a_start_counts_its_references() -> None:
    references = [{"audio": bytes(9), "text": "nine"}, {"audio": b"", "text": ""}]
    assert Socket().begin(references=references).setup["request"]["references"] == 2
    assert Socket().begin(references=[references, references]).setup["request"]["references"] == 2


def test_a_start_may_hold_the_first_text() -> None:
    socket = Socket()
    begin, note = socket.start(text="Hello ")
    assert isinstance(begin, Begin)
    assert note == Note(begin.key, "Hello ", 0)
    assert spoken(socket.receive("stop")) == ["Hello"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("format", "flac", "Supported formats: mp3, wav, pcm, opus"),
        ("sample_rate", 22_050, "Supported sample rates: 8000, 16000, 24000, 32000, 44100"),
        ("sample_rate", "24000", "sample_rate"),
        ("latency", "fast", "normal, balanced, low"),
        ("chunk_length", 99, "from 100 to 300"),
        ("chunk_length", 301, "from 100 to 300"),
        ("chunk_length", 200.0, "from 100 to 300"),
        ("min_chunk_length", 101, "from 0 to 100"),
        ("prosody", {"speed": 0.4}, "prosody.speed must be a number from 0.5 to 2"),
        ("prosody", {"speed": 2.1}, "prosody.speed"),
        ("prosody", {"volume": 21}, "prosody.volume"),
        ("prosody", 1.5, "prosody must be a map"),
        ("mp3_bitrate", 96, "mp3_bitrate"),
        ("opus_bitrate", 96, "opus_bitrate"),
        ("reference_id", 3, "reference_id"),
        ("references", [{"text": "no audio"}], "references"),
        ("normalize", "yes", "normalize"),
        ("temperature", "hot", "temperature"),
        ("features", "quality-guard", "features"),
        ("text", 3, "text"),
        ("text", None, "text is required"),
    ],
)
def test_a_bad_start_is_an_error_and_a_close(field: str, value: Any, says: str) -> None:
    for path in PATHS:
        assert says in refused(Socket(path).start(**{field: value}))


@pytest.mark.parametrize("audio_format", ["mp3", "opus", None])
def test_a_format_that_is_not_made_here_is_refused_by_name(audio_format: str | None) -> None:
    says = refused(Socket().start(format=audio_format, sample_rate=None))
    assert says == f"format {audio_format or 'mp3'} is not made by this stand-in: ask for pcm or wav"


def test_a_rate_must_go_with_its_format() -> None:
    assert "for format mp3" in refused(Socket().start(format="mp3", sample_rate=24_000))
    assert "for format opus" in refused(Socket().start(format="opus", sample_rate=44_100))


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 1.7, "top_p": -1},  # seen to be accepted
        {"prosody": {"speed": 0.5, "volume": None, "normalize_loudness": False}},
        {"latency": "low", "chunk_length": 100, "min_chunk_length": 0, "features": ["quality-guard"]},
        {"opus_bitrate": 32, "mp3_bitrate": 64},
    ],
)
def test_a_good_start_is_accepted(fields: dict[str, Any]) -> None:
    assert Socket().begin(**fields)


@pytest.mark.parametrize("request_", [None, [], "text"])
def test_a_start_without_a_map_is_an_error(request_: Any) -> None:
    assert refused(Socket().receive("start", request=request_)) == "request must be a map"


def test_a_second_start_before_the_finish_is_an_error() -> None:
    socket = Socket()
    key = socket.begin().key
    socket.receive("stop")
    orders = socket.start()
    assert refused(orders) == "start before the finish of the session"
    assert orders[0] == Abandon(key)


# Text


def test_a_text_is_noted_as_it_came_and_kept_until_there_is_enough() -> None:
    socket = Socket()
    key = socket.begin(chunk_length=100).key
    assert socket.receive("text", text="Hel") == [Note(key, "Hel", 0)]
    assert socket.text("lo there.") == []
    assert spoken(socket.text(" More" * 20)) == ["Hello", "there.", *["More"] * 17]
    assert spoken(socket.receive("stop")) == ["More"] * 3


def test_no_blank_is_put_between_messages() -> None:
    socket = Socket()
    socket.begin()
    socket.text("Hel")
    socket.text("lo, wor")
    socket.text("ld")
    assert spoken(socket.receive("flush")) == ["Hello,", "world"]


def test_a_flush_speaks_what_is_there_and_the_session_goes_on() -> None:
    socket = Socket()
    key = socket.begin().key
    socket.text("one two")
    assert socket.receive("flush") == [Note(key, "", 1), Speak(key, ("one", "two")), Mark(key, "0")]
    socket.text("three")
    assert socket.receive("flush") == [Note(key, "", 1), Speak(key, ("three",)), Mark(key, "1")]


def test_an_empty_flush_is_tolerated() -> None:
    socket = Socket()
    assert socket.receive("flush") == []
    key = socket.begin().key
    assert socket.receive("flush") == [Note(key, "", 1)]
    socket.text("  \n")
    assert socket.receive("flush") == [Note(key, "", 1)]


def test_a_stop_speaks_everything_and_finishes() -> None:
    socket = Socket()
    key = socket.begin().key
    socket.text("one two")
    assert socket.receive("stop") == [Speak(key, ("one", "two")), Mark(key, "0"), Finish(key)]
    assert socket.receive("stop") == []
    assert socket.receive("flush") == []


def test_a_flush_right_before_the_stop_changes_nothing() -> None:
    socket = Socket()
    key = socket.begin().key
    socket.text("one")
    assert spoken(socket.receive("flush")) == ["one"]
    assert socket.receive("stop") == [Finish(key)]


def test_text_outside_a_session_is_an_error() -> None:
    assert refused(Socket().receive("text", text="early")) == "text before start"
    socket = Socket()
    socket.begin()
    socket.receive("stop")
    assert refused(socket.receive("text", text="late")) == "text after stop"
    socket = Socket()
    socket.begin()
    assert refused(socket.receive("text")) == "a text event needs a string `text`"


def test_cues_are_not_spoken() -> None:
    text = "[whispering softly] Well,[break]no. <|speaker:1|>Yes[long break]a[1] [ b"
    expected = ["Well,", Pause(0.5), "no.", "Yes", Pause(1.0), "a", "[", "b"]
    assert list(spoken_items(text)) == expected


def pieces(buffer: TextBuffer, text: str, size: int) -> Iterator[str]:
    for at in range(0, len(text), size):
        yield from buffer.add(text[at : at + size])
    yield buffer.flush()


def test_a_chunk_ends_with_a_sentence_if_it_may_else_with_a_word() -> None:
    sentence = "This one has forty characters, all told. "
    assert list(TextBuffer(100, 50).add(sentence * 3)) == [sentence * 2]
    assert list(TextBuffer(100, 90).add(sentence * 3)) == [(sentence * 3)[:95]]
    assert list(TextBuffer(100, 50).add("word " * 21)) == ["word " * 20]
    assert list(TextBuffer(100, 50).add('He said "no!" ' * 8)) == ['He said "no!" ' * 7]


def test_a_word_or_cue_longer_than_a_chunk_is_waited_for() -> None:
    buffer = TextBuffer(100, 50)
    assert list(buffer.add("x" * 500)) == []
    assert list(buffer.add("y z")) == ["x" * 500 + "y "]
    cue = "[" + "very " * 15 + "softly]"
    buffer = TextBuffer(100, 50)
    assert list(buffer.add("word " * 15 + cue)) == ["word " * 15]
    assert buffer.flush() == cue


def test_text_without_any_end_of_a_word_is_cut() -> None:
    assert list(TextBuffer(100, 50).add("x" * 2_500)) == ["x" * LONGEST_WORD] * 2


def test_chinese_is_cut_at_its_full_stops_else_anywhere() -> None:
    text = "今天天气很好。" * 20
    assert list(TextBuffer(100, 50).add(text)) == ["今天天气很好。" * 14]
    assert list(TextBuffer(100, 50).add("天" * 101)) == ["天" * 100]


@given(st.text(alphabet="ab .?!,[]天。\n", max_size=700), st.integers(1, 50), st.sampled_from([100, 150, 300]))
def test_chunks_are_the_text_and_do_not_depend_on_its_messages(text: str, size: int, chunk_length: int) -> None:
    chunks = list(pieces(TextBuffer(chunk_length, 50), text, size))
    assert "".join(chunks) == text
    assert chunks == list(pieces(TextBuffer(chunk_length, 50), text, max(len(text), 1)))
    assert all(len(chunk) <= chunk_length + 100 for chunk in chunks)  # no word here is longer
    assert [i for chunk in chunks for i in spoken_items(chunk)] == list(spoken_items(text)) or "[" in text


# Audio


def test_an_audio_event_holds_bytes_and_nothing_else() -> None:
    socket = Socket()
    key = socket.begin().key
    socket.text("one")
    socket.receive("flush")
    (event,) = socket.sound(key, 800, "one")
    assert event == {"event": "audio", "audio": bytes(1_600 - HELD)}


def test_the_last_milliseconds_of_a_flushed_piece_wait_for_the_next_message() -> None:
    for follows in ({"event": "flush"}, {"event": "text", "text": "t"}):
        socket = Socket()
        key = socket.begin().key
        socket.text("one")
        socket.receive("flush")
        socket.sound(key, 800, "one")
        assert socket.reached(key, "0") == []
        (label,) = marks(socket.rules.received(ormsgpack.packb(follows)))
        assert sent(socket.reached(key, label)) == [{"event": "audio", "audio": bytes(HELD)}]
        assert socket.reached(key, label) == []


def test_nothing_is_asked_for_while_there_is_more_to_speak() -> None:
    socket = Socket()
    socket.begin()
    socket.text("one")
    socket.receive("flush")
    assert socket.text("t") == []


def test_all_audio_has_come_before_the_finish() -> None:
    socket = Socket()
    key = socket.begin().key
    socket.text("one")
    socket.receive("stop")
    first = socket.sound(key, 800, "one")
    second = socket.sound(key, 100)
    orders = socket.rules.finished(key)
    audio = [event["audio"] for event in [*first, *second, *sent(orders)] if event["event"] == "audio"]
    assert b"".join(audio) == bytes(1_800)
    assert sent(orders)[-1] == {"event": "finish", "reason": "stop"}


def test_the_header_of_a_wav_is_sent_once_with_the_vendors_placeholders() -> None:
    socket = Socket()
    begin = socket.begin(format="wav")
    assert begin.format == AudioFormat("pcm", RATE)
    first, second = socket.sound(begin.key, 800)[0]["audio"], socket.sound(begin.key, 800)[0]["audio"]
    assert struct.unpack("<4sI4s4sIHHIIHH4sI", first[:44]) == (
        *(b"RIFF", 4294967076, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16),
        *(b"data", 4294967040),
    )
    assert (len(first), len(second)) == (44 + 1_600 - HELD, 1_600)


@pytest.mark.parametrize("audio_format", ["pcm", "wav"])
def test_a_session_without_text_has_a_finish_and_no_audio(audio_format: str) -> None:
    for path in PATHS:
        socket = Socket(path)
        key = socket.begin(format=audio_format).key
        assert socket.receive("stop") == [Finish(key)]
        assert sent(socket.rules.finished(key)) == [{"event": "finish", "reason": "stop"}]


def test_a_word_without_sound_makes_no_event() -> None:
    socket = Socket()
    key = socket.begin().key
    assert socket.sound(key, 0, "—") == []


# Timestamps


def timed(*chunks: str) -> tuple[Socket, Key]:
    """A socket with timestamps that has been told to speak these chunks."""
    socket = Socket(WITH_TIMESTAMP)
    key = socket.begin().key
    for chunk in chunks:
        socket.text(chunk)
        socket.receive("flush")
    return socket, key


def test_a_snapshot_holds_all_words_of_the_chunk_so_far() -> None:
    socket, key = timed("Don't stop, now. ")
    (first,) = socket.sound(key, 800, "Don't")
    assert first == {
        "event": "audio",
        "audio": bytes(1_600 - HELD),
        "content": "Don't stop, now. ",
        "alignment": {"segments": [{"text": "Dont", "start": 0.0, "end": 0.1}], "audio_duration": 0.1},
        "chunk_seq": 0,
        "chunk_audio_offset_sec": 0.0,
    }
    (second,) = socket.sound(key, 800, "stop,", "now.")
    assert [tuple(segment.values()) for segment in second["alignment"]["segments"]] == [
        ("Dont", 0.0, 0.1),
        ("stop", 0.1, 0.15),
        ("now", 0.15, 0.2),
    ]


def test_a_word_that_still_sounds_ends_where_the_audio_ends_until_the_next_snapshot() -> None:
    socket, key = timed("one two")
    sound = Sound(bytes(1_600), 0, 800, (SpokenWord("one", 0, 1_200),))
    first = ormsgpack.unpackb(socket.rules.sound(key, sound)[0])
    assert first["alignment"] == {"segments": [{"text": "one", "start": 0.0, "end": 0.1}], "audio_duration": 0.1}
    socket.sample = 800
    (second,) = socket.sound(key, 800)
    assert second["alignment"] is None  # no word has begun
    (third,) = socket.sound(key, 800, "two")
    assert [segment["end"] for segment in third["alignment"]["segments"]] == [0.15, 0.3]


def test_the_first_event_after_a_chunks_end_is_still_labelled_with_that_chunk() -> None:
    socket, key = timed("one", "two three")
    socket.sound(key, 800, "one")
    assert socket.reached(key, "0") == []
    (border,) = socket.sound(key, 800, "two")
    assert (border["chunk_seq"], border["content"], border["audio"]) == (0, "one", bytes(1_600))
    assert border["alignment"] == {"segments": [{"text": "one", "start": 0.0, "end": 0.1}], "audio_duration": 0.1}
    (after,) = socket.sound(key, 800)
    assert (after["chunk_seq"], after["chunk_audio_offset_sec"]) == (1, 0.1)
    assert after["alignment"]["segments"] == [{"text": "two", "start": 0.0, "end": 0.1}]


def test_the_last_event_has_no_audio_and_the_final_snapshot() -> None:
    socket, key = timed("one", "two")
    socket.receive("stop")
    socket.sound(key, 800, "one")
    socket.reached(key, "0")
    socket.sound(key, 800, "two")
    socket.reached(key, "1")
    held, last, finish = sent(socket.rules.finished(key))
    assert (held["audio"], held["chunk_seq"]) == (bytes(HELD), 1)
    assert (last["audio"], last["chunk_seq"], last["chunk_audio_offset_sec"]) == (b"", 1, 0.1)
    assert last["alignment"] == {"segments": [{"text": "two", "start": 0.0, "end": 0.1}], "audio_duration": 0.1}
    assert finish == {"event": "finish", "reason": "stop"}


def test_no_snapshot_is_lost_where_a_chunk_has_no_event_of_its_own() -> None:
    socket, key = timed("one", "two", "three")
    told: dict[int, list[str]] = {}
    events = []
    for index, word in enumerate(["one", "two", "three"]):
        events += socket.sound(key, 100, word)  # shorter than what is kept back
        socket.reached(key, str(index))
    socket.receive("stop")
    events += sent(socket.rules.finished(key))
    for event in events[:-1]:
        if event["alignment"] is not None:
            told[event["chunk_seq"]] = [segment["text"] for segment in event["alignment"]["segments"]]
    assert told == {0: ["one"], 1: ["two"], 2: ["three"]}
    seqs = [event["chunk_seq"] for event in events[:-1]]
    assert seqs == sorted(seqs)


def test_words_of_punctuation_are_not_told_and_chinese_by_characters() -> None:
    socket, key = timed("— 你好，世界 ok")
    (event,) = socket.sound(key, 800, "—", "你好，世界")
    assert event["alignment"]["segments"] == [
        {"text": "你", "start": 0.05, "end": 0.0625},
        {"text": "好", "start": 0.0625, "end": 0.075},
        {"text": "世", "start": 0.075, "end": 0.0875},
        {"text": "界", "start": 0.0875, "end": 0.1},
    ]


# Ends


@pytest.mark.parametrize("path", PATHS)
def test_a_kept_socket_takes_the_next_start(path: str) -> None:
    socket = Socket(path, keeps_socket=True)
    for _ in range(3):
        key = socket.begin().key
        socket.text("one")
        assert spoken(socket.receive("stop")) == ["one"]
        orders = socket.rules.finished(key)
        assert not any(isinstance(order, Close) for order in orders)
        assert socket.receive("flush") == []  # a late one ends nothing


@pytest.mark.parametrize("path", PATHS)
def test_a_socket_that_is_not_kept_closes_behind_its_finish(path: str) -> None:
    socket = Socket(path, keeps_socket=False)
    key = socket.begin().key
    socket.receive("stop")
    finish, close = socket.rules.finished(key)
    assert sent([finish]) == [{"event": "finish", "reason": "stop"}]
    assert close == Close(1000)
    assert socket.start() == []


def test_chunks_are_counted_anew_in_each_session() -> None:
    socket = Socket(WITH_TIMESTAMP)
    for _ in range(2):
        key = socket.begin().key
        socket.text("one")
        socket.receive("stop")
        (event,) = socket.sound(key, 800, "one")
        assert (event["chunk_seq"], event["chunk_audio_offset_sec"]) == (0, 0.0)
        socket.reached(key, "0")
        socket.rules.finished(key)


@pytest.mark.parametrize(("most_streams", "told"), [(None, 5), (2, 2)])
def test_one_request_too_many_is_told_with_the_limit(most_streams: int | None, told: int) -> None:
    socket = Socket(most_streams=most_streams)
    key = socket.begin().key
    orders = socket.rules.over_limit(key)
    assert refused(orders) == "Concurrency limit exceeded"
    assert sent(orders)[0]["max_concurrency"] == told
    assert orders[0] == Abandon(key)
    assert socket.rules.finished(key) == []


def test_an_unknown_voice_is_an_error() -> None:
    socket = Socket()
    orders = socket.rules.unknown_voice(socket.begin().key, "unknown-1")
    assert refused(orders) == "Reference not found: unknown-1"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (402, "Insufficient API credit"),
        (429, "Concurrency limit exceeded"),
        (503, "Service overloaded"),
        (418, "Bad request"),
    ],
)
def test_a_failure_that_refuses_the_request_is_an_error_event(code: int, says: str) -> None:
    assert refused(failing(code, "")) == says
    assert refused(failing(code, "in other words")) == "in other words"


def failing(code: int, message: str) -> list[Order]:
    socket = Socket()
    return socket.rules.failed(socket.begin().key, code, message)


@pytest.mark.parametrize("code", [0, 500, 1011])
def test_any_other_failure_is_a_finish_with_reason_error(code: int) -> None:
    abandon, send, close = failing(code, "out of memory")
    assert isinstance(abandon, Abandon)
    assert sent([send]) == [{"event": "finish", "reason": "error", "message": "out of memory"}]
    assert close == Close(1011, "out of memory")


def test_a_broken_voice_ends_the_request_even_on_a_kept_socket() -> None:
    socket = Socket(keeps_socket=True)
    key = socket.begin().key
    orders = socket.rules.broken(key, "x" * 200)
    assert sent(orders)[0]["reason"] == "error"
    assert isinstance(orders[-1], Close)
    assert len(orders[-1].reason) == 123
    assert socket.rules.sound(key, Sound(bytes(1_600), 0, 800, ())) == []
    assert socket.rules.failed(key, 500, "") == socket.rules.broken(key, "") == []


def test_an_idle_socket_is_closed_when_its_time_has_come() -> None:
    socket = Socket(idle_socket_s=9.0)
    assert socket.rules.connected() == [Wake("idle", 9.0)]
    orders = socket.start()
    assert orders[0] == Wake("idle", None)
    assert socket.rules.woke("idle") == []  # it came too late
    begin = orders[1]
    assert isinstance(begin, Begin)
    socket.receive("stop")
    assert socket.rules.finished(begin.key)[-1] == Wake("idle", 9.0)
    assert socket.rules.woke("idle") == [Close(1000, "idle")]
    assert socket.rules.woke("idle") == []
