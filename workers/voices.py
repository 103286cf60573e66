"""The voices that a worker speaks: each a name, its settings, and the pool of its account."""

from dataclasses import dataclass

from saystream.common.audio import AudioFormat
from saystream.common.settings import VoiceSettings
from saystream.workers.pool import Pool
from saystream.workers.providers.base import StreamSpec


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that the operator has configured."""

    name: str
    settings: VoiceSettings
    pool: Pool

    @property
    def format(self) -> AudioFormat:
        """What listeners get, where no earlier attempt has settled it."""
        return AudioFormat(sample_rate=self.settings.sample_rate)

    def spec(self, format: AudioFormat) -> StreamSpec:
        """Say what to ask of the vendor."""
        settings = self.settings
        return StreamSpec(settings.voice_id, format, settings.model, settings.language, settings.settings)
