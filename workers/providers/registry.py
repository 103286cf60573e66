"""The providers that there are; the only place that knows them all."""

from collections.abc import Mapping

from saystream.common.errors import InvalidSettings
from saystream.common.settings import Settings
from saystream.workers.providers.base import Provider
from saystream.workers.providers.fishaudio import FishAudio
from saystream.workers.providers.gradium import Gradium
from saystream.workers.providers.kugelaudio import KugelAudio

#: By the name that the settings use. A new vendor gets its row here.
VENDORS: Mapping[str, type[Provider]] = {vendor.vendor: vendor for vendor in (Gradium, KugelAudio, FishAudio)}


def build(settings: Settings) -> dict[str, Provider]:
    """Make a provider for each account that a voice uses, by the account's name.

    Raises:
        InvalidSettings: an unknown vendor, a missing key, an option or voice setting that the vendor does not have.
    """
    providers: dict[str, Provider] = {}
    for name in sorted({voice.provider for voice in settings.voices.values()}):
        account = settings.providers[name]
        vendor = account.vendor or name
        if vendor not in VENDORS:
            raise InvalidSettings(f"providers.{name}.vendor: {vendor!r} is none of {', '.join(sorted(VENDORS))}")
        providers[name] = VENDORS[vendor](name, account)
    for name, voice in settings.voices.items():
        providers[voice.provider].check(name, voice)
    return providers
