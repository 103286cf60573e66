"""One request being spoken: what is asked of the voice, and when its frames are due."""

import asyncio
import math
from collections.abc import Sequence

import numpy as np
import pytest

from saystream.compose.standin.behaviour import Behaviour, Fault, Kind
from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.orders import Pause, Sound
from saystream.compose.standin.sound import Clip, SpokenWord, Voice
from saystream.compose.standin.speaker import MOST_WAITING_ITEMS, Clock, FaultError, Speaker

FORMAT = AudioFormat("pcm", 1_000)
FRAME_MS = 80


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
    """Has a text spoken, and keeps what it is sent."""

    def __init__(self, voice: Voice, behaviour: Behaviour | None = None, fault: Fault | None = None) -> None:
        self.sounds: list[Sound] = []
        self.damaged: list[int] = []
        self.marks: list[tuple[str, int, int]] = []
        self.speaker = Speaker(voice, FORMAT, FRAME_MS, behaviour or Behaviour(), self.send, self.reached, fault)

    async def send(self, sound: Sound, damaged: bool) -> None:
        if damaged:
            self.damaged.append(len(self.sounds))
        self.sounds.append(sound)

    async def reached(self, label: str, sample: int) -> None:
        self.marks.append((label, sample, len(self.sounds)))

    @property
    def samples(self) -> int:
        return sum(sound.last_sample - sound.first_sample for sound in self.sounds)

    @property
    def words(self) -> list[str]:
        return [word.text for sound in self.sounds for word in sound.words]


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
    voice = ThreeAtOnce()
    listener = Listener(voice)
    listener.speaker.say(["a", "b", "c", "d"])
    listener.speaker.flush()
    listener.speaker.say(["e", Pause(0.5), "f"])
    listener.speaker.finish()
    assert await listener.speaker.run()
    assert voice.asked == [["a", "b", "c"], ["d"], ["e"], ["f"]]
    assert listener.samples == 60 + 500
    assert listener.words == ["a", "b", "c", "d", "e", "f"]


async def test_what_the_voice_does_not_take_waits_for_more() -> None:
    voice = ThreeAtOnce()
    listener = Listener(voice)
    listener.speaker.say(["a", "b"])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.speaker.run())
        await asyncio.sleep(0)
        assert voice.asked == []
        listener.speaker.say(["c"])
        listener.speaker.finish()
    assert voice.asked == [["a", "b", "c"]]


async def test_a_mark_is_reached_when_all_before_it_is_sent_and_nothing_behind_it() -> None:
    listener = Listener(ThreeAtOnce())
    listener.speaker.mark("first")
    listener.speaker.say(["a", "b"])
    listener.speaker.mark("middle")
    listener.speaker.say(["c"] * 20)
    listener.speaker.mark("last")
    listener.speaker.finish()
    await listener.speaker.run()
    assert listener.marks == [("first", 0, 0), ("middle", 20, 1), ("last", 220, 4)]


async def test_who_is_stopped_at_a_mark_says_no_more() -> None:
    listener = Listener(ThreeAtOnce())

    async def stop(label: str, sample: int) -> None:
        listener.speaker.stop()

    listener.speaker.reached = stop
    listener.speaker.say(["a"])
    listener.speaker.mark("stop")
    listener.speaker.say(["b"])
    listener.speaker.finish()
    assert not await listener.speaker.run()
    assert listener.words == ["a"]


async def test_more_text_is_not_taken_in_before_some_is_spoken() -> None:
    speaker = Listener(ThreeAtOnce()).speaker
    speaker.say(["a"] * (MOST_WAITING_ITEMS + 1))
    speaker.finish()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(speaker.room(), 0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speaker.run())
        await speaker.room()


async def test_who_waits_for_room_is_let_go_when_the_speaking_breaks_off() -> None:
    speaker = Listener(ThreeAtOnce(), fault=Fault(Kind.CUT)).speaker
    speaker.say(["a"] * (MOST_WAITING_ITEMS + 1))
    with pytest.raises(FaultError):
        await speaker.run()
    await speaker.room()
    speaker.say(["late"])
    await speaker.room()


@pytest.mark.parametrize("frames", [0, 1, 2])
@pytest.mark.parametrize("kind", [Kind.CUT, Kind.RESET, Kind.SILENCE, Kind.STALL])
async def test_a_fault_breaks_off_after_exactly_so_many_frames(kind: Kind, frames: int) -> None:
    fault = Fault(kind, frames)
    listener = Listener(ThreeAtOnce(), fault=fault)
    listener.speaker.say(["a"] * 30)
    listener.speaker.finish()
    with pytest.raises(FaultError) as met:
        await listener.speaker.run()
    assert met.value.fault == fault
    assert len(listener.sounds) == frames


@pytest.mark.parametrize(
    ("fault", "frames"), [(Fault(Kind.NO_AUDIO, 2), 0), (Fault(Kind.NO_TAIL, 0), 0), (Fault(Kind.NO_TAIL, 2), 2)]
)
async def test_what_is_missing_is_neither_sent_nor_counted_and_the_end_comes_all_the_same(
    fault: Fault, frames: int
) -> None:
    listener = Listener(ThreeAtOnce(), fault=fault)
    listener.speaker.say(["a"] * 30)
    listener.speaker.mark("end")
    listener.speaker.finish()
    assert await listener.speaker.run()
    assert (len(listener.sounds), listener.samples) == (frames, frames * FRAME_MS)
    assert listener.marks == [("end", frames * FRAME_MS, frames)]


async def test_one_frame_is_damaged_and_the_others_are_well() -> None:
    listener = Listener(ThreeAtOnce(), fault=Fault(Kind.MALFORMED, 2))
    listener.speaker.say(["a"] * 60)
    listener.speaker.finish()
    assert await listener.speaker.run()
    assert listener.samples == 600
    assert listener.damaged == [2]


async def test_a_drip_is_a_frame_in_small_pieces_that_are_counted_as_one() -> None:
    listener = Listener(ThreeAtOnce(), Behaviour(drip_bytes=7), Fault(Kind.CUT, 2))
    listener.speaker.say(["a"] * 30)
    listener.speaker.finish()
    with pytest.raises(FaultError):
        await listener.speaker.run()
    assert listener.samples == 2 * FRAME_MS
    assert {len(sound.data) for sound in listener.sounds} == {7, 160 % 7}
