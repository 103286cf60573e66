"""The dispatch stream: turns that are ready, handed to workers; its pending list is the lease."""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from redis.exceptions import ResponseError

from saystream.common.ids import SessionId, TurnId, TurnRef
from saystream.common.keys import GROUP, ShardKeys
from saystream.common.ledger.output import write_nothing
from saystream.common.ledger.scripts import LEAVE, RENEW
from saystream.common.redis_client import Client, call, call_all, call_raw

log = logging.getLogger(__name__)

#: Who watches and sees nothing come, so often one after the other, makes sure that it still looks at the right place.
_QUIET = 4


class Message(NamedTuple):
    """A turn in the hands of a worker: the dispatch entry ``id`` of ``shard`` stands for its lease."""

    shard: int
    id: str
    ref: TurnRef
    voice: str


class Queue:
    """One shard's dispatch stream, as one worker sees it.

    Args:
        redis: for commands that answer at once.
        blocking: for reading; its time-out covers the longest block.
        keys: the shard's keys.
        worker: the worker's name, unique among all workers.
    """

    def __init__(self, redis: Client, blocking: Client, keys: ShardKeys, worker: str) -> None:
        self._redis, self._blocking, self._keys, self._worker = redis, blocking, keys, worker
        self._given, self._quiet = b"", 0  # the last turn that was given to anybody, while we know it

    async def join(self) -> None:
        """Make the group if it is not there; turns that were opened before are in it."""
        try:
            await call(self._redis, "XGROUP", "CREATE", self._keys.dispatch, GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def watch(self, block_ms: int) -> bool:
        """Wait until there is a ready turn, ``block_ms`` at most, and take none; tells whether one has come.

        Nobody is assigned anything by it, so no slot has to be kept free meanwhile. But whoever watches is woken by
        each turn that comes, and `ready` then brings it to the first of them only.
        """
        given, self._given = self._given or await self._last_given(), b""
        where = ("COUNT", 1, "BLOCK", max(1, block_ms), "STREAMS", self._keys.dispatch, given)
        if await call_raw(self._blocking, "XREAD", *where):
            return True
        self._quiet = (self._quiet + 1) % _QUIET
        if self._quiet:
            self._given = given  # nothing has come since
        return False

    async def _last_given(self) -> bytes:
        """Return the id of the last turn that was given to any worker; raises ResponseError if there is no group."""
        # The server has to take writes: one that was the primary until just now would let us wait for ever.
        commands = [write_nothing(self._keys), ("XINFO", "GROUPS", self._keys.dispatch)]
        [_, groups] = await call_all(self._blocking, commands)
        if isinstance(groups, ResponseError):
            raise groups
        for flat in groups:
            group = dict(zip(flat[::2], flat[1::2], strict=True))
            if group[b"name"] == GROUP.encode():
                return bytes(group[b"last-delivered-id"])
        raise ResponseError(f"NOGROUP {self._keys.dispatch} has no group {GROUP}")

    async def ready(self, count: int, block_ms: int) -> list[Message]:
        """Take up to ``count`` ready turns; waits for the first one, ``block_ms`` at most."""
        if count < 1:  # to Redis, 0 is no limit
            return []
        wait = ("BLOCK", block_ms) if block_ms > 0 else ()  # and here it is for ever
        where = ("COUNT", count, *wait, "STREAMS", self._keys.dispatch, ">")
        reply = await call(self._blocking, "XREADGROUP", "GROUP", GROUP, self._worker, *where)
        return await self._messages(reply[0][1]) if reply else []

    async def any_abandoned(self, lease_ms: int) -> bool:
        """Tell whether there is a turn whose owner has not renewed it for a whole lease; takes none."""
        where = (self._keys.dispatch, GROUP, "IDLE", lease_ms, "-", "+", 1)
        return bool(await call_raw(self._redis, "XPENDING", *where))

    async def abandoned(self, lease_ms: int, count: int) -> list[Message]:
        """Take up to ``count`` turns whose owner has not renewed them for a whole lease.

        Not by XAUTOCLAIM, which looks at ten entries for each that it may take, from the oldest on: behind many turns
        that are well, one that is not would never be found.
        """
        if count < 1:
            return []
        group = (self._keys.dispatch, GROUP)
        late = await call(self._redis, "XPENDING", *group, "IDLE", lease_ms, "-", "+", count, parse_detail=True)
        ids = [entry["message_id"] for entry in late]
        if not ids:
            return []
        # Those that somebody else has taken meanwhile are not idle any more, and stay where they are.
        return await self._messages(await call(self._redis, "XCLAIM", *group, self._worker, lease_ms, *ids))

    async def handed_out(self) -> list[Message]:
        """Return the turns that are in this worker's hands, as Redis sees it."""
        where = ("COUNT", 1000, "STREAMS", self._keys.dispatch, "0")
        reply = await call(self._redis, "XREADGROUP", "GROUP", GROUP, self._worker, *where)
        return await self._messages(reply[0][1]) if reply else []

    async def renew(self, messages: Iterable[str]) -> set[str]:
        """Renew the lease of messages; returns those that are still this worker's: it has lost the others."""
        if not (ids := list(messages)):
            return set()
        renewed = await RENEW(self._redis, [self._keys.dispatch], [self._worker, *ids])
        return {entry_id.decode() for entry_id in renewed}

    async def leave(self) -> None:
        """Take this worker out of the group, if it holds nothing."""
        await LEAVE(self._redis, [self._keys.dispatch], [self._worker])

    async def forget_the_dead(self, idle_ms: int) -> None:
        """Take workers out of the group that hold nothing and have not been heard of for so long."""
        for consumer in await call(self._redis, "XINFO CONSUMERS", self._keys.dispatch, GROUP):
            if consumer["pending"] == 0 and consumer["idle"] > idle_ms:
                await LEAVE(self._redis, [self._keys.dispatch], [consumer["name"]])

    async def _messages(self, entries: Sequence[tuple[bytes, dict[bytes, bytes] | None]]) -> list[Message]:
        """Read entries of the stream; what is no turn is thrown away, or it would be handed out for ever."""
        messages: list[Message] = []
        strange: list[bytes] = []
        for entry_id, fields in entries:
            if not fields:  # an entry that was deleted while it was pending has none
                continue
            try:
                session, turn = SessionId(fields[b"session"].decode()), TurnId(fields[b"turn"].decode())
                voice = fields[b"voice"].decode()
            except (KeyError, UnicodeDecodeError):
                strange.append(entry_id)
            else:
                messages.append(Message(self._keys.shard, entry_id.decode(), TurnRef(session, turn), voice))
        if strange:
            dispatch = self._keys.dispatch
            log.error("! %s: thrown away what is no turn: entries %s", dispatch, b", ".join(strange).decode())
            await call_all(self._redis, [("XACK", dispatch, GROUP, *strange), ("XDEL", dispatch, *strange)])
        return messages
