"""A request is checked at the door, and each wrong field is named."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from saystream.common.errors import InvalidRequest
from saystream.common.ids import TurnRef
from saystream.common.request import TurnRequest

short = st.text(max_size=8).filter(bool)


def test_a_session_is_all_that_is_needed() -> None:
    request = TurnRequest.check(session="s")
    assert (request.voice, request.on_busy, request.start_within_ms, request.metadata) == ("default", "queue", 0, {})
    assert request.ref == TurnRef(request.session, request.turn)


def test_turns_get_ids_of_their_own() -> None:
    assert TurnRequest.check(session="s").turn != TurnRequest.check(session="s").turn


@given(st.dictionaries(short, short, max_size=6), st.randoms())
def test_equal_requests_have_the_same_canonical_form_whatever_the_order(metadata: dict[str, str], random: Any) -> None:
    items = list(metadata.items())
    random.shuffle(items)
    one, other = (TurnRequest.check(session="s", turn="t", metadata=given) for given in (metadata, dict(items)))
    assert one.canonical() == other.canonical()
    assert TurnRequest.model_validate_json(one.canonical()) == one


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "session"),
        ({"session": ""}, "session"),
        ({"session": "a b"}, "session: session id 'a b'"),
        ({"session": "s", "turn": "{t}"}, "turn: turn id '{t}'"),
        ({"session": "s", "voice": ""}, "voice"),
        ({"session": "s", "voice": "v" * 129}, "voice"),
        ({"session": "s", "voice": "\ud800"}, "voice"),
        ({"session": "s", "on_busy": "shout"}, "on_busy"),
        ({"session": "s", "start_within_ms": -1}, "start_within_ms"),
        ({"session": "s", "start_within_ms": "soon"}, "start_within_ms"),
        ({"session": "s", "metadata": {"a": 5}}, "metadata.a"),
        ({"session": "s", "metadata": {"a": "x" * 1025}}, "metadata.a"),
        ({"session": "s", "metadata": {"": "x"}}, "metadata"),
        ({"session": "s", "metadata": {str(n): "" for n in range(33)}}, "metadata"),
        ({"session": "s", "voise": "v"}, "voise"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        TurnRequest.check(**fields)
    assert str(raised.value).startswith(named)


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(InvalidRequest, match=r"session: .*; on_busy: "):
        TurnRequest.check(session="?", on_busy="?")


@pytest.mark.parametrize("number", [1 << 64, 10**30], ids=["2^64", "10^30"])
def test_a_number_that_no_record_could_hold_is_refused(number: int) -> None:
    with pytest.raises(InvalidRequest, match="start_within_ms"):
        TurnRequest.check(session="s", start_within_ms=number)


def test_the_largest_request_is_taken() -> None:
    metadata = {f"{number:0>128}": "\U0001f600" * 1024 for number in range(32)}
    request = TurnRequest.check(session="s" * 128, turn="t" * 128, voice="ü" * 128, metadata=metadata)
    assert orjson.loads(request.canonical())["metadata"] == metadata


def test_a_request_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TurnRequest.check(session="s").voice = "another"


@pytest.mark.parametrize("fields", [{"text": {"replacements": {"a": "\ud83d"}}}, {"metadata": {"a": "\ud83d"}}])
def test_a_text_that_cannot_be_written_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        TurnRequest.check(session="s", **fields)
