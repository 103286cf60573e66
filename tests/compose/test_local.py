"""Everything on one machine lives as long as its block."""

from pathlib import Path

import pytest

from saystream.common.errors import RedisUnavailable
from saystream.common.settings import ProviderSettings, Settings, VoiceSettings
from saystream.compose.local import Local
from saystream.compose.standin import Behaviour
from saystream.consumer import record
from saystream.producer import Speaker


async def test_a_turn_is_spoken_with_nothing_but_local(tmp_path: Path) -> None:
    async with Local(settings=Settings(), behaviour=Behaviour()) as local:
        assert local.redis is not None
        directory = local.redis.directory
        async with Speaker.connect(local.redis_url, settings=local.settings) as speaker:
            turn = await speaker.say("s", "All in one.", voice="marker")
        recording = await record(local.redis_url, "s", tmp_path / "a.wav", turn=turn.id)
        assert [word.text for word in recording.words] == ["All", "in", "one."]
        assert local.standin.stats.requests_completed == 1
    assert not directory.exists()


async def test_without_settings_nobody_but_the_stand_in_speaks(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "saystream.toml").write_text('[providers.gradium]\n[voices.narrator]\nprovider="gradium"\nvoice_id="x"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAYSTREAM_PROVIDERS__MINE__VENDOR", "gradium")
    async with Local(redis_url) as local:
        accounts = local.settings.providers
        assert {account.url for account in accounts.values()} == {
            local.standin.gradium_url,
            local.standin.kugelaudio_url,
            local.standin.fishaudio_url,
        }
        assert {voice.provider for voice in local.settings.voices.values()} == set(accounts)


async def test_what_is_configured_wins_over_the_stand_in(redis_url: str) -> None:
    mine = VoiceSettings(provider="mine", voice_id="x")
    account = ProviderSettings.model_validate({"vendor": "gradium", "api_key": "none", "url": "ws://[::1]:1", "min": 0})
    settings = Settings(providers={"mine": account}, voices={"default": mine})
    async with Local(redis_url, settings=settings) as local:
        assert local.redis is None
        assert local.settings.voices["default"] == mine
        assert set(local.settings.voices) == {"default", "narrator", "marker", "kugelaudio", "fishaudio"}


async def test_a_redis_that_is_not_there_is_said_on_entering() -> None:
    with pytest.raises(RedisUnavailable):
        async with Local("redis://localhost:1", settings=Settings()):
            pass
