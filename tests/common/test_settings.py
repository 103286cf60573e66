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
        ("shard = 1", r"shard: there is no such setting; is it shards\?"),
        ("redis_timeout_s = 0", r"redis_timeout_s: .*greater than 0"),
        ("[worker]\nslotz = 1", r"worker\.slotz: there is no such setting; is it slots\?"),
        ("[wroker]\nslots = 1", r"wroker: there is no such setting; is it worker\?"),
        ("[worker]\nvolume = 1", r"worker\.volume: there is no such setting, only slots, lease_s, "),
        ("[providers.acme]\nurll = 'x'", r"providers\.acme\.urll: there is no such setting; is it url\?"),
        (
            "[providers.a]\n[voices.a]\nprovider = 'a'\nvoice_id = 'x'\ntext.markdwn = true",
            r"voices\.a\.text\.markdwn: there is no such setting; is it markdown\?",
        ),
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


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("SAYSTREAM_WORKER_SLOTS", "SAYSTREAM_WORKER__SLOTS"),
        ("SAYSTREAM_WOKER__SLOTS", "SAYSTREAM_WORKER__SLOTS"),
        ("SAYSTREAM_WORKER__SLOTZ", "SAYSTREAM_WORKER__SLOTS"),
        ("SAYSTREAM_REDIS_ULR", "SAYSTREAM_REDIS_URL"),
        ("SAYSTREAM_REDIS_URL__X", "SAYSTREAM_REDIS_URL"),
        ("SAYSTREAM_LIMITS_OUTPUT_S", "SAYSTREAM_LIMITS__OUTPUT_S"),
        ("SAYSTREAM_PROVIDERS_GRADIUM_API_KEY", "SAYSTREAM_PROVIDERS__GRADIUM__API_KEY"),
        ("SAYSTREAM_PROVIDERS__GRADIUM__API_KEI", "SAYSTREAM_PROVIDERS__GRADIUM__API_KEY"),
        ("SAYSTREAM_PROVIDER__ACME__API_KEY", "SAYSTREAM_PROVIDERS__ACME__API_KEY"),
        ("SAYSTREAM_PROVIDERS_MY_ACME_MAX", "SAYSTREAM_PROVIDERS__MY_ACME__MAX"),
        ("SAYSTREAM_VOICES__ANNA__TEXT_MARKDOWN", "SAYSTREAM_VOICES__ANNA__TEXT__MARKDOWN"),
        ("SAYSTREAM_SHARD", "SAYSTREAM_SHARDS"),
        ("saystream_shard", "SAYSTREAM_SHARDS"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_with_the_nearest_that_is(
    monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    monkeypatch.setenv(name, SECRET)
    with pytest.raises(InvalidSettings) as raised:
        load()
    assert str(raised.value) == f"settings from the environment: {name} is no setting: is it {near}?"


@pytest.mark.parametrize(
    "name", ["SAYSTREAM_", "SAYSTREAM_FOO", "SAYSTREAM_VOICES__", "SAYSTREAM_WORKER__", "SAYSTREAM_TESTS"]
)
def test_a_variable_that_is_like_no_setting_is_refused_too(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, SECRET)
    with pytest.raises(InvalidSettings, match=f"{name} is no setting: ") as raised:
        load()
    assert SECRET not in everything_shown(raised.value)


def test_all_wrong_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSTREAM_REDIS_ULR", "redis://somewhere")
    monkeypatch.setenv("SAYSTREAM_WORKER_SLOTS", "5")
    with pytest.raises(InvalidSettings, match=r"SAYSTREAM_REDIS_ULR .*; SAYSTREAM_WORKER_SLOTS "):
        load()


def test_variables_of_the_tests_and_of_kubernetes_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("SAYSTREAM", "SAYSTREAM_WORKER"):
        for name, value in {
            "SERVICE_HOST": "10.0.0.1",
            "SERVICE_PORT": "80",
            "SERVICE_PORT_HTTP": "80",
            "PORT": "tcp://10.0.0.1:80",
            "PORT_80_TCP": "tcp://10.0.0.1:80",
            "PORT_80_TCP_PROTO": "tcp",
            "PORT_80_TCP_PORT": "80",
            "PORT_80_TCP_ADDR": "10.0.0.1",
        }.items():
            monkeypatch.setenv(f"{service}_{name}", value)
    monkeypatch.setenv("SAYSTREAM_TEST_REDIS", "docker")
    monkeypatch.setenv("SAYSTREAM_CHAOS", "brief.json")
    assert load().model_dump() == Settings().model_dump()


def test_a_port_that_kubernetes_has_not_set_is_somebodys_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSTREAM_REDIS_PORT", "6379")
    with pytest.raises(InvalidSettings, match="SAYSTREAM_REDIS_PORT is no setting"):
        load()


def test_what_an_operator_names_goes_by_variables_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSTREAM_VOICES__Narrator__FALLBACK", '["clerk"]')
    monkeypatch.setenv("SAYSTREAM_VOICES__NARRATOR__TEXT__MARKDOWN", "false")
    monkeypatch.setenv("saystream_voices__clerk__provider", "gradium")
    monkeypatch.setenv("SAYSTREAM_VOICES__CLERK__VOICE_ID", "7")
    monkeypatch.setenv("SAYSTREAM_VOICES__CLERK__SETTINGS__SPEED", "1.2")
    monkeypatch.setenv("SAYSTREAM_PROVIDERS__GRADIUM__OPTIONS__MODE", "single")
    settings = load(write(COMPLETE))
    narrator, clerk = settings.voices["narrator"], settings.voices["clerk"]
    assert (narrator.fallback, narrator.text.markdown) == (("clerk",), False)
    assert (clerk.voice_id, clerk.settings) == ("7", {"speed": "1.2"})
    assert settings.providers["gradium"].options == {"mode": "single"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SAYSTREAM_VOICES__NARRATOR__FALLBACK", "clerk", "is to be JSON: a list, such as '"),
        ("SAYSTREAM_VOICES__NARRATOR__FALLBACK", '"clerk"', "is to be JSON: a list, such as '"),
        ("SAYSTREAM_VOICES__NARRATOR", "clerk", "is to be JSON: a table, such as '"),
        ("SAYSTREAM_VOICES", "clerk", "is to be JSON: a table, such as '"),
        ("SAYSTREAM_WORKER", "[1]", "is to be JSON: a table, such as '"),
        ("SAYSTREAM_PROVIDERS__GRADIUM__OPTIONS", "single", "is to be JSON: a table, such as '"),
    ],
)
def test_a_variable_that_must_be_json_is_named_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings) as raised:
        load(write(COMPLETE))
    assert f"settings from the environment: {name} {message}" in str(raised.value)


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
    with pytest.raises(InvalidSettings, match="SAYSTREAM_PROVIDERS is to be JSON") as raised:
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


def test_a_variable_that_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    without = load(write(COMPLETE)).model_dump()
    for name in ("REDIS_URL", "SHARDS", "WORKER", "WORKER__SLOTS", "PROVIDERS__GRADIUM__API_KEY", "VOICES"):
        monkeypatch.setenv(f"SAYSTREAM_{name}", "")
    assert load(write(COMPLETE)).model_dump() == without
    monkeypatch.setenv("SAYSTREAM_REDIS_ULR", "")
    with pytest.raises(InvalidSettings, match="is it SAYSTREAM_REDIS_URL"):
        load()
