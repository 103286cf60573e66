"""What people write about the behaviour, read."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from saystream.common.errors import InvalidSettings
from saystream.compose.standin import Behaviour, Fault, Kind
from saystream.compose.standin.told import changed, fault, given, nested, read_file, shown


def test_a_file_has_the_names_of_the_fields(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('speed = 4\napi_keys = ["a", "b"]\nmost_streams = 5\n[fault]\nkind = "close"\ncode = 1011\n')
    expected = Behaviour(
        speed=4.0, api_keys=frozenset("ab"), most_streams=5, fault=Fault(Kind.CLOSE, code=1011, after_frames=0)
    )
    assert changed(Behaviour(), read_file(file)) == expected


def test_the_last_word_is_the_strongest_and_what_is_not_said_stays() -> None:
    base = Behaviour(word_lag=7)
    assert changed(base, {"speed": 2, "drip_bytes": 3}, {"speed": 5}) == replace(base, speed=5.0, drip_bytes=3)


def test_a_query_is_read_as_text() -> None:
    pairs = [("speed", "inf"), ("draining", "true"), ("drip_bytes", "none"), ("api_keys", "a,b"), ("fault.kind", "cut")]
    behaviour = changed(Behaviour(speed=1.0, drip_bytes=3), nested(pairs))
    expected = Behaviour(draining=True, api_keys=frozenset("ab"), fault=Fault(Kind.CUT))
    assert behaviour == expected


def test_a_fault_that_names_its_kind_is_a_new_one_and_else_it_is_changed() -> None:
    base = Behaviour(fault=Fault(Kind.ERROR, 3, 1011, "worker failure"))
    assert changed(base, {"fault": {"after_frames": 9}}).fault == Fault(Kind.ERROR, 9, 1011, "worker failure")
    assert changed(base, {"fault": {"kind": "cut"}}).fault == Fault(Kind.CUT)
    assert changed(base, nested([("fault", "none")])).fault is None
    two_said = changed(base, {"fault": {"kind": "close", "code": 1000}}, {"fault": {"code": 1001}})
    assert two_said.fault == Fault(Kind.CLOSE, code=1001)


def test_options_that_were_not_given_say_nothing() -> None:
    assert given({"speed": None, "fault.kind": None}) == {}
    assert given({"speed": 2.0, "fault.kind": "cut", "fault.code": None}) == {"speed": 2.0, "fault": {"kind": "cut"}}


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"speeed": 1}, "there is no speeed; is it speed?"),
        ({"xyzzy": 1}, "there is no xyzzy"),
        ({"fault": {"kind": "cut", "after": 1}}, "there is no fault.after; is it fault.after_frames?"),
        ({"fault": {"kind": "bang"}}, "fault.kind: Input should be 'close'"),
        ({"fault": {"kind": "close"}}, "fault: the fault close needs a code"),
        ({"fault": {"kind": "close", "code": 1006}}, "no socket can be closed with code 1006"),
        ({"fault": {"kind": "close", "code": 1000, "message": "x" * 124}}, "123 bytes"),
        ({"fault": {"kind": "cut", "after_frames": -1}}, "fault: after_frames must not be negative"),
        ({"fault": {"after_frames": 3}}, "there is no fault whose after_frames could be changed"),
        ({"fault": "cut"}, "fault: Input should be"),
        ({"speed": "fast"}, "speed: Input should be a valid number"),
        ({"speed": 0}, "speed must be positive"),
        ({"most_streams": 0}, "most_streams must be at least 1"),
        ({"handshake_delay_s": math.inf}, "handshake_delay_s must be finite"),
        ({"idle_socket_s": 0}, "idle_socket_s must be positive"),
        ({"upgrade_status": 200}, "upgrade_status must be one of HTTP's for errors"),
        ({"api_keys": []}, "api_keys must have at least one key"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_a_sentence(told: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        changed(Behaviour(), told)
    assert sentence in str(refused.value)


def test_a_file_that_is_none_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"none\.toml: No such file"):
        read_file(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("speed =")
    with pytest.raises(InvalidSettings, match=r"bad\.toml: "):
        read_file(tmp_path / "bad.toml")


def test_a_fault_alone_is_read_without_its_section() -> None:
    assert fault([("kind", "no-tail"), ("after_frames", "4")]) == Fault(Kind.NO_TAIL, 4)
    with pytest.raises(InvalidSettings, match=r"is it fault\.kind"):
        fault([("knd", "cut")])


def test_what_is_shown_can_be_told_again() -> None:
    behaviour = Behaviour(drip_bytes=3, fault=Fault(Kind.ERROR, 2, 500, "no"))
    assert changed(Behaviour(), shown(behaviour)) == behaviour
