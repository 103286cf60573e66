"""KugelAudio ends turns by itself while our text is under way: no moment at which that happens may lose a word."""

import json
from collections import deque
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from saystream.common.audio import AudioFormat
from saystream.common.settings import ProviderSettings
from saystream.workers.providers.base import ChunkStarted, Failed, Finished, Protocol, StreamSpec, VendorEvent
from saystream.workers.providers.kugelaudio import KugelAudio

SPEC = StreamSpec("1", AudioFormat(sample_rate=24_000))


class Vendor:
    """The vendor's end of `/ws/tts/stream`, by its lifecycle page; both directions have frames under way.

    Args:
        answers: whether it answers a flush where no session is open; nobody says.
    """

    def __init__(self, *, answers: bool) -> None:
        self.to_vendor: deque[dict[str, Any]] = deque()
        self.to_us: deque[dict[str, Any]] = deque()
        self.idles = 0  # sessions that it ended by itself
        self._text: str | None = None  # of the open session
        self._chunks = 0
        self._answers = answers

    def reads(self) -> None:
        """Take one message that is under way."""
        if not self.to_vendor:
            return
        message = self.to_vendor.popleft()
        if message.get("cancel"):
            self._text = None
            self.to_us.append({"interrupted": True})
        if text := message.get("text"):
            self._text = (self._text or "") + text
        if message.get("flush"):
            self._end()

    def idles_out(self) -> None:
        """End the open session for want of text."""
        if self._text is not None:
            self.idles += 1
            self.to_us.append({"warning": "no text for 5 s"})
            self._end()

    def _end(self) -> None:
        if self._text is None and not self._answers:
            return
        if self._text:
            self.to_us.append({"generation_started": True, "chunk_id": 0, "text": self._text})
            self.to_us.append({"audio": "AAAA", "sr": 24_000, "chunk_id": 0})
        self.to_us += [{"final": True}, {"session_closed": True}]
        self._text = None


def turn(protocol: Protocol, vendor: Vendor, steps: list[str], name: str) -> tuple[str, str, list[VendorEvent]]:
    """Run a turn; return what was given, what was heard of it before its end, and the events."""
    events: list[VendorEvent] = []
    given = ""

    def send(frames: list[Any]) -> None:
        vendor.to_vendor.extend(json.loads(frame) for frame in frames)
        events.extend(protocol.pending())

    def hear() -> None:
        if vendor.to_us:
            events.extend(protocol.receive(json.dumps(vendor.to_us.popleft())))

    stream, frames = protocol.open(SPEC)
    send(frames)
    for step in steps:
        word = f"{name}{len(given)} " if step != "flush" and step in ("text", "text and flush") else ""
        given += word
        match step:
            case "text":
                send(protocol.text(stream, word))
            case "flush" | "text and flush":
                send(protocol.flush(stream, word))
            case "vendor reads":
                vendor.reads()
            case "vendor idles":
                vendor.idles_out()
            case "we read":
                hear()
    send(protocol.finish(stream, ""))
    while (vendor.to_vendor or vendor.to_us) and not any(isinstance(event, Finished | Failed) for event in events):
        vendor.reads()  # what is under way when the turn ends meets the next one
        hear()
    ends = [place for place, event in enumerate(events) if isinstance(event, Finished | Failed)]
    before = events[: ends[0]] if ends else events
    return given, "".join(event.text for event in before if isinstance(event, ChunkStarted)), events


STEPS = st.lists(
    st.sampled_from(["text", "text and flush", "flush", "vendor reads", "vendor idles", "we read", "we read"]),
    max_size=25,
)


@given(st.lists(STEPS, min_size=1, max_size=3), st.booleans())
def test_a_finished_turn_has_all_its_words_whenever_the_vendor_ended_a_session(
    turns: list[list[str]], answers: bool
) -> None:
    vendor = Vendor(answers=answers)
    protocol = KugelAudio("k", ProviderSettings(api_key="k3y")).protocol()  # type: ignore[arg-type]
    for number, steps in enumerate(turns):
        given, heard, events = turn(protocol, vendor, steps, "abc"[number])
        ends = [event for event in events if isinstance(event, Finished | Failed)]
        assert len(ends) <= 1
        assert not [event for event in events if isinstance(event, Failed)]
        if ends:
            assert heard.split() == given.split()  # none lost, none of another turn
        else:  # the worker notices that nothing comes, and goes on from what is spoken
            assert vendor.idles
            assert not answers
            return
