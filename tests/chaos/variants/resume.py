"""Listeners that break promise 5; each stands in for `listen`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from saystream.common.events import Audio
from saystream.consumer import BEGINNING, Event, Gap, listen


async def skips_one(url: str, session: str, start: Any) -> AsyncGenerator[Event, None]:
    """Lose the first entry after coming back."""
    skip = start is not BEGINNING
    async with aclosing(listen(url, session, start)) as events:
        async for event in events:
            if not skip:
                yield event
            skip = False


async def repeats_one(url: str, session: str, start: Any) -> AsyncGenerator[Event, None]:
    """Hand out the last entry again after coming back."""
    if start is not BEGINNING:
        async with aclosing(listen(url, session, BEGINNING)) as events:
            async for event in events:
                if str(event.cursor) == start:
                    yield event
                    break
    async with aclosing(listen(url, session, start)) as events:
        async for event in events:
            yield event


async def keeps_gaps_to_itself(url: str, session: str, start: Any) -> AsyncGenerator[Event, None]:
    """Go on behind what is lost, and say nothing of it."""
    async with aclosing(listen(url, session, start)) as events:
        async for event in events:
            if not isinstance(event, Gap):
                yield event


async def damages_audio(url: str, session: str, start: Any) -> AsyncGenerator[Event, None]:
    """Hand out audio of which the last sample is another one."""
    async with aclosing(listen(url, session, start)) as events:
        async for event in events:
            yield replace(event, data=event.data[:-2] + b"\1\2") if isinstance(event, Audio) else event
