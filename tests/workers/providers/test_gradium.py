"""Gradium's protocol, without a socket."""

import base64
import json
from typing import Any

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.errors import Action, InvalidSettings, Scope, VendorError
from saystream.common.settings import ProviderSettings, VoiceSettings
from saystream.workers.providers.base import (
    AudioData,
    Cancel,
    Failed,
    Finished,
    OpenWord,
    Released,
    Started,
    StreamSpec,
    WordTime,
    WordTimes,
)
from saystream.workers.providers.gradium import Gradium, GradiumProtocol

SPEC = StreamSpec("voice-1", AudioFormat(sample_rate=24_000))
KEY = "a-secret-key"


def sent(frames: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in frames]


def provider(**options: Any) -> Gradium:
    return Gradium("gradium", ProviderSettings(api_key=KEY, options=options))  # type: ignore[arg-type]


def sequential() -> GradiumProtocol:
    return provider().protocol()


def multiplexed() -> GradiumProtocol:
    return provider(mode="multiplexed").protocol()


def failure(events: list[Any]) -> VendorError:
    [event] = events
    assert isinstance(event, Failed)
    return event.error


def test_a_turn_is_setup_phrases_one_flush_and_end_of_stream() -> None:
    protocol = sequential()
    stream, frames = protocol.open(SPEC)
    frames += protocol.text(stream, "Hello there,")
    frames += protocol.finish(stream, "old friend.")
    assert sent(frames) == [
        {
            "type": "setup",
            "model_name": "default",
            "voice_id": "voice-1",
            "output_format": "pcm_24000",
            "close_ws_on_eos": False,
        },
        {"type": "text", "text": "Hello there,"},
        {"type": "text", "text": "old friend. <flush>"},
        {"type": "end_of_stream"},
    ]


def test_a_turn_whose_last_phrase_has_gone_is_flushed_alone() -> None:
    protocol = sequential()
    stream, _ = protocol.open(SPEC)
    assert sent(protocol.finish(stream, ""))[0] == {"type": "text", "text": "<flush>"}


def test_single_use_lets_the_vendor_close() -> None:
    _, frames = provider(mode="single").protocol().open(SPEC)
    assert sent(frames)[0]["close_ws_on_eos"] is True
    assert provider(mode="single").capabilities.turns == 1


def test_voice_settings_go_into_json_config_as_a_string_and_pronunciation_does_not() -> None:
    spec = StreamSpec("v", AudioFormat(), "beta", "en", {"temp": 0.5, "pronunciation_id": "p1"})
    _, [setup] = provider(retry_for_s=2.0).protocol().open(spec)
    message = json.loads(setup)
    assert json.loads(message["json_config"]) == {"temp": 0.5}
    assert (message["pronunciation_id"], message["model_name"], message["retry_for_s"]) == ("p1", "beta", 2.0)


def test_what_the_vendor_says_is_told_in_our_words() -> None:
    protocol = sequential()
    stream, _ = protocol.open(SPEC)
    protocol.finish(stream, "Hi you")
    said = [
        {"type": "ready", "request_id": "r", "model_name": "m", "sample_rate": 24000, "frame_size": 1920},
        {"type": "text", "text": "Hi", "start_s": 0.1, "stop_s": 0.4, "stream_id": 0},
        {"type": "text", "text": "you", "start_s": 0.5, "stream_id": 0},
        {"type": "audio", "audio": base64.b64encode(b"\1\2").decode(), "start_s": 0, "stop_s": 0.08},
        {"type": "need_more_text"},
        {"type": "flushed"},
        {"type": "yet unknown"},
        {"type": "end_of_stream"},
    ]
    events = [event for message in said for event in protocol.receive(json.dumps(message))]
    assert events == [
        Started(stream, 24000),
        WordTimes(stream, (WordTime("Hi", 0.1, 0.4),)),
        WordTimes(stream, (OpenWord("you", 0.5, 0.5),)),
        AudioData(stream, b"\1\2"),
        Finished(stream),
    ]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ('{"type":"text","text":"x","stop_s":0.2}', [("x", 0.0, 0.2)]),
        # At 0.0 it would count as spoken before it is heard, and be lost if the stream breaks.
        ('{"type":"text","text":"x"}', ["warned"]),
        ('{"type":"text","start_s":1}', ["warned"]),
        ('{"type":"text","text":"x","start_s":1,"stop_s":2}', [("x", 1.0, 2.0)]),
        ('{"type":"text","text":" "}', []),
        ('{"type":"text","text":"x","start_s":"soon"}', ["warned"]),
        ('{"type":"ready"}', [24_000]),
        ('{"type":"ready","sample_rate":24000.0}', [24_000]),
    ],
)
def test_what_is_missing_or_odd_about_words_costs_no_audio(frame: str, told: list[Any]) -> None:
    protocol = sequential()
    protocol.open(SPEC)
    heard: list[Any] = []
    for event in protocol.receive(frame):
        match event:
            case WordTimes(words=words):
                heard += [tuple(word) for word in words]
            case Started(sample_rate=rate):
                heard.append(rate)
            case _:
                heard.append("warned")
    assert heard == told


