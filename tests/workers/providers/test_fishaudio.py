"""Fish Audio's protocol, without a socket."""

from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.audio import AudioFormat
from saystream.common.errors import Action, InvalidSettings, Scope
from saystream.common.settings import ProviderSettings, VoiceSettings
from saystream.workers.providers.base import (
    AudioData,
    Cancel,
    Failed,
    Finished,
    Protocol,
    Started,
    StreamSpec,
    VendorEvent,
    Warned,
    WordTime,
    WordTimes,
)
from saystream.workers.providers.fishaudio import FishAudio, Snapshots

KEY = "a-secret-key"
SPEC = StreamSpec("802e3bc2", AudioFormat(sample_rate=24_000))
STOP = {"event": "finish", "reason": "stop"}


def provider(**options: Any) -> FishAudio:
    return FishAudio("fishaudio", ProviderSettings(api_key=KEY, options=options))  # type: ignore[arg-type]


def begun(spec: StreamSpec = SPEC) -> tuple[Protocol, str]:
    """Return a protocol with a stream that is open."""
    protocol = provider().protocol()
    stream, _ = protocol.open(spec)
    return protocol, stream


def sent(frames: list[Any]) -> list[Any]:
    return [ormsgpack.unpackb(frame) for frame in frames]


def heard(protocol: Protocol, *messages: dict[str, Any]) -> list[VendorEvent]:
    return [event for message in messages for event in protocol.receive(ormsgpack.packb(message))]


def snapshot(chunk: int, *words: tuple[str, float, float], offset: float = 0.0, audio: bytes = b"") -> dict[str, Any]:
    segments = [{"text": text, "start": start, "end": end} for text, start, end in words]
    alignment = {"segments": segments, "audio_duration": 1.0}
    about = {"content": "…", "chunk_seq": chunk, "chunk_audio_offset_sec": offset}
    return {"event": "audio", "audio": audio, "alignment": alignment, **about}


def words_of(events: list[VendorEvent]) -> list[str]:
    return [word.text for event in events if isinstance(event, WordTimes) for word in event.words]


def failure(events: list[VendorEvent]) -> Failed:
    [event] = events
    assert isinstance(event, Failed)
    return event


# what is sent


def test_a_turn_is_start_raw_tokens_and_stop_without_a_flush() -> None:
    protocol = provider().protocol()
    stream, frames = protocol.open(SPEC)
    for token in ("Hel", "lo ", "", "there"):
        frames += protocol.text(stream, token)
    frames += protocol.finish(stream, ".")
    assert sent(frames) == [
        {
            "event": "start",
            "request": {
                "text": "",
                "format": "pcm",
                "sample_rate": 24_000,
                "reference_id": "802e3bc2",
                "latency": "balanced",
                "chunk_length": 100,
            },
        },
        {"event": "text", "text": "Hel"},
        {"event": "text", "text": "lo "},
        {"event": "text", "text": "there"},
        {"event": "text", "text": "."},
        {"event": "stop"},
    ]


def test_a_flush_goes_only_where_the_producer_asked_for_one() -> None:
    protocol, stream = begun()
    assert sent(protocol.flush(stream, "Now.")) == [{"event": "text", "text": "Now."}, {"event": "flush"}]
    assert sent(protocol.finish(stream, "")) == [{"event": "stop"}]


def test_voice_settings_pass_into_the_request() -> None:
    settings = {"latency": "low", "prosody": {"speed": 1.2}, "features": ["quality-guard"]}
    [start] = sent(provider(chunk_length=200).protocol().open(StreamSpec("v", SPEC.format, settings=settings))[1])
    assert start["request"].items() >= {**settings, "chunk_length": 200}.items()


@pytest.mark.parametrize(("voice_id", "sent_id"), [("default", None), ("a, b", ["a", "b"]), ("a", "a")])
def test_a_voice_may_be_one_several_or_the_vendors_own(voice_id: str, sent_id: Any) -> None:
    [start] = sent(provider().protocol().open(StreamSpec(voice_id, SPEC.format))[1])
    assert start["request"]["reference_id"] == sent_id


def test_the_model_is_bound_to_the_socket_by_a_header() -> None:
    fish = provider(model="s1")
    assert fish.binding(SPEC) == "s1"
    assert fish.binding(StreamSpec("v", SPEC.format, "s2-pro")) == "s2-pro"
    assert dict(fish.handshake("s2-pro").headers) == {"Authorization": f"Bearer {KEY}", "model": "s2-pro"}


def test_the_path_depends_on_whether_words_are_wanted() -> None:
    assert provider().handshake("s1").url == "wss://api.fish.audio/v1/tts/live/with-timestamp"
    assert provider(timestamps=False).handshake("s1").url == "wss://api.fish.audio/v1/tts/live"
    assert (provider().capabilities.word_times, provider(timestamps=False).capabilities.word_times) == (True, False)


