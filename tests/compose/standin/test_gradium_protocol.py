"""Gradium's rules, fed by hand."""

import binascii
from typing import Any

import orjson
import pytest

from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.gradium import FORMATS, LONGEST_WORD, MOST_WAITING_WORDS, Gradium
from saystream.compose.standin.orders import (
    Abandon,
    Begin,
    Close,
    Finish,
    Flush,
    Note,
    Order,
    Pause,
    Send,
    Sound,
    Speak,
    Wake,
)
from saystream.compose.standin.sound import SpokenWord

KEY = "key"


class Socket:
    """The rules of one socket that a client with a good key has opened."""

    def __init__(self, word_lag: int = 2) -> None:
        self.rules = Gradium(frozenset({KEY}), word_lag, new_id=lambda: "req_1")
        assert self.rules.upgrading({"x-api-key": KEY}, {}) is None
        assert self.rules.connected() == []

    def receive(self, kind: str, **fields: Any) -> list[Order]:
        return self.rules.received(orjson.dumps({"type": kind, **fields}).decode())

    def begin(self, **fields: Any) -> Begin:
        (begin,) = self.receive("setup", **{"voice_id": "marker", "output_format": "pcm_8000", **fields})
        assert isinstance(begin, Begin)
        return begin

    def text(self, text: str, **fields: Any) -> list[Order]:
        """The orders that a text leads to, without the note of it."""
        note, *orders = self.receive("text", text=text, **fields)
        assert isinstance(note, Note)
        return orders


def sent(orders: list[Order]) -> list[dict[str, Any]]:
    return [orjson.loads(order.message) for order in orders if isinstance(order, Send)]


def spoken(orders: list[Order]) -> list[str | Pause]:
    return [item for order in orders if isinstance(order, Speak) for item in order.items]


def closes(orders: list[Order]) -> list[int]:
    return [order.code for order in orders if isinstance(order, Close)]


def refused(orders: list[Order], code: int) -> None:
    """The error is told, and the socket closed with its code."""
    assert [message["code"] for message in sent(orders)] == [code]
    assert isinstance(orders[-1], Close)
    assert orders[-1].code == code


# Opening


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {}),
        ({"x-api-key": "other"}, {}),
        ({"authorization": f"Bearer {KEY}"}, {}),
        ({"x-api-key": KEY}, {"token": "one-time"}),
    ],
)
def test_a_key_that_is_not_right_is_let_in_and_told_1008(headers: dict[str, str], query: dict[str, str]) -> None:
    rules = Gradium(frozenset({KEY}))
    assert rules.upgrading(headers, query) is None
    refused(rules.connected(), 1008)


@pytest.mark.parametrize("kind", ["text", "end_of_stream", "anything"])
def test_what_comes_before_a_setup_is_1002(kind: str) -> None:
    refused(Socket().receive(kind, text="a", client_req_id="with or without an id"), 1002)


@pytest.mark.parametrize(("message", "code"), [(b"{}", 1003), ("{", 1002), ("[]", 1002), ('{"type":"setup"', 1002)])
def test_what_is_not_a_json_object_is_refused(message: str | bytes, code: int) -> None:
    refused(Socket().rules.received(message), code)


def test_after_its_close_a_socket_answers_nothing() -> None:
    socket = Socket()
    socket.receive("text")
    assert socket.receive("setup") == []


# Setup


def test_a_setup_begins_a_request_with_the_documented_defaults() -> None:
    (begin,) = Socket().receive("setup")
    assert isinstance(begin, Begin)
    assert (begin.voice, begin.format) == ("default", AudioFormat("wav", 48_000))


def test_a_voice_id_goes_before_a_voice() -> None:
    assert Socket().begin(voice_id="id", voice="name").voice == "id"
    assert Socket().begin(voice_id=None, voice="name").voice == "name"


