"""Parts that break promise 2: an interrupted turn is not silent."""

import asyncio
from typing import Any

import pytest

from saystream.common.ids import EntryId
from saystream.common.ledger import Append, Cut, Ledger, Outcome, output
from saystream.common.states import State
from tests.chaos.variants.breaking import lua, method
from tests.timing import MS

_LATER_S = 150 * MS


def returns_before_redis_has_acted(patch: pytest.MonkeyPatch) -> None:
    """An interrupt tells how far the turn has come, and acts a little later."""
    acting: set[asyncio.Task[None]] = set()

    async def interrupt(right: Any, self: Ledger, session: str, turn: str = "", **kwargs: Any) -> Any:
        async def act() -> None:
            await asyncio.sleep(_LATER_S)
            await right(self, session, turn, **kwargs)

        acting.add(asyncio.create_task(act()))
        seen = await self.inspect(turn)
        return (Cut(turn, seen.number, seen.samples, seen.spoken, State.INTERRUPTED),)

    method(patch, Ledger, "interrupt", interrupt)


def forgets_those_who_wait(patch: pytest.MonkeyPatch) -> None:
    """An interrupt of a session ends what speaks, and lets speak what waits."""
    lua(patch, "local turns = redis.call('LRANGE', WAITING, 0, -1)", "local turns = {}", "interrupt")


def climbs_over_the_fence(patch: pytest.MonkeyPatch) -> None:
    """A worker whose append is refused tries again with an id that is high enough."""

    async def publish(right: Any, send_all: Any, appends: list[Append]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for append in appends:
            [outcome] = await right(send_all, [append])
            while outcome is Outcome.FENCED:
                [last] = await send_all([("XREVRANGE", append.key, "+", "-", "COUNT", "1")])
                above = EntryId.parse(last[0][0])
                again = Append(append.key, EntryId(above.major, above.seq + 1), append.fields)
                [outcome] = await right(send_all, [again])
            outcomes.append(outcome)
        return outcomes

    method(patch, output, "publish", publish)
