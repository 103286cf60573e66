"""Parts that break promise 1: words are lost, said twice or told wrongly."""

from dataclasses import replace
from typing import Any

import pytest

from saystream.common.ledger import Claim, Ledger
from saystream.workers.timeline import Timeline
from tests.chaos.variants.breaking import lua, method


def goes_on_where_the_audio_ends(patch: pytest.MonkeyPatch) -> None:
    """A take-over leaves the half of a word that was published last, instead of going back to its beginning."""
    lua(patch, "local _, cut, spoken", "local cut, _, spoken", "claim")


def forgets_what_is_spoken(patch: pytest.MonkeyPatch) -> None:
    """A take-over says the text from its first word again, behind what is there."""

    async def claim(right: Any, self: Ledger, *args: Any, **kwargs: Any) -> Any:
        claimed = await right(self, *args, **kwargs)
        return replace(claimed, spoken=0) if isinstance(claimed, Claim) else claimed

    method(patch, Ledger, "claim", claim)


def starts_anew(patch: pytest.MonkeyPatch) -> None:
    """A take-over replaces the whole turn: the recording is right, and who listens live hears much twice."""
    lua(patch, "tonumber(fields.cut), tonumber(fields.spoken)", "0, 0", "claim")


def loses_an_accepted_token(patch: pytest.MonkeyPatch) -> None:
    """The last text of a turn is acknowledged and not written."""

    async def append_all(right: Any, self: Ledger, batches: Any, *args: Any) -> Any:
        kept = [
            batch._replace(events=[event for event in batch.events if not getattr(event, "text", "").endswith("een")])
            for batch in batches
        ]
        return await right(self, kept, *args)

    method(patch, Ledger, "append_all", append_all)


def captions_point_elsewhere(patch: pytest.MonkeyPatch) -> None:
    """The words that a turn reports are not where it says that they are."""

    def words(right: Any, self: Timeline, times: Any) -> Any:
        return [word._replace(start=max(0, word.start - 2)) for word in right(self, times)]

    method(patch, Timeline, "words", words)
