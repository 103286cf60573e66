"""KugelAudio's rules, fed by hand."""

from typing import Any

import orjson
import pytest

from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.kugelaudio import LATE, MULTI_PATH, ONE_SHOT_PATH, PATHS, STREAM_PATH
from saystream.compose.standin.kugelaudio.multi import MOST_CONTEXTS
from saystream.compose.standin.kugelaudio.one_shot import LONGEST_TEXT
from saystream.compose.standin.kugelaudio.settings import LANGUAGES, OUTPUT_FORMATS, SAMPLE_RATES
from saystream.compose.standin.kugelaudio.stream import MOST_WAITING_MESSAGES
from saystream.compose.standin.orders import Abandon, Close, Finish, Key, Pause, Speak
from tests.compose.standin.kugelaudio_hand import KEY, Hand, audio_bytes, codes, kinds, only

EVERY_PATH = pytest.mark.parametrize("path", PATHS)
VOICE = {"voice_id": "marker"}
INVALID = ("VALIDATION_ERROR", 400)


def stream(**options: Any) -> Hand:
    """A socket of /ws/tts/stream that knows its voice."""
    hand = Hand(STREAM_PATH, **options)
    assert hand.receive(**VOICE) == []
    return hand


def multi(*contexts: str, **options: Any) -> Hand:
    """A socket of /ws/tts/multi with some contexts."""
    hand = Hand(MULTI_PATH, **options)
    for name in contexts:
        assert kinds(hand.receive(text=" ", context_id=name, voice_settings=VOICE)) == ["context_created"]
    return hand


# Opening


@EVERY_PATH
@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {"api_key": KEY}),
        ({"authorization": f"Bearer {KEY}"}, {}),
        ({"authorization": f"bearer {KEY}"}, {}),
        ({"x-api-key": KEY}, {"sdk": "python"}),
    ],
)
def test_the_key_may_come_in_three_ways(path: str, headers: dict[str, str], query: dict[str, str]) -> None:
    rules = PATHS[path](Behaviour(api_keys=frozenset({KEY})))
    assert rules.upgrading(headers, query) is None
    assert rules.connected() == []


@EVERY_PATH
@pytest.mark.parametrize("key", [None, "", "other", f"eu-{KEY}"])
def test_a_bad_key_is_403_before_the_upgrade(path: str, key: str | None) -> None:
    rules = PATHS[path](Behaviour(api_keys=frozenset({KEY})))
    refusal = rules.upgrading({}, {} if key is None else {"api_key": key})
    assert refusal is not None
    assert refusal.status == 403
    assert orjson.loads(refusal.body)["error_code"] == "UNAUTHORIZED"
    assert refusal.headers["x-request-id"]


@EVERY_PATH
def test_some_bad_keys_are_4001_after_the_upgrade(path: str) -> None:
    rules = PATHS[path](Behaviour())
    assert rules.upgrading({}, {"api_key": f"{LATE}key"}) is None
    error, close = rules.connected()
    assert codes([orjson.loads(error.message)]) == [("UNAUTHORIZED", 401)]  # type: ignore[union-attr]
    assert close == Close(4001, "UNAUTHORIZED")
    assert rules.received('{"text":"a"}') == []


@EVERY_PATH
def test_an_idle_socket_is_closed_after_so_long(path: str) -> None:
    hand = Hand(path, Behaviour(api_keys=frozenset({KEY}), idle_socket_s=60), speaks=False)
    assert hand.timers == {"socket": 60}
    hand.receive(text="One.", flush=True, context_id="c", voice_settings=VOICE, **VOICE)
    assert "socket" not in hand.timers
    hand.speak()
    hand.receive(close_context=True, context_id="c", cancel=path != MULTI_PATH)
    hand.speak()
    hand.wake("socket")
    assert hand.closed == 1000


@EVERY_PATH
@pytest.mark.parametrize("message", [b"{}", "{", "[]", '"text"', '{"text":3}', '{"cancel":"yes"}'])
def test_what_is_no_message_is_400_and_the_socket_stays(path: str, message: str | bytes) -> None:
    hand = Hand(path)
    assert codes(hand.raw(message)) == [INVALID]
    assert hand.closed is None
    assert hand.sent[0]["request_id"]


# Generation fields


