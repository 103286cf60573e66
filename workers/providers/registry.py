"""The providers that there are; the only place that knows them all."""

from collections.abc import Mapping

from pydantic import SecretStr

from saystream.common.errors import InvalidSettings
from saystream.common.settings import ProviderSettings, Settings
from saystream.workers.providers.base import Provider
from saystream.workers.providers.fishaudio import FishAudio
from saystream.workers.providers.gradium import Gradium
from saystream.workers.providers.kugelaudio import KugelAudio

#: By the name that the settings use. A new vendor gets its row here.
VENDORS: Mapping[str, type[Provider]] = {vendor.vendor: vendor for vendor in (Gradium, KugelAudio, FishAudio)}


def build(settings: Settings) -> dict[str, Provider]:
    """Make a provider for each account that a voice uses, by the account's name; the others are checked, too.

    Raises:
        InvalidSettings: an unknown vendor, a key that is missing for a voice, a URL that is none, an option or voice
            setting that the vendor does not have.
    """
    used = {voice.provider for voice in settings.voices.values()}
    made = {name: _make(name, account, name in used) for name, account in sorted(settings.providers.items())}
    for name, voice in settings.voices.items():
        made[voice.provider].check(name, voice)
    return {name: provider for name, provider in made.items() if name in used}


def _make(name: str, account: ProviderSettings, used: bool) -> Provider:
    vendor = account.vendor or name
    if vendor not in VENDORS:
        raise InvalidSettings(f"providers.{name}.vendor: {vendor!r} is none of {', '.join(sorted(VENDORS))}")
    if not used and account.api_key is None:  # a key that nobody needs may be missing
        account = account.model_copy(update={"api_key": SecretStr("none")})
    return VENDORS[vendor](name, account)
