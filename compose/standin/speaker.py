"""Speaks one request: asks the voice for sound, and sends it when it is due."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from itertools import islice

from saystream.compose.standin.behaviour import Behaviour, VendorError
from saystream.compose.standin.frames import Frame, Framer, frame_samples
from saystream.compose.standin.orders import Pause
from saystream.compose.standin.sound import Clip, Voice, silence

MOST_WAITING_ITEMS = 20_000
"""Words; beyond that the socket is not read until some are spoken."""

MOST_WORDS_AT_ONCE = 64

_FRAMES_BETWEEN_YIELDS = 4  # as fast as possible, others still get their turn


class _Mark(Enum):
    FLUSH = "hold nothing back"
    FINISH = "no more comes"


class FaultError(Exception):
    """The behaviour wants this request to fail here: with an error, or (`error` is None) with a cut connection."""

    def __init__(self, error: VendorError | None) -> None:
        super().__init__(error)
        self.error = error


class Clock:
    """Says when each frame is due: the audio of a stretch of text follows without drift, at `speed` times real time."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.due_s = 0.0

    def idle_until(self, now_s: float) -> None:
        """There was nothing to send until now: what comes next is not late."""
        self.due_s = max(self.due_s, now_s)

    def next(self, audio_s: float) -> float:
        """Return when a frame of this length is due, and put the next one behind it."""
        due_s = self.due_s
        self.due_s += audio_s / self.speed
        return due_s


class Speaker:
    """One request being spoken.

    Args:
        rate: samples a second
        send_frame: sends the messages of a frame
        faulty: this request meets the behaviour's faults
    """

    def __init__(
        self,
        voice: Voice,
        rate: int,
        behaviour: Behaviour,
        send_frame: Callable[[Frame], Awaitable[None]],
        *,
        faulty: bool,
    ) -> None:
        self.voice = voice
        self.rate = rate
        self.behaviour = behaviour
        self.send_frame = send_frame
        self.faulty = faulty
        self.frames_sent = 0
        self.framer = Framer(frame_samples(rate))
        self.clock = Clock(behaviour.speed)
        self._items: deque[str | Pause | _Mark] = deque()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = False

    def say(self, items: Iterable[str | Pause]) -> None:
        self._put(items)

    def flush(self) -> None:
        self._put((_Mark.FLUSH,))

    def finish(self) -> None:
        self._put((_Mark.FINISH,))

    async def room(self) -> None:
        """Wait until more text may be said; ends when enough is spoken, or the speaking ends."""
        await self._room.wait()

    async def run(self) -> None:
        """Speak until `finish` has been reached.

        Raises:
            FaultError: the behaviour asks for it.
        """
        try:
            await self._run()
        finally:
            self._ended = True  # nobody is to wait for room that no one makes any more
            self._room.set()

    async def _run(self) -> None:
        delayed = False
        while True:
            taken = self._take()
            if taken is None:
                self._more.clear()
                await self._more.wait()
                self.clock.idle_until(time.monotonic())
                continue
            if not delayed and not isinstance(taken, _Mark):
                delayed = True
                self.clock.idle_until(time.monotonic() + self._first_delay_s())
            if isinstance(taken, _Mark):
                await self._send(self.framer.flush())
                if taken is _Mark.FINISH:
                    return
            else:
                await self._send(self.framer.add(await self._sound(taken)))

    def _put(self, items: Iterable[str | Pause | _Mark]) -> None:
        self._items.extend(items)
        self._more.set()
        if len(self._items) > MOST_WAITING_ITEMS and not self._ended:
            self._room.clear()

    def _take(self) -> list[str] | Pause | _Mark | None:
        """The next thing to speak; None while the voice needs more words than there are."""
        taken: list[str] | Pause | _Mark | None = None
        if self._items and not isinstance(self._items[0], str):
            taken = self._items[0]
            self._items.popleft()
        elif self._items:
            words, ended = self._next_words()
            count = self.voice.ready(words) or (len(words) if ended else 0)
            taken = words[:count] or None
            for _ in range(count):
                self._items.popleft()
        if len(self._items) <= MOST_WAITING_ITEMS // 2:
            self._room.set()
        return taken

    def _next_words(self) -> tuple[list[str], bool]:
        """The words in front, no more than any voice takes at once, and whether something else stands behind them."""
        words: list[str] = []
        for item in islice(self._items, MOST_WORDS_AT_ONCE):
            if not isinstance(item, str):
                return words, True
            words.append(item)
        return words, False

    async def _sound(self, taken: list[str] | Pause) -> Clip:
        if isinstance(taken, Pause):
            return silence(taken.seconds, self.rate)
        return await self.voice.speak(taken, self.rate)

    def _first_delay_s(self) -> float:
        return self.behaviour.first_audio_delay_s + random.random() * self.behaviour.first_audio_jitter_s

    async def _send(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self._check_fault()
            wait_s = self.clock.next(len(frame.samples) / self.rate) - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            elif self.frames_sent % _FRAMES_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
            await self.send_frame(frame)
            self.frames_sent += len(frame.samples) > 0
        self._check_fault()

    def _check_fault(self) -> None:
        if not self.faulty:
            return
        behaviour = self.behaviour
        if behaviour.drop_after_frames is not None and self.frames_sent >= behaviour.drop_after_frames:
            raise FaultError(None)
        if behaviour.error is not None and self.frames_sent >= behaviour.error_after_frames:
            raise FaultError(behaviour.error)
