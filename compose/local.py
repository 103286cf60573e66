"""Everything on one machine: Redis, the stand-in vendor and a worker, in this process, for as long as a block lasts."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from saystream.common.settings import ProviderSettings, Settings, VoiceSettings
from saystream.compose.redis_server import GivenURL, PrivateRedis, choose
from saystream.compose.standin import Behaviour, EngineChoice, StandIn
from saystream.compose.standin.voices import VoiceUnavailableError, open_voice
from saystream.workers.worker import Worker

#: Our names of voices, and whose each is. The first one's vendor may fail: another one goes on.
VOICES = {
    "default": {"provider": "standin-gradium", "voice_id": "espeak-en", "fallback": ["kugelaudio", "fishaudio"]},
    "narrator": {"provider": "standin-gradium", "voice_id": "espeak-en"},
    "marker": {"provider": "standin-gradium", "voice_id": "marker"},
    "kugelaudio": {"provider": "standin-kugelaudio", "voice_id": "espeak-en", "language": "en"},
    "fishaudio": {"provider": "standin-fishaudio", "voice_id": "espeak-en"},
}


class Local:
    """Redis, stand-in and worker. An asynchronous context manager: leaving it lets running turns finish, then ends all.

    If the worker fails, or the private Redis ends, the block is cancelled, and leaving it raises an ExceptionGroup.

    Args:
        redis_url: a Redis to use; a private one is started if not given.
        behaviour: of the stand-in.
        settings: the stand-in's voices and providers are added to these, and these win where names are equal: then
            what is said with them goes to their vendors. If not given, there is the stand-in alone, whatever
            ``saystream.toml`` and the environment say.
        engine: which of the stand-in's voices speaks.

    Attributes:
        redis_url: where Redis is.
        redis: the private one, if it is.
        standin: the vendor.
        worker: it is ready.
        settings: what the worker was given.

    Raises:
        InvalidInput: on entering, the URL is none, or the settings are refused by `Worker`.
        RedisUnavailable: on entering, there is no Redis to start, or the one that was given does not answer.
    """

    standin: StandIn
    worker: Worker

    def __init__(
        self,
        redis_url: str | None = None,
        behaviour: Behaviour | None = None,
        settings: Settings | None = None,
        engine: EngineChoice = "auto",
    ) -> None:
        self.settings = settings or untouched()
        self.redis_url = redis_url or ""
        self.redis: PrivateRedis | None = None
        self._behaviour = behaviour or Behaviour()
        self._engine: EngineChoice = engine
        self._stop = asyncio.Event()
        self._parts = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<Local [{self.redis or 'given Redis'}, {getattr(self, 'standin', 'no stand-in yet')}]>"

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseExceptionGroup as failed:  # the worker's, and nothing can have failed beside it
            raise failed.exceptions[0] from failed
        return self

    async def _start(self) -> None:
        async with AsyncExitStack() as parts:
            source = choose(self.redis_url or None)
            if not isinstance(source, GivenURL):
                self.redis = await parts.enter_async_context(PrivateRedis(source))
                self.redis_url = self.redis.url
            self.standin = await parts.enter_async_context(StandIn(behaviour=self._behaviour, engine=self._engine))
            self.settings = with_standin(self.settings, self.standin)
            self.worker = Worker(self.settings, self.redis_url)
            group = await parts.enter_async_context(asyncio.TaskGroup())
            parts.callback(self._stop.set)  # the group waits for the worker, which waits for this
            working = group.create_task(self.worker.run(self._stop), name="worker")
            if self.redis:
                watching = group.create_task(self.redis.watch(), name="Redis")
                working.add_done_callback(lambda _: watching.cancel())
            await _first_of(self.worker.ready.wait(), working)
            self._parts = parts.pop_all()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._parts.__aexit__(kind, error, traceback)


def untouched() -> Settings:
    """Return the settings of somebody who has set nothing: neither a file nor the environment is read."""
    return Settings.model_construct()


def with_standin(settings: Settings, standin: StandIn) -> Settings:
    """Add the stand-in's voices; what is configured already stays as it is."""
    key = min(standin.behaviour.api_keys)
    urls = {
        "gradium": standin.gradium_url,
        "kugelaudio": standin.kugelaudio_url,
        "fishaudio": standin.fishaudio_url,
    }
    providers = {
        f"standin-{vendor}": ProviderSettings.model_validate({"vendor": vendor, "url": url, "api_key": key})
        for vendor, url in urls.items()
    }
    voices = {name: VoiceSettings.model_validate(voice) for name, voice in VOICES.items()}
    return settings.model_copy(
        update={"providers": {**providers, **settings.providers}, "voices": {**voices, **settings.voices}}
    )


async def choose_engine() -> tuple[EngineChoice, str]:
    """Find out whether real speech is to be had here; if not, return the marker voice and a sentence that says why."""
    try:
        await open_voice("espeak-en")
    except VoiceUnavailableError as error:
        return "marker", f"There is no real speech here, only marker tones: {error}."
    return "auto", ""


async def _first_of(ready: Coroutine[Any, Any, object], working: asyncio.Task[None]) -> None:
    waiting = asyncio.create_task(ready)
    try:
        await asyncio.wait((waiting, working), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
