"""A worker: its parts put together, what becomes of each turn that it takes, and how it stops, in three steps."""

import asyncio
import logging
import os
import socket
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from redis.exceptions import ResponseError

from saystream.common.audio import AudioFormat
from saystream.common.backoff import DICE
from saystream.common.errors import Fenced, InvalidSettings, RedisUnavailable
from saystream.common.ids import TurnRef
from saystream.common.ledger import Bounds, Ledger, Message
from saystream.common.ledger.queue import Queue
from saystream.common.outage import Outage
from saystream.common.quota import Quota
from saystream.common.redis_client import Client, call, connect
from saystream.common.reports import PoolReport, Reports, WorkerReport
from saystream.common.settings import Settings
from saystream.workers import upkeep, voices
from saystream.workers.account import Account
from saystream.workers.dispatch import Dispatch
from saystream.workers.hand_off import HandOff
from saystream.workers.leases import Held, LeaseLost, Leases
from saystream.workers.line import OutboxFull
from saystream.workers.others import Others
from saystream.workers.providers import registry
from saystream.workers.providers.base import Provider
from saystream.workers.service import Service
from saystream.workers.slots import Slots
from saystream.workers.text.pipeline import Pipeline
from saystream.workers.tokens import BLOCK_MS, TokenReader
from saystream.workers.voices import Voice
from saystream.workers.writer import Writer

log = logging.getLogger(__name__)


