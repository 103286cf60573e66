"""KugelAudio's `/ws/tts/stream`, without a socket."""

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
    ChunkSpoken,
    ChunkStarted,
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

KEY = "a-secret-key"
SPEC = StreamSpec("1071", AudioFormat(sample_rate=24_000), language="en")
CONFIG = {"voice_id": 1071, "model_id": "kugel-3", "sample_rate": 24_000, "word_timestamps": True, "language": "en"}
#: A tenth of a second.
TENTH = bytes(4_800)
CLOSED = {"session_closed": True, "total_audio_seconds": 1.0}


def provider(**options: Any) -> KugelAudio:
    return KugelAudio("kugelaudio", ProviderSettings(api_key=KEY, options=options))  # type: ignore[arg-type]


def begun(spec: StreamSpec = SPEC, **options: Any) -> tuple[Protocol, str]:
    """Return a protocol with a stream that is open."""
    protocol = provider(**options).protocol()
    stream, _ = protocol.open(spec)
    return protocol, stream


def sent(frames: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in frames]


def heard(protocol: Protocol, *messages: dict[str, Any]) -> list[VendorEvent]:
    return [event for message in messages for event in protocol.receive(json.dumps(message))]


def audio(chunk: int = 0, data: bytes = TENTH, **more: Any) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    about = {"idx": 0, "enc": "pcm_s16le", "sr": 24_000, "samples": len(data) // 2, "chunk_id": chunk}
    return {"audio": encoded, **about, **more}


def word(text: str, start_ms: int, end_ms: int, chunk: int = 0) -> dict[str, Any]:
    return {"word_timestamps": [{"word": text, "start_ms": start_ms, "end_ms": end_ms}], "chunk_id": chunk}


def started(text: str, chunk: int = 0) -> dict[str, Any]:
    return {"generation_started": True, "chunk_id": chunk, "text": text}


def failure(events: list[VendorEvent]) -> Failed:
    [event] = events
    assert isinstance(event, Failed)
    return event


# what is sent


def test_a_turn_is_its_configuration_raw_tokens_and_one_flush() -> None:
    protocol = provider().protocol()
    stream, frames = protocol.open(SPEC)
    for token in ("Hel", "lo ", "there"):
        frames += protocol.text(stream, token)
    frames += protocol.finish(stream, ".")
    assert sent(frames) == [
        CONFIG,
        {"text": "Hel"},
        {"text": "lo "},
        {"text": "there"},
        {"text": ".", "flush": True},
    ]
    assert protocol.pending() == []


def test_a_turn_whose_text_has_gone_is_flushed_alone() -> None:
    protocol, stream = begun()
    protocol.text(stream, "Hello.")
    assert sent(protocol.finish(stream, " \n")) == [{"flush": True}]


def test_blanks_wait_for_a_word_because_nobody_says_whether_they_open_a_session() -> None:
    protocol, stream = begun()
    assert protocol.text(stream, " ") + protocol.text(stream, "\n") + protocol.flush(stream, "") == []
    assert sent(protocol.text(stream, "Yes")) == [{"text": " \nYes"}]


def test_what_the_socket_has_been_told_is_not_told_again() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "One.")
    assert heard(protocol, CLOSED) == [Finished(stream)]
    assert protocol.open(SPEC)[1] == []


def test_a_warm_socket_is_told_the_voice_before_its_first_turn() -> None:
    protocol = provider().protocol()
    assert sent(protocol.prepare(SPEC)) == [CONFIG]
    assert protocol.prepare(SPEC) == []
    assert protocol.open(SPEC)[1] == []


def test_what_differs_goes_by_update_settings_if_it_may_and_by_a_configuration_if_not() -> None:
    protocol = provider().protocol()
    protocol.prepare(SPEC)
    spec = StreamSpec("anna", SPEC.format, "kugel-3.5", "de", {"speed": 1.1, "normalize": False})
    assert sent(protocol.open(spec)[1]) == [
        {"voice_id": "anna", "model_id": "kugel-3.5"},
        {"update_settings": {"language": "de", "speed": 1.1, "normalize": False}},
    ]


