"""What a vendor sends may be anything: no provider raises for it, and none lets its key out."""

import base64
import json
from collections.abc import Callable
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.audio import AudioFormat
from saystream.common.settings import ProviderSettings
from saystream.workers.providers.base import Failed, Frame, Provider, StreamSpec, VendorEvent, Warned, WordTimes
from saystream.workers.providers.registry import VENDORS
from saystream.workers.timeline import Timeline
from tests.vendors import ROWS

KEY = "s3cret-key-0f-0urs"
FORMAT = AudioFormat(sample_rate=24_000)
SPEC = StreamSpec("v", FORMAT)

ROWS_BY_NAME = {row.name: row for row in ROWS}
each_way = pytest.mark.parametrize("way", ROWS_BY_NAME)

#: Words of all three protocols, so that random messages get somewhere.
_NAMES = st.sampled_from(
    (
        "type event message code error error_code reason client_req_id context_id audio text start_s stop_s "
        "sample_rate generation_started chunk_id chunk_complete word_timestamps session_closed context_closed "
        "interrupted warning final usage sr enc alignment segments chunk_seq chunk_audio_offset_sec start end word "
        "start_ms end_ms status audio_seconds characters cost_cents max_concurrency"
    ).split()
)
_WORDS = st.sampled_from("audio text ready end_of_stream error finish stop s1 s2 pcm_s16le AAAA RATE_LIMITED".split())
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.sampled_from([0, 1, 400, 401, 429, 500, 1008, 24_000])
    | _WORDS
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=12,
)
_MESSAGES = st.dictionaries(_NAMES, _JSON, max_size=8) | _JSON
_PACKED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.binary(max_size=8) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.integers(0, 3), inner, max_size=6),
    max_leaves=12,
)
_FRAMES: st.SearchStrategy[Frame] = (
    st.binary(max_size=40)
    | st.text(max_size=40)
    | _MESSAGES.map(json.dumps)
    | _PACKED.map(lambda value: ormsgpack.packb(value, option=ormsgpack.OPT_NON_STR_KEYS))
)
#: What our side does meanwhile, by number.
_STEPS = st.lists(st.integers(0, 4) | _FRAMES, max_size=12)


def provider(way: str, key: str = KEY) -> Provider:
    row = ROWS_BY_NAME[way]
    settings = ProviderSettings(api_key=key, options=dict(row.options))  # type: ignore[arg-type]
    return VENDORS[row.vendor](row.vendor, settings)


@each_way
@given(steps=_STEPS)
def test_nothing_that_a_vendor_sends_is_an_exception_at_any_moment(way: str, steps: list[int | Frame]) -> None:
    protocol = provider(way).protocol()
    stream, _ = protocol.open(SPEC)
    verbs: list[Callable[[], object]] = [
        lambda: protocol.text(stream, "Hello "),
        lambda: protocol.flush(stream, "now."),
        lambda: protocol.finish(stream, "Bye."),
        lambda: protocol.cancel(stream),
        lambda: protocol.keep_alive(stream),
    ]
    timeline = Timeline(FORMAT)
    for step in steps:
        if isinstance(step, int):
            verbs[step]()
            protocol.pending()
            continue
        for event in protocol.receive(step):
            if isinstance(event, WordTimes):
                timeline.words(event.words)
    assert protocol.closed(None, "").retryable


def complaints(about: str) -> list[Frame]:
    """Return frames in which a vendor of any kind might say something."""
    encoded = base64.b64encode(b"\0\0").decode()
    messages: list[dict[str, Any]] = [
        {"type": "error", "code": 1008, "message": about},
        {"type": "error", "code": about, "message": about, "client_req_id": "s1"},
        {"error": about, "code": 429},
        {"error": about, "error_code": about, "context_id": "s1"},
        {"error": {"nested": [about]}, "code": about},
        {"warning": about},
        {"audio": encoded, "enc": about, "sr": 24_000, "chunk_id": 0},
        {"audio": encoded, "sr": about, "context_id": "s1"},
        {"session_closed": True, "usage": {"cost_cents": about}},
        {"event": "error", "error": about, "status": about},
        {"event": "finish", "reason": about},
        {"event": "finish", "reason": "error", "message": about},
    ]
    return [*map(json.dumps, messages), *map(ormsgpack.packb, messages), about, about.encode()]


@pytest.mark.parametrize(
    ("way", "prefix"), [*((way, "") for way in ROWS_BY_NAME), ("kugelaudio", "eu-"), ("kugelaudio-multi", "eu-")]
)
def test_no_error_holds_the_key_that_a_hostile_vendor_sends_back(way: str, prefix: str) -> None:
    ours = provider(way, prefix + KEY)
    said: list[object] = []
    for frame in complaints(f"bad key: {prefix}{KEY} (Bearer {KEY.upper()})"):
        protocol = ours.protocol()
        stream, _ = protocol.open(SPEC)
        protocol.text(stream, "Hello.")
        events: list[VendorEvent] = protocol.receive(frame)
        said += [event for event in events if isinstance(event, Failed | Warned)]
        said += [event.error for event in events if isinstance(event, Failed)]
    said += [ours.protocol().closed(code, f"key {KEY}") for code in (1000, 1008, 4001)]
    said += [ours.protocol().closed(1008, f"{'x' * 100} {KEY[:-2]}"), ours.refused(403, f"<b>{KEY}</b>")]
    assert len(said) > 5
    for thing in said:
        assert (
            KEY[:-2].lower() not in f"{thing} {thing!r} {vars(thing) if isinstance(thing, Exception) else ''}".lower()
        )


@each_way
def test_no_repr_holds_the_key(way: str) -> None:
    ours = provider(way)
    assert KEY in str(dict(ours.handshake("s1").headers))
    for thing in (ours, ours.settings, ours.handshake("s1"), ours.protocol(), ours.capabilities):
        assert KEY not in f"{thing} {thing!r}"
    assert KEY not in ours.handshake("s1").url
    assert KEY not in ours.binding(SPEC)