@EVERY_PATH
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("model_id", ["kugel-4", "kugel", 3, ""]),
        ("temperature", [-0.1, 1.1, "0.5", True]),
        ("speed", [0.79, 1.21, "1"]),
        ("sample_rate", [11_025, 48_000, "24000", 24_000.0]),
        ("output_format", ["mp3", "pcm_44100", "ulaw_16000", 1]),
        ("normalize", ["true", 1]),
        ("language", ["de-DE", "xx", "", 1]),
        ("word_timestamps", [1]),
        ("speaker_prefix", ["no"]),
        ("project_id", ["1", 1.5, True]),
        ("dictionary_ids", ["1", [1.5], [True], list(range(1, 52)), [1]]),
        ("flush_timeout_ms", [-1, "500"]),
        ("max_buffer_length", [0, 10_001, 1.5]),
    ],
)
def test_a_field_out_of_its_range_is_400(path: str, field: str, values: list[Any]) -> None:
    for value in values:
        hand = Hand(path)
        assert codes(hand.receive(text="a", context_id="c", voice_settings=VOICE, **VOICE, **{field: value})) == [
            INVALID
        ]
        assert hand.begun == []
        assert hand.closed is None


@pytest.mark.parametrize(
    ("field", "values"), [("voice_id", [True, 1.5, "", [1]]), ("cfg_scale", ["2"]), ("max_new_tokens", [0, 2_049, 1.5])]
)
def test_the_fields_of_a_context_are_looked_at_where_they_count(field: str, values: list[Any]) -> None:
    for value in values:
        assert codes(Hand(STREAM_PATH).receive(**{"text": "a", **VOICE, field: value})) == [INVALID]
        own = {**VOICE, field: value}
        assert codes(Hand(MULTI_PATH).receive(text="a", context_id="c", voice_settings=own)) == [INVALID]
    hand = multi("c")
    assert hand.receive(text="", **{field: values[0]}) == []


@pytest.mark.parametrize(("asked", "effective"), [(9, 2.5), (0, 1.2), (2.2, 2.2)])
def test_cfg_scale_is_clamped(asked: float, effective: float) -> None:
    hand = Hand(STREAM_PATH)
    assert hand.receive(cfg_scale=asked) == []
    (answer,) = hand.receive(update_settings={"speed": 1.0})
    assert answer["settings"]["cfg_scale"] == effective


@pytest.mark.parametrize(
    "model", ["kugel-3.5", "kugel-3", "kugel-2.5", "kugel-2-turbo", "kugel-2", "kugel-1", "kugel-1-turbo"]
)
def test_models_old_and_new_are_accepted(model: str) -> None:
    hand = stream()
    hand.receive(text="a", flush=True, model_id=model)
    assert hand.sent[-1]["usage"]["model_id"] == model


def test_39_languages_are_known() -> None:
    assert len(LANGUAGES) == 39


@pytest.mark.parametrize("voice", [1071, "marker", "0"])
def test_a_voice_is_a_number_or_a_name(voice: int | str) -> None:
    hand = Hand(STREAM_PATH)
    hand.receive(text="a", voice_id=voice)
    assert hand.begun[0].voice == str(voice)


@EVERY_PATH
def test_without_a_voice_there_is_no_turn(path: str) -> None:
    hand = Hand(path)
    assert codes(hand.receive(text="a", context_id="c")) == [("MISSING_VOICE_ID", 400)]
    assert codes(hand.receive(text="a", context_id="c", voice_settings={})) == [("MISSING_VOICE_ID", 400)]
    assert hand.begun == []


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_audio_is_pcm_at_the_rate_asked_for(rate: int) -> None:
    hand = stream()
    (audio,) = only(hand.receive(text="a", flush=True, sample_rate=rate), "audio")
    assert hand.begun[0].format == AudioFormat("pcm", rate)
    assert (audio["enc"], audio["sr"], audio_bytes(audio)) == ("pcm_s16le", rate, 2 * audio["samples"])


@pytest.mark.parametrize(
    ("name", "encoding"), [("ulaw_8000", "mulaw"), ("alaw_8000", "alaw"), ("pcm_8000", "pcm_s16le")]
)
def test_a_format_names_encoding_and_rate(name: str, encoding: str) -> None:
    hand = stream()
    (audio,) = only(hand.receive(text="a", flush=True, output_format=name), "audio")
    assert hand.begun[0].format == OUTPUT_FORMATS[name]
    assert (audio["enc"], audio["sr"], audio["samples"]) == (encoding, 8_000, 800)


@pytest.mark.parametrize(
    ("rate", "output_format", "fits"),
    [
        (24_000, "pcm_8000", True),
        (8_000, "ulaw_8000", True),
        (16_000, "pcm_8000", False),
        (44_100, "pcm_24000", False),
    ],
)
def test_a_format_must_not_contradict_a_rate(rate: int, output_format: str, fits: bool) -> None:
    hand = stream()
    assert codes(hand.receive(sample_rate=rate, output_format=output_format)) == ([] if fits else [INVALID])
    hand = stream()
    assert hand.receive(sample_rate=rate) == []
    assert codes(hand.receive(output_format=output_format)) == ([] if fits else [INVALID])


def test_dictionaries_need_their_project() -> None:
    assert codes(stream().receive(dictionary_ids=[1], project_id=7)) == []
    assert codes(stream().receive(dictionary_ids=[])) == []
    assert codes(stream().receive(dictionary_ids=[0], project_id=7)) == [("NOT_FOUND", 404)]