def test_what_a_turn_does_not_set_goes_back_to_what_it_was() -> None:
    protocol = provider().protocol()
    protocol.prepare(StreamSpec("1071", SPEC.format, language="en", settings={"speed": 1.1, "cfg_scale": 1.5}))
    assert sent(protocol.prepare(SPEC)) == [{"update_settings": {"speed": 1.0, "cfg_scale": 2.0}}]


def test_turns_that_set_what_cannot_be_taken_back_have_sockets_of_their_own() -> None:
    binding = provider().binding
    warm = StreamSpec("1", SPEC.format, settings={"temperature": 0.2, "speed": 1.1})
    assert binding(StreamSpec("1", SPEC.format)) == binding(StreamSpec("2", AudioFormat(sample_rate=8_000))) == ""
    assert (binding(SPEC), binding(warm)) == ("language", "temperature")


# one turn


def test_what_the_vendor_says_is_told_in_our_words() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "Hello there.")
    events = heard(
        protocol,
        started("Hello there."),
        audio(),
        {"chunk_complete": True, "chunk_id": 0, "audio_seconds": 0.1},
        word("Hello", 0, 50),
        {"final": True},
        {"settings_updated": True, "settings": {}},
        {"yet unknown": True},
        {**CLOSED, "usage": {"audio_seconds": 0.1, "characters": 12, "cost_cents": None, "currency": "eur"}},
    )
    assert events == [
        ChunkStarted(stream, "Hello there."),
        Started(stream, 24_000),
        AudioData(stream, TENTH),
        ChunkSpoken(stream, "", 0.0, 0.1),
        WordTimes(stream, (WordTime("Hello", 0.0, 0.05),)),
        Warned("billed: 0.1 s of audio, 12 characters, cost unknown"),
        Finished(stream),
    ]


def test_word_times_count_from_their_chunk_even_behind_the_next_chunks_audio() -> None:
    protocol, _ = begun()
    events = heard(protocol, audio(0), audio(0), audio(1), word("one", 10, 90, 0), audio(1), word("two", 0, 100, 1))
    times = [event.words[0] for event in events if isinstance(event, WordTimes)]
    assert times == [WordTime("one", 0.01, 0.09), WordTime("two", 0.2, 0.2 + 0.1)]


def test_word_times_that_come_before_their_audio_wait_for_it() -> None:
    protocol, stream = begun()
    early = heard(protocol, audio(0), started("Two.", 1), word("two", 0, 100, 1))
    assert early == [Started(stream, 24_000), AudioData(stream, TENTH), ChunkStarted(stream, "Two.")]
    events = heard(protocol, audio(0), audio(1))
    assert [event.words for event in events if isinstance(event, WordTimes)] == [(WordTime("two", 0.2, 0.2 + 0.1),)]


def test_word_times_that_come_after_their_turn_are_not_the_next_ones() -> None:
    """The numbers of chunks begin anew with each turn."""
    protocol, stream = begun()
    protocol.finish(stream, "Bye.")
    heard(protocol, started("Bye."), audio(), CLOSED)
    protocol.open(SPEC)
    assert heard(protocol, word("Bye.", 0, 100)) == []
    late = heard(protocol, started("Hello."), word("Bye.", 0, 100), audio(), word("Hello.", 0, 100))
    assert [word.text for event in late if isinstance(event, WordTimes) for word in event.words] == ["Hello."]


def told(events: list[VendorEvent]) -> list[str]:
    return [word.text for event in events if isinstance(event, WordTimes) for word in event.words]


def test_word_times_of_a_cancelled_turn_are_not_the_next_ones() -> None:
    protocol, stream = begun()
    protocol.text(stream, "Bye. ")
    heard(protocol, started("Bye. "), audio())
    protocol.cancel(stream)
    heard(protocol, started("And more.", 1), {"interrupted": True})
    protocol.open(SPEC)
    late = heard(protocol, started("One."), audio(), word("Bye.", 0, 9), started("Two.", 1), audio(1))
    late += heard(protocol, word("more.", 0, 9, 1), word("One.", 0, 9), word("Two.", 0, 9, 1))
    assert told(late) == ["One.", "Two."]


