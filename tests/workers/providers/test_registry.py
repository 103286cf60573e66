"""The registry builds the accounts that voices use, and refuses what cannot work."""

from typing import Any

import pytest

from saystream.common.errors import InvalidSettings
from saystream.common.settings import Settings
from saystream.workers.providers import registry


def settings(providers: dict[str, Any], voices: dict[str, Any]) -> Settings:
    accounts = {name: {"api_key": "k3y", **provider} for name, provider in providers.items()}
    return Settings.model_validate({"providers": accounts, "voices": voices})


def test_each_account_that_a_voice_uses_is_built_by_its_name() -> None:
    built = registry.build(
        settings(
            {"gradium": {}, "kugelaudio": {}, "second": {"vendor": "fishaudio"}, "unused": {"vendor": "gradium"}},
            {
                "a": {"provider": "gradium", "voice_id": "v"},
                "b": {"provider": "kugelaudio", "voice_id": "1"},
                "c": {"provider": "second", "voice_id": "v"},
            },
        )
    )
    assert {name: provider.vendor for name, provider in built.items()} == {
        "gradium": "gradium",
        "kugelaudio": "kugelaudio",
        "second": "fishaudio",
    }


def test_an_unknown_vendor_is_refused_with_the_names_of_those_that_there_are() -> None:
    with pytest.raises(InvalidSettings, match=r"providers\.x\.vendor: 'x' is none of fishaudio, gradium, kugelaudio"):
        registry.build(settings({"x": {}}, {"v": {"provider": "x", "voice_id": "v"}}))


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ({"vendor": "nobody"}, r"providers\.spare\.vendor: 'nobody' is none of fishaudio, gradium, kugelaudio"),
        ({"vendor": "fishaudio", "options": {"nonsense": 1}}, r"providers\.spare\.options: .*nonsense"),
        ({"vendor": "fishaudio", "url": "http://h"}, r"providers\.spare\.url is no WebSocket URL"),
    ],
)
def test_an_account_that_no_voice_uses_is_checked_too(account: dict[str, Any], message: str) -> None:
    voices = {"v": {"provider": "gradium", "voice_id": "v"}}
    with pytest.raises(InvalidSettings, match=message):
        registry.build(settings({"gradium": {}, "spare": account}, voices))


def test_an_account_that_no_voice_uses_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FISH_API_KEY", raising=False)
    given = {
        "providers": {"gradium": {"api_key": "k3y"}, "fishaudio": {}},
        "voices": {"v": {"provider": "gradium", "voice_id": "v"}},
    }
    assert set(registry.build(Settings.model_validate(given))) == {"gradium"}


@pytest.mark.parametrize("vendor", sorted(registry.VENDORS))
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8911", "127.0.0.1:8912", "wss//x", "wss:x", "wss://", "wss:///path", "wss://h:port", "",
        "wss://h:99999", "wss://h/#part", "wss://two words", "wss://[::1", "wss://user@h",
    ],
)  # fmt: skip
def test_a_url_that_is_no_websockets_is_refused_and_not_shown(vendor: str, url: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        registry.build(settings({vendor: {"url": url}}, {"v": {"provider": vendor, "voice_id": "v"}}))
    assert str(raised.value) == f"providers.{vendor}.url is no WebSocket URL: write wss://host or ws://host:port"


@pytest.mark.parametrize("vendor", sorted(registry.VENDORS))
@pytest.mark.parametrize("url", ["ws://127.0.0.1:8911", "WSS://h", "wss://h/own/path?query=1", "wss://[::1]:1/"])
def test_a_websockets_url_is_taken(vendor: str, url: str) -> None:
    built = registry.build(settings({vendor: {"url": url}}, {"v": {"provider": vendor, "voice_id": "v"}}))
    assert built[vendor].handshake("").url.lower().startswith(url.rstrip("/").lower())


def test_a_voice_is_checked_by_its_vendor() -> None:
    voice = {"provider": "fishaudio", "voice_id": "v", "settings": {"top_p": 2}}
    with pytest.raises(InvalidSettings, match=r"voices\.v\.settings\.top_p"):
        registry.build(settings({"fishaudio": {}}, {"v": voice}))


@pytest.mark.parametrize("vendor", sorted(registry.VENDORS))
def test_every_vendor_offers_rates_and_says_what_it_can_do(vendor: str) -> None:
    voice = {"provider": vendor, "voice_id": "v"}
    abilities = registry.build(settings({vendor: {}}, {"v": voice}))[vendor].capabilities
    assert 24_000 in abilities.sample_rates
    assert abilities.streams >= 1
    assert abilities.unspoken is not None
