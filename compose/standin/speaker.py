"""Speaks one request: asks the voice for sound, and sends it when it is due."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from saystream.compose.standin.behaviour import Behaviour, Fault, Kind
from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.frames import Frame, Framer, frame_samples
from saystream.compose.standin.orders import Pause, Sound
from saystream.compose.standin.packer import Packer
from saystream.compose.standin.sound import Clip, Voice, silence

MOST_WAITING_ITEMS = 20_000
"""Words; beyond that the socket is not read until some are spoken."""

MOST_WORDS_AT_ONCE = 64

_SOUNDS_BETWEEN_YIELDS = 4  # as fast as possible, others still get their turn

_BREAKS_OFF: Final = frozenset({Kind.CLOSE, Kind.CUT, Kind.RESET, Kind.SILENCE, Kind.STALL, Kind.ERROR})
"""The faults with which the speaking ends."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A place in the text before which nothing is held back; ``label`` is told when it is reached."""

    label: str | None = None


_FINISH = _Mark()

_Item: TypeAlias = str | Pause | _Mark


class FaultError(Exception):
    """The request meets a fault that breaks it off here."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


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
        audio_format: of what is sent
        frame_ms: audio in one frame
        send: sends one audio message; the flag asks for it to be damaged
        reached: is told the label of a mark, and how many samples have been sent before it
        fault: what this request meets
    """

    def __init__(
        self,
        voice: Voice,
        audio_format: AudioFormat,
        frame_ms: int,
        behaviour: Behaviour,
        send: Callable[[Sound, bool], Awaitable[None]],
        reached: Callable[[str, int], Awaitable[None]],
        fault: Fault | None = None,
    ) -> None:
        self.voice = voice
        self.rate = audio_format.rate
        self.behaviour = behaviour
        self.send = send
        self.reached = reached
        self.fault = fault
        self.frames_sent = 0
        self.samples_sent = 0
        self.framer = Framer(frame_samples(self.rate, frame_ms))
        self.packer = Packer(audio_format, behaviour.drip_bytes)
        self.clock = Clock(behaviour.speed)
        self._items: deque[_Item] = deque()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._sounds_sent = 0
        self._ended = False

    def say(self, items: Iterable[str | Pause]) -> None:
        self._put(items)

    def flush(self) -> None:
        self._put((_Mark(""),))

    def mark(self, label: str) -> None:
        self._put((_Mark(label),))

    def finish(self) -> None:
        self._put((_FINISH,))

    def stop(self) -> None:
        """Speak nothing more; for what is called from `reached`, others cancel `run`."""
        self._ended = True

    async def room(self) -> None:
        """Wait until more text may be said; ends when enough is spoken, or the speaking ends."""
        await self._room.wait()

    async def run(self) -> bool:
        """Speak until `finish` has been reached; return False if `stop` came before.

        Raises:
            FaultError: the request is to break off.
        """
        try:
            return await self._run()
        finally:
            self._ended = True  # nobody is to wait for room that no one makes any more
            self._room.set()

    async def _run(self) -> bool:
        delayed = False
        while not self._ended:
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
                if taken is _FINISH:
                    return True
                if taken.label:
                    await self.reached(taken.label, self.samples_sent)
            else:
                await self._send(self.framer.add(await self._sound(taken)))
        return False

    def _put(self, items: Iterable[_Item]) -> None:
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
            kind = self._met()
            if kind in (Kind.NO_AUDIO, Kind.NO_TAIL):
                continue
            for sound in self.packer.pack(frame):
                await self._due(sound)
                await self.send(sound, kind is Kind.MALFORMED and self.frames_sent == self._fault_frame)
            self.samples_sent += len(frame.samples)
            self.frames_sent += len(frame.samples) > 0
        self._met()

    async def _due(self, sound: Sound) -> None:
        """Wait until it is time to send it."""
        wait_s = self.clock.next((sound.last_sample - sound.first_sample) / self.rate) - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        elif self._sounds_sent % _SOUNDS_BETWEEN_YIELDS == 0:
            await asyncio.sleep(0)
        self._sounds_sent += 1

    @property
    def _fault_frame(self) -> int:
        """How many frames are sent before the fault."""
        if self.fault is None or self.fault.kind is Kind.NO_AUDIO:
            return 0
        return self.fault.after_frames

    def _met(self) -> Kind | None:
        """The fault that holds from here on.

        Raises:
            FaultError: it breaks the request off.
        """
        if self.fault is None or self.frames_sent < self._fault_frame:
            return None
        if self.fault.kind in _BREAKS_OFF:
            raise FaultError(self.fault)
        return self.fault.kind
