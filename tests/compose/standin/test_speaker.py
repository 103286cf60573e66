"""One request being spoken: what is asked of the voice, and when its frames are due."""

import asyncio
import math
from collections.abc import Sequence

import numpy as np
import pytest

from saystream.compose.standin.behaviour import Behaviour, VendorError
from saystream.compose.standin.frames import Frame
from saystream.compose.standin.orders import Pause
from saystream.compose.standin.sound import Clip, SpokenWord
from saystream.compose.standin.speaker import MOST_WAITING_ITEMS, Clock, FaultError, Speaker

RATE = 1_000


class ThreeAtOnce:
    """A voice that wants three words before it speaks, 10 ms each."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def ready(self, words: Sequence[str]) -> int:
        return 3 if len(words) >= 3 else 0

    async def speak(self, words: Sequence[str], rate: int) -> Clip:
        self.asked.append(list(words))
        spoken = tuple(SpokenWord(word, 10 * at, 10 * at + 10) for at, word in enumerate(words))
        return Clip(np.ones(10 * len(words), dtype=np.int16), spoken)


class Listener:
    """Keeps the frames that it is sent."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    async def __call__(self, frame: Frame) -> None:
        self.frames.append(frame)

    @property
    def samples(self) -> int:
        return sum(len(frame.samples) for frame in self.frames)


def test_frames_are_due_at_even_distances_however_late_they_are_asked_for() -> None:
    clock = Clock(speed=2.0)
    clock.idle_until(10.0)
    assert [clock.next(0.08) for _ in range(4)] == pytest.approx([10.0, 10.04, 10.08, 10.12])


def test_a_pause_in_the_text_moves_what_follows_it_and_a_short_one_does_not() -> None:
    clock = Clock(speed=1.0)
    clock.idle_until(10.0)
    clock.next(0.08)
    clock.idle_until(10.02)
    assert clock.next(0.08) == pytest.approx(10.08)
    clock.idle_until(11.0)
    assert clock.next(0.08) == 11.0


def test_as_fast_as_possible_everything_is_due_at_once() -> None:
    clock = Clock(speed=math.inf)
    clock.idle_until(10.0)
    assert [clock.next(0.08) for _ in range(3)] == [10.0] * 3


async def test_the_voice_decides_how_many_words_it_takes_until_a_flush() -> None:
    voice, listener = ThreeAtOnce(), Listener()
    speaker = Speaker(voice, RATE, Behaviour(), listener, faulty=False)
    speaker.say(["a", "b", "c", "d"])
    speaker.flush()
    speaker.say(["e", Pause(0.5), "f"])
    speaker.finish()
    await speaker.run()
    assert voice.asked == [["a", "b", "c"], ["d"], ["e"], ["f"]]
    assert listener.samples == 60 + 500
    assert [word.text for frame in listener.frames for word in frame.words] == ["a", "b", "c", "d", "e", "f"]


async def test_what_the_voice_does_not_take_waits_for_more() -> None:
    voice, listener = ThreeAtOnce(), Listener()
    speaker = Speaker(voice, RATE, Behaviour(), listener, faulty=False)
    speaker.say(["a", "b"])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speaker.run())
        await asyncio.sleep(0)
        assert voice.asked == []
        speaker.say(["c"])
        speaker.finish()
    assert voice.asked == [["a", "b", "c"]]


async def test_more_text_is_not_taken_in_before_some_is_spoken() -> None:
    speaker = Speaker(ThreeAtOnce(), RATE, Behaviour(), Listener(), faulty=False)
    speaker.say(["a"] * (MOST_WAITING_ITEMS + 1))
    speaker.finish()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(speaker.room(), 0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speaker.run())
        await speaker.room()


async def test_who_waits_for_room_is_let_go_when_the_speaking_breaks_off() -> None:
    speaker = Speaker(ThreeAtOnce(), RATE, Behaviour(drop_after_frames=0), Listener(), faulty=True)
    speaker.say(["a"] * (MOST_WAITING_ITEMS + 1))
    with pytest.raises(FaultError):
        await speaker.run()
    await speaker.room()
    speaker.say(["late"])
    await speaker.room()


@pytest.mark.parametrize("frames", [0, 1, 2])
async def test_a_fault_comes_after_exactly_so_many_frames(frames: int) -> None:
    error = VendorError(1011, "worker failure")
    for behaviour, expected in (
        (Behaviour(drop_after_frames=frames), None),
        (Behaviour(error=error, error_after_frames=frames), error),
    ):
        listener = Listener()
        speaker = Speaker(ThreeAtOnce(), RATE, behaviour, listener, faulty=True)
        speaker.say(["a"] * 30)
        speaker.finish()
        with pytest.raises(FaultError) as fault:
            await speaker.run()
        assert fault.value.error == expected
        assert len(listener.frames) == frames