class Worker:
    """Speaks turns until it is told to stop.

    Args:
        settings: voices, providers, limits.
        url: of Redis; the settings' own if not given.
        name: unique among all workers; made here if not given.

    Attributes:
        ready: set once turns are being taken.
        slots: turns at once; no more than the connections of its providers carry.
        draining: it takes no more turns.

    Raises:
        InvalidSettings: no voice, or a provider that cannot work as configured.
    """

    def __init__(self, settings: Settings, url: str | None = None, name: str | None = None) -> None:
        if not settings.voices:
            raise InvalidSettings("no voice is configured: add a [voices.NAME] section to saystream.toml")
        redis_url = url or settings.redis_url
        if not redis_url:
            raise InvalidSettings("no Redis is configured: set redis_url or SAYSTREAM_REDIS_URL")
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{DICE.randrange(16**6):06x}"
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
        self._leases: list[Leases] = []  # of each shard
        self._tasks: set[asyncio.Task[None]] = set()  # of turns, those that were lost too
        self.draining = False
        self._news = asyncio.Event()  # there is something to report at once

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then drain: ask for no more, hand over what is running, give back what is left.

        Where no other worker has room, running turns are spoken on for up to `drain_s`. Cancelling it gives back at
        once.

        Raises:
            RedisUnavailable: Redis does not answer at the start. Later the worker waits for it.
            ShardMismatch: other processes use another number of shards.
        """
        settings = self.settings
        async with AsyncExitStack() as stack:
            self._redis = await self._connect(stack)
            self._reports = Reports(self._redis)
            self._ledger = Ledger(self._redis, shards=settings.shards, bounds=Bounds.of(settings.limits))
            await self._ledger.greet()
            await self._check_redis()
            self._writer = await stack.enter_async_context(Writer(self._ledger))
            turn_chars = settings.limits.turn_chars
            reader = TokenReader(self._ledger, lambda: self._client(BLOCK_MS), self.name, turn_chars)
            await stack.enter_async_context(reader)
            for name, provider in self._providers.items():
                self._accounts[name] = await self._open(stack, name, provider)
            self._voices = voices.build(settings.voices, self._accounts)
            self._others = Others(self._reports, self.name)
            self._service = Service(self.name, settings, self._voices, self._ledger, self._others, self._writer, reader)
            queues = [await self._join(stack, shard) for shard in range(settings.shards)]
            unrenewed = Outage(log, "leases are in order again")
            self._leases = [Leases(queue, settings.worker.lease_s, unrenewed) for queue in queues]
            try:
                await self._work(queues, stop)
            finally:
                await self._give_back()
                await asyncio.gather(*map(self._leave, queues))
                log.info("= %s has stopped", self.name)

    async def _work(self, queues: list[Queue], stop: asyncio.Event) -> None:
        ledger, worker = self._ledger, self.settings.worker
        untaken = Outage(log, "turns are taken again")
        async with asyncio.TaskGroup() as group:
            beside: list[Coroutine[Any, Any, None]] = [
                *(leases.keep() for leases in self._leases),
                *(upkeep.expire_late(ledger, shard) for shard in range(self.settings.shards)),
                upkeep.keep_house(ledger, queues, self.settings.voices, self._refs),
                upkeep.report(self._reports, self.report, self._news),
                self._writer.watch(),
            ]
            tasks = [group.create_task(work) for work in beside]
            loops = [
                group.create_task(
                    Dispatch(
                        queue,
                        self._slots,
                        self.settings.shards,
                        worker.lease_s,
                        self._unwell,
                        self._take,
                        self._service.pass_on,
                        untaken,
                    ).run(),
                    name="dispatch",
                )
                for queue in queues
            ]
            log.info("= %s is ready: %d voices, %d slots", self.name, len(self.settings.voices), self.slots)
            self.ready.set()
            await stop.wait()
            self.draining = True
            self._news.set()
            log.info("= draining: no more turns, %d are running", len(self._held))
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)
            await asyncio.gather(*map(self._hand_back, queues, self._leases))
            await HandOff(self._reports, self.name, lambda: self._held, worker.hand_off_s).run(worker.drain_s)
            for task in tasks:
                task.cancel()

    @property
    def _held(self) -> list[Held]:
        return [held for leases in self._leases for held in leases.held]

    def _refs(self) -> list[TurnRef]:
        return [held.message.ref for held in self._held]

    def report(self) -> WorkerReport:
        """Say how it is."""
        speaks = {
            name: voice.settings.sample_rate
            for name, voice in self._voices.items()
            if any(other.account.healthy for other in (voice, *voice.fallbacks))
        }
        return WorkerReport(
            worker=self.name,
            turns=len(self._held),
            slots=self.slots,
            draining=self.draining,
            voices=speaks,
            pools=self.reports(),
        )

    def reports(self) -> tuple[PoolReport, ...]:
        """Say how the pools are."""
        return tuple(report for account in self._accounts.values() for report in account.reports())

    # turns come in

    async def _unwell(self) -> bool:
        """Tell whether none of our vendors is well, and another worker has one that is.

        Who fails turns is faster than who speaks them, and would get them all.
        """
        if any(account.healthy for account in self._accounts.values()):
            return False
        return any(other.voices for other in await self._others.lately())

    def _take(self, message: Message) -> None:
        held = self._leases[message.shard].take(message)
        held.task = asyncio.create_task(self._serve(held), name=f"turn {message.ref.turn}")
        self._tasks.add(held.task)
        held.task.add_done_callback(self._tasks.discard)

    async def _serve(self, held: Held) -> None:
        """Have one turn spoken, whatever comes of it."""
        turn = held.message.ref.turn
        try:
            how = await self._service.speak(held)
            log.info("← %s %s", turn, how)
        except asyncio.CancelledError:
            log.debug("! %s stopped", turn)  # how, its attempt has told
        except (LeaseLost, Fenced, OutboxFull, RedisUnavailable) as error:
            log.warning("! %s dropped: %s", turn, error)
        except Exception:
            # A fault of ours: the lease ends, another worker tries, and in the end the turn fails visibly.
            log.exception("! %s dropped by a fault", turn)
        finally:
            self._leases[held.message.shard].let_go(held)
            self._slots.give_back()

    # beginning and end

    async def _open(self, stack: AsyncExitStack, name: str, provider: Provider) -> Account:
        """Open an account's connections, and its share in the streams that the vendor allows it."""
        settings, quota, lease_s = provider.settings, None, self.settings.worker.lease_s
        if settings.limit is not None:
            quota = await stack.enter_async_context(
                Quota(self._client, name, settings.limit, self.name, lease_s, settings.limit_lowered_s)
            )
        ours = [voice for voice in self.settings.voices.values() if voice.provider == name]
        usual = [voices.spec(voice, provider, AudioFormat(sample_rate=voice.sample_rate)) for voice in ours]
        return await stack.enter_async_context(Account(provider, usual, quota))

    def _client(self, block_ms: int = 0) -> Client:
        settings = self.settings
        return connect(
            self._url, timeout_s=settings.redis_timeout_s, block_ms=block_ms, replicas=settings.redis_replicas
        )

    async def _connect(self, stack: AsyncExitStack, block_ms: int = 0) -> Client:
        client = self._client(block_ms)
        stack.push_async_callback(client.aclose)
        return client

    async def _join(self, stack: AsyncExitStack, shard: int) -> Queue:
        blocking = await self._connect(stack, int(self.settings.worker.lease_s * 500))
        queue = self._ledger.queue(shard, blocking, self.name)
        await queue.join()
        return queue

    async def _check_redis(self) -> None:
        try:
            policy = (await call(self._redis, "CONFIG GET", "maxmemory-policy")).get("maxmemory-policy", "noeviction")
        except ResponseError:
            return  # a hosted Redis that hides its configuration
        if policy != "noeviction":
            log.warning("! Redis may evict turns when memory is short: set maxmemory-policy noeviction (is %s)", policy)

    async def _hand_back(self, queue: Queue, leases: Leases) -> None:
        """Give back turns that Redis handed out to a read that was broken off."""
        try:
            async with asyncio.timeout(upkeep.LAST_WORD_S):
                handed_out = await queue.handed_out()
        except (RedisUnavailable, ResponseError, TimeoutError) as error:
            log.info("! turns not given back, their lease will end: %s", str(error) or "no answer in time")
        else:
            await self._service.pass_on([message for message in handed_out if message not in leases])

    async def _give_back(self) -> None:
        """Stop what still runs; each attempt gives its turn back."""
        if self._tasks:
            log.info("= giving back %d turns", len(self._tasks))
            for task in self._tasks:
                if not task.cancelling():  # else it is doing so already, and must not be disturbed
                    task.cancel()
            await asyncio.wait(self._tasks)

    async def _leave(self, queue: Queue) -> None:
        try:
            async with asyncio.timeout(upkeep.LAST_WORD_S):
                await queue.leave()
        except (RedisUnavailable, ResponseError, TimeoutError) as error:
            log.debug("could not leave the group: %s", str(error) or "no answer in time")

    def __repr__(self) -> str:
        return f"<Worker {self.name} [turns: {len(self._held)} running of {self.slots} at once]>"