def test_ready_describes_the_request() -> None:
    socket = Socket()
    begin = socket.begin(model_name="m", client_req_id="a")
    (ready,) = sent(socket.rules.accepted(begin.key))
    assert ready == {
        "type": "ready",
        "request_id": "req_1",
        "model_name": "m",
        "model_ext": "standin",
        "sample_rate": 8_000,
        "frame_size": 640,
        "audio_stream_names": [],
        "text_stream_names": [],
        "residency": "none",
        "client_req_id": "a",
    }


def test_ready_has_no_id_if_the_setup_had_none() -> None:
    socket = Socket()
    assert "client_req_id" not in sent(socket.rules.accepted(socket.begin().key))[0]


@pytest.mark.parametrize("name", FORMATS)
def test_every_documented_format_but_opus_is_spoken(name: str) -> None:
    assert Socket().begin(output_format=name).format == FORMATS[name]


@pytest.mark.parametrize("name", ["mp3", "opus", "pcm_11025", ""])
def test_any_other_format_is_1008(name: str) -> None:
    refused(Socket().receive("setup", output_format=name), 1008)


@pytest.mark.parametrize("config", [{"temp": 0.7}, '{"temp": 0.7, "cfg_coef": 2, "padding_bonus": -4}', None, {}])
def test_a_config_may_be_an_object_or_a_string(config: Any) -> None:
    assert Socket().begin(json_config=config)


@pytest.mark.parametrize("config", ["{", "[]", 3, {"temp": 2}, '{"cfg_coef": 0.5}', {"padding_bonus": "much"}])
def test_a_bad_config_is_1002(config: Any) -> None:
    refused(Socket().receive("setup", json_config=config), 1002)


@pytest.mark.parametrize("field", ["close_ws_on_eos", "output_format", "voice_id", "client_req_id"])
def test_a_field_of_the_wrong_type_is_1002(field: str) -> None:
    refused(Socket().receive("setup", **{field: 3}), 1002)


def test_an_unknown_voice_is_1011_in_the_vendors_words() -> None:
    socket = Socket()
    orders = socket.rules.unknown_voice(socket.begin().key, "nobody")
    refused(orders, 1011)
    assert sent(orders)[0]["message"] == "Embeddings not found for nobody"


def test_an_unknown_pronunciation_dictionary_is_refused() -> None:
    refused(Socket().receive("setup", pronunciation_id="unknown-1"), 1008)
    assert Socket().begin(pronunciation_id="mine")


@pytest.mark.parametrize("name", [None, "a"])
def test_an_id_that_is_still_active_is_1002(name: str | None) -> None:
    socket = Socket()
    key = socket.begin(client_req_id=name, close_ws_on_eos=False).key
    orders = socket.receive("setup", client_req_id=name)
    refused(orders, 1002)
    assert Abandon(key) in orders
    assert "client_req_id" not in sent(orders)[0]


def test_an_id_may_be_used_again_when_its_request_has_ended() -> None:
    socket = Socket()
    first = socket.begin(client_req_id="a", close_ws_on_eos=False)
    socket.receive("end_of_stream", client_req_id="a")
    socket.rules.finished(first.key)
    assert socket.begin(client_req_id="a", close_ws_on_eos=False).key != first.key


# Text


def test_text_is_noted_as_it_came() -> None:
    socket = Socket()
    key = socket.begin().key
    assert socket.receive("text", text=" a <flush> b<flush>")[0] == Note(key, " a <flush> b<flush>", 2)


def test_the_last_words_wait_for_what_follows() -> None:
    socket = Socket(word_lag=2)
    socket.begin()
    assert spoken(socket.text("one")) == []
    assert spoken(socket.text("two three")) == ["one"]
    assert spoken(socket.text("four")) == ["two"]
    assert spoken(socket.receive("end_of_stream")) == ["three", "four"]


def test_messages_are_joined_by_a_blank_never_inside_a_word() -> None:
    socket = Socket(word_lag=0)
    socket.begin()
    assert spoken(socket.text("foo")) + spoken(socket.text("bar")) + spoken(socket.text(".")) == ["foo", "bar", "."]


