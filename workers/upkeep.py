"""What a worker does beside its turns: it keeps keys alive, ends turns that are too late, and tells how it is."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from redis.exceptions import ResponseError

from saystream.common.backoff import DICE
from saystream.common.errors import RedisUnavailable
from saystream.common.ids import TurnRef
from saystream.common.ledger import Ledger
from saystream.common.ledger.queue import Queue
from saystream.common.reports import Reports, WorkerReport

log = logging.getLogger(__name__)

#: How often a worker reports, and how often it looks for turns that are too late to start: every worker does, so the
#: moments are drawn by lot.
_REPORT_S = 1.0
_LATE_S = (0.4, 0.6)
_HOUSEKEEPING_S = 60.0
#: When it is tried again: voices that are announced late are refused by producers.
_AGAIN_S = 5.0
#: How long a worker that stops waits for a Redis that is away, in seconds: what it has left to say is only a courtesy.
LAST_WORD_S = 1.0
#: A worker that has held nothing and not been heard of for so long is taken out of the group.
_FORGET_MS = 3_600_000


async def keep_house(
    ledger: Ledger, queues: Sequence[Queue], voices: Iterable[str], running: Callable[[], list[TurnRef]]
) -> None:
    """Put off the expiry of what is in use, make our voices known, forget the dead; for ever."""
    while True:
        # Side by side: they are about different keys, in a cluster about different servers, and one may hang.
        chores = [ledger.announce(voices), ledger.keep(running())]
        chores += [queue.forget_the_dead(_FORGET_MS) for queue in queues]
        done = all(await asyncio.gather(*map(_tried, chores)))
        await asyncio.sleep(min(_HOUSEKEEPING_S if done else _AGAIN_S, ledger.bounds.retention_ms / 4000))


async def _tried(chore: Awaitable[None]) -> bool:
    try:
        await chore
    except (RedisUnavailable, ResponseError) as error:
        log.warning("! housekeeping put off: %s", error)
        return False
    return True


async def expire_late(ledger: Ledger, shard: int) -> None:
    """End turns of a shard that could not start in time; for ever."""
    while True:
        await asyncio.sleep(DICE.uniform(*_LATE_S))
        try:
            if ended := await ledger.expire_late(shard):
                log.info("= %d turns could not start in time and have expired", ended)
        except (RedisUnavailable, ResponseError) as error:
            log.debug("! late turns are looked for later: %s", error)


async def report(reports: Reports, make: Callable[[], WorkerReport], news: asyncio.Event) -> None:
    """Tell others how this worker is, at once when there is news; for ever, and in the end that it has gone."""
    worker = make().worker
    try:
        while True:
            news.clear()
            try:
                await reports.publish(make())
            except (RedisUnavailable, ResponseError) as error:
                log.debug("! report put off: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REPORT_S):
                    await news.wait()
    finally:
        with contextlib.suppress(RedisUnavailable, ResponseError, TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await reports.withdraw(worker)
