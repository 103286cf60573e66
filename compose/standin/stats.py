"""What the stand-in has seen and done, for tests and benches to assert on."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

REMEMBERED = 1_000  # connections, and requests
REMEMBERED_MESSAGES = 10_000  # of one request, each kind

Outcome = Literal["active", "completed", "failed", "aborted"]


@dataclass(slots=True)
class ConnectionLog:
    """One connection; times are `time.monotonic()`."""

    number: int
    """Counts from 1."""
    path: str
    vendor: str
    opened_s: float
    closed_s: float | None = None
    close_code: int | None = None
    """None while it is open; 1006 when it ended without a goodbye."""
    requests: int = 0


@dataclass(slots=True)
class RequestLog:
    """One request; times are `time.monotonic()`.

    outcome: `completed`: all was sent; `failed`: an error was reported; `aborted`: the connection ended before.
    """

    connection: int
    """Number of its connection."""
    path: str
    vendor: str
    request_id: str
    setup: Mapping[str, Any]
    """The client's message as it came."""
    begun_s: float
    texts: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=REMEMBERED_MESSAGES))
    """Every text message as it came, tags and blanks included, with its time."""
    flushes: int = 0
    """How many flushes the client has asked for."""
    end_of_stream_s: float | None = None
    """When the client said that no more text comes."""
    words: int = 0
    """How many words have been told to the client."""
    frames: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED_MESSAGES))
    """When each audio message was handed to the socket."""
    frames_sent: int = 0
    samples_sent: int = 0
    outcome: Outcome = "active"
    ended_s: float | None = None

    def sent(self, words: int, samples: int, *, audio: bool) -> None:
        """Record one message's worth; `audio` says whether it had any bytes of audio."""
        self.words += words
        self.samples_sent += samples
        if audio:
            self.frames.append(time.monotonic())
            self.frames_sent += 1

    @property
    def heard(self) -> list[str]:
        """The text messages without their times."""
        return [text for _, text in self.texts]


@dataclass(slots=True)
class Stats:
    """Counters since the start, and logs of the most recent connections and requests, oldest first."""

    connections_opened: int = 0
    connections_open: int = 0
    upgrades_refused: int = 0
    requests_started: int = 0
    requests_completed: int = 0
    requests_failed: int = 0
    requests_aborted: int = 0
    connections: deque[ConnectionLog] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    requests: deque[RequestLog] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _waiting: set[asyncio.Future[None]] = field(default_factory=set, repr=False)

    async def until(self, holds: Callable[["Stats"], bool], timeout_s: float = 10.0) -> None:
        """Wait until `holds(self)`.

        Raises:
            TimeoutError: it did not come true in time.
        """
        async with asyncio.timeout(timeout_s):
            while not holds(self):
                changed = asyncio.get_running_loop().create_future()
                self._waiting.add(changed)
                try:
                    await changed
                finally:
                    self._waiting.discard(changed)

    def changed(self) -> None:
        """Let those who wait look again."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def refused(self) -> None:
        """Record an upgrade that was answered with an HTTP status."""
        self.upgrades_refused += 1
        self.changed()

    def connected(self, path: str, vendor: str) -> ConnectionLog:
        self.connections_opened += 1
        self.connections_open += 1
        log = ConnectionLog(self.connections_opened, path, vendor, time.monotonic())
        self.connections.append(log)
        self.changed()
        return log

    def disconnected(self, log: ConnectionLog, close_code: int | None) -> None:
        self.connections_open -= 1
        log.closed_s, log.close_code = time.monotonic(), close_code
        self.changed()

    def begun(self, connection: ConnectionLog, request_id: str, setup: Mapping[str, Any]) -> RequestLog:
        self.requests_started += 1
        connection.requests += 1
        log = RequestLog(connection.number, connection.path, connection.vendor, request_id, setup, time.monotonic())
        self.requests.append(log)
        self.changed()
        return log

    def ended(self, log: RequestLog, outcome: Literal["completed", "failed", "aborted"]) -> None:
        """Record how a request ended; only the first end counts."""
        if log.outcome != "active":
            return
        log.outcome, log.ended_s = outcome, time.monotonic()
        match outcome:
            case "completed":
                self.requests_completed += 1
            case "failed":
                self.requests_failed += 1
            case "aborted":
                self.requests_aborted += 1
        self.changed()
