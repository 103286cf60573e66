"""A worker: takes turns from dispatch, has each of them spoken, keeps their leases, and stops in three steps."""

import asyncio
import contextlib
import itertools
import logging
import os
import random
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from redis.exceptions import ResponseError

from saystream.common.audio import AudioFormat
from saystream.common.errors import Fenced, InvalidInput, InvalidSettings, RedisUnavailable, SaystreamError
from saystream.common.ledger import Claim, Ledger, Message, Refusal
from saystream.common.ledger.queue import Queue
from saystream.common.quota import Quota
from saystream.common.redis_client import Client, call, connect
from saystream.common.reports import PoolReport, Reports, WorkerReport
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.workers import voices
from saystream.workers.account import Account
from saystream.workers.providers import registry
from saystream.workers.providers.base import Provider
from saystream.workers.slots import Slots
from saystream.workers.text.pipeline import Pipeline
from saystream.workers.text.script import Script
from saystream.workers.tokens import BLOCK_MS, TokenReader
from saystream.workers.turn import Attempt
from saystream.workers.turn_text import TurnText
from saystream.workers.voices import Voice
from saystream.workers.writer import OutboxFull, Writer

log = logging.getLogger(__name__)

_REPORT_S = 1.0
#: How long a worker leaves turns to others, whose vendors are well, before it looks again.
_UNWELL_S = 0.5
#: A worker that has held nothing and not been heard of for so long is taken out of the group.
_FORGET_MS = 3_600_000
_HOUSEKEEPING_S = 60.0


class LeaseLost(SaystreamError):
    """The lease could not be renewed in time: another worker may speak this turn now."""


@dataclass(eq=False, slots=True)
class _Held:
    """A turn in this worker's hands."""

    message: Message
    text: TurnText | None = None
    lost: SaystreamError | None = field(default=None)

    def drop(self, error: SaystreamError) -> None:
        """Make its attempt stop without a word more."""
        self.lost = error
        if self.text:
            self.text.stop(error)


