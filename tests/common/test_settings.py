"""Settings come from a file and the environment; what is wrong is named, and what is secret is not."""

import os
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from saystream.common.errors import InvalidSettings
from saystream.common.settings import ProviderSettings, Settings, load

SECRET = "sk-do-not-show"  # noqa: S105
COMPLETE = f"""
redis_url = "redis://somewhere:6379/0"
shards = 16

[providers.gradium]
api_key = "{SECRET}"
min = 2

[voices.narrator]
provider = "gradium"
voice_id = "abc"
settings = {{ speed = 1.2 }}

[worker]
slots = 50
lease_s = 3

[limits]
token_bytes = 1000
"""


@pytest.fixture(autouse=True)
def _empty_directory_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.upper().startswith("SAYSTREAM_"):
            monkeypatch.delenv(name)


def write(text: str, name: str = "saystream.toml") -> Path:
    path = Path(name)
    path.write_text(text, "utf-8")
    return path


def everything_shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_without_a_file_or_variables_there_are_defaults() -> None:
    settings = load()
    assert (settings.redis_url, settings.shards, settings.providers, settings.voices) == (None, 1, {}, {})
    assert settings.worker.lease_s == 1.0


def test_a_file_is_read() -> None:
    settings = load(write(COMPLETE, "other.toml"))
    assert (settings.redis_url, settings.shards) == ("redis://somewhere:6379/0", 16)
    assert settings.providers["gradium"].min == 2
    assert (settings.voices["narrator"].voice_id, settings.voices["narrator"].settings) == ("abc", {"speed": 1.2})
    assert (settings.worker.slots, settings.worker.lease_s, settings.worker.attempts) == (50, 3.0, 3)
    assert (settings.limits.token_bytes, settings.limits.waiting_turns) == (1000, 100)


def test_the_file_in_the_working_directory_is_read_unasked() -> None:
    write(COMPLETE)
    assert load().shards == 16


def test_the_environment_wins_over_the_file_field_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSTREAM_REDIS_URL", "redis://elsewhere")
    monkeypatch.setenv("SAYSTREAM_WORKER__SLOTS", "7")
    monkeypatch.setenv("SAYSTREAM_PROVIDERS__GRADIUM__MIN", "0")
    settings = load(write(COMPLETE))
    assert settings.redis_url == "redis://elsewhere"
    assert (settings.worker.slots, settings.worker.lease_s) == (7, 3.0)
    provider = settings.providers["gradium"]
    assert provider.min == 0
    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == SECRET


def test_what_is_given_wins_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSTREAM_SHARDS", "8")
    assert load(write(COMPLETE), shards=4).shards == 4


def test_a_provider_can_come_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSTREAM_PROVIDERS__GRADIUM__API_KEY", SECRET)
    assert load().providers["gradium"].api_key is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shards = 0", r"shards: .*greater than or equal to 1"),
        ("shards = 16385", r"shards: .*less than or equal to 16384"),
        ("shard = 1", r"shard: Extra inputs are not permitted"),
        ("redis_timeout_s = 0", r"redis_timeout_s: .*greater than 0"),
        ("[worker]\nslotz = 1", r"worker.slotz: Extra inputs are not permitted"),
        ("[worker]\nlease_s = 'long'", r"worker.lease_s: .*valid number"),
        ("[limits]\ntoken_bytes = 0", r"limits.token_bytes"),
        ("[providers.gradium]\nmin = 3\nmax = 2", r"providers.gradium: min = 3 is more than max = 2"),
        ("[voices.narrator]\nprovider = 'gradium'", r"voices.narrator.voice_id: Field required"),
        (
            "[providers.gradium]\n[voices.a]\nprovider = 'gradium'\nvoice_id = 'x'\nfallback = ['b']",
            r"voices.a.fallback has 'b', but the other voices are: none",
        ),
        (
            "[providers.gradium]\n[voices.a]\nprovider = 'gradium'\nvoice_id = 'x'\nhedge_voice = 'a'",
            r"voices.a.hedge_voice needs hedge_ms",
        ),
    ],
    ids=lambda value: value.splitlines()[-1],
)
def test_a_wrong_field_is_named_with_the_file(text: str, message: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"settings from wrong\.toml and the environment: {message}"):
        load(write(text, "wrong.toml"))


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(InvalidSettings, match=r"shards: .*; worker\.slots: "):
        load(write("shards = 0\n[worker]\nslots = 0"))


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSTREAM_WORKER__SLOTS", "many")
    with pytest.raises(InvalidSettings, match=r"settings from the environment: worker\.slots: "):
        load()