def test_null_and_unknown_fields_are_ignored() -> None:
    hand = stream()
    assert hand.receive(temperature=None, language=None, auto_mode=True, chunk_length_schedule=[5, 80]) == []


# /ws/tts


def one_shot(**fields: Any) -> list[dict[str, Any]]:
    return Hand(ONE_SHOT_PATH).receive(**{"text": "One. Two words.", **VOICE, **fields})


def test_a_request_is_audio_then_final() -> None:
    *audio, final = one_shot(sample_rate=8_000, speed=1.1)
    assert kinds(audio) == ["audio"] * 3
    assert [message["idx"] for message in audio] == [0, 1, 2]
    assert final == {
        "final": True,
        "chunks": 3,
        "total_samples": 7_200,  # the model's own, at 24 kHz
        "dur_ms": 300.0,
        "gen_ms": 22.5,
        "rtf": 0.075,
        "debug": {"original_text": "One. Two words.", "ttfa_ms": 42.1, "speed": 1.1},
        "usage": {
            "audio_seconds": 0.3,
            "characters": 15,
            "cost_cents": 0.024,
            "currency": "eur",
            "model_id": "kugel-3",
        },
    }


def test_a_requests_words_are_timed_from_its_start() -> None:
    (stamps,) = only(one_shot(word_timestamps=True), "word_timestamps")
    assert [(word["word"], word["start_ms"], word["end_ms"]) for word in stamps["word_timestamps"]] == [
        ("One.", 0, 100),
        ("Two", 100, 200),
        ("words.", 200, 300),
    ]


@pytest.mark.parametrize(
    ("text", "error"), [("", INVALID), (" \n", INVALID), ("a" * (LONGEST_TEXT + 1), ("VALIDATION_ERROR", 413))]
)
def test_a_requests_text_is_neither_empty_nor_too_long(text: str, error: tuple[str, int]) -> None:
    assert codes(one_shot(text=text)) == [error]
    assert kinds(one_shot(text="a" * LONGEST_TEXT))[-1] == "final"


def test_a_request_keeps_its_fields_to_itself() -> None:
    hand = Hand(ONE_SHOT_PATH)
    hand.receive(text="a", **VOICE)
    assert codes(hand.receive(text="a")) == [("MISSING_VOICE_ID", 400)]


def test_updated_settings_are_for_what_later_requests_leave_out() -> None:
    hand = Hand(ONE_SHOT_PATH)
    (answer,) = hand.receive(update_settings={"speed": 0.9})
    assert answer["settings"]["temperature"] == 0.4
    assert hand.receive(text="a", **VOICE)[-1]["debug"]["speed"] == 0.9
    assert hand.receive(text="a", speed=1.2, **VOICE)[-1]["debug"]["speed"] == 1.2


def test_one_request_at_a_time() -> None:
    hand = Hand(ONE_SHOT_PATH, speaks=False)
    hand.receive(text="first", **VOICE)
    assert codes(hand.receive(text="second", **VOICE)) == [INVALID]
    assert kinds(hand.speak()) == ["audio", "final"]
    hand.receive(text="second", **VOICE)
    assert kinds(hand.speak()) == ["audio", "final"]


@EVERY_PATH
def test_a_cancelled_request_says_no_more_than_that(path: str) -> None:
    hand = Hand(path, speaks=False)
    hand.receive(text="first second", flush=True, context_id="c", voice_settings=VOICE, **VOICE)
    hand.speak(2)
    assert kinds(hand.receive(cancel=True)) == ["interrupted"]
    assert hand.speak() == []
    assert hand.rules.sound(Key(1), None) == []  # type: ignore[arg-type]
    assert kinds(hand.receive(cancel=True)) == ["interrupted"]


# /ws/tts/stream


def test_a_turn_as_the_documents_show_it() -> None:
    hand = Hand(STREAM_PATH)
    assert hand.receive(voice_id=1071, model_id="kugel-3", language="en") == []
    assert hand.receive(text="Hello ") == hand.receive(text="there. ") == []
    assert hand.receive(text="Second one") == [
        {"generation_started": True, "chunk_id": 0, "text": "Hello there. "},
        {"audio": "A" * 6_400, "enc": "pcm_s16le", "idx": 0, "sr": 24_000, "samples": 2_400, "chunk_id": 0},
        {"audio": "A" * 6_400, "enc": "pcm_s16le", "idx": 1, "sr": 24_000, "samples": 2_400, "chunk_id": 0},
        {"chunk_complete": True, "chunk_id": 0, "audio_seconds": 0.2, "gen_ms": 15.0},
    ]
    totals = {"total_audio_seconds": 0.4, "total_text_chunks": 2, "total_audio_chunks": 4}
    answer = hand.receive(flush=True)
    assert kinds(answer[:-2]) == ["generation_started", "audio", "audio", "chunk_complete"]
    assert [message["idx"] for message in only(answer, "audio")] == [2, 3]
    assert answer[-2:] == [
        {"final": True, **totals},
        {
            "session_closed": True,
            **totals,
            "usage": {
                "audio_seconds": 0.4,
                "characters": 23,
                "cost_cents": 0.032,
                "currency": "eur",
                "model_id": "kugel-3",
            },
        },
    ]
    assert [(begin.voice, begin.frame_ms) for begin in hand.begun] == [("1071", 200)]
    assert [(note.text, note.flushes) for note in hand.notes] == [
        ("Hello ", 0),
        ("there. ", 0),
        ("Second one", 0),
        ("", 1),
    ]