def test_a_socket_is_closed_to_cancel_and_let_settle_after_a_turn() -> None:
    abilities = provider(chunk_length=150).capabilities
    assert (abilities.cancel, abilities.turns, abilities.streams) == (Cancel.CLOSE, 0, 1)
    assert (abilities.holds_chars, abilities.settle_s) == (150, 0.3)
    assert provider(settle_s=2, holds_chars=400).capabilities.settle_s == 2
    protocol, stream = begun()
    assert protocol.cancel(stream) == []


# what is heard


def test_what_the_vendor_says_is_told_in_our_words() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "Hi you")
    events = heard(
        protocol,
        {"event": "audio", "audio": b"\1\2", "time": 3.5},
        snapshot(0, ("Hi", 0.0, 0.2), ("you", 0.2, 0.5), audio=b"\3\4"),
        {"event": "yet unknown"},
        STOP,
    )
    assert events == [
        Started(stream, 24_000),
        AudioData(stream, b"\1\2"),
        AudioData(stream, b"\3\4"),
        WordTimes(stream, (WordTime("Hi", 0.0, 0.2), WordTime("you", 0.2, 0.5))),
        Finished(stream),
    ]


def test_a_second_turn_on_a_kept_socket_begins_anew() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "Hi")
    heard(protocol, snapshot(3, ("Hi", 0.0, 0.2)), STOP)
    second, _ = protocol.open(SPEC)
    assert protocol.text(stream, "late") == protocol.finish(stream, "late") == []
    protocol.finish(second, "Yo")
    assert words_of(heard(protocol, snapshot(0, ("Yo", 0.0, 0.2)), STOP)) == ["Yo"]


def test_text_frames_are_ignored() -> None:
    assert begun()[0].receive("not MessagePack") == []


@pytest.mark.parametrize(
    "message",
    [
        [],
        {"event": "audio", "audio": "text"},
    ],
)
def test_a_frame_that_is_not_of_the_protocol_fails_the_connection(message: Any) -> None:
    failed = failure(begun()[0].receive(ormsgpack.packb(message)))
    assert (failed.stream, failed.error.scope, failed.error.action) == (None, Scope.SOCKET, Action.RECONNECT)


@pytest.mark.parametrize(
    "told",
    [
        {"alignment": []},
        {"alignment": {"segments": [{"text": "x", "start": float("nan"), "end": 1}]}},
        {"alignment": {"segments": [1]}},
        {"chunk_seq": "1"},
    ],
)
def test_word_times_that_cannot_be_read_cost_no_audio(told: Any) -> None:
    protocol, stream = begun()
    events = protocol.receive(ormsgpack.packb({"event": "audio", "audio": b"\1\2", **told}))
    assert AudioData(stream, b"\1\2") in events
    assert any(isinstance(event, Warned) for event in events)


@pytest.mark.parametrize("told", [{"alignment": {"segments": None}}, {"chunk_seq": 0.0}])
def test_numbers_may_be_written_in_other_ways(told: Any) -> None:
    protocol, _ = begun()
    events = protocol.receive(ormsgpack.packb({"event": "audio", "audio": b"\1\2", **told}))
    assert not any(isinstance(event, Warned | Failed) for event in events)


@pytest.mark.parametrize(
    ("said", "scope", "action"),
    [
        ({"error": "Service busy", "code": 503}, Scope.SOCKET, Action.RETRY_LATER),
        ({"error": "Bad gateway", "code": "502"}, Scope.SOCKET, Action.RETRY_LATER),
        ({"error": "Too many requests"}, Scope.ACCOUNT, Action.RETRY_LATER),
        ({"error": "x", "status": "429"}, Scope.ACCOUNT, Action.RETRY_LATER),
        ({"error": "x", "status": 403}, Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        ({"error": "server busy"}, Scope.SOCKET, Action.RETRY_LATER),
        ({"error": "try again"}, Scope.SOCKET, Action.RETRY_LATER),
        ({"error": "x", "status": 408}, Scope.SOCKET, Action.RETRY_LATER),
        ({"error": "too many voices", "status": 400}, Scope.STREAM, Action.FIX_CONFIGURATION),
        ({"error": "Insufficient balance", "status": "failed", "code": 402}, Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        ({"error": "Invalid format"}, Scope.STREAM, Action.FIX_CONFIGURATION),
    ],
)
def test_an_error_says_what_helps(said: dict[str, Any], scope: Scope, action: Action) -> None:
    failed = failure(begun()[0].receive(ormsgpack.packb({"event": "error", **said})))
    assert (failed.error.scope, failed.error.action) == (scope, action)


# words


def test_a_word_counts_once_a_later_snapshot_has_it_likewise_with_another_behind_it() -> None:
    protocol, _ = begun()
    one, two, three = ("one", 0.0, 0.2), ("two", 0.2, 0.4), ("three", 0.4, 0.6)
    assert words_of(heard(protocol, snapshot(0, one, two))) == []
    assert words_of(heard(protocol, snapshot(0, one, ("two", 0.2, 0.5), three))) == ["one"]
    assert words_of(heard(protocol, snapshot(0, one, ("two", 0.2, 0.5004), three))) == ["two"]
    assert words_of(heard(protocol, snapshot(0, one, ("two", 0.2, 0.5), three))) == []


def test_a_snapshot_replaces_the_one_before() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "…")
    heard(protocol, snapshot(0, ("won", 0.0, 0.2)))
    assert words_of(heard(protocol, snapshot(0, ("one", 0.0, 0.2), ("two", 0.2, 0.3)), STOP)) == ["one", "two"]


def test_the_next_chunk_settles_the_words_of_the_one_before_and_times_count_from_the_first_sample() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "…")
    events = heard(protocol, snapshot(0, ("one", 0.0, 0.2)), snapshot(1, ("two", 0.1, 0.2), offset=1.5), STOP)
    assert [event for event in events if isinstance(event, WordTimes)] == [
        WordTimes(stream, (WordTime("one", 0.0, 0.2),)),
        WordTimes(stream, (WordTime("two", 1.6, 1.7),)),
    ]


