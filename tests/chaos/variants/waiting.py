"""Parts that break promise 6: turns wait for ever, or end unseen or for no reason."""

from typing import Any

import pytest

from saystream.common.ledger import Claim, Ledger
from saystream.common.ledger.queue import Message, Queue
from saystream.common.states import State
from tests.chaos.variants.breaking import lua, method


def never_looks_for_abandoned_turns(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks for turns whose worker has died."""

    async def abandoned(right: Any, self: Queue, lease_ms: int, count: int) -> list[Message]:
        return []

    method(patch, Queue, "abandoned", abandoned)


def buries_nothing(patch: pytest.MonkeyPatch) -> None:
    """A turn that has failed does not go to the dead letters."""
    lua(patch, "if reason == 'failed' then bury(", "if false then bury(", "finish")


def fails_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """A turn fails, and nothing was wrong."""

    async def finish(right: Any, self: Ledger, claim: Claim, seq: int, reason: State, *args: Any) -> None:
        await right(self, claim, seq, State.FAILED, args[0], args[1], "tired")

    method(patch, Ledger, "finish", finish)


def interrupts_unasked(patch: pytest.MonkeyPatch) -> None:
    """A worker interrupts the turn that it should finish."""

    async def finish(right: Any, self: Ledger, claim: Claim, *args: Any) -> None:
        await self.interrupt(*claim.ref)

    method(patch, Ledger, "finish", finish)