def test_a_voice_of_an_unknown_provider_is_named_with_the_providers_there_are() -> None:
    text = COMPLETE.replace('provider = "gradium"', 'provider = "gradum"')
    with pytest.raises(
        InvalidSettings, match=r"voices\.narrator\.provider is 'gradum', but the providers are: gradium"
    ):
        load(write(text))


def test_what_is_no_toml_is_refused_with_the_place() -> None:
    with pytest.raises(InvalidSettings, match=r"broken\.toml.*line 2"):
        load(write("shards = 1\nworker = = 2", "broken.toml"))


def test_a_file_that_is_no_text_is_refused() -> None:
    path = Path("binary.toml")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSettings, match=r"binary\.toml"):
        load(path)


def test_a_file_that_is_named_must_be_there() -> None:
    with pytest.raises(InvalidSettings, match=r"there is no settings file nowhere\.toml"):
        load(Path("nowhere.toml"))


def test_a_directory_is_no_file() -> None:
    Path("saystream.toml").mkdir()
    with pytest.raises(InvalidSettings, match=r"there is no settings file saystream\.toml"):
        load()


def test_a_variable_that_should_be_json_and_is_not_is_refused_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSTREAM_PROVIDERS", f"{{not json {SECRET}")
    with pytest.raises(InvalidSettings, match="providers") as raised:
        load()
    assert SECRET not in everything_shown(raised.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load().shards = 2


@pytest.mark.parametrize("show", [repr, str])
def test_a_key_is_not_shown(show: type[str]) -> None:
    settings = load(write(COMPLETE))
    for shown in (settings, settings.providers, settings.providers["gradium"]):
        assert SECRET not in show(shown)


@pytest.mark.parametrize("show", [repr, str])
def test_the_password_of_redis_is_not_shown(show: type[str]) -> None:
    assert SECRET not in show(load(redis_url=f"redis://:{SECRET}@somewhere"))


@pytest.mark.parametrize(
    "wrong",
    [
        "[providers.gradium]\napi_key = '{secret}'\nmin = 3\nmax = 2",
        "[providers.gradium]\napi_key = ['{secret}']",
        "[providers.gradium]\napi_key = '{secret}'\n[voices.v]\nprovider = 'x'\nvoice_id = 'y'",
        "redis_url = ['{secret}']",
        "[providers]\ngradium = '{secret}'",
        "providers = '{secret}'",
    ],
)
def test_no_error_shows_a_secret_nor_does_its_traceback(wrong: str) -> None:
    path = write(wrong.format(secret=SECRET))
    with pytest.raises(InvalidSettings) as raised:
        load(path)
    assert SECRET not in everything_shown(raised.value)


def test_a_section_of_its_own_shows_no_secret_in_its_error() -> None:
    with pytest.raises(ValidationError) as raised:
        ProviderSettings.model_validate({"api_key": SECRET, "min": 3, "max": 2})
    assert SECRET not in everything_shown(raised.value)


def test_settings_without_a_file_read_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    write(COMPLETE)
    monkeypatch.setenv("SAYSTREAM_SHARDS", "8")
    settings = Settings()
    assert (settings.shards, settings.redis_url) == (8, None)
