"""KugelAudio's `/ws/tts/multi`, without a socket."""

import base64
import json
from typing import Any

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.errors import Action, InvalidSettings, Scope
from saystream.common.settings import ProviderSettings, VoiceSettings
from saystream.workers.providers.base import (
    AudioData,
    Failed,
    Finished,
    Protocol,
    Released,
    Started,
    StreamSpec,
    VendorEvent,
    Warned,
    WordTime,
    WordTimes,
)
from saystream.workers.providers.kugelaudio import KugelAudio

SPEC = StreamSpec("1071", AudioFormat(sample_rate=24_000), language="en", settings={"cfg_scale": 1.5, "speed": 1.1})
TENTH = bytes(4_800)


def provider(**options: Any) -> KugelAudio:
    settings = ProviderSettings(api_key="a-secret-key", options={"mode": "multi", **options})  # type: ignore[arg-type]
    return KugelAudio("kugelaudio", settings)


def sent(frames: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in frames]


def heard(protocol: Protocol, *messages: dict[str, Any]) -> list[VendorEvent]:
    return [event for message in messages for event in protocol.receive(json.dumps(message))]


def audio(stream: str, chunk: int = 0) -> dict[str, Any]:
    data = base64.b64encode(TENTH).decode()
    return {"audio": data, "enc": "pcm_s16le", "sr": 24_000, "idx": 0, "chunk_id": chunk, "context_id": stream}


def closed(stream: str) -> dict[str, Any]:
    return {"context_closed": True, "context_id": stream}


def failure(events: list[VendorEvent]) -> Failed:
    [event] = events
    assert isinstance(event, Failed)
    return event


def test_a_turn_is_a_context_with_its_settings_a_flush_and_a_close() -> None:
    protocol = provider().protocol()
    stream, frames = protocol.open(SPEC)
    for token in (" ", "Hello ", "there"):
        frames += protocol.text(stream, token)
    frames += protocol.flush(stream, ".")
    frames += protocol.finish(stream, " Bye.")
    assert sent(frames) == [
        {
            "text": " Hello ",
            "context_id": stream,
            "model_id": "kugel-3",
            "sample_rate": 24_000,
            "word_timestamps": True,
            "language": "en",
            "speed": 1.1,
            "voice_settings": {"voice_id": 1071, "cfg_scale": 1.5},
        },
        {"text": "there", "context_id": stream},
        {"text": ".", "flush": True, "context_id": stream},
        {"text": " Bye.", "flush": True, "context_id": stream},
        {"close_context": True, "context_id": stream},
    ]


def test_a_warm_socket_prepares_the_voice() -> None:
    assert sent(provider().protocol().prepare(SPEC)) == [{"text": "", "voice_id": 1071, "model_id": "kugel-3"}]


def test_turns_share_a_socket_if_all_that_is_the_sockets_is_the_same() -> None:
    binding = provider().binding
    same = StreamSpec("other", SPEC.format, language="en", settings={"cfg_scale": 2.5, "speed": 1.1})
    faster = StreamSpec("1071", SPEC.format, language="en", settings={"speed": 1.2})
    assert binding(SPEC) == binding(same) != binding(faster)
    assert "speed=1.1" in binding(SPEC)


def test_contexts_are_told_apart_and_each_has_its_own_clock() -> None:
    protocol = provider().protocol()
    (first, _), (second, _) = protocol.open(SPEC), protocol.open(SPEC)
    protocol.finish(first, "One.")
    protocol.finish(second, "Two.")
    word = {"word_timestamps": [{"word": "w", "start_ms": 0, "end_ms": 50}], "chunk_id": 1}
    events = heard(protocol, audio(first), audio(second), audio(first, 1), {**word, "context_id": first})
    assert events == [
        Started(first, 24_000),
        AudioData(first, TENTH),
        Started(second, 24_000),
        AudioData(second, TENTH),
        AudioData(first, TENTH),
        WordTimes(first, (WordTime("w", 0.1, 0.1 + 0.05),)),
    ]
    assert heard(protocol, {"final": True, "context_id": first}) == []
    assert heard(protocol, closed(first))[-1] == Finished(first)
    assert heard(protocol, audio(first), closed(first)) == []  # late
    assert heard(protocol, closed(second))[-1] == Finished(second)


