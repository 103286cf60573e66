"""The voices that a worker speaks: each a name, its settings, its account, and who goes on when its vendor fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from saystream.common.audio import AudioFormat
from saystream.common.settings import VoiceSettings
from saystream.workers.account import Account
from saystream.workers.providers.base import Provider, StreamSpec


@dataclass(eq=False, slots=True)
class Voice:
    """A voice that the operator has configured.

    Args:
        fallbacks: other voices, in the order in which they are asked.
        hedge: who speaks in a second stream that races a late first one; None: nobody.
    """

    name: str
    settings: VoiceSettings
    account: Account = field(repr=False)
    fallbacks: tuple["Voice", ...] = field(default=(), repr=False)
    hedge: "Voice | None" = field(default=None, repr=False)

    @property
    def format(self) -> AudioFormat:
        """What listeners get, where no earlier attempt has settled it."""
        return AudioFormat(sample_rate=self.settings.sample_rate)

    def spec(self, format: AudioFormat) -> StreamSpec:
        """Say what to ask of the vendor, to get what is next to a format."""
        return spec(self.settings, self.account.provider, format)


def spec(voice: VoiceSettings, provider: Provider, format: AudioFormat) -> StreamSpec:
    """Say what a voice asks of its vendor: the sample rate is one that the vendor offers."""
    asked = replace(format, sample_rate=provider.capabilities.nearest_rate(format.sample_rate))
    return StreamSpec(voice.voice_id, asked, voice.model, voice.language, voice.settings)


def build(settings: Mapping[str, VoiceSettings], accounts: Mapping[str, Account]) -> dict[str, Voice]:
    """Make the voices, by name, over the accounts, by theirs."""
    voices = {name: Voice(name, voice, accounts[voice.provider]) for name, voice in settings.items()}
    for name, voice in voices.items():
        given = settings[name]
        voice.fallbacks = tuple(voices[other] for other in given.fallback)
        if given.hedge_ms is not None:
            voice.hedge = voices[given.hedge_voice or name]
    return voices