def test_a_turn_that_is_tried_again_on_the_socket_has_its_words() -> None:
    """Its text is a part of what the socket was given before."""
    protocol, stream = begun()
    protocol.finish(stream, "One two three.")
    heard(protocol, started("One two three."), audio(), {"error": "x", "code": 500})
    protocol.open(SPEC)
    events = heard(protocol, {"interrupted": True}, started("two three."), audio(), word("two", 0, 9))
    assert told(events + heard(protocol, word("three.", 10, 20))) == ["two", "three."]


def test_words_that_the_vendor_has_rewritten_are_kept_where_no_others_fit_better() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "$3.50.")
    assert told(heard(protocol, started("$3.50."), audio(), word("dollars", 0, 9), CLOSED)) == ["dollars"]
    protocol.open(SPEC)
    assert told(heard(protocol, started("$4."), audio(), word("four", 0, 9))) == ["four"]


def test_words_that_are_blank_are_none() -> None:
    assert told(heard(begun()[0], started("One."), audio(), word(" ", 0, 9), word("One.", 0, 9))) == ["One."]


def test_word_times_that_cannot_be_read_cost_no_audio() -> None:
    protocol, stream = begun()
    events = heard(protocol, started("One."), {"word_timestamps": [1], "chunk_id": 0}, audio())
    assert AudioData(stream, TENTH) in events
    assert any(isinstance(event, Warned) for event in events)


def test_a_chunk_without_words_is_told_as_a_piece_when_no_words_can_come_any_more() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "One. Two.")
    heard(protocol, started("One. "), audio(), word("One.", 0, 100), started("Two.", 1), audio(1))
    assert heard(protocol, CLOSED) == [ChunkSpoken(stream, "Two.", 0.1, 0.2), Finished(stream)]


def test_without_words_each_piece_is_told_at_once() -> None:
    spec = StreamSpec("1", SPEC.format, settings={"word_timestamps": False})
    protocol, stream = begun(spec)
    protocol.finish(stream, "One.")
    assert heard(protocol, started("One."), audio(), {"chunk_complete": True, "chunk_id": 0})[-1] == ChunkSpoken(
        stream, "One.", 0.0, 0.1
    )
    assert heard(protocol, CLOSED) == [Finished(stream)]


def test_the_rate_is_the_answers_and_not_the_requests() -> None:
    protocol, stream = begun()
    events = heard(protocol, audio(sr=48_000.0), word("a", 0, 50), audio(1, sr=48_000), word("b", 0, 50, 1))
    assert events[0] == Started(stream, 48_000)
    assert events[-1] == WordTimes(stream, (WordTime("b", 0.05, 0.1),))


def test_audio_that_cannot_be_used_fails_the_connection() -> None:
    assert failure(heard(begun()[0], audio(enc="mulaw", sr=8_000))).error.action is Action.FIX_CONFIGURATION
    protocol, _ = begun()
    heard(protocol, audio())
    assert failure(heard(protocol, audio(sr=8_000))).stream is None


@pytest.mark.parametrize("frame", ["", "[]", "null", '{"audio":"%"}', '{"audio":1}', b"\xff"])
def test_a_frame_that_is_not_of_the_protocol_fails_the_connection(frame: str | bytes) -> None:
    failed = failure(begun()[0].receive(frame))
    assert (failed.stream, failed.error.scope, failed.error.action) == (None, Scope.SOCKET, Action.RECONNECT)


# flushes in mid-turn


def test_after_a_flush_in_mid_turn_the_stream_goes_on_in_another_session_on_one_clock() -> None:
    protocol, stream = begun()
    assert sent(protocol.flush(stream, "One.")) == [{"text": "One.", "flush": True}]
    assert heard(protocol, started("One."), audio(), word("One.", 0, 100), CLOSED)[-1] == WordTimes(
        stream, (WordTime("One.", 0.0, 0.1),)
    )
    assert sent(protocol.text(stream, " Two")) == [{"text": " Two"}]
    assert sent(protocol.finish(stream, ".")) == [{"text": ".", "flush": True}]
    assert protocol.pending() == []
    assert heard(protocol, started("Two."), audio(0), word("Two.", 0, 100, 0), CLOSED) == [
        ChunkStarted(stream, "Two."),
        AudioData(stream, TENTH),
        WordTimes(stream, (WordTime("Two.", 0.1, 0.2),)),
        Finished(stream),
    ]


