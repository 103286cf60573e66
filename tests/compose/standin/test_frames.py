"""Clips cut into frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.compose.standin.frames import Frame, Framer, frame_samples
from saystream.compose.standin.sound import Clip, SpokenWord, silence


def clip(samples: int, *words: SpokenWord) -> Clip:
    return Clip(np.arange(samples, dtype=np.int16), words)


@pytest.mark.parametrize(("rate", "samples"), [(8_000, 640), (22_050, 1_764), (24_000, 1_920), (48_000, 3_840)])
def test_a_frame_of_80_ms_has_whole_samples(rate: int, samples: int) -> None:
    assert frame_samples(rate, 80) == samples


@given(st.lists(st.integers(0, 50)), st.integers(1, 20))
def test_no_sample_is_lost_or_moved(lengths: list[int], size: int) -> None:
    framer = Framer(size)
    clips = [clip(length) for length in lengths]
    frames = [frame for one in clips for frame in framer.add(one)]
    assert all(len(frame.samples) == size for frame in frames)
    frames += framer.flush()
    assert sum(len(frame.samples) for frame in frames) == sum(lengths)
    assert [frame.first_sample for frame in frames] == [index * size for index in range(len(frames))]
    sound = np.concatenate([np.zeros(0, dtype=np.int16), *(frame.samples for frame in frames)])
    assert np.array_equal(sound, np.concatenate([np.zeros(0, dtype=np.int16), *(one.samples for one in clips)]))


def test_a_word_comes_with_the_frame_in_which_it_begins() -> None:
    framer = Framer(10)
    list(framer.add(clip(5)))
    frames = list(framer.add(clip(20, SpokenWord("a", 0, 4), SpokenWord("b", 5, 20))))
    assert [frame.words for frame in frames] == [(SpokenWord("a", 5, 9),), (SpokenWord("b", 10, 25),)]


def test_a_word_without_sound_is_told_at_the_flush() -> None:
    framer = Framer(10)
    (full,) = framer.add(clip(10, SpokenWord("…", 10, 10)))
    assert full.words == ()
    (last,) = framer.flush()
    assert (last.first_sample, len(last.samples), last.words) == (10, 0, (SpokenWord("…", 10, 10),))
    assert list(framer.flush()) == []


def test_silence_is_rounded_to_whole_samples() -> None:
    assert len(silence(0.1, 22_050).samples) == 2_205


def test_frames_are_told_apart_by_where_they_begin() -> None:
    framer = Framer(2)
    frames: list[Frame] = list(framer.add(clip(5)))
    assert [frame.first_sample for frame in frames] == [0, 2]
    assert framer.position == 4