class Worker:
    """Speaks turns until it is told to stop.

    Args:
        settings: voices, providers, limits.
        url: of Redis; the settings' own if not given.
        name: unique among all workers; made here if not given.

    Attributes:
        ready: set once turns are being taken.
        slots: turns at once; no more than the connections of its providers carry.

    Raises:
        InvalidSettings: no voice, or a provider that cannot work as configured.
    """

    def __init__(self, settings: Settings, url: str | None = None, name: str | None = None) -> None:
        if not settings.voices:
            raise InvalidSettings("no voice is configured: add a [voices.NAME] section to saystream.toml")
        redis_url = url or settings.redis_url
        if not redis_url:
            raise InvalidSettings("no Redis is configured: set redis_url or SAYSTREAM_REDIS_URL")
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{random.randrange(16**6):06x}"
        self.settings, self._url = settings, redis_url
        self.ready = asyncio.Event()
        self._providers = registry.build(settings)
        for voice in settings.voices.values():
            Pipeline(voice.text, voice.language)  # what it cannot do it says now
        self._accounts: dict[str, Account] = {}
        self._voices: dict[str, Voice] = {}
        # No more turns than connections carry: waiting happens in Redis, where every worker can help.
        room = sum(provider.settings.max * provider.capabilities.streams for provider in self._providers.values())
        self.slots = min(settings.worker.slots, room)
        self._slots = Slots(self.slots)
        self._lease_s = settings.worker.lease_s
        self._held: dict[str, _Held] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # of turns, those that were lost too
        self._claims = itertools.count(1)
        self._draining = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then drain: ask for no more, finish what is running, give back what is left.

        Cancelling it gives back at once.

        Raises:
            RedisUnavailable: Redis does not answer at the start. Later the worker waits for it.
            ShardMismatch: other processes use another number of shards.
        """
        async with AsyncExitStack() as stack:
            self._redis = await self._connect(stack)
            retention_ms = int(self.settings.limits.retention_s * 1000)
            self._ledger = Ledger(self._redis, shards=self.settings.shards, retention_ms=retention_ms)
            await self._ledger.greet()
            await self._check_redis()
            self._writer = await stack.enter_async_context(Writer(self._ledger))
            reader = TokenReader(self._ledger, lambda: self._client(BLOCK_MS), self.name)
            self._reader = await stack.enter_async_context(reader)
            for name, provider in self._providers.items():
                self._accounts[name] = await self._open(stack, name, provider)
            self._voices = voices.build(self.settings.voices, self._accounts)
            queues = [await self._join(stack, shard) for shard in range(self.settings.shards)]
            try:
                await self._work(queues, stop)
            finally:
                await self._give_back()
                await self._leave(queues)

    async def _work(self, queues: list[Queue], stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            upkeep = [
                group.create_task(self._renew(queues), name="leases"),
                group.create_task(self._keep_house(queues), name="housekeeping"),
                group.create_task(self._writer.watch(), name="watch the writer"),
                group.create_task(self._report(), name="reports"),
            ]
            loops = [group.create_task(self._dispatch(queue), name="dispatch") for queue in queues]
            log.info("= %s is ready: %d voices, %d slots", self.name, len(self.settings.voices), self.slots)
            self.ready.set()
            await stop.wait()
            self._draining = True
            log.info("= draining: no more turns, %d are running", len(self._held))
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)
            await self._hand_back(queues)
            await self._finish_running()
            for task in upkeep:
                task.cancel()

    def reports(self) -> tuple[PoolReport, ...]:
        """Say how the pools are."""
        return tuple(report for account in self._accounts.values() for report in account.reports())

    # turns come in

    async def _dispatch(self, queue: Queue) -> None:
        """Take turns of one shard, no more than there are free slots; every half lease, abandoned ones first."""
        share = max(1, self.slots // self.settings.shards)
        look_at = 0.0
        while not self._draining:
            if await self._had_better_not():
                await asyncio.sleep(_UNWELL_S)
                continue
            free = await self._slots.reserve(share)
            try:
                messages: list[Message] = []
                if time.monotonic() >= look_at:
                    messages = await queue.abandoned(int(self._lease_s * 1000), free)
                    if not messages:
                        look_at = time.monotonic() + self._lease_s / 2 * random.uniform(0.8, 1.0)
                if not messages:
                    messages = await queue.ready(free, max(10, int(self._lease_s * 500)))
            except RedisUnavailable as error:
                log.warning("! cannot take turns, trying again: %s", error)
                await asyncio.sleep(random.uniform(0.1, 0.5))
                messages = []
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                messages = []
                with contextlib.suppress(RedisUnavailable):
                    await queue.join()  # Redis came back without it
            if messages and await self._had_better_not():  # they came just when our vendor was found unwell
                await self._pass_on(messages)
                messages = []
            for message in messages:
                self._take(message)
            self._slots.give_back(free - len(messages))

    async def _had_better_not(self) -> bool:
        """Tell whether none of our vendors is well, and another worker has one that is.

        Who fails turns is faster than who speaks them, and would get them all.
        """
        if any(account.healthy for account in self._accounts.values()):
            return False
        try:
            roll = await Reports(self._redis).read()
        except RedisUnavailable:
            return False
        return any(
            pool.breaker == "closed" for other in roll.workers if other.worker != self.name for pool in other.pools
        )

    def _take(self, message: Message) -> None:
        if earlier := self._held.get(message.id):  # we have lost it without noticing
            earlier.drop(LeaseLost())
        held = self._held[message.id] = _Held(message)
        task = asyncio.create_task(self._serve(held), name=f"turn {message.ref.turn}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, held: _Held) -> None:
        """Have one turn spoken, whatever comes of it."""
        turn = held.message.ref.turn
        try:
            how = await self._claim_and_speak(held)
            log.info("← %s %s", turn, how)
        except asyncio.CancelledError:
            log.info("! %s stopped", turn)
        except (LeaseLost, Fenced, OutboxFull, RedisUnavailable) as error:
            log.warning("! %s dropped: %s", turn, error)
        except Exception:
            # A fault of ours: the lease ends, another worker tries, and in the end the turn fails visibly.
            log.exception("! %s dropped by a fault", turn)
        finally:
            if self._held.get(held.message.id) is held:  # else we have lost it and taken it again meanwhile
                del self._held[held.message.id]
            self._slots.give_back()

    async def _claim_and_speak(self, held: _Held) -> str:
        message = held.message
        voice = self._voices.get(message.voice)
        claim = await self._claim(message)
        if isinstance(claim, Refusal):
            return f"not taken: {claim}"
        log.info("→ %s attempt %d, from sample %d", message.ref.turn, claim.attempt, claim.cut)
        if voice is None:
            known = ", ".join(sorted(self._voices))
            await self._ledger.finish(
                claim, 1, State.FAILED, claim.cut, claim.spoken, f"voice {message.voice!r} is none of: {known}"
            )
            return "failed: unknown voice"
        try:
            rules = voice.settings.text.model_copy(update=claim.request.text)
            pipeline = Pipeline(rules, voice.settings.language)
        except InvalidInput as error:
            await self._ledger.finish(claim, 1, State.FAILED, claim.cut, claim.spoken, str(error))
            return f"failed: {error}"
        held.text = await self._reader.add(message.ref)
        try:
            if held.lost:
                raise held.lost
            line = self._writer.line(claim, self.settings.limits.outbox_bytes, held.text.stop)
            script = Script(held.text, pipeline)
            attempt = Attempt(claim, voice, self._ledger, line, held.text, script, self.settings.worker.streams)
            return await attempt.run()
        finally:
            self._reader.remove(held.text)

    async def _claim(self, message: Message) -> Claim | Refusal:
        """Claim, and again after a lost reply: the owner's name makes that harmless."""
        voice = self._voices.get(message.voice)
        format_ = voice.format if voice else AudioFormat()
        owner, attempts = f"{self.name}/{next(self._claims)}", self.settings.worker.attempts
        try:
            return await self._ledger.claim(message, owner, attempts=attempts, format=format_)
        except RedisUnavailable:
            await asyncio.sleep(random.uniform(0.05, 0.2))
            return await self._ledger.claim(message, owner, attempts=attempts, format=format_)

    # leases

    async def _renew(self, queues: list[Queue]) -> None:
        """Renew the leases four times a lease; when that has not worked for a whole lease, drop everything."""
        renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(self._lease_s / 4)
            now = time.monotonic()
            if now - renewed_at > self._lease_s:  # we were frozen, or Redis was away
                log.warning("! leases lost after %.1f s: dropping %d turns", now - renewed_at, len(self._held))
                for held in list(self._held.values()):
                    held.drop(LeaseLost())
                renewed_at = now
                continue
            try:
                async with asyncio.timeout(self._lease_s / 2):
                    for shard, queue in enumerate(queues):
                        await self._renew_shard(shard, queue)
                renewed_at = now
            except (TimeoutError, RedisUnavailable) as error:
                log.warning("! cannot renew leases: %s", error)
            except ResponseError as error:
                log.warning("! cannot renew leases: %s", error)  # the group is gone: `_dispatch` makes it anew

    async def _renew_shard(self, shard: int, queue: Queue) -> None:
        ours = {held.message.id: held for held in self._held.values() if held.message.shard == shard}
        still = await queue.renew(ours)
        for message_id, held in ours.items():
            if message_id not in still:
                held.drop(Fenced(held.message.ref.turn))

    async def _keep_house(self, queues: list[Queue]) -> None:
        """Put off the expiry of what is in use, make our voices known, forget the dead."""
        while True:
            try:
                await self._ledger.announce(self.settings.voices)
                await self._ledger.keep([held.message.ref for held in self._held.values()])
                for queue in queues:
                    await queue.forget_the_dead(_FORGET_MS)
            except (RedisUnavailable, ResponseError) as error:
                log.warning("! housekeeping put off: %s", error)
            await asyncio.sleep(min(_HOUSEKEEPING_S, self.settings.limits.retention_s / 4))

    async def _report(self) -> None:
        """Tell operators how the pools are."""
        reports = Reports(self._redis)
        try:
            while True:
                report = WorkerReport(worker=self.name, turns=len(self._held), slots=self.slots, pools=self.reports())
                try:
                    await reports.publish(report)
                except (RedisUnavailable, ResponseError) as error:
                    log.debug("report put off: %s", error)
                await asyncio.sleep(_REPORT_S)
        finally:
            with contextlib.suppress(RedisUnavailable, ResponseError):
                await reports.withdraw(self.name)

    # beginning and end

    async def _open(self, stack: AsyncExitStack, name: str, provider: Provider) -> Account:
        """Open an account's connections, and its share in the streams that the vendor allows it."""
        settings, quota = provider.settings, None
        if settings.limit is not None:
            quota = await stack.enter_async_context(
                Quota(self._client, name, settings.limit, self.name, self._lease_s, settings.limit_lowered_s)
            )
        ours = [voice for voice in self.settings.voices.values() if voice.provider == name]
        usual = [voices.spec(voice, provider, AudioFormat(sample_rate=voice.sample_rate)) for voice in ours]
        return await stack.enter_async_context(Account(provider, usual, quota))

    def _client(self, block_ms: int = 0) -> Client:
        return connect(self._url, timeout_s=self.settings.redis_timeout_s, block_ms=block_ms)

    async def _connect(self, stack: AsyncExitStack, block_ms: int = 0) -> Client:
        client = self._client(block_ms)
        stack.push_async_callback(client.aclose)
        return client

    async def _join(self, stack: AsyncExitStack, shard: int) -> Queue:
        queue = self._ledger.queue(shard, await self._connect(stack, int(self._lease_s * 500)), self.name)
        await queue.join()
        return queue

    async def _check_redis(self) -> None:
        try:
            policy = (await call(self._redis, "CONFIG GET", "maxmemory-policy")).get("maxmemory-policy", "noeviction")
        except ResponseError:
            return  # a hosted Redis that hides its configuration
        if policy != "noeviction":
            log.warning("! Redis may evict turns when memory is short: set maxmemory-policy noeviction (is %s)", policy)

    async def _hand_back(self, queues: list[Queue]) -> None:
        """Give back turns that Redis handed out to a read that was broken off."""
        for queue in queues:
            try:
                handed_out = await queue.handed_out()
            except RedisUnavailable as error:
                log.info("! turns not given back, their lease will end: %s", error)
            else:
                await self._pass_on([message for message in handed_out if message.id not in self._held])

    async def _pass_on(self, messages: list[Message]) -> None:
        """Let other workers have turns that were given to us, and that we have not begun."""
        try:
            for message in messages:
                claim = await self._claim(message)
                if isinstance(claim, Claim):
                    await self._ledger.release(claim)
        except (RedisUnavailable, Fenced) as error:
            log.info("! turns not given back, their lease will end: %s", error)

    async def _finish_running(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.settings.worker.drain_s)

    async def _give_back(self) -> None:
        """Stop what still runs; each attempt gives its turn back."""
        if self._tasks:
            log.info("= giving back %d turns", len(self._tasks))
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def _leave(self, queues: list[Queue]) -> None:
        try:
            for queue in queues:
                await queue.leave()
        except (RedisUnavailable, ResponseError) as error:
            log.debug("could not leave the group: %s", error)
        log.info("= %s has stopped", self.name)

    def __repr__(self) -> str:
        return f"<Worker {self.name} [turns: {len(self._held)} running of {self.slots} at once]>"
