"""Doing what the schedule says: each fault to its target, and its end."""

import asyncio
import contextlib
import http.client
import itertools
import json
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from redis.exceptions import RedisError

from saystream.compose.standin import Kind
from tests.chaos.evidence import FaultKind, FaultOver, FaultSet, Witness
from tests.chaos.processes import Child
from tests.chaos.redis_process import RedisProcess
from tests.chaos.schedule import Planned, Schedule
from tests.proxy import Proxy

#: How slow a slow connection is, in seconds, at least and at most.
_SLOW_S = (0.05, 0.4)
#: Longer than a worker's drain may take.
_DRAIN_S = 20.0
#: Longer than Redis may take to answer on a busy machine.
_ASK_S = 30.0
#: Nobody listens there: a server that is told to replicate from it stays read-only, with all that it has.
_NOBODY = ("127.0.0.1", "1")


@dataclass
class Cast:
    """Who plays in a run.

    Args:
        children: processes that are killed, by name.
        proxies: the ways of processes to Redis, by the process's name.
        standin: the stand-in's control URL.
    """

    redis: RedisProcess
    standin: str
    children: Mapping[str, Child]
    proxies: Mapping[str, Proxy]


@dataclass
class Faults:
    """Does what is planned.

    Attributes:
        done: how many of each there were, by name.
    """

    cast: Cast
    witness: Witness
    began_s: float
    done: dict[str, int] = field(default_factory=dict)
    _vendors: int | None = None  # the fault that vendors' requests are still to meet
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def run(self, schedule: Schedule) -> None:
        """Do all of it, lane by lane at the same time."""
        async with asyncio.TaskGroup() as group:
            for name, lane in schedule.lanes.items():
                group.create_task(self._lane(lane), name=f"lane {name}")
        await self._vendors_well()

    async def _lane(self, lane: list[Planned]) -> None:
        for fault in lane:
            await asyncio.sleep(self.began_s + fault.at_s - time.monotonic())
            await self._do(fault)

    async def _do(self, fault: Planned) -> None:
        self.done[fault.name] = self.done.get(fault.name, 0) + 1
        match fault.kind:
            case FaultKind.WORKER_KILLED | FaultKind.PRODUCER_KILLED | FaultKind.CONSUMER_KILLED:
                await self._killed(fault)
            case FaultKind.WORKER_FROZEN:
                await self._frozen(fault, self.cast.children[fault.target])
            case FaultKind.WORKER_TERMINATED:
                await self._terminated(fault)
            case FaultKind.WORKER_CUT_OFF | FaultKind.PRODUCER_CUT_OFF | FaultKind.CONSUMER_CUT_OFF:
                await self._cut_off(fault, self.cast.proxies[fault.target])
            case FaultKind.REDIS_RESTARTED:
                await self._redis_restarted(fault)
            case FaultKind.REDIS_SLOW if fault.detail == "frozen":
                await self._frozen(fault, self.cast.redis.child)
            case FaultKind.REDIS_SLOW:
                await self._redis_refuses(fault)
            case FaultKind.SCRIPTS_FLUSHED:
                await self._tell_redis("SCRIPT", "FLUSH")
                self._set(fault)
            case FaultKind.VENDOR:
                await self._vendor(fault)

    def _set(self, fault: Planned, detail: str = "") -> int:
        number = next(self._numbers)
        told = detail or fault.detail
        self.witness.note(FaultSet(fault=number, kind=fault.kind, target=fault.target, detail=told))
        return number

    def _over(self, number: int) -> None:
        self.witness.note(FaultOver(fault=number))

    # processes

    async def _killed(self, fault: Planned) -> None:
        child = self.cast.children[fault.target]
        if not child.running:  # it has done its part
            return
        child.send(signal.SIGKILL)
        number = self._set(fault)
        await child.wait()
        await asyncio.sleep(fault.length_s)
        await child.start()
        self._over(number)

    async def _frozen(self, fault: Planned, child: Child) -> None:
        child.send(signal.SIGSTOP)
        number = self._set(fault)
        try:
            await asyncio.sleep(fault.length_s)
        finally:
            child.send(signal.SIGCONT)
        self._over(number)

    async def _terminated(self, fault: Planned) -> None:
        child = self.cast.children[fault.target]
        if not child.running:
            return
        child.send(signal.SIGTERM)
        number = self._set(fault)
        await child.wait(_DRAIN_S)
        await asyncio.sleep(fault.length_s)
        await child.start()
        self._over(number)

    async def _cut_off(self, fault: Planned, proxy: Proxy) -> None:
        if fault.detail == "cut":
            await proxy.cut()
            self._over(self._set(fault))
            return
        async with contextlib.AsyncExitStack() as stack:
            match fault.detail:
                case "refused":
                    await stack.enter_async_context(proxy.refusing())
                case "silent":
                    stack.enter_context(proxy.silent())
                case "slow":
                    least_s, most_s = _SLOW_S
                    stack.enter_context(proxy.replies_delayed(least_s + fault.draw * (most_s - least_s)))
            number = self._set(fault)
            await asyncio.sleep(fault.length_s)
        self._over(number)

    # Redis

    async def _redis_restarted(self, fault: Planned) -> None:
        killed = fault.detail == "killed"
        await self.cast.redis.stop(signal.SIGKILL if killed else signal.SIGTERM)
        number = self._set(fault)
        await asyncio.sleep(fault.length_s)
        await self.cast.redis.start()
        self._over(number)

    async def _redis_refuses(self, fault: Planned) -> None:
        """Have it out of memory, or read-only."""
        begin, end = {
            "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
            "read-only": (("REPLICAOF", *_NOBODY), ("REPLICAOF", "NO", "ONE")),
        }[fault.detail]
        await self._tell_redis(*begin)
        number = self._set(fault)
        try:
            await asyncio.sleep(fault.length_s)
        finally:
            await self._tell_redis(*end)
        self._over(number)

    async def _tell_redis(self, *command: str) -> None:
        async with asyncio.timeout(_ASK_S):
            while True:
                try:
                    await self.cast.redis.ask(*command)
                    return
                except RedisError:  # a busy machine: this lane alone makes it go away
                    await asyncio.sleep(0.05)

    # the vendors

    async def _vendors_well(self) -> None:
        await self._tell_vendor("behaviour/reset")
        if self._vendors is not None:
            self._over(self._vendors)
            self._vendors = None

    async def _vendor(self, fault: Planned) -> None:
        await self._vendors_well()
        match fault.detail:
            case "all cut":
                await self._tell_vendor("connections/all/cut")
                self._vendors = self._set(fault)
            case "one silent":
                await self._silence(fault)
            case "upgrades refused":
                await self._spell(fault, upgrade_status=(429, 503)[fault.draw > 0.5])
            case "draining":
                await self._spell(fault, draining="true")
            case "slow handshakes":
                await self._spell(fault, handshake_delay_s=0.5 + fault.draw)
            case "late audio":
                await self._spell(fault, first_audio_delay_s=0.2 + fault.draw)
            case kind:
                await self._requests_fail(fault, Kind(kind))

    async def _silence(self, fault: Planned) -> None:
        """Make all open connections of one vendor half-open: that of no other, for the turns have to go somewhere."""
        listed = await asyncio.to_thread(get, f"{self.cast.standin}/connections")
        vendors = sorted({connection["vendor"] for connection in listed})
        if not vendors:
            return
        vendor = vendors[int(fault.draw * len(vendors))]
        for connection in listed:
            if connection["vendor"] == vendor:
                with contextlib.suppress(NotThere):  # it was closed meanwhile
                    await self._tell_vendor(f"connections/{connection['number']}/silence")
        self._vendors = self._set(fault, f"{fault.detail} vendor={vendor}")

    async def _spell(self, fault: Planned, **behaviour: Any) -> None:
        await self._tell_vendor("behaviour", **behaviour)
        number = self._set(fault)
        await asyncio.sleep(fault.length_s)
        await self._tell_vendor("behaviour/reset")
        self._over(number)

    async def _requests_fail(self, fault: Planned, kind: Kind) -> None:
        """Have the next request, or the next two, meet the fault."""
        dice = random.Random(fault.draw)
        query: dict[str, Any] = {
            "fault.kind": kind.value,
            "fault.after_frames": dice.choice((0, 1, 2, 5, 10, 20)),
            "faulty_requests": dice.choice((1, 1, 2)),
        }
        if kind in (Kind.CLOSE, Kind.ERROR):
            query["fault.code"] = dice.choice((1011, 1012, 1013)) if kind is Kind.CLOSE else dice.choice((500, 503))
        await self._tell_vendor("behaviour", **query)
        self._vendors = self._set(fault, " ".join([kind.value, *(f"{name}={value}" for name, value in query.items())]))

    async def _tell_vendor(self, what: str, **query: Any) -> None:
        await asyncio.to_thread(get, f"{self.cast.standin}/{what}", query)


class NotThere(Exception):
    """The stand-in has nothing at this path."""


def get(url: str, query: Mapping[str, Any] | None = None) -> Any:
    """Ask the stand-in's control endpoint."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", f"{parts.path}?{urlencode(query)}" if query else parts.path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == http.HTTPStatus.NOT_FOUND:
            raise NotThere(url)
        assert answer.status == http.HTTPStatus.OK, f"{url}: {answer.status} {body.decode(errors='replace')}"
        return json.loads(body)