def test_text_behind_a_flush_may_be_sent_before_the_flushed_piece_is_spoken() -> None:
    protocol, stream = begun()
    protocol.flush(stream, "One.")
    protocol.finish(stream, " Two.")
    assert heard(protocol, started("One."), audio(), word("One.", 0, 100), CLOSED)[-1] != Finished(stream)
    assert heard(protocol, started("Two."), audio(), word("Two.", 0, 100), CLOSED)[-1] == Finished(stream)


def test_a_flush_with_nothing_behind_it_is_not_flushed_again_at_the_end() -> None:
    protocol, stream = begun()
    protocol.flush(stream, "One.")
    assert protocol.flush(stream, "") == protocol.finish(stream, "") == []
    assert protocol.pending() == []
    assert heard(protocol, audio(), word("One.", 0, 9), CLOSED)[-1] == Finished(stream)


def test_a_stream_is_finished_at_once_when_all_that_was_flushed_is_spoken() -> None:
    """Nothing would ever come: the vendor's session has ended, and an empty one may not be opened."""
    protocol, stream = begun()
    protocol.flush(stream, "One.")
    heard(protocol, audio(), word("One.", 0, 9), CLOSED)
    assert protocol.finish(stream, " ") == []
    assert protocol.pending() == [Finished(stream)]
    assert protocol.pending() == []


def test_a_stream_without_text_is_finished_at_once() -> None:
    protocol, stream = begun()
    assert protocol.finish(stream, "") == []
    assert protocol.pending() == [Finished(stream)]


# the vendor ends a session by itself


def test_a_turn_that_the_vendor_ends_for_want_of_text_goes_on_with_the_next_text() -> None:
    protocol, stream = begun()
    protocol.text(stream, "One. ")
    events = heard(protocol, {"warning": "idle"}, started("One."), audio(), word("One.", 0, 9), {"final": True}, CLOSED)
    assert [event for event in events if isinstance(event, Warned | Finished)] == [
        Warned("idle"),
        Warned("the vendor ended a turn for want of text; it goes on in another of the vendor's"),
    ]
    assert sent(protocol.finish(stream, "Two.")) == [{"text": "Two.", "flush": True}]
    assert heard(protocol, started("Two."), audio(), word("Two.", 0, 100), CLOSED)[-2:] == [
        WordTimes(stream, (WordTime("Two.", 0.1, 0.2),)),
        Finished(stream),
    ]


def test_a_turn_that_the_vendor_has_ended_is_over_when_all_its_text_is_known_to_be_spoken() -> None:
    protocol, stream = begun()
    protocol.text(stream, "One. ")
    heard(protocol, started("One. "), audio(), CLOSED)
    assert protocol.finish(stream, "") == []
    assert protocol.pending() == [Finished(stream)]


def test_text_that_met_the_vendors_own_end_on_its_way_is_asked_for() -> None:
    protocol, stream = begun()
    protocol.text(stream, "One. ")
    protocol.text(stream, "Two.")
    heard(protocol, {"warning": "idle"}, started("One. "), audio(), CLOSED)
    assert sent(protocol.finish(stream, "")) == [{"flush": True}]
    assert protocol.pending() == []
    assert heard(protocol, started("Two."), audio(), word("Two.", 0, 9), CLOSED)[-1] == Finished(stream)


def test_a_finish_that_meets_the_vendors_own_end_waits_for_its_own() -> None:
    protocol, stream = begun()
    protocol.text(stream, "One. ")
    protocol.finish(stream, "Two.")
    events = heard(protocol, {"warning": "idle"}, started("One. "), audio(), CLOSED)
    assert Finished(stream) not in events
    assert heard(protocol, started("Two."), audio(), word("Two.", 0, 9), CLOSED)[-1] == Finished(stream)


def test_a_finish_that_meets_the_vendors_own_end_with_all_spoken_waits_for_nothing() -> None:
    protocol, stream = begun()
    protocol.text(stream, "One. ")
    heard(protocol, {"warning": "idle"})
    assert sent(protocol.finish(stream, "")) == [{"flush": True}]
    assert heard(protocol, started("One. "), audio(), word("One.", 0, 9), CLOSED)[-1] == Finished(stream)