def test_a_snapshot_that_joins_or_cuts_words_which_were_told_loses_none_and_tells_none_twice() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "…")
    one, two, three, four = ("one", 0.0, 0.2), ("two", 0.2, 0.4), ("three", 0.4, 0.6), ("four", 0.6, 0.8)
    assert words_of(heard(protocol, snapshot(0, one, two, three), snapshot(0, one, two, three))) == ["one", "two"]
    assert words_of(heard(protocol, snapshot(0, ("onetwo", 0.0, 0.4), three, four))) == ["three"]
    assert words_of(heard(protocol, snapshot(0, one, two, three, four), STOP)) == ["four"]


def test_a_snapshot_that_spells_words_otherwise_which_were_told_loses_none_and_tells_none_twice() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "…")
    heard(protocol, *[snapshot(0, ("twenty", 0.0, 0.2), ("three", 0.2, 0.4), ("cats", 0.4, 0.6))] * 2)
    assert words_of(heard(protocol, snapshot(0, ("23", 0.0, 0.4), ("cats", 0.4, 0.6)), STOP)) == ["cats"]


def test_a_snapshot_that_is_shorter_for_once_tells_no_word_twice() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "…")
    one, two, three = ("one", 0.0, 0.2), ("two", 0.2, 0.4), ("three", 0.4, 0.6)
    heard(protocol, snapshot(0, one, two, three), snapshot(0, one, two, three), snapshot(0, one))
    assert words_of(heard(protocol, snapshot(0, one, two, three), STOP)) == ["three"]


def test_words_that_are_blank_are_none() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "…")
    assert words_of(heard(protocol, snapshot(0, (" ", 0.0, 0.1), ("one", 0.1, 0.2)), STOP)) == ["one"]


def test_a_null_alignment_says_nothing_new_and_empty_audio_is_not_the_end() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "…")
    nothing = {"event": "audio", "audio": b"\0\0", "alignment": None, "chunk_seq": 0, "chunk_audio_offset_sec": 0.0}
    assert words_of(heard(protocol, snapshot(0, ("one", 0.0, 0.2)), nothing)) == []
    assert words_of(heard(protocol, snapshot(0, ("one", 0.0, 0.2), ("two", 0.2, 0.3)), STOP)) == ["one", "two"]


def test_a_snapshot_of_a_chunk_that_is_over_says_nothing() -> None:
    protocol, _ = begun()
    heard(protocol, snapshot(1, ("two", 0.0, 0.2)))
    assert words_of(heard(protocol, snapshot(0, ("one", 0.0, 0.2), ("x", 0.2, 0.3)))) == []