def test_each_turn_counts_for_itself_and_keeps_the_configuration() -> None:
    hand = stream()
    for _ in range(2):
        answer = hand.receive(text="Word.", flush=True)
        assert [answer[0]["chunk_id"], answer[1]["idx"]] == [0, 0]
    assert [begin.voice for begin in hand.begun] == ["marker", "marker"]
    assert len({begin.key for begin in hand.begun}) == 2


def test_configuration_may_ride_on_the_first_text() -> None:
    hand = Hand(STREAM_PATH)
    hand.receive(text="Word.", flush=True, sample_rate=8_000, **VOICE)
    hand.receive(text="Word.", flush=True)
    assert [begin.format.rate for begin in hand.begun] == [8_000, 8_000]


def test_configuration_in_the_middle_of_a_turn_is_for_the_next_one() -> None:
    hand = stream()
    hand.receive(text="Word.")
    hand.receive(sample_rate=8_000)
    assert only(hand.receive(flush=True), "audio")[0]["sr"] == 24_000
    assert only(hand.receive(text="Word.", flush=True), "audio")[0]["sr"] == 8_000


def test_a_message_that_is_wrong_changes_nothing() -> None:
    hand = stream()
    assert codes(hand.receive(text="lost", sample_rate=8_000, speed=3)) == [INVALID]
    hand.receive(text="Word.", flush=True)
    assert (hand.spoken, hand.begun[0].format.rate) == (["Word."], 24_000)


@pytest.mark.parametrize("field", ["flush", "close", "end_session", "close_socket"])
def test_the_end_of_a_turn_speaks_what_has_not_been_spoken(field: str) -> None:
    hand = stream()
    hand.receive(text="no sentence")
    assert kinds(hand.receive(**{field: True}))[-2:] == ["final", "session_closed"]
    assert hand.spoken == ["no", "sentence"]
    assert hand.closed == (1000 if field == "close_socket" else None)


def test_a_turn_of_blanks_costs_nothing() -> None:
    final, closed = stream().receive(text=" ", flush=True)
    assert (final["total_audio_seconds"], closed["total_text_chunks"]) == (0.0, 0)
    assert "usage" not in closed


@pytest.mark.parametrize("field", ["close", "end_session", "flush"])
def test_the_end_of_no_turn_is_the_end_of_an_empty_session(field: str) -> None:
    hand = stream()
    hand.receive(text="Word.", flush=True)
    assert hand.receive(**{field: True}) == [
        {"session_closed": True, "total_audio_seconds": 0.0, "total_text_chunks": 0, "total_audio_chunks": 0}
    ]


def test_a_cancel_does_not_forget_that_the_socket_is_to_be_closed() -> None:
    hand = stream(speaks=False)
    hand.receive(text="Word.", close_socket=True)
    assert kinds(hand.receive(cancel=True)) == ["interrupted"]
    assert hand.closed == 1000


def test_a_close_while_the_flushed_turn_is_spoken_ends_another_session_after_it() -> None:
    hand = stream(speaks=False)
    hand.receive(text="Word.", flush=True)
    assert hand.receive(close=True) == []
    assert kinds(hand.speak())[-3:] == ["final", "session_closed", "session_closed"]


def test_what_comes_while_a_turn_is_ending_is_the_next_turn() -> None:
    hand = stream(speaks=False)
    hand.receive(text="First.", flush=True)
    assert hand.receive(text="Second") == hand.receive(text=" turn.", flush=True) == hand.receive(text="Third") == []
    assert len(hand.begun) == 1
    assert kinds(hand.speak()).count("session_closed") == 2
    assert hand.spoken == ["First.", "Second", "turn."]
    assert len(hand.begun) == 3


def test_what_waits_for_the_next_turn_is_bounded() -> None:
    hand = stream(speaks=False)
    hand.receive(text="First.", flush=True)
    for _ in range(MOST_WAITING_MESSAGES):
        assert hand.receive(text="a") == []
    assert codes(hand.receive(text="a")) == [INVALID]


