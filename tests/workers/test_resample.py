"""The resampler: the length, the place of every sample, what passes and what does not."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.compose.standin.marker import decode, render_text
from saystream.workers.resample import MOST_PHASES, Resampler

RATES = [(44_100, 24_000), (24_000, 48_000), (48_000, 24_000), (22_050, 24_000), (24_000, 44_100)]
AMPLITUDE = 20_000.0
EDGE_SAMPLES = 2_000
"""Left out where a tone begins and ends: a sudden edge has all frequencies."""

Samples = npt.NDArray[np.int16]


def resampled(samples: npt.ArrayLike, from_rate: int, to_rate: int, cuts: tuple[int, ...] = ()) -> Samples:
    """The whole stream at the other rate, fed in pieces that end at `cuts`."""
    whole = np.asarray(samples).astype("<i2")
    resampler = Resampler(from_rate, to_rate)
    pieces = [whole[one:other].tobytes() for one, other in pairwise((0, *sorted(cuts), len(whole)))]
    return np.frombuffer(b"".join(map(resampler.feed, pieces)) + resampler.flush(), dtype="<i2")


def tone(hz: float, rate: int, samples: int) -> npt.NDArray[np.float64]:
    return AMPLITUDE * np.sin(2 * np.pi * hz * np.arange(samples) / rate)


def level_db(samples: npt.ArrayLike) -> float:
    """Against a tone of `AMPLITUDE`."""
    power = np.mean(np.square(np.asarray(samples, dtype=np.float64)))
    return float(10 * np.log10(max(float(power), 1e-9) / (AMPLITUDE**2 / 2)))


@given(
    rates=st.sampled_from([*RATES, (8_000, 16_000), (44_100, 8_000), (16_000, 11_025)]),
    samples=st.lists(st.integers(-32_768, 32_767), max_size=2_000),
    repeats=st.sampled_from([1, 1, 7]),
    cuts=st.lists(st.integers(0, 14_000), max_size=8),
)
def test_the_result_does_not_depend_on_how_the_input_is_cut(
    rates: tuple[int, int], samples: list[int], repeats: int, cuts: list[int]
) -> None:
    from_rate, to_rate = rates
    samples = samples * repeats
    whole = resampled(samples, from_rate, to_rate)
    pieces = resampled(samples, from_rate, to_rate, tuple(min(cut, len(samples)) for cut in cuts))
    assert np.array_equal(pieces, whole)
    assert len(whole) == Resampler(from_rate, to_rate).position(len(samples))


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_sample_by_sample_gives_the_same_bits(from_rate: int, to_rate: int) -> None:
    noise = np.random.default_rng(1).integers(-32_768, 32_768, 1_500)
    assert np.array_equal(
        resampled(noise, from_rate, to_rate, tuple(range(1, 1_500))), resampled(noise, from_rate, to_rate)
    )


@given(st.integers(1, 1_000_000), st.sampled_from(RATES))
def test_a_position_moves_by_the_ratio_rounded_half_up(sample: int, rates: tuple[int, int]) -> None:
    from_rate, to_rate = rates
    position = Resampler(from_rate, to_rate).position(sample)
    assert -from_rate < 2 * (position * from_rate - sample * to_rate) <= from_rate


def test_equal_rates_pass_everything_through_at_once() -> None:
    resampler = Resampler(24_000, 24_000)
    assert resampler.feed(b"\x01\x80\x02\x7f") == b"\x01\x80\x02\x7f"
    assert (resampler.flush(), resampler.look_ahead_s, resampler.position(7)) == (b"", 0, 7)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("part", [0.01, 0.3, 0.9])
def test_a_tone_that_passes_keeps_its_level_and_its_place(from_rate: int, to_rate: int, part: float) -> None:
    hz = part * min(from_rate, to_rate) / 2
    heard = resampled(np.rint(tone(hz, from_rate, from_rate)), from_rate, to_rate)[EDGE_SAMPLES:-EDGE_SAMPLES]
    expected = tone(hz, to_rate, to_rate)[EDGE_SAMPLES:-EDGE_SAMPLES]
    assert abs(level_db(heard) - level_db(expected)) < 0.1
    assert level_db(expected) - level_db(heard - expected) > 60


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44_100, 24_000), (48_000, 24_000), (48_000, 44_100)])
@pytest.mark.parametrize("part", [1.001, 1.05, 1.08])
def test_a_tone_above_half_the_new_rate_is_taken_out(from_rate: int, to_rate: int, part: float) -> None:
    heard = resampled(tone(part * to_rate / 2, from_rate, from_rate), from_rate, to_rate)
    assert level_db(heard[EDGE_SAMPLES:-EDGE_SAMPLES]) < -70


@pytest.mark.parametrize(("from_rate", "to_rate"), [(24_000, 48_000), (22_050, 24_000), (8_000, 44_100)])
def test_a_higher_rate_adds_no_mirrored_frequency(from_rate: int, to_rate: int) -> None:
    heard = resampled(tone(0.45 * from_rate, from_rate, from_rate), from_rate, to_rate)[EDGE_SAMPLES:-EDGE_SAMPLES]
    spectrum = np.abs(np.fft.rfft(heard * np.blackman(len(heard))))
    above = spectrum[int(len(spectrum) * from_rate / to_rate) :]
    assert 20 * np.log10(above.max() / spectrum.max()) < -70


def test_silence_and_a_constant_stay_what_they_are() -> None:
    assert not resampled(np.zeros(5_000), 44_100, 24_000).any()
    constant = resampled(np.full(5_000, 12_345), 44_100, 24_000)
    assert set(constant[200:-200]) == {12_345}


def test_what_overshoots_is_limited_not_wrapped() -> None:
    square = np.where(np.arange(4_000) // 50 % 2, 32_767, -32_768)
    heard = resampled(square, 24_000, 48_000)
    middles = heard[50:8_000:100]
    assert heard.max() == 32_767
    assert heard.min() == -32_768
    assert all((middle > 0) == bool(index % 2) for index, middle in enumerate(middles))


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_the_output_stays_no_further_behind_than_the_look_ahead(from_rate: int, to_rate: int) -> None:
    resampler = Resampler(from_rate, to_rate)
    assert 0 < resampler.look_ahead_s < 0.0025
    taken = given_out = 0
    for _ in range(10):
        given_out += len(resampler.feed(bytes(2 * 441))) // 2
        taken += 441
        behind_s = taken / from_rate - given_out / to_rate
        assert 0 <= behind_s < resampler.look_ahead_s + 1e-9


@pytest.mark.parametrize(("from_rate", "to_rate"), [*RATES, (44_100, 22_050), (16_000, 24_000)])
def test_words_are_whole_and_lie_where_position_says(from_rate: int, to_rate: int) -> None:
    clip = render_text("every word of this sentence, naïve or not, survives the change of rate".split(), from_rate)
    heard = decode(resampled(clip.samples, from_rate, to_rate, (1_000, 5_001, 5_002)), to_rate)
    position = Resampler(from_rate, to_rate).position
    assert heard.faults == []
    assert [word.text for word in heard.words] == [word.text for word in clip.words]
    for was, found in zip(clip.words, heard.words, strict=True):
        assert abs(found.first_sample - position(was.first_sample)) <= 2
        assert abs(found.last_sample - position(was.last_sample)) <= 2


def test_a_stream_after_a_flush_begins_anew() -> None:
    resampler = Resampler(44_100, 24_000)
    piece = np.random.default_rng(2).integers(-9_000, 9_000, 3_000).astype("<i2").tobytes()
    assert resampler.flush() == b""
    first = resampler.feed(piece) + resampler.flush()
    assert resampler.feed(piece) + resampler.flush() == first


def test_bytes_that_end_inside_a_sample_are_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes are not whole samples"):
        Resampler(44_100, 24_000).feed(b"abc")


@pytest.mark.parametrize("rates", [(0, 24_000), (24_000, -1), (44_101, 24_000)])
def test_rates_that_cannot_be_converted_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"rates must be positive|no simple ratio: 24000/44101"):
        Resampler(*rates)
    assert Resampler(44_150, 48_000)  # 883/960, of at most `MOST_PHASES`
    assert MOST_PHASES >= 960


def test_the_repr_says_how_far_it_is() -> None:
    resampler = Resampler(24_000, 48_000)
    resampler.feed(bytes(200))
    assert repr(resampler) == "<Resampler 24000 to 48000 Hz, 100 samples in, 98 out>"