@st.composite
def snapshots(draw: st.DrawFn) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the words of some chunks and messages that tell them: ever more of each, the last ones still wrong."""
    chunks = draw(st.lists(st.lists(st.text("abc", min_size=1, max_size=3), max_size=6), max_size=4))
    messages: list[dict[str, Any]] = []
    for number, chunk in enumerate(chunks):
        true = [(word, place * 0.5, place * 0.5 + 0.4) for place, word in enumerate(chunk)]
        for known in sorted(draw(st.lists(st.integers(0, len(chunk)), max_size=5))):
            shown = true[:known]
            unsettled: bool = draw(st.booleans())
            if shown and unsettled:  # the last word of a snapshot may still change
                shown[-1] = (draw(st.sampled_from(["?", shown[-1][0]])), shown[-1][1], draw(st.floats(0.0, 3.0)))
            messages.append(snapshot(number, *shown, offset=10.0 * number))
            if unsettled:
                messages.append({**snapshot(number), "alignment": None})
        messages.append(snapshot(number, *true, offset=10.0 * number))
    return [word for chunk in chunks for word in chunk], messages


@given(snapshots())
def test_every_word_is_told_once_and_in_order_however_snapshots_grow(
    given: tuple[list[str], list[dict[str, Any]]],
) -> None:
    words, messages = given
    taken = Snapshots()
    told = [word for message in messages for word in taken.take(message)] + list(taken.rest())
    assert [word.text for word in told] == words
    assert [word.start_s for word in told] == sorted(word.start_s for word in told)
    assert taken.rest() == ()


# errors


@pytest.mark.parametrize(
    ("message", "scope", "action"),
    [
        ({"error": "Concurrency limit exceeded"}, Scope.ACCOUNT, Action.RETRY_LATER),
        ({"error": "no", "max_concurrency": 5}, Scope.ACCOUNT, Action.RETRY_LATER),
        ({"error": "Insufficient balance"}, Scope.ACCOUNT, Action.FIX_CONFIGURATION),
        ({"error": "Invalid format, valid ones: pcm"}, Scope.STREAM, Action.FIX_CONFIGURATION),
        ({"error": "Reference not found"}, Scope.STREAM, Action.FIX_CONFIGURATION),
        ({"error": "internal error"}, Scope.SOCKET, Action.RETRY_LATER),
        ({}, Scope.STREAM, Action.FIX_CONFIGURATION),
    ],
)
def test_a_refused_start_is_classified(message: dict[str, Any], scope: Scope, action: Action) -> None:
    failed = failure(heard(begun()[0], {"event": "error", **message}))
    assert (failed.stream, failed.error.scope, failed.error.action) == (None, scope, action)
    assert failed.error.text == message.get("error", "")


def test_an_error_after_audio_is_no_refused_start() -> None:
    protocol, _ = begun()
    heard(protocol, {"event": "audio", "audio": b"\0\0"})
    assert failure(heard(protocol, {"event": "error", "error": "no"})).error.action is Action.RECONNECT


def test_a_turn_that_finishes_with_an_error_takes_its_connection_along() -> None:
    protocol, stream = begun()
    protocol.finish(stream, "Hi")
    failed = failure(heard(protocol, {"event": "finish", "reason": "error", "message": "worker died"}))
    assert (failed.stream, failed.error.scope, failed.error.action) == (None, Scope.STREAM, Action.RECONNECT)
    assert failed.error.text == "worker died"


def test_a_turn_that_the_vendor_ends_before_its_text_has_failed() -> None:
    protocol, stream = begun()
    protocol.text(stream, "Hi")
    failed = failure(heard(protocol, STOP))
    assert (failed.stream, failed.error.action) == (stream, Action.RECONNECT)


def test_a_close_without_a_finish_can_be_tried_again() -> None:
    protocol = provider().protocol()
    for code in (None, 1000, 1011):
        assert (protocol.closed(code, "").scope, protocol.closed(code, "").action) == (Scope.SOCKET, Action.RECONNECT)
    assert protocol.closed(1008, "Concurrency limit exceeded").action is Action.RETRY_LATER


# settings


def test_a_model_that_is_not_known_is_refused_because_the_vendor_never_would() -> None:
    def voice(model: str, **options: Any) -> None:
        provider(**options).check("v", VoiceSettings(provider="f", voice_id="x", model=model))

    voice("s2-pro")
    voice("drama-3-preview")
    voice("s9-new", any_model=True)
    with pytest.raises(InvalidSettings, match=r"voices\.v\.model: 's2pro' is none of .* silently speak as s2\.1-pro"):
        voice("s2pro")
    with pytest.raises(InvalidSettings, match="drama-3-preview"):  # only with timestamps
        voice("drama-3-preview", timestamps=False)
    with pytest.raises(InvalidSettings, match=r"providers\.fishaudio\.options\.model"):
        provider(model="s2pro")
    with pytest.raises(InvalidSettings, match="header"):
        voice("a\r\nb", any_model=True)


def test_what_cannot_work_is_refused_at_the_start() -> None:
    for settings, said in (
        ({"temperature": 1.1}, r"voices\.v\.settings\.temperature must be a number from 0 to 1"),
        ({"prosody": {"speed": 3}}, r"settings\.prosody must be a number from 0\.5 to 2"),
        ({"latency": "fast"}, r"settings\.latency must be one of normal, balanced, low"),
        ({"format": "mp3"}, "does not know format"),
    ):
        with pytest.raises(InvalidSettings, match=said):
            provider().check("v", VoiceSettings(provider="f", voice_id="x", settings=settings))
    with pytest.raises(InvalidSettings, match=r"options\.chunk_length must be a number from 100 to 300"):
        provider(chunk_length=20)
