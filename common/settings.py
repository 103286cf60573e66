"""Settings: what an operator decides, from ``saystream.toml`` and the environment.

The environment wins over the file: ``SAYSTREAM_REDIS_URL``, ``SAYSTREAM_WORKER__SLOTS``,
``SAYSTREAM_PROVIDERS__GRADIUM__API_KEY``.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from saystream.common.errors import InvalidSettings
from saystream.common.request import describe

DEFAULT_FILE = Path("saystream.toml")

_Seconds = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ProviderSettings(_Section):
    """One account with a vendor.

    Args:
        vendor: whose protocol it speaks; the section's own name if not given.
        url: where to connect; the vendor's public address if not given.
        api_key: the key; the vendor's own environment variable (such as ``GRADIUM_API_KEY``) if not given.
        warm: connections kept ready.
        max: connections at most.
        max_age_s: a connection is replaced at this age, when no turn uses it.
        max_idle_s: a connection that no turn has used for so long is replaced.
        connect_timeout_s: how long a handshake may take.
        ping_s: how often an open socket is pinged, and how long the answer may take.
        silence_s: a stream that owes audio and has sent nothing for so long counts as broken.
        options: what is the vendor's own; see ``docs/providers.md``.
    """

    vendor: str | None = None
    url: str | None = None
    api_key: SecretStr | None = None
    warm: Annotated[int, Field(ge=0)] = 1
    max: Annotated[int, Field(ge=1)] = 32
    max_age_s: _Seconds = 240.0
    max_idle_s: _Seconds = 120.0
    connect_timeout_s: _Seconds = 10.0
    ping_s: _Seconds = 15.0
    silence_s: _Seconds = 10.0
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _warm_fits(self) -> "ProviderSettings":
        if self.warm > self.max:
            raise ValueError(f"warm = {self.warm} is more than max = {self.max}")
        return self


class VoiceSettings(_Section):
    """A voice: the name is the section's.

    Args:
        provider: a section of ``[providers]``.
        voice_id: the vendor's id of the voice.
        model: the vendor's name of the model; its default if not given.
        language: ISO 639-1, for vendors that want it.
        sample_rate: samples a second of what listeners get.
        settings: generation settings of the vendor's own (temperature, speed, …).
    """

    provider: str
    voice_id: str
    model: str | None = None
    language: str | None = None
    sample_rate: Annotated[int, Field(ge=8_000, le=48_000)] = 24_000
    settings: dict[str, Any] = {}


class LimitSettings(_Section):
    """Bounds that producers and workers keep.

    Args:
        retention_s: how long a session's streams outlive their last change.
        token_bytes: the largest token event, in bytes of UTF-8.
        waiting_turns: how many turns may wait in one session.
        outbox_bytes: audio that one turn may hold in a worker while Redis is away.
    """

    retention_s: Annotated[float, Field(ge=60)] = 86_400.0
    token_bytes: Annotated[int, Field(ge=1, le=1 << 20)] = 16_384
    waiting_turns: Annotated[int, Field(ge=0)] = 100
    outbox_bytes: Annotated[int, Field(ge=4096)] = 4 << 20


class WorkerSettings(_Section):
    """How a worker behaves.

    Args:
        slots: turns at once; no more than the connections of its providers carry.
        lease_s: a turn whose worker has not renewed it for so long is taken over.
        attempts: after so many workers lost at the same place, a turn is given up as ``failed``.
        streams: how often one attempt may start a stream of speech anew.
        drain_s: how long running turns may go on after SIGTERM.
    """

    slots: Annotated[int, Field(ge=1)] = 200
    lease_s: _Seconds = 2.0
    attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    streams: Annotated[int, Field(ge=1)] = 4
    drain_s: Annotated[float, Field(ge=0)] = 30.0


class Settings(BaseSettings):
    """All settings. ``redis_url`` is where Redis is; ``shards`` is 1 unless Redis is a cluster."""

    model_config = SettingsConfigDict(
        env_prefix="SAYSTREAM_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )

    redis_url: Annotated[str | None, Field(repr=False)] = None  # it may hold a password
    redis_timeout_s: _Seconds = 5.0
    shards: Annotated[int, Field(ge=1, le=16_384)] = 1
    providers: dict[str, ProviderSettings] = {}
    voices: dict[str, VoiceSettings] = {}
    limits: LimitSettings = LimitSettings()
    worker: WorkerSettings = WorkerSettings()

    @model_validator(mode="after")
    def _voices_have_providers(self) -> "Settings":
        for name, voice in self.voices.items():
            if voice.provider not in self.providers:
                known = ", ".join(sorted(self.providers)) or "none"
                raise ValueError(f"voices.{name}.provider is {voice.provider!r}, but the providers are: {known}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings


def load(file: Path | None = None, **given: Any) -> Settings:
    """Read the settings: what is given here, over the environment, over the file.

    Args:
        file: the TOML file; ``saystream.toml`` in the working directory, if there is one, when not given.

    Raises:
        InvalidSettings: naming the file and each wrong field.
    """
    path = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    if path is not None and not path.is_file():
        raise InvalidSettings(f"there is no settings file {path}")

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            *sources: PydanticBaseSettingsSource,
            **named: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return named["init_settings"], named["env_settings"], TomlConfigSettingsSource(settings_cls, path)

    where = f"{path} and the environment" if path else "the environment"
    try:
        return FromFile(**given)
    except ValidationError as error:
        raise InvalidSettings(f"settings from {where}: {describe(error)}") from error
    except ValueError as error:  # not TOML at all, or a variable that is not JSON where JSON is due
        raise InvalidSettings(f"settings from {where}: {error}") from error
