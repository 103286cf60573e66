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
            {"gradium": {}, "kugelaudio": {}, "second": {"vendor": "fishaudio"}, "unused": {"vendor": "nobody"}},
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