def test_a_context_that_waits_for_text_is_kept_alive_once_it_is_there() -> None:
    protocol = provider().protocol()
    stream, _ = protocol.open(SPEC)
    assert protocol.keep_alive(stream) == []
    protocol.text(stream, "One")
    assert sent(protocol.keep_alive(stream)) == [{"text": "", "context_id": stream}]
    assert protocol.keep_alive("another") == []


def test_what_never_became_a_context_ends_at_once() -> None:
    protocol = provider().protocol()
    (first, _), (second, _) = protocol.open(SPEC), protocol.open(SPEC)
    assert protocol.finish(first, " ") == protocol.cancel(second) == []
    assert protocol.pending() == [Finished(first), Released(second)]
    assert protocol.pending() == []


@pytest.mark.parametrize("last", [{"context_closed": True}, {"interrupted": True}, {"error": "x", "code": 500}])
def test_of_a_cancelled_context_nothing_is_told_but_that_it_is_gone(last: dict[str, Any]) -> None:
    protocol = provider().protocol()
    stream, _ = protocol.open(SPEC)
    protocol.text(stream, "One.")
    assert sent(protocol.cancel(stream)) == [{"close_context": True, "context_id": stream, "immediate": True}]
    assert protocol.cancel(stream) == protocol.text(stream, "late") == protocol.finish(stream, "late") == []
    assert heard(protocol, audio(stream)) == []
    assert heard(protocol, {**last, "context_id": stream}) == [Released(stream)]
    assert heard(protocol, closed(stream)) == []


@pytest.mark.parametrize("message", [{"context_closed": True}, {"interrupted": True}])
def test_a_context_that_the_vendor_ends_by_itself_has_failed(message: dict[str, Any]) -> None:
    protocol = provider().protocol()
    stream, _ = protocol.open(SPEC)
    protocol.text(stream, "One.")
    failed = failure(heard(protocol, {**message, "context_id": stream}))
    assert (failed.stream, failed.error.action) == (stream, Action.RECONNECT)


def test_an_error_with_an_id_ends_that_context_only() -> None:
    protocol = provider().protocol()
    (first, _), (second, _) = protocol.open(SPEC), protocol.open(SPEC)
    protocol.finish(second, "Two.")
    error = {"error": "21 contexts", "code": 429, "error_code": "TOO_MANY_CONTEXTS", "context_id": first}
    failed = failure(heard(protocol, error))
    assert (failed.stream, failed.error.scope, failed.error.action) == (first, Scope.STREAM, Action.RECONNECT)
    assert heard(protocol, closed(second))[-1] == Finished(second)


def test_an_error_without_an_id_ends_the_socket_and_blames_a_turn_only_if_there_is_but_one() -> None:
    protocol = provider().protocol()
    protocol.open(SPEC)
    error = {"error": "bad", "code": 400, "error_code": "VALIDATION_ERROR"}
    assert failure(heard(protocol, error)).error.action is Action.GIVE_UP
    protocol.open(SPEC)
    failed = failure(heard(protocol, error))
    assert (failed.stream, failed.error.scope, failed.error.action) == (None, Scope.SOCKET, Action.RECONNECT)


def test_an_error_about_the_preparation_ends_nothing() -> None:
    protocol = provider().protocol()
    protocol.prepare(SPEC)
    [event] = heard(protocol, {"error": "no such voice", "code": 404})
    assert isinstance(event, Warned)


def test_the_end_of_all_contexts_ends_the_connection() -> None:
    assert failure(heard(provider().protocol(), {"session_closed": True})).stream is None


def test_a_socket_carries_as_many_turns_as_the_option_says() -> None:
    abilities = provider().capabilities
    assert (abilities.streams, abilities.text_gap_s, abilities.keep_alive_s) == (20, None, 10.0)
    assert provider(contexts=5, keep_alive_s=3).capabilities.streams == 5
    with pytest.raises(InvalidSettings, match="does not know flush_timeout_ms"):
        provider().check("v", VoiceSettings(provider="k", voice_id="1", settings={"flush_timeout_ms": 1}))