def test_a_word_of_which_the_end_is_not_told_has_not_ended_where_it_begins() -> None:
    protocol = sequential()
    protocol.open(SPEC)
    said: list[type[WordTime]] = []
    for rest in ('"start_s":1', '"start_s":1,"stop_s":null', '"start_s":1,"stop_s":2'):
        [event] = protocol.receive(f'{{"type":"text","text":"x",{rest}}}')
        assert isinstance(event, WordTimes)
        said += map(type, event.words)
    assert said == [OpenWord, OpenWord, WordTime]


@pytest.mark.parametrize(
    ("code", "text", "scope", "action"),
    [
        (1008, "You have no credits remaining for this time period", Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        (1008, "Invalid authentication: timestamp invalid", Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        (1008, "Credit limit reached", Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        (None, "Invalid API key", Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        ("1008", "Invalid API key", Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        (1008, "Concurrency limit exceeded: timed out waiting for a slot", Scope.ACCOUNT, Action.RETRY_LATER),
        (1008, "Session limit exceeded", Scope.ACCOUNT, Action.RETRY_LATER),
        (1008, "Maximum number of sessions reached", Scope.ACCOUNT, Action.RETRY_LATER),
        (None, "Embeddings not found for x", Scope.SOCKET, Action.FIX_CONFIGURATION),
        (1008, "Rate limit exceeded", Scope.ACCOUNT, Action.RETRY_LATER),
        (1008, "Stream limit reached", Scope.ACCOUNT, Action.RETRY_LATER),
        (1008, "Session timed out", Scope.SOCKET, Action.RECONNECT),
        (1008, "Session time limit reached", Scope.SOCKET, Action.RECONNECT),
        (1008, "idle timeout", Scope.SOCKET, Action.RECONNECT),
    ],
)
def test_what_1008_means_its_words_say(code: Any, text: str, scope: Scope, action: Action) -> None:
    protocol = sequential()
    protocol.open(SPEC)
    (failed,) = protocol.receive(json.dumps({"type": "error", "code": code, "message": text}))
    assert isinstance(failed, Failed)
    assert (failed.error.scope, failed.error.action) == (scope, action)


def test_a_frame_that_is_not_of_the_protocol_fails_the_connection() -> None:
    protocol = sequential()
    protocol.open(SPEC)
    for frame in (
        "not json",
        "[]",
        '{"type":"audio"}',
        '{"type":"audio","audio":"%"}',
        '{"type":"ready","sample_rate":0}',
        b"\xff",
    ):
        error = failure(protocol.receive(frame))
        assert (error.scope, error.action) == (Scope.SOCKET, Action.RECONNECT)


def test_multiplexed_turns_are_told_apart_by_their_id() -> None:
    protocol = multiplexed()
    first, frames = protocol.open(SPEC)
    second, more = protocol.open(SPEC)
    assert [message["client_req_id"] for message in sent(frames + more)] == [first, second]
    protocol.finish(first, "x")
    assert sent(protocol.text(second, "x")) == [{"type": "text", "text": "x", "client_req_id": second}]
    protocol.finish(second, "")
    assert protocol.receive(json.dumps({"type": "end_of_stream", "client_req_id": second})) == [Finished(second)]
    assert protocol.receive(json.dumps({"type": "audio", "audio": "AAA=", "client_req_id": first})) == [
        AudioData(first, b"\0\0")
    ]


@pytest.mark.parametrize("last", ["end_of_stream", "error"])
def test_of_an_abandoned_turn_nothing_is_told_but_that_the_vendor_has_done_with_it(last: str) -> None:
    protocol = multiplexed()
    stream, _ = protocol.open(SPEC)
    assert sent(protocol.cancel(stream)) == [{"type": "end_of_stream", "client_req_id": stream}]
    assert protocol.cancel(stream) == protocol.text(stream, "late") == protocol.finish(stream, "late") == []
    for kind in ("ready", "audio", "text"):
        assert protocol.receive(json.dumps({"type": kind, "audio": "AAA=", "client_req_id": stream})) == []
    assert protocol.receive(json.dumps({"type": last, "client_req_id": stream})) == [Released(stream)]
    assert protocol.receive(json.dumps({"type": last, "client_req_id": stream})) == []


def test_a_turn_that_is_abandoned_after_its_end_is_not_ended_twice() -> None:
    protocol = multiplexed()
    stream, _ = protocol.open(SPEC)
    protocol.finish(stream, "Hello.")
    assert protocol.cancel(stream) == []
    assert protocol.receive(json.dumps({"type": "end_of_stream", "client_req_id": stream})) == [Released(stream)]


def test_a_turn_that_the_vendor_ends_before_its_text_has_failed() -> None:
    protocol = sequential()
    protocol.open(SPEC)
    error = failure(protocol.receive(json.dumps({"type": "end_of_stream"})))
    assert (error.scope, error.action) == (Scope.STREAM, Action.RECONNECT)


def test_an_error_with_an_id_ends_that_turn_only() -> None:
    protocol = multiplexed()
    first, _ = protocol.open(SPEC)
    protocol.open(SPEC)
    [event] = protocol.receive(json.dumps({"type": "error", "code": 1011, "message": "worker", "client_req_id": first}))
    assert isinstance(event, Failed)
    assert (event.stream, event.error.scope) == (first, Scope.STREAM)


@pytest.mark.parametrize(
    ("code", "message", "action"),
    [
        (1002, "input before setup", Action.GIVE_UP),
        (1008, "invalid API key", Action.FIX_CONFIGURATION),
        (1008, "concurrency limit reached", Action.RETRY_LATER),
        (1008, "bad output format", Action.FIX_CONFIGURATION),
        (1008, "idle for too long", Action.RECONNECT),
        (1008, "session duration limit reached", Action.RECONNECT),
        (1011, "Embeddings not found for x", Action.FIX_CONFIGURATION),
        (1011, "worker failed", Action.RECONNECT),
        (None, "?", Action.RECONNECT),
    ],
)
def test_errors_are_classified_by_what_can_be_done(code: int | None, message: str, action: Action) -> None:
    protocol = sequential()
    error = failure(protocol.receive(json.dumps({"type": "error", "code": code, "message": message})))
    assert (error.action, error.code, error.text) == (action, code, message)


def test_a_close_before_the_end_can_be_tried_again() -> None:
    protocol = sequential()
    assert protocol.closed(1000, "").action is Action.RECONNECT
    assert protocol.closed(None, "").action is Action.RECONNECT
    assert protocol.closed(1008, "revoked key").action is Action.FIX_CONFIGURATION


def test_the_key_travels_in_a_header_and_the_path_is_the_vendors_unless_it_is_given() -> None:
    assert provider().handshake("").headers["x-api-key"] == KEY
    assert provider().handshake("").url == "wss://api.gradium.ai/api/speech/tts"
    for url, at in (("ws://localhost:1", "ws://localhost:1/api/speech/tts"), ("ws://localhost/x", "ws://localhost/x")):
        settings = ProviderSettings(api_key=KEY, url=url)  # type: ignore[arg-type]
        assert Gradium("g", settings).handshake("").url == at


def test_the_key_may_come_from_the_vendors_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIUM_API_KEY", "from-outside")
    assert Gradium("g", ProviderSettings()).handshake("").headers["x-api-key"] == "from-outside"


def test_what_cannot_work_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIUM_API_KEY", raising=False)
    with pytest.raises(InvalidSettings, match=r"providers\.g: no API key"):
        Gradium("g", ProviderSettings())
    with pytest.raises(InvalidSettings, match=r"providers\.gradium\.options: Gradium does not know speed"):
        provider(speed=2)
    with pytest.raises(InvalidSettings, match=r"providers\.gradium\.options\.mode must be one of single, sequential"):
        provider(mode="parallel")
    with pytest.raises(InvalidSettings, match=r"voices\.v\.settings: Gradium does not know tempo"):
        provider().check("v", VoiceSettings(provider="gradium", voice_id="x", settings={"tempo": 1}))
    with pytest.raises(InvalidSettings, match=r"voices\.v\.settings\.temp must be a number from 0 to 1\.5"):
        provider().check("v", VoiceSettings(provider="gradium", voice_id="x", settings={"temp": 2}))


def test_any_sample_rate_may_be_wanted_and_an_offered_one_is_asked_for() -> None:
    provider().check("v", VoiceSettings(provider="gradium", voice_id="x", sample_rate=11_025))
    rate = provider().capabilities.nearest_rate
    assert (rate(11_025), rate(24_000), rate(96_000)) == (16_000, 24_000, 48_000)


def test_options_may_come_from_the_environment_where_all_are_strings() -> None:
    abilities = provider(mode="multiplexed", streams="3", holds_chars="20").capabilities
    assert (abilities.streams, abilities.holds_chars) == (3, 20)


def test_multiplexing_changes_how_a_turn_is_cancelled() -> None:
    assert provider().capabilities.cancel is Cancel.CLOSE
    assert provider(mode="multiplexed", streams=4).capabilities.cancel is Cancel.ABANDON
    assert provider(mode="multiplexed", streams=4).capabilities.streams == 4