def test_a_sentence_that_nothing_confirms_goes_out_after_the_flush_timeout() -> None:
    hand = stream(behaviour=Behaviour(api_keys=frozenset({KEY}), flush_timeout_s=0.3))
    hand.receive(text="Not yet")
    assert not any(name.startswith("flush") for name in hand.timers)
    hand.receive(text=" but now.")
    assert hand.timers["flush 1"] == 0.3
    assert kinds(hand.wake("flush"))[0] == "generation_started"
    assert kinds(hand.receive(text="More", flush=True))[-1] == "session_closed"
    assert not any(name.startswith("flush") for name in hand.timers)


def test_what_follows_stops_the_flush_timeout() -> None:
    hand = stream()
    hand.receive(text="A sentence.")
    hand.receive(text=" And")
    assert not any(name.startswith("flush") for name in hand.timers)


def test_a_client_may_choose_the_flush_timeout_and_the_longest_chunk() -> None:
    hand = stream()
    hand.receive(flush_timeout_ms=80, max_buffer_length=10)
    hand.receive(text="Hello.")
    assert hand.timers["flush 1"] == 0.08
    hand.receive(text=" one two three")
    assert [message["text"] for message in only(hand.sent, "generation_started")] == ["Hello. ", "one two "]


def test_a_turn_without_text_for_long_is_ended() -> None:
    hand = stream()
    hand.receive(text="Thinking about")
    assert hand.timers["idle"] == 5.0
    answer = hand.wake("idle")
    assert kinds(answer)[0] == "warning"
    assert kinds(answer)[-2:] == ["final", "session_closed"]
    assert hand.spoken == ["Thinking", "about"]
    hand.receive(text="it", flush=True)
    assert len(hand.begun) == 2
    assert hand.timers == {}


def test_only_text_keeps_a_turn_open() -> None:
    hand = stream()
    hand.receive(text="a")
    before = len(hand.orders)
    hand.receive(text="")
    hand.receive(speed=1.1)
    assert hand.orders[before:] == []


def test_a_cancel_drops_what_waits_and_the_next_text_is_a_new_turn() -> None:
    hand = stream(speaks=False)
    hand.receive(text="One. Two. Three.", flush=True)
    hand.receive(text="queued")
    hand.speak(3)
    key = hand.begun[0].key
    before = len(hand.orders)
    assert hand.receive(cancel=True) == [{"interrupted": True}]
    assert Abandon(key) in hand.orders[before:]
    assert hand.timers == {}
    hand.receive(text="Four.", flush=True)
    assert [message["text"] for message in only(hand.speak(), "generation_started")] == ["Four."]


@pytest.mark.parametrize(("forgets", "told"), [(False, []), (True, [("MISSING_VOICE_ID", 400)])])
def test_a_cancel_may_take_the_configuration_back(forgets: bool, told: list[tuple[str, int]]) -> None:
    hand = stream(behaviour=Behaviour(api_keys=frozenset({KEY}), forgets_after_cancel=forgets))
    hand.receive(text="One.")
    hand.receive(cancel=True)
    assert codes(hand.receive(text="Two.", flush=True)) == told
    assert codes(hand.receive(text="Three.", flush=True, **VOICE)) == []


@EVERY_PATH
def test_word_times_may_come_so_late_that_their_request_is_over(path: str) -> None:
    hand = Hand(path, Behaviour(api_keys=frozenset({KEY}), words_late_s=0.2))
    asked = {"text": "One two.", "flush": True, "word_timestamps": True, "context_id": "c"}
    came = hand.receive(**asked, voice_settings=VOICE, **VOICE)
    if path == MULTI_PATH:
        came += hand.receive(close_context=True, context_id="c")
    assert kinds(came)[-1] == {STREAM_PATH: "session_closed", MULTI_PATH: "context_closed"}.get(path, "final")
    assert "word_timestamps" not in kinds(came)
    assert [after_s for label, after_s in hand.timers.items() if label.startswith("words")] == [0.2]
    [late] = hand.wake("words")
    assert [stamp["word"] for stamp in late["word_timestamps"]] == ["One", "two."]


@pytest.mark.parametrize("path", [STREAM_PATH, ONE_SHOT_PATH, MULTI_PATH])
@pytest.mark.parametrize(
    "field", ["voice_id", "model_id", "sample_rate", "output_format", "project_id", "dictionary_ids", "anything"]
)
def test_only_six_settings_can_be_updated(path: str, field: str) -> None:
    hand = Hand(path)
    assert codes(hand.receive(update_settings={"speed": 1.1, field: 1})) == [INVALID]
    assert hand.receive(update_settings={"normalize": False})[0]["settings"]["speed"] == 1.0


@pytest.mark.parametrize("update", [{}, None, [], "speed", {"speed": 2}, {"temperature": 3}, {"language": "de-DE"}])
def test_an_update_that_is_wrong_is_refused(update: Any) -> None:
    assert codes(stream().receive(update_settings=update)) == [INVALID]


