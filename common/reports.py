"""What workers report of their pools, for operators to look at."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saystream.common.keys import REPORTED, REPORTS
from saystream.common.redis_client import Client, call_all
from saystream.common.script import Script

REPORT = Script(__package__, "report")
#: A worker whose last report is older, in seconds, is not there any more.
FRESH_S = 5.0
#: So long is a report kept.
_KEEP_MS = 60_000

_Count = Annotated[int, Field(ge=0)]


class PoolReport(BaseModel):
    """One pool of a worker: the connections to one account, for one binding.

    Args:
        provider, vendor, binding: whose account, whose protocol, and what is bound to the connections.
        active, idle, opening: connections with streams on them, ready for one, and on their way.
        parting: cancelled streams that the vendor has not done with.
        waiting: streams that wait for a connection.
        most: connections at most.
        breaker: ``closed``, ``open`` or ``half-open``.
        error: what the vendor said last, if the breaker is not closed or nothing could be opened.
        limit, held, queued: streams that the account allows now and that are open, over all workers, and those of
            this worker that wait for one; None where no limit is set.
        streams, warm: streams started since the worker's start, and how many of them found a connection ready.
        hedges, hedges_won: second streams that raced a late first one, and how many of them spoke first.
        failures, refusals: streams that the vendor broke, and those that it refused as too many.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer worker may say more

    provider: str
    vendor: str
    binding: str = ""
    active: _Count = 0
    idle: _Count = 0
    opening: _Count = 0
    parting: _Count = 0
    waiting: _Count = 0
    most: _Count = 0
    breaker: str = "closed"
    error: str = ""
    limit: _Count | None = None
    held: _Count | None = None
    queued: _Count = 0
    streams: _Count = 0
    warm: _Count = 0
    hedges: _Count = 0
    hedges_won: _Count = 0
    failures: _Count = 0
    refusals: _Count = 0


class WorkerReport(BaseModel):
    """One worker.

    Args:
        worker: its name.
        at_ms: when it said so, by the clock of Redis; set where it is written.
        turns, slots: turns that it speaks, and could speak at once.
        draining: it takes no more turns and is about to end.
        voices: those that it could speak now, and the sample rate of each: one of its vendors is well.
        pools: of each account and binding.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker: str
    at_ms: _Count = 0
    turns: _Count = 0
    slots: _Count = 0
    draining: bool = False
    voices: dict[str, int] = {}
    pools: tuple[PoolReport, ...] = ()

    @property
    def room(self) -> int:
        """How many turns more it could speak."""
        return max(0, self.slots - self.turns)


@dataclass(frozen=True, slots=True)
class Roll:
    """The workers that are there, by name.

    Args:
        now_ms: when it was called, by the clock of Redis.
        workers: their last reports.
    """

    now_ms: int
    workers: tuple[WorkerReport, ...] = ()

    def age_s(self, report: WorkerReport) -> float:
        """Return how old a report is."""
        return max(0, self.now_ms - report.at_ms) / 1000

    def beside(self, worker: str) -> tuple[WorkerReport, ...]:
        """Return the other workers that take turns."""
        return tuple(report for report in self.workers if report.worker != worker and not report.draining)


class Reports:
    """Where workers report, about once a second each, and others read it.

    Every step raises RedisUnavailable if Redis does not answer in time.

    Args:
        redis: for commands that answer at once.
    """

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def publish(self, report: WorkerReport) -> None:
        """Put a worker's report in the place of its last one."""
        said = report.model_dump_json(exclude={"at_ms"})
        await REPORT(self._redis, (REPORTS, REPORTED), (report.worker, said, _KEEP_MS))

    async def withdraw(self, worker: str) -> None:
        """Take a worker that ends off the roll at once."""
        for reply in await call_all(self._redis, [("HDEL", REPORTS, worker), ("ZREM", REPORTED, worker)]):
            if isinstance(reply, Exception):
                raise reply

    async def read(self, fresh_s: float = FRESH_S) -> Roll:
        """Return what workers have reported in the last ``fresh_s`` seconds; what cannot be understood is left out."""
        commands = [("TIME",), ("ZRANGE", REPORTED, 0, -1, "WITHSCORES"), ("HGETALL", REPORTS)]
        replies = await call_all(self._redis, commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        (seconds, microseconds), at, said = replies
        now_ms = int(seconds) * 1000 + int(microseconds) // 1000
        when = {worker: int(at_ms) for worker, at_ms in zip(at[::2], at[1::2], strict=True)}
        workers = [
            report.model_copy(update={"at_ms": when[worker]})
            for worker, text in sorted(zip(said[::2], said[1::2], strict=True))
            if now_ms - when.get(worker, 0) <= fresh_s * 1000 and (report := _understood(text))
        ]
        return Roll(now_ms, tuple(workers))


def _understood(text: bytes) -> WorkerReport | None:
    try:
        return WorkerReport.model_validate_json(text)
    except ValidationError:  # of another version
        return None
