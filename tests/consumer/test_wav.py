"""A WAV file that grows and shrinks is one that others can read, at any time."""

import wave
from pathlib import Path

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.errors import InvalidInput
from saystream.consumer.wav import MOST_BYTES, WavFile
from tests.consumer.studio import CHUNK, read_wav, tone

SECOND = 24_000


@pytest.mark.parametrize("form", [AudioFormat(), AudioFormat(sample_rate=48_000, channels=2)], ids=str)
def test_another_reader_finds_what_was_written(tmp_path: Path, form: AudioFormat) -> None:
    with WavFile(tmp_path / "a.wav", form) as file:
        file.write(0, tone(1, CHUNK * form.channels))
        file.write(CHUNK, tone(2, CHUNK * form.channels))
    assert read_wav(tmp_path / "a.wav") == (form, [1, 2])


def test_a_file_without_audio_is_valid(tmp_path: Path) -> None:
    WavFile(tmp_path / "a.wav", AudioFormat()).close()
    assert read_wav(tmp_path / "a.wav") == (AudioFormat(), [])


def test_what_is_skipped_is_silence(tmp_path: Path) -> None:
    with WavFile(tmp_path / "a.wav", AudioFormat()) as file:
        file.write(0, tone(1))
        file.write(2 * CHUNK, tone(2))
        file.write(4 * CHUNK, b"")
    assert read_wav(tmp_path / "a.wav")[1] == [1, 0, 2, 0]


def test_what_is_taken_back_is_gone(tmp_path: Path) -> None:
    with WavFile(tmp_path / "a.wav", AudioFormat()) as file:
        for place in range(3):
            file.write(place * CHUNK, tone(place + 1))
        file.truncate(CHUNK)
        assert read_wav(tmp_path / "a.wav")[1] == [1]
        file.write(CHUNK, tone(9))
    assert read_wav(tmp_path / "a.wav")[1] == [1, 9]


def test_the_header_is_at_most_a_second_behind(tmp_path: Path) -> None:
    """Nobody closes the file of a process that is killed."""
    with WavFile(tmp_path / "a.wav", AudioFormat()) as file:
        for sample in range(0, 3 * SECOND, CHUNK):
            file.write(sample, tone(1))
            with wave.open(str(tmp_path / "a.wav")) as reader:
                assert file.samples - SECOND < reader.getnframes() <= file.samples
                assert len(reader.readframes(4 * SECOND)) == 2 * reader.getnframes()


def test_the_format_can_change_only_before_the_first_sample(tmp_path: Path) -> None:
    with WavFile(tmp_path / "a.wav", AudioFormat()) as file:
        file.become(AudioFormat(sample_rate=8000))
        file.write(0, tone(1))
        file.become(AudioFormat(sample_rate=8000))
        with pytest.raises(InvalidInput, match="is pcm_s16le/8000/1 and cannot become pcm_s16le/24000/1"):
            file.become(AudioFormat())
    assert read_wav(tmp_path / "a.wav") == (AudioFormat(sample_rate=8000), [1])


def test_more_than_the_header_can_count_is_refused(tmp_path: Path) -> None:
    with WavFile(tmp_path / "a.wav", AudioFormat()) as file:
        with pytest.raises(InvalidInput, match="4 GiB"):
            file.write(MOST_BYTES // 2, tone(1))
        file.write(0, tone(1))
    assert read_wav(tmp_path / "a.wav")[1] == [1]