def test_an_update_in_the_middle_of_a_turn_is_answered_at_once() -> None:
    hand = stream(speaks=False)
    hand.receive(text="One.", flush=True)
    assert kinds(hand.receive(update_settings={"speed": 1.1})) == ["settings_updated"]


def test_an_unknown_voice_is_the_end_of_the_turn_only() -> None:
    hand = Hand(STREAM_PATH, refuses=("nobody",))
    assert codes(hand.receive(text="Word.", flush=True, voice_id="nobody")) == [("NOT_FOUND", 404)]
    assert kinds(hand.receive(text="Word.", flush=True, **VOICE))[-1] == "session_closed"


# Timestamps


def test_words_are_timed_from_the_start_of_their_chunk_after_its_audio() -> None:
    hand = stream()
    answer = hand.receive(
        text='One two. A <break time="400ms"/>b.', flush=True, word_timestamps=True, sample_rate=8_000
    )
    per_chunk = ["generation_started", "audio", "audio", "word_timestamps", "chunk_complete"]
    assert kinds(answer) == [*per_chunk, *per_chunk[:2], *per_chunk[1:], "final", "session_closed"]
    first, second = only(answer, "word_timestamps")
    assert first == {
        "word_timestamps": [
            {"word": "One", "start_ms": 0, "end_ms": 100, "char_start": 0, "char_end": 3, "score": 1.0},
            {"word": "two.", "start_ms": 100, "end_ms": 200, "char_start": 4, "char_end": 8, "score": 1.0},
        ],
        "chunk_id": 0,
    }
    assert [(word["word"], word["start_ms"]) for word in second["word_timestamps"]] == [("A", 0), ("b.", 500)]


def test_a_pause_is_spoken_between_its_words() -> None:
    hand = stream()
    hand.receive(text='A <break time="1s"/>b', flush=True)
    assert hand.spoken == ["A", Pause(0.5), "b"]


# Errors


@pytest.mark.parametrize(
    ("code", "error_code", "status", "close"),
    [
        (400, "VALIDATION_ERROR", 400, None),
        (401, "UNAUTHORIZED", 401, 4001),
        (402, "INSUFFICIENT_CREDITS", 402, 4003),
        (403, "UNAUTHORIZED", 403, 4001),
        (404, "NOT_FOUND", 404, None),
        (413, "VALIDATION_ERROR", 413, None),
        (429, "RATE_LIMITED", 429, 4029),
        (500, "INTERNAL_ERROR", 500, None),
        (503, "MODEL_UNAVAILABLE", 503, 4500),
        (4000, "INTERNAL_ERROR", 500, 4000),
        (4029, "RATE_LIMITED", 429, 4029),
    ],
)
@pytest.mark.parametrize("path", [STREAM_PATH, MULTI_PATH])
def test_an_error_ends_its_turn_or_the_socket(
    path: str, code: int, error_code: str, status: int, close: int | None
) -> None:
    hand = Hand(path, speaks=False)
    for name in ("a", "b") if path == MULTI_PATH else ("a",):
        hand.receive(text="One. Two", context_id=name, voice_settings=VOICE, **VOICE)
    hand.sent.clear()
    key = hand.begun[0].key
    hand.obey(hand.rules.failed(key, code, "so it goes"))
    assert codes(hand.sent) == [(error_code, status)]
    assert hand.sent[0]["error"] == "so it goes"
    assert hand.sent[0].get("context_id") == ("a" if path == MULTI_PATH and close is None else None)
    assert hand.closed == close
    assert Abandon(key) in hand.orders
    assert (Key(2) in hand.steps) == (path == MULTI_PATH and close is None)
    assert hand.rules.failed(key, 500, "again") == []


def test_empty_audio_has_no_status() -> None:
    hand = stream(speaks=False)
    hand.receive(text="One.")
    hand.obey(hand.rules.failed(hand.begun[0].key, 0, "no audio"))
    assert hand.sent[-1]["error_code"] == "EMPTY_AUDIO"
    assert "code" not in hand.sent[-1]


@EVERY_PATH
def test_one_stream_too_many_is_4029_and_a_broken_engine_500(path: str) -> None:
    for tell, error, close in (
        ("over_limit", ("RATE_LIMITED", 429), 4029),
        ("broken", ("INTERNAL_ERROR", 500), None),
    ):
        hand = Hand(path, speaks=False)
        hand.receive(text="One.", context_id="a", voice_settings=VOICE, **VOICE)
        arguments = (hand.begun[0].key,) if tell == "over_limit" else (hand.begun[0].key, "why")
        hand.obey(getattr(hand.rules, tell)(*arguments))
        assert codes(hand.sent) == [error]
        assert hand.closed == close