# cancelling


def test_a_cancel_drops_all_until_it_is_acknowledged_and_the_configuration_is_told_again() -> None:
    """The vendor's pages say that it stays, and its official SDK sends it again after each cancel."""
    protocol, stream = begun()
    protocol.text(stream, "One.")
    assert sent(protocol.cancel(stream)) == [{"cancel": True}]
    assert protocol.cancel(stream) == protocol.text(stream, "late") == protocol.finish(stream, "") == []
    late = heard(protocol, started("One."), audio(), word("One.", 0, 9), {"error": "x", "code": 500}, CLOSED)
    assert late == protocol.pending() == []
    assert heard(protocol, {"interrupted": True}) == [Released(stream)]
    assert heard(protocol, audio(), CLOSED, {"interrupted": True}) == []
    assert sent(protocol.open(SPEC)[1]) == [CONFIG]


def test_a_stream_that_has_nothing_open_is_released_at_once() -> None:
    protocol, stream = begun()
    assert protocol.cancel(stream) == []
    assert protocol.pending() == [Released(stream)]


def test_a_turn_that_the_vendor_interrupts_by_itself_has_failed() -> None:
    protocol, stream = begun()
    protocol.text(stream, "One.")
    failed = failure(heard(protocol, {"interrupted": True}))
    assert (failed.stream, failed.error.action) == (stream, Action.RECONNECT)


# errors


@pytest.mark.parametrize(
    ("error", "scope", "action", "whole"),
    [
        ({"code": 400, "error_code": "VALIDATION_ERROR"}, Scope.TURN, Action.GIVE_UP, False),
        ({"code": 400, "error_code": "MISSING_VOICE_ID"}, Scope.TURN, Action.FIX_CONFIGURATION, False),
        ({"code": 401, "error_code": "UNAUTHORIZED"}, Scope.ACCOUNT, Action.FIX_CONFIGURATION, True),
        ({"code": 402, "error_code": "INSUFFICIENT_CREDITS"}, Scope.ACCOUNT, Action.FIX_CONFIGURATION, True),
        ({"code": 403}, Scope.ACCOUNT, Action.FIX_CONFIGURATION, True),
        ({"code": 404, "error_code": "NOT_FOUND"}, Scope.TURN, Action.FIX_CONFIGURATION, False),
        ({"code": 413, "error_code": "VALIDATION_ERROR"}, Scope.TURN, Action.GIVE_UP, False),
        ({"code": 422}, Scope.TURN, Action.GIVE_UP, False),
        ({"code": 429, "error_code": "RATE_LIMITED"}, Scope.ACCOUNT, Action.RETRY_LATER, True),
        ({"code": 500, "error_code": "INTERNAL_ERROR"}, Scope.STREAM, Action.RECONNECT, False),
        ({"error_code": "EMPTY_AUDIO"}, Scope.STREAM, Action.RECONNECT, False),
        ({"code": "429"}, Scope.ACCOUNT, Action.RETRY_LATER, True),
        ({"code": 503, "error_code": "MODEL_UNAVAILABLE"}, Scope.SOCKET, Action.RETRY_LATER, True),
        ({}, Scope.STREAM, Action.RECONNECT, False),
    ],
)
def test_errors_are_classified_by_their_codes(error: dict[str, Any], scope: Scope, action: Action, whole: bool) -> None:
    protocol, stream = begun()
    failed = failure(heard(protocol, {"error": "rate limit key voice not found", **error}))
    assert (failed.error.scope, failed.error.action, failed.stream) == (scope, action, None if whole else stream)
    assert str(failed.error.code) == str(error.get("error_code") or error.get("code"))
    assert failed.error.text == "rate limit key voice not found"


