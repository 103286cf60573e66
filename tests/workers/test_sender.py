"""The text on its way to the vendor, while the LLM pauses."""

import asyncio
from typing import cast

import pytest

from saystream.common.text_rules import TextRules
from saystream.workers.connection import Stream
from saystream.workers.idle import Idle
from saystream.workers.sender import Rest, Sender
from saystream.workers.text.pipeline import Pipeline
from saystream.workers.text.script import Script
from saystream.workers.turn_text import TurnText
from tests.timing import MS
from tests.workers.scripted import CAPABILITIES


class Vendor:
    """A stream of speech that takes all text."""

    def __init__(self) -> None:
        self.text_so_far = ""

    async def text(self, text: str) -> None:
        self.text_so_far += text

    async def finish(self, text: str) -> None:
        self.text_so_far += text


class CountingScript(Script):
    settled = 0

    def settle(self) -> None:
        self.settled += 1
        super().settle()


@pytest.mark.parametrize("held", ["Use node.js", "It is 5 p.m", "a <bre", "R&am", "😀", "One\n- ", "See https://exa"])
async def test_what_no_pause_lets_go_of_is_asked_for_once(held: str) -> None:
    """Asking again and again kept all other turns of the worker from going on, for as long as the LLM paused."""
    text, vendor = TurnText("tokens", 1000), Vendor()
    script = CountingScript(text, Pipeline(TextRules(), "en"))

    async def all_there() -> bool:
        return True

    sender = Sender(
        cast(Stream, vendor),
        script,
        text,
        CAPABILITIES,
        "en",
        0,
        Idle(300 * MS, all_there, interrupts=False),
        lambda run: None,
        lambda finished: None,
    )
    sending = asyncio.create_task(sender.run())
    text.put(b"1-0", {b"text": held.encode()})
    await sending
    assert sender.rest is Rest.LATER
    assert sender.reached == len(held)
    assert script.settled == 1