def test_a_flush_speaks_everything_before_it_and_nothing_after() -> None:
    socket = Socket()
    key = socket.begin().key
    assert socket.text("one two <flush> three") == [Speak(key, ("one", "two")), Flush(key)]
    assert socket.text("<flush>") == [Speak(key, ("three",)), Flush(key)]
    assert socket.text("<flush>") == [Flush(key)]


def test_the_end_speaks_everything_and_finishes() -> None:
    socket = Socket()
    key = socket.begin().key
    socket.text("one two")
    assert socket.receive("end_of_stream") == [Speak(key, ("one", "two")), Finish(key)]
    assert socket.receive("end_of_stream", client_req_id=None) == []


def test_text_after_the_end_is_1002() -> None:
    socket = Socket()
    socket.begin()
    socket.receive("end_of_stream")
    refused(socket.receive("text", text="late"), 1002)


@pytest.mark.parametrize("text", ['a <break time="1.5s" /> b', 'a <break time="1.5s"/> b'])
def test_a_break_is_a_pause(text: str) -> None:
    socket = Socket(word_lag=0)
    socket.begin()
    assert spoken(socket.text(f"{text} <flush>")) == ["a", Pause(1.5), "b"]


@pytest.mark.parametrize("word_lag", [0, 1, 2])
def test_a_break_may_come_in_several_messages(word_lag: int) -> None:
    socket = Socket(word_lag)
    socket.begin()
    parts = ["a", "<break", 'time="0.5s"', "/>", "b <flush>"]
    assert [item for part in parts for item in spoken(socket.text(part))] == ["a", Pause(0.5), "b"]


def test_a_break_lasts_from_a_tenth_to_two_seconds() -> None:
    socket = Socket(word_lag=0)
    socket.begin()
    assert spoken(socket.text('<break time="9s" /> <break time="0.01s" /> <flush>')) == [Pause(2.0), Pause(0.1)]


@pytest.mark.parametrize("text", ['a<break time="1s" />', "<break />", "<emphasis> a", "<break", "<break time /> a"])
def test_any_other_tag_is_read_aloud(text: str) -> None:
    socket = Socket()
    socket.begin()
    assert spoken(socket.text(f"{text} <flush>")) == text.split()


def test_there_is_no_flush_message() -> None:
    socket = Socket()
    socket.begin()
    refused(socket.receive("flush"), 1002)


def test_more_text_than_can_be_kept_is_1008() -> None:
    for text in ("x" * (LONGEST_WORD + 1), "x " * (MOST_WAITING_WORDS + 1)):
        socket = Socket()
        socket.begin()
        refused(socket.receive("text", text=text), 1008)


# Answers


def test_a_sound_is_its_words_and_its_audio() -> None:
    socket = Socket()
    key = socket.begin(client_req_id="ä").key
    sound = Sound(b"0123", 8_000, 8_640, (SpokenWord('"a"', 8_010, 9_000),))
    text, audio = map(orjson.loads, socket.rules.sound(key, sound))
    end = {"stream_id": 0, "client_req_id": "ä"}
    assert text == {"type": "text", "text": '"a"', "start_s": 1.00125, "stop_s": 1.125, **end}
    assert binascii.a2b_base64(audio.pop("audio")) == b"0123"
    assert audio == {"type": "audio", "start_s": 1.0, "stop_s": 1.08, **end}


def test_words_without_sound_are_told_alone() -> None:
    socket = Socket()
    sound = Sound(b"", 0, 0, (SpokenWord("…", 0, 0),))
    assert [orjson.loads(message)["type"] for message in socket.rules.sound(socket.begin().key, sound)] == ["text"]


def test_one_stream_too_many_and_a_broken_voice_are_told_with_the_codes_for_them() -> None:
    for refusal, code in ((Gradium.over_limit, 1008), (lambda rules, key: rules.broken(key, "why"), 1011)):
        socket = Socket()
        refused(refusal(socket.rules, socket.begin().key), code)


