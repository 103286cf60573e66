"""Settings: what an operator decides, from ``saystream.toml`` and the environment.

The environment wins over the file: ``SAYSTREAM_REDIS_URL``, ``SAYSTREAM_WORKER__SLOTS``,
``SAYSTREAM_PROVIDERS__GRADIUM__API_KEY``. A variable that is empty is not set.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from saystream.common.errors import InvalidSettings
from saystream.common.setting_names import PREFIX, check_variables, describe
from saystream.common.text_rules import TextRules

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
        min: connections kept ready, however few turns come; more where turns come faster than connections open.
        max: connections at most.
        limit: streams of speech at once that the account allows, over all workers; no limit if not given.
        limit_wait_s: how long a turn waits for a place among them, in order, before a fallback is asked.
        limit_lowered_s: how long fewer are opened after the vendor has refused one as too many.
        max_age_s: a connection is replaced at this age, when no turn uses it.
        max_idle_s: a connection that no turn has used for so long is replaced.
        connect_timeout_s: how long a handshake may take.
        ping_s: how often an open socket is pinged, and how long the answer may take.
        first_audio_s: how long the vendor may take to answer text with its first audio.
        pause_s: how long a vendor that is ahead of real time may send no audio.
        stall_s: how much later than due audio may come before the stream counts as broken.
        cancel_s: how long the vendor may take to acknowledge a cancelled stream.
        breaker_failures: after so many failures in a row nothing is asked of the vendor for a while.
        breaker_s: how long that is at first; it doubles, up to a minute, while the vendor goes on failing.
        options: what is the vendor's own; see ``docs/providers.md``.
    """

    vendor: str | None = None
    url: str | None = None
    api_key: SecretStr | None = None
    min: Annotated[int, Field(ge=0)] = 1
    max: Annotated[int, Field(ge=1)] = 32
    limit: Annotated[int | None, Field(ge=1)] = None
    limit_wait_s: _Seconds = 60.0
    limit_lowered_s: _Seconds = 30.0
    max_age_s: _Seconds = 240.0
    max_idle_s: _Seconds = 120.0
    connect_timeout_s: _Seconds = 10.0
    ping_s: _Seconds = 15.0
    first_audio_s: _Seconds = 3.0
    pause_s: _Seconds = 5.0
    stall_s: _Seconds = 0.5
    cancel_s: _Seconds = 1.0
    breaker_failures: Annotated[int, Field(ge=1)] = 5
    breaker_s: _Seconds = 5.0
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _min_fits(self) -> "ProviderSettings":
        if self.min > self.max:
            raise ValueError(f"min = {self.min} is more than max = {self.max}")
        return self


class VoiceSettings(_Section):
    """A voice: the name is the section's.

    Args:
        provider: a section of ``[providers]``.
        voice_id: the vendor's id of the voice.
        model: the vendor's name of the model; its default if not given.
        language: ISO 639-1, for vendors that want it.
        sample_rate: samples a second of what listeners get.
        fallback: voices that go on with a turn, in this order, when the vendor fails; of any vendor.
        hedge_ms: if the first audio is later than this, a second stream races the first; never if not given.
        hedge_voice: who speaks in that second stream; the voice itself, on another connection, if not given.
        settings: generation settings of the vendor's own (temperature, speed, …).
        text: what is done to the text before it is spoken.
    """

    provider: str
    voice_id: str
    model: str | None = None
    language: str | None = None
    sample_rate: Annotated[int, Field(ge=8_000, le=48_000)] = 24_000
    fallback: tuple[str, ...] = ()
    hedge_ms: Annotated[float | None, Field(gt=0)] = None
    hedge_voice: str | None = None
    settings: dict[str, Any] = {}
    text: TextRules = TextRules()


