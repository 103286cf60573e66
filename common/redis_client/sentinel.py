"""A primary whose address sentinels know."""

import asyncio
import logging
import time
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client.address import Group
from saystream.common.redis_client.batch import pack
from saystream.common.redis_client.errors import Elsewhere
from saystream.common.redis_client.inquiry import Inquiry
from saystream.common.redis_client.place import HostPort
from saystream.common.redis_client.server import Server
from saystream.common.redis_client.topology import Topology

log = logging.getLogger(__name__)

#: So old may an answer be before the sentinels are asked again beside the calls, and before a call waits for it. A
#: primary that was frozen, or cut off, does not know at once that it has been replaced, and takes writes that get lost:
#: who has slept for as long as a failover takes asks first.
FRESH_S, STALE_S = 1.0, 2.0
#: So long may a sentinel think; one that is gone must not hold up the others.
_ASK_S = 0.5


class Opinion(NamedTuple):
    """What one sentinel says. The higher the epoch, the later the failover that it knows of.

    Args:
        epoch: of the configuration.
        up: whether it finds the primary in order.
        address: the primary's.
    """

    epoch: int
    up: bool
    address: HostPort


class Sentinels(Topology):
    """Asks sentinels for the primary: first of all, after each failure, and every few seconds.

    Of what the first majority to answer says, the highest epoch counts: a sentinel that was away tells an old story.

    Args:
        group: the sentinels, and the name that they know the primary by.
        timeout_s, connections: of the primary.
    """

    def __init__(self, group: Group, timeout_s: float, connections: int) -> None:
        self._group, self._timeout_s, self._connections = group, timeout_s, connections
        self._ask_s = min(_ASK_S, timeout_s / 2)
        self._sentinels = [Server(group.sentinel(member), self._ask_s, 1) for member in group.members]
        self._inquiry = Inquiry(self._ask)
        self._primary: Server | None = None
        self._address: HostPort | None = None
        self._epoch = 0
        self._trouble = ""  # what a sentinel said last that did not answer
        self._in_doubt = True
        self._asked_at = 0.0

    def known(self, slot: int | None) -> Server | None:
        """Return the primary, if the last answer is young enough."""
        age_s = time.monotonic() - self._asked_at
        if self._in_doubt or age_s > STALE_S:
            return None
        if age_s > FRESH_S:
            self._inquiry.begin()
        return self._primary

    async def find(self, slot: int | None) -> Server:
        """Return the primary, after asking the sentinels."""
        await self._inquiry.answered()
        if self._in_doubt or self._primary is None:
            sentence = f"Redis does not answer: no sentinel knows a primary {self._group.name!r} that is up"
            raise RedisUnavailable(f"{sentence}; {self._trouble}" if self._trouble else sentence)
        return self._primary

    def failed(self, server: Server) -> None:
        """Ask the sentinels before the next call."""
        if server is self._primary:
            self._in_doubt = True

    def redirected(self, server: Server, other: Elsewhere) -> Server:
        """Raise RedisUnavailable: sentinels do not watch clusters."""
        raise RedisUnavailable(f"{server.where} is one server of a cluster: connect by redis+cluster://") from other

    async def close(self) -> None:
        """Disconnect."""
        await self._inquiry.close()
        for server in (*self._sentinels, *([self._primary] if self._primary else [])):
            await server.close()

    async def _ask(self) -> None:
        opinions = await self._opinions()
        self._asked_at = time.monotonic()
        if not opinions or not (best := max(opinions)).up:
            return  # what was known stays, unless it is in doubt
        if best.epoch < self._epoch and not self._in_doubt:
            return  # those that know of the last failover have not answered first this time
        self._epoch, self._in_doubt = best.epoch, False
        if best.address != self._address:
            former, self._address = self._primary, best.address
            self._primary = Server(self._group.server(best.address), self._timeout_s, self._connections)
            if former:
                log.info("= the primary %s of Redis is now at %s:%d", self._group.name, *best.address)
                await former.retire()

    async def _opinions(self) -> list[Opinion]:
        """Return what the sentinels say that answer first, if possible a majority of them."""
        asking = {asyncio.create_task(self._opinion(sentinel)) for sentinel in self._sentinels}
        opinions: list[Opinion] = []
        try:
            while asking and len(opinions) <= len(self._sentinels) // 2:
                done, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
                opinions += [opinion for task in done if (opinion := task.result())]
        finally:
            for task in asking:
                task.cancel()
            if asking:
                await asyncio.wait(asking)
        return opinions

    async def _opinion(self, sentinel: Server) -> Opinion | None:
        """Ask one sentinel; None if it does not answer, or knows no primary of this name."""
        name = self._group.name
        packed = pack(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)) + pack(("SENTINEL", "MASTER", name))
        try:
            async with asyncio.timeout(self._ask_s):
                address, master = await sentinel.round_trip(packed, 2)
        except (RedisError, OSError) as error:
            self._trouble = f"{sentinel.where}: {str(error) or 'no reply in time'}"
            return None
        if isinstance(address, Exception):
            self._trouble = f"{sentinel.where}: {address}"
        return read(address, master)


def read(address: Any, master: Any) -> Opinion | None:
    """Read a sentinel's two replies: the first names a new primary earlier, the second has the rest."""
    if not isinstance(address, list) or not isinstance(master, list):
        return None
    host, port = address[0].decode(), int(address[1])
    known = dict(zip(master[::2], master[1::2], strict=True))
    same = (known[b"ip"].decode(), int(known[b"port"])) == (host, port)
    down = same and b"_down" in known[b"flags"]
    return Opinion(int(known[b"config-epoch"]), not down, (host, port))