def test_after_an_error_the_socket_speaks_the_next_turn() -> None:
    hand = stream(speaks=False)
    hand.receive(text="One.", flush=True)
    hand.receive(text="Two.", flush=True)
    hand.obey(hand.rules.failed(hand.begun[0].key, 500, "so it goes"))
    assert [message["text"] for message in only(hand.speak(), "generation_started")] == ["Two."]


# /ws/tts/multi


def test_the_first_text_that_is_not_empty_makes_a_context() -> None:
    hand = Hand(MULTI_PATH)
    assert hand.receive(text="", context_id="c", voice_settings=VOICE) == []
    assert hand.begun == []
    assert hand.receive(text=" ", context_id="c", voice_settings=VOICE) == [
        {"context_created": True, "context_id": "c"}
    ]
    assert hand.receive(text="Word.", context_id="c", flush=True)[-1] == {"final": True, "context_id": "c"}
    assert {message["context_id"] for message in hand.sent} == {"c"}
    assert only(hand.sent, "audio")[0]["chunk_id"] == 0


def test_a_flush_leaves_its_context_usable_and_each_is_answered() -> None:
    hand = multi("c")
    assert kinds(hand.receive(flush=True, context_id="c")) == ["final"]
    for text in ("One. Two", "Three"):
        answer = hand.receive(text=text, context_id="c", flush=True)
        assert kinds(answer)[-1] == "final"
    assert [message["chunk_id"] for message in only(hand.sent, "chunk_complete")] == [0, 1, 2]


def test_a_context_closed_gracefully_is_spoken_to_its_end() -> None:
    hand = multi("c")
    hand.receive(text="no sentence", context_id="c")
    answer = hand.receive(close_context=True, context_id="c")
    assert kinds(answer)[-2:] == ["final", "context_closed"]
    assert answer[-1]["usage"]["characters"] == 12  # with the blank that made it
    assert hand.timers == {}


def test_a_context_in_which_nothing_was_spoken_is_not_billed() -> None:
    assert multi("c").receive(close_context=True, context_id="c") == [
        {"final": True, "context_id": "c"},
        {"context_closed": True, "context_id": "c"},
    ]


def test_a_context_closed_immediately_is_silent_at_once() -> None:
    hand = multi("c", speaks=False)
    hand.receive(text="One two three", context_id="c", flush=True)
    hand.speak(3)
    (closed,) = hand.receive(close_context=True, context_id="c", immediate=True)
    assert (closed["context_closed"], closed["usage"]["audio_seconds"]) == (True, 0.2)
    assert hand.speak() == []


def test_to_close_a_context_twice_is_no_error() -> None:
    hand = multi("c", speaks=False)
    hand.receive(text="One", context_id="c")
    assert hand.receive(close_context=True, context_id="c") == hand.receive(close_context=True, context_id="c") == []
    assert kinds(hand.speak()).count("context_closed") == 1
    assert hand.receive(close_context=True, context_id="c") == []


def test_a_context_that_closes_takes_no_more_text() -> None:
    hand = multi("c", speaks=False)
    hand.receive(text="One", context_id="c")
    hand.receive(close_context=True, context_id="c")
    (error,) = hand.receive(text="Two", context_id="c")
    assert (error["error_code"], error["context_id"]) == ("VALIDATION_ERROR", "c")
    assert hand.receive(text="", context_id="c") == []


def test_an_id_may_be_used_again_when_its_context_is_closed() -> None:
    hand = multi("c")
    hand.receive(close_context=True, context_id="c", immediate=True)
    assert kinds(hand.receive(text="a", context_id="c", voice_settings=VOICE))[0] == "context_created"


def test_the_21st_context_is_refused_and_the_others_stay() -> None:
    names = [f"c{number}" for number in range(MOST_CONTEXTS)]
    hand = multi(*names)
    (error,) = hand.receive(text=" ", context_id="more", voice_settings=VOICE)
    assert (error["error_code"], error["code"], error["context_id"]) == ("TOO_MANY_CONTEXTS", 429, "more")
    assert kinds(hand.receive(text="Word.", context_id="c7", flush=True))[-1] == "final"
    hand.receive(close_context=True, context_id="c7")
    assert kinds(hand.receive(text=" ", context_id="more", voice_settings=VOICE)) == ["context_created"]


def test_a_cancel_of_one_context_leaves_the_others() -> None:
    hand = multi("a", "b", speaks=False)
    hand.receive(text="One two", context_id="a", flush=True)
    hand.receive(text="Three", context_id="b", flush=True)
    assert hand.receive(cancel=True, context_id="a") == [{"interrupted": True, "context_id": "a"}]
    assert {message["context_id"] for message in hand.speak()} == {"b"}
    assert hand.receive(cancel=True, context_id="unknown") == [{"interrupted": True, "context_id": "unknown"}]


