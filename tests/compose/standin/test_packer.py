"""Frames turned into audio messages' worth of bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.compose.standin.encoding import AudioFormat, Encoding
from saystream.compose.standin.frames import Frame
from saystream.compose.standin.orders import Sound
from saystream.compose.standin.packer import Packer
from saystream.compose.standin.sound import SpokenWord


def frame(first: int, samples: int, *words: SpokenWord) -> Frame:
    return Frame(first, np.arange(first, first + samples, dtype=np.int16), words)


def test_a_frame_is_one_message_with_all_its_words() -> None:
    words = (SpokenWord("a", 0, 4), SpokenWord("b", 9, 12))
    [sound] = Packer(AudioFormat("pcm", 8_000)).pack(frame(0, 10, *words))
    assert (len(sound.data), sound.first_sample, sound.last_sample, sound.words) == (20, 0, 10, words)


def test_the_header_of_a_wav_stands_before_the_first_sample_and_nowhere_else() -> None:
    packer = Packer(AudioFormat("wav", 8_000))
    assert [len(sound.data) for at in (0, 3) for sound in packer.pack(frame(at, 3))] == [44 + 6, 6]
    [words_only] = Packer(AudioFormat("wav", 8_000)).pack(frame(0, 0, SpokenWord("…", 0, 0)))
    assert words_only.data == b""


@given(
    st.sampled_from(["pcm", "wav", "ulaw"]),
    st.lists(st.integers(1, 40), min_size=1),
    st.integers(1, 60),
)
def test_pieces_make_up_the_whole_and_say_where_they_lie(encoding: Encoding, lengths: list[int], most: int) -> None:
    audio_format = AudioFormat(encoding, 8_000)
    whole, small = Packer(audio_format), Packer(audio_format, most)
    at, expected = 0, b""
    sounds: list[Sound] = []
    for length in lengths:
        one = frame(at, length, SpokenWord("w", at + length // 2, at + length))
        expected += b"".join(sound.data for sound in whole.pack(one))
        sounds += small.pack(one)
        at += length
    assert b"".join(sound.data for sound in sounds) == expected
    assert max(len(sound.data) for sound in sounds) <= most
    position = 0
    for sound in sounds:
        assert sound.first_sample == position
        position = sound.last_sample
        assert all(sound.first_sample <= word.first_sample < sound.last_sample for word in sound.words)
    assert position == at
    assert sum(len(sound.words) for sound in sounds) == len(lengths)


@pytest.mark.parametrize("most", [1, 3, 7])
def test_odd_pieces_cut_samples_in_two(most: int) -> None:
    sounds = list(Packer(AudioFormat("pcm", 8_000), most).pack(frame(0, 10)))
    assert any(sum(len(sound.data) for sound in sounds[: count + 1]) % 2 == 1 for count in range(len(sounds)))