def test_after_a_failed_turn_what_is_left_of_it_is_cancelled_and_dropped() -> None:
    """Text that was under way behind the error would open a session, whose frames would be the next turn's."""
    protocol, stream = begun()
    protocol.text(stream, "One.")
    heard(protocol, {"error": "no", "code": 500})
    assert heard(protocol, audio(), CLOSED) == []
    second, frames = protocol.open(SPEC)
    assert sent(frames) == [{"cancel": True}, CONFIG]  # nor is it known whether the configuration was taken
    protocol.finish(second, "Two.")
    assert heard(protocol, {"error": "late", "code": 404}, audio(), CLOSED, {"interrupted": True}) == []
    assert heard(protocol, audio(), word("Two.", 0, 9), CLOSED)[-1] == Finished(second)


def test_an_error_about_the_preparation_fails_no_turn_and_the_turn_is_told_again() -> None:
    protocol = provider().protocol()
    protocol.prepare(SPEC)
    assert heard(protocol, {"error": "voice not found", "code": 404, "error_code": "NOT_FOUND"}) == [
        Warned("kugelaudio: voice not found (code NOT_FOUND)")
    ]
    assert sent(protocol.open(SPEC)[1]) == [CONFIG]


@pytest.mark.parametrize(
    ("code", "scope", "action"),
    [
        (None, Scope.SOCKET, Action.RECONNECT),
        (1000, Scope.SOCKET, Action.RECONNECT),
        (1012, Scope.SOCKET, Action.RECONNECT),
        (1013, Scope.SOCKET, Action.RECONNECT),
        (4000, Scope.SOCKET, Action.RECONNECT),
        (4001, Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        (4003, Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        (4029, Scope.ACCOUNT, Action.RETRY_LATER),
        (4500, Scope.SOCKET, Action.RETRY_LATER),
    ],
)
def test_a_close_says_by_its_code_what_can_be_done(code: int | None, scope: Scope, action: Action) -> None:
    error: VendorError = provider().protocol().closed(code, "")
    assert (error.scope, error.action, error.code) == (scope, action, code)


# the account


def test_the_key_travels_in_a_header_and_its_prefix_chooses_the_host() -> None:
    assert provider().handshake("").url == "wss://api.kugelaudio.com/ws/tts/stream"
    assert provider(mode="multi").handshake("").url == "wss://api.kugelaudio.com/ws/tts/multi"
    european = KugelAudio("k", ProviderSettings(api_key=f"eu-{KEY}")).handshake("")  # type: ignore[arg-type]
    assert european.url == "wss://api.eu.kugelaudio.com/ws/tts/stream"
    assert dict(european.headers) == {"X-API-Key": KEY}
    given = ProviderSettings(api_key=f"eu-{KEY}", url="ws://localhost:1/")  # type: ignore[arg-type]
    assert KugelAudio("k", given).handshake("").url == "ws://localhost:1/ws/tts/stream"


def test_the_socket_is_kept_through_a_cancel_and_a_pause_of_the_llm_is_bounded() -> None:
    abilities = provider().capabilities
    assert (abilities.cancel, abilities.streams, abilities.phrases) == (Cancel.ACKNOWLEDGED, 1, None)
    assert (abilities.text_gap_s, abilities.keep_alive_s, abilities.word_times) == (4.0, None, True)
    assert provider(text_gap_s=0).capabilities.text_gap_s is None
    assert provider(word_timestamps=False).capabilities.word_times is False


def test_what_cannot_work_is_refused_at_the_start() -> None:
    def voice(**given: Any) -> None:
        provider().check("v", VoiceSettings(provider="k", **{"voice_id": "1", **given}))

    voice(language="yue", settings={"speed": 1.2, "dictionary_ids": [], "flush_timeout_ms": 300})
    for wrong, said in (
        ({"language": "de-DE"}, r"voices\.v\.language"),
        ({"settings": {"speed": 1.3}}, r"settings\.speed must be a number from 0\.8 to 1\.2"),
        ({"settings": {"output_format": "ulaw_8000"}}, "does not know output_format"),
        ({"settings": {"dictionary_ids": [1]}}, "project_id"),
    ):
        with pytest.raises(InvalidSettings, match=said):
            voice(**wrong)
    for options in ({"mode": "one"}, {"contexts": 3}, {"mode": "multi", "text_gap_s": 3}):
        with pytest.raises(InvalidSettings, match=r"providers\.kugelaudio\.options"):
            provider(**options)