def test_a_cancel_of_all_spares_those_that_are_closing() -> None:
    hand = multi("a", "b", speaks=False)
    for name in ("a", "b"):
        hand.receive(text="One two", context_id=name)
    hand.receive(close_context=True, context_id="b")
    assert hand.receive(cancel=True) == [{"interrupted": True}]
    assert kinds(hand.speak())[-1] == "context_closed"
    assert {message.get("context_id") for message in hand.sent[3:]} == {"b"}


def test_shared_fields_are_the_sockets_and_the_last_one_sent_counts() -> None:
    hand = multi("a")
    hand.receive(text="", sample_rate=16_000)
    hand.receive(
        text="x", context_id="b", voice_settings={**VOICE, "sample_rate": 8_000, "speed": 9}, sample_rate=22_050
    )
    hand.receive(text="x", context_id="c", voice_settings=VOICE)
    assert [begin.format.rate for begin in hand.begun] == [24_000, 22_050, 22_050]


def test_a_voice_at_the_top_level_only_prepares() -> None:
    hand = Hand(MULTI_PATH)
    assert hand.receive(text="", voice_id=1071, model_id="kugel-3") == []
    assert codes(hand.receive(text="x", context_id="a")) == [("MISSING_VOICE_ID", 400)]
    assert hand.sent[-1]["context_id"] == "a"


def test_a_context_without_messages_for_long_is_closed() -> None:
    hand = multi("c", speaks=False)
    assert hand.timers == {"context 1": 20.0}
    hand.receive(text="One two", context_id="c", flush=True)
    assert hand.wake("context") == []
    assert hand.timers == {"context 1": 20.0}  # it is being spoken
    hand.speak()
    hand.receive(text="rest", context_id="c")
    hand.wake("context")
    assert kinds(hand.speak())[-2:] == ["final", "context_closed"]
    assert hand.spoken == ["One", "two", "rest"]


def test_an_empty_text_keeps_its_context_alive() -> None:
    hand = multi("c")
    del hand.timers["context 1"]
    assert hand.receive(text="", context_id="c") == []
    assert hand.timers == {"context 1": 20.0}


def test_a_socket_closes_when_its_contexts_are_spoken_to_their_end() -> None:
    hand = multi("a", "b", speaks=False)
    hand.receive(text="One", context_id="a")
    hand.receive(text="Two", context_id="b")
    assert hand.receive(close_socket=True) == []
    assert hand.receive(text="late", context_id="a") == []
    said = kinds(hand.speak())
    assert (said.count("context_closed"), said[-1]) == (2, "session_closed")
    assert hand.sent[-1] == {"session_closed": True, "total_audio_seconds": 0.2}
    assert hand.closed == 1000


@pytest.mark.parametrize(
    "message",
    [
        {"text": "no context"},
        {"text": "a", "context_id": 3},
        {"text": "a", "context_id": ""},
        {"close_context": True},
        {"text": "a", "context_id": "c", "voice_settings": "marker"},
    ],
)
def test_a_message_that_misses_its_context_is_400(message: dict[str, Any]) -> None:
    assert codes(Hand(MULTI_PATH).receive(**message)) == [INVALID]


def test_an_unknown_voice_is_the_end_of_its_context_only() -> None:
    hand = Hand(MULTI_PATH, refuses=("nobody",))
    (error,) = hand.receive(text="a", context_id="c", voice_settings={"voice_id": "nobody"})
    assert (error["error_code"], error["context_id"]) == ("NOT_FOUND", "c")
    assert kinds(hand.receive(text="a", context_id="c", voice_settings=VOICE))[0] == "context_created"


def test_the_vendors_livekit_plugin_is_understood() -> None:
    hand = Hand(MULTI_PATH)
    assert hand.receive(text="", voice_id=1071, model_id="kugel-3.5") == []
    session = {"model_id": "kugel-3.5", "sample_rate": 24_000, "word_timestamps": True, "normalize": True}
    hand.receive(text="Hello ", context_id="c", voice_settings={"voice_id": 1071}, **session)
    hand.receive(text="there.", context_id="c")
    for _ in range(3):
        hand.receive(text="", context_id="c", flush=True)
    hand.receive(close_context=True, context_id="c")
    hand.receive(close_context=True, context_id="c", immediate=True)
    assert only(hand.sent, "error") == []
    assert kinds(hand.sent)[-1] == "context_closed"
    assert hand.spoken == ["Hello", "there."]


# Orders


@EVERY_PATH
def test_all_text_is_given_before_the_end_is_asked_for(path: str) -> None:
    hand = Hand(path)
    hand.receive(text="One. Two.", flush=True, context_id="c", voice_settings=VOICE, **VOICE)
    if path == MULTI_PATH:
        hand.receive(close_context=True, context_id="c")
    given = [type(order) for order in hand.orders if isinstance(order, Speak | Finish)]
    assert given.count(Finish) == 1
    assert given[-1] is Finish
