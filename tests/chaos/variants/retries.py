"""Parts that break promise 4: what is done again has its effect again."""

from dataclasses import replace
from typing import Any

import pytest

from saystream.common.ledger import Ledger
from tests.chaos.variants.breaking import lua, method


def numbers_a_repeated_token_anew(patch: pytest.MonkeyPatch) -> None:
    """The tokens of an append that is repeated get numbers of their own."""

    async def append_all(right: Any, self: Ledger, batches: Any, *args: Any) -> Any:
        outcomes = await right(self, batches, *args)
        await right(self, [batch._replace(first=batch.first + len(batch.events)) for batch in batches], *args)
        return outcomes

    method(patch, Ledger, "append_all", append_all)


def gives_a_known_turn_another_number(patch: pytest.MonkeyPatch) -> None:
    """Who opens a turn again is told another number."""
    lua(patch, "number = known.number", "number = known.number + 1", "open")


def ends_twice(patch: pytest.MonkeyPatch) -> None:
    """The end of a turn is written twice."""
    right = "close(turn, fields, reason, samples, spoken, cause)\nif reason"
    again = (
        "redis.call('XADD', AUDIO, entry_id(fields.number, attempt, seq + 1), 'type', 'end', 'turn', turn, "
        "'reason', reason, 'samples', samples, 'spoken', spoken, 'cause', cause)\n"
    )
    lua(patch, right, again + right, "finish")


def cuts_again(patch: pytest.MonkeyPatch) -> None:
    """An interrupt that is repeated returns another cut."""
    known: set[str] = set()

    async def interrupt(right: Any, self: Ledger, *args: Any, **kwargs: Any) -> Any:
        cuts = await right(self, *args, **kwargs)
        again = [replace(cut, spoken=0) if cut.turn in known else cut for cut in cuts]
        known.update(cut.turn for cut in cuts)
        return tuple(again)

    method(patch, Ledger, "interrupt", interrupt)
