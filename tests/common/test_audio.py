"""A format says how long a sample is, and is read back from what it writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.audio import AudioFormat
from saystream.common.errors import InvalidInput

formats = st.builds(AudioFormat, st.just("pcm_s16le"), st.integers(8_000, 192_000), st.sampled_from([1, 2]))


@given(formats)
def test_a_format_reads_what_it_writes(audio_format: AudioFormat) -> None:
    assert AudioFormat.parse(str(audio_format)) == audio_format


@given(formats, st.integers(0, 10_000_000))
def test_samples_and_bytes_convert(audio_format: AudioFormat, samples: int) -> None:
    assert audio_format.samples(samples * audio_format.sample_bytes) == samples
    assert audio_format.samples(samples * audio_format.sample_bytes + 1) == samples
    assert audio_format.seconds(samples) == pytest.approx(samples / audio_format.sample_rate)


def test_a_sample_is_one_instant_all_channels_together() -> None:
    assert AudioFormat(channels=1).sample_bytes == 2
    assert AudioFormat(channels=2).sample_bytes == 4
    assert AudioFormat(sample_rate=48_000).seconds(24_000) == 0.5


@pytest.mark.parametrize(
    "text", ["", "pcm_s16le", "pcm_s16le/24000", "pcm_s16le/24000/1/1", "pcm_s16le/fast/1", "pcm_s16le//1"]
)
def test_what_is_no_format_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not an audio format such as pcm_s16le/24000/1"):
        AudioFormat.parse(text)


@pytest.mark.parametrize("text", ["mp3/24000/1", "pcm_s16le/7999/1", "pcm_s16le/192001/1", "pcm_s16le/24000/3"])
def test_a_format_that_cannot_be_used_is_refused(text: str) -> None:
    encoding, rate, channels = text.split("/")
    with pytest.raises(InvalidInput):
        AudioFormat(encoding, int(rate), int(channels))
    with pytest.raises(InvalidInput):
        AudioFormat.parse(text)


def test_an_unknown_encoding_is_named_with_those_that_are_known() -> None:
    with pytest.raises(InvalidInput, match="'mp3' is not known: use one of pcm_s16le"):
        AudioFormat("mp3")