def test_a_socket_without_a_request_is_closed_with_1008_when_its_time_is_over() -> None:
    rules = Gradium(frozenset({KEY}), idle_s=60.0)
    rules.upgrading({"x-api-key": KEY}, {})
    assert rules.connected() == [Wake("idle", 60.0)]
    busy, begin = rules.received('{"type":"setup","close_ws_on_eos":false}')
    assert busy == Wake("idle", None)
    assert isinstance(begin, Begin)
    assert rules.finished(begin.key)[-1] == Wake("idle", 60.0)
    refused(rules.woke("idle"), 1008)


# Ends


def test_a_socket_for_one_request_closes_behind_it() -> None:
    socket = Socket()
    key = socket.begin().key
    socket.receive("end_of_stream")
    orders = socket.rules.finished(key)
    assert sent(orders) == [{"type": "end_of_stream"}]
    assert closes(orders) == [1000]


def test_a_reusable_socket_stays_until_an_end_without_a_request() -> None:
    socket = Socket()
    for _ in range(3):
        key = socket.begin(close_ws_on_eos=False).key
        socket.receive("end_of_stream")
        assert closes(socket.rules.finished(key)) == []
    assert socket.receive("end_of_stream") == [Close(1000)]


def test_an_end_without_an_id_waits_for_the_requests_that_are_active() -> None:
    socket = Socket()
    key = socket.begin(client_req_id="a", close_ws_on_eos=False).key
    assert socket.receive("end_of_stream") == []
    socket.receive("end_of_stream", client_req_id="a")
    assert closes(socket.rules.finished(key)) == [1000]


def test_requests_with_ids_are_apart() -> None:
    socket = Socket(word_lag=0)
    one = socket.begin(client_req_id="1", close_ws_on_eos=False)
    two = socket.begin(client_req_id="2", close_ws_on_eos=False)
    assert socket.text("a", client_req_id="1") == [Speak(one.key, ("a",))]
    assert socket.text("b", client_req_id="2") == [Speak(two.key, ("b",))]
    socket.receive("end_of_stream", client_req_id="1")
    assert sent(socket.rules.finished(one.key)) == [{"type": "end_of_stream", "client_req_id": "1"}]
    assert socket.text("c", client_req_id="2") == [Speak(two.key, ("c",))]


def test_an_error_with_an_id_ends_only_its_request() -> None:
    socket = Socket(word_lag=0)
    one = socket.begin(client_req_id="1", close_ws_on_eos=False)
    two = socket.begin(client_req_id="2", close_ws_on_eos=False)
    orders = socket.rules.failed(one.key, 1011, "worker failure")
    assert orders[0] == Abandon(one.key)
    assert sent(orders) == [{"type": "error", "message": "worker failure", "code": 1011, "client_req_id": "1"}]
    assert closes(orders) == []
    assert socket.text("b", client_req_id="2") == [Speak(two.key, ("b",))]
    assert socket.rules.finished(one.key) == []


def test_text_for_an_id_that_is_not_active_is_an_error_of_that_id() -> None:
    socket = Socket()
    socket.begin(client_req_id="1", close_ws_on_eos=False)
    orders = socket.receive("text", text="a", client_req_id="2")
    assert [(message["code"], message["client_req_id"]) for message in sent(orders)] == [(1002, "2")]
    assert closes(orders) == []


def test_an_error_without_an_id_ends_the_socket_and_all_its_requests() -> None:
    socket = Socket()
    one = socket.begin(client_req_id="1", close_ws_on_eos=False)
    two = socket.begin(close_ws_on_eos=False)
    orders = socket.rules.failed(two.key, 1011, "x" * 200)
    assert {Abandon(one.key), Abandon(two.key)} <= set(orders)
    assert isinstance(orders[-1], Close)
    assert (orders[-1].code, len(orders[-1].reason)) == (1011, 123)


def test_an_error_of_the_only_request_closes_a_socket_that_is_not_reusable() -> None:
    socket = Socket()
    orders = socket.receive("setup", client_req_id="a", output_format="mp3")
    assert sent(orders)[0]["client_req_id"] == "a"
    assert closes(orders) == [1008]
