"""What cannot be is refused at once and by name; who names no Redis gets that of the settings."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saystream.common.errors import InvalidInput, InvalidSettings
from saystream.common.settings import DEFAULT_FILE
from saystream.consumer import BEGINNING, Listener, listen
from saystream.consumer.arguments import redis_at, seconds, whole
from tests.consumer.studio import SESSION, Studio, kinds

URL = "redis://localhost"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SAYSTREAM_REDIS_URL", "SAYSTREAM_SHARDS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("value", [-1, 11, 1.0, math.nan, "7", None, True, np.bool_(True)], ids=repr)
def test_what_is_no_whole_number_within_its_bounds_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"turns = .*a whole number, from 0 to 10"):
        whole("turns", value, 0, 10)


def test_a_whole_number_of_numpy_is_one() -> None:
    assert type(whole("turns", np.int64(7), 0)) is int


@pytest.mark.parametrize("value", [-1, -math.inf, math.nan, "7", None, True], ids=repr)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"idle_s = .*seconds, 0 or more"):
        seconds("idle_s", value)


def test_no_time_at_all_may_be_too_little() -> None:
    assert seconds("idle_s", 0) == 0
    with pytest.raises(InvalidInput, match="more than 0"):
        seconds("idle_s", 0, positive=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("block_ms", 0), ("block_ms", 0.5), ("shards", 0), ("timeout_s", 0), ("patience_s", -1), ("idle_s", "1")],
)
def test_a_listener_names_the_number_that_cannot_be(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{name} = {value!r}"):
        listen(URL, SESSION, **{name: value})


async def test_a_listener_may_wait_for_ever_for_a_session_to_be_quiet(studio: Studio) -> None:
    await studio.say("a", [1])
    events = [event async for event in listen(studio.url, SESSION, BEGINNING, until_turn="a", idle_s=math.inf)]
    assert kinds(events) == "begin a, audio 1, end a"


def test_what_is_no_url_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidInput, match="text, and not of type bytes") as refused:
        Listener(b"redis://:secret@localhost", SESSION)  # type: ignore[arg-type]
    assert "secret" not in str(refused.value)


def test_with_a_url_the_settings_are_not_read() -> None:
    DEFAULT_FILE.write_text("this is not TOML", "utf-8")
    assert redis_at(URL, None) == (URL, 1)
    assert redis_at(URL, 30) == (URL, 30)


def test_without_a_url_redis_and_its_shards_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    DEFAULT_FILE.write_text('redis_url = "redis://in-the-file"\nshards = 30', "utf-8")
    assert redis_at(None, None) == ("redis://in-the-file", 30)
    assert redis_at(None, 5) == ("redis://in-the-file", 5)
    monkeypatch.setenv("SAYSTREAM_REDIS_URL", URL)
    assert redis_at(None, None) == (URL, 30)


def test_who_says_nowhere_where_redis_is_is_told_how_to() -> None:
    with pytest.raises(InvalidSettings, match="SAYSTREAM_REDIS_URL"):
        Listener(None, SESSION)


async def test_a_listener_without_a_url_listens_at_the_redis_of_the_settings(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYSTREAM_REDIS_URL", studio.url)
    await studio.say("a", [1])
    events = [event async for event in listen(None, SESSION, BEGINNING, until_turn="a")]
    assert kinds(events) == "begin a, audio 1, end a"