class LimitSettings(_Section):
    """Bounds that producers and workers keep.

    Args:
        retention_s: how long a session's streams outlive their last change.
        token_bytes: the largest token event, in bytes of UTF-8.
        turn_chars: the longest text of a turn, in characters.
        turn_s: the longest audio of a turn, in seconds; one that gets longer ends as ``failed``.
        ahead_chars: how much of a turn's text may be sent and not spoken yet, in characters; then `send` waits.
        ahead_s: how long `send` waits so while nothing more of the turn gets spoken, before it gives up.
        idle_s: how long the text of a turn that is being spoken may pause, before the turn is ended.
        on_idle: ``finish`` speaks what is there and ends the turn as ``done``; ``interrupt`` ends it at once.
        waiting_turns: how many turns may wait in one session.
        ready_turns: how many turns may wait for a worker, in one shard.
        output_s: how long the audio of turns that have ended stays in a session's output stream.
        output_bytes: how much of it stays, in bytes.
        held_s: how long a listener's last word of where it is keeps what it has not read from being trimmed.
        held_bytes: how much is kept for such listeners, in bytes.
        outbox_bytes: audio that one turn may hold in a worker while Redis is away.
    """

    retention_s: Annotated[float, Field(ge=60)] = 86_400.0
    token_bytes: Annotated[int, Field(ge=1, le=1 << 20)] = 16_384
    turn_chars: Annotated[int, Field(ge=1)] = 100_000
    turn_s: _Seconds = 1800.0
    ahead_chars: Annotated[int, Field(ge=1)] = 20_000
    ahead_s: _Seconds = 60.0
    idle_s: _Seconds = 60.0
    on_idle: Literal["finish", "interrupt"] = "finish"
    waiting_turns: Annotated[int, Field(ge=0)] = 100
    ready_turns: Annotated[int, Field(ge=1)] = 10_000
    output_s: _Seconds = 3600.0
    output_bytes: Annotated[int, Field(ge=0)] = 32 << 20
    held_s: _Seconds = 60.0
    held_bytes: Annotated[int, Field(ge=0)] = 128 << 20
    outbox_bytes: Annotated[int, Field(ge=4096)] = 4 << 20


class WorkerSettings(_Section):
    """How a worker behaves.

    Args:
        slots: turns at once; no more than the connections of its providers carry.
        lease_s: a turn whose worker has not renewed it for so long is taken over.
        attempts: after so many workers lost at the same place, a turn is given up as ``failed``.
        streams: so many streams of speech in a row may bring a turn no further before it is ``failed``.
        hand_off_s: on SIGTERM, how long a running turn may take to come to the end of a word, where another worker can
            go on with it.
        drain_s: how long running turns may go on after SIGTERM where no other worker can.
    """

    slots: Annotated[int, Field(ge=1)] = 200
    lease_s: _Seconds = 1.0
    attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    streams: Annotated[int, Field(ge=1)] = 4
    hand_off_s: Annotated[float, Field(ge=0)] = 0.5
    drain_s: Annotated[float, Field(ge=0)] = 30.0


class Settings(BaseSettings):
    """All settings. ``redis_url`` is where Redis is; ``shards`` is 1 unless Redis is a cluster.

    ``redis_replicas``: so many replicas must have what Redis acknowledges as accepted (a turn's opening, the end of its
    text, its end, an interrupt); 0: the word of the primary alone is enough.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,  # a compose file's `SAYSTREAM_REDIS_URL=` sets nothing
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )

    redis_url: Annotated[str | None, Field(repr=False)] = None  # it may hold a password
    redis_timeout_s: _Seconds = 5.0
    redis_replicas: Annotated[int, Field(ge=0)] = 0
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
            others = ", ".join(sorted(set(self.voices) - {name})) or "none"
            for other in voice.fallback:
                if other not in self.voices or other == name:
                    raise ValueError(f"voices.{name}.fallback has {other!r}, but the other voices are: {others}")
            if voice.hedge_voice is not None and voice.hedge_voice not in self.voices:
                raise ValueError(f"voices.{name}.hedge_voice is {voice.hedge_voice!r}, but the others are: {others}")
            if voice.hedge_voice is not None and voice.hedge_ms is None:
                raise ValueError(f"voices.{name}.hedge_voice needs hedge_ms: after how long it is to join the race")
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
        InvalidSettings: naming the file and each wrong field, or each variable whose name is that of no setting.
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

    if wrong := check_variables(Settings, os.environ):
        raise InvalidSettings(f"settings from the environment: {'; '.join(wrong)}")
    where = f"{path} and the environment" if path else "the environment"
    try:
        return FromFile(**given)
    except ValidationError as error:
        raise InvalidSettings(f"settings from {where}: {describe(Settings, error)}") from error
    except ValueError as error:  # not TOML at all
        raise InvalidSettings(f"settings from {where}: {error}") from error
