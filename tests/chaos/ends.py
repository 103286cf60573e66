"""Waiting until turns have ended: their records are asked for, at Redis itself, by whoever must know."""

import asyncio
import contextlib

from redis.exceptions import RedisError

from saystream.common.errors import RedisUnavailable
from saystream.common.ids import TurnRef
from saystream.common.keys import keys_of
from saystream.common.redis_client import call_all, connect
from saystream.common.states import FINAL, State

_LOOK_S = 0.2


class Ends:
    """Knows which turns go on.

    Args:
        url: of Redis itself: nothing that is done to a process's own connections touches this one.
    """

    def __init__(self, url: str, shards: int) -> None:
        self._redis = connect(url, timeout_s=2.0)
        self._shards = shards
        self._waited: dict[TurnRef, asyncio.Event] = {}

    def of(self, ref: TurnRef) -> asyncio.Event:
        """Return what is set when the turn has ended."""
        return self._waited.setdefault(ref, asyncio.Event())

    async def watch(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                with contextlib.suppress(RedisUnavailable, RedisError):
                    await self._look()
                await asyncio.sleep(_LOOK_S)
        finally:
            await self._redis.aclose()

    async def _look(self) -> None:
        refs = [ref for ref, ended in self._waited.items() if not ended.is_set()]
        if not refs:
            return
        commands = [("HGET", keys_of(ref.session, self._shards).turn(ref.turn), "state") for ref in refs]
        for ref, state in zip(refs, await call_all(self._redis, commands), strict=True):
            if isinstance(state, bytes) and State(state.decode()) in FINAL:
                self._waited.pop(ref).set()
