"""The marker voice: what is rendered is read back, and what is missing is noticed."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from saystream.compose.standin.encoding import AudioFormat
from saystream.compose.standin.marker import GAP_MS, Fault, Marker, decode, render, render_text
from saystream.compose.standin.sound import Samples

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
HELLO = "hello"

words_of_any_text = st.text(max_size=60).map(str.split)
rates = st.sampled_from(RATES)


def sound(word: str, rate: int = 48_000) -> Samples:
    """A word's burst without the gap."""
    return render(word, rate)[: -round(rate * GAP_MS / 1000)]


def join(*parts: Samples) -> Samples:
    return np.concatenate(parts)


@given(words_of_any_text, rates)
@example(["naïve", "日本語", "😀", "x" * 500, "\x00"], 22_050)
def test_the_words_of_any_text_are_read_back_in_order(words: list[str], rate: int) -> None:
    decoded = decode(render_text(words, rate).samples, rate)
    assert [word.text for word in decoded.words] == words
    assert decoded.faults == []


@given(words_of_any_text, rates)
def test_words_are_found_at_the_very_samples_at_which_they_were_rendered(words: list[str], rate: int) -> None:
    clip = render_text(words, rate)
    found = [(word.first_sample, word.last_sample) for word in decode(clip.samples, rate).words]
    assert found == [(word.first_sample, word.last_sample) for word in clip.words]


@given(words_of_any_text, rates, st.floats(0.05, 4.0))
def test_the_pace_need_not_be_known(words: list[str], rate: int, pace: float) -> None:
    decoded = decode(render_text(words, rate, pace).samples, rate)
    assert ([word.text for word in decoded.words], decoded.faults) == (words, [])


@given(st.lists(st.tuples(st.sampled_from(["a", "speech", "splices,"]), st.integers(0, 30_000))), rates)
def test_silence_between_words_may_have_any_length(words: list[tuple[str, int]], rate: int) -> None:
    parts = [part for word, rest in words for part in (sound(word, rate), np.zeros(rest, dtype=np.int16))]
    decoded = decode(join(*parts, np.zeros(0, dtype=np.int16)), rate)
    assert ([word.text for word in decoded.words], decoded.faults) == ([word for word, _ in words], [])


@given(rates, st.floats(0.02, 0.999))
def test_a_word_cut_at_its_end_is_a_cut_where_it_stops(rate: int, part: float) -> None:
    whole = sound(HELLO, rate)
    at = int(len(whole) * part)
    decoded = decode(join(whole[:at], np.zeros(rate // 10, dtype=np.int16), sound("next", rate)), rate)
    assert [fault.kind for fault in decoded.faults] == ["cut"]
    assert abs(decoded.faults[0].sample - at) <= rate / 2000
    assert decoded.text == "next"


@given(rates, st.floats(0.02, 0.999))
def test_a_cut_is_found_without_any_silence_before_the_next_word(rate: int, part: float) -> None:
    whole = sound(HELLO, rate)
    decoded = decode(join(whole[: int(len(whole) * part)], sound("next", rate)), rate)
    assert [fault.kind for fault in decoded.faults] == ["cut"]
    assert decoded.text == "next"


@given(rates, st.floats(0.02, 0.98))
def test_sound_without_a_start_is_an_orphan(rate: int, part: float) -> None:
    whole = sound(HELLO, rate)
    before = np.zeros(1000, dtype=np.int16)
    decoded = decode(join(before, whole[int(len(whole) * part) :], sound("next", rate)), rate)
    assert decoded.faults == [Fault("orphan", 1000, "tail")]
    assert decoded.text == "next"


def test_a_cut_word_is_named_when_its_bytes_had_been_said() -> None:
    whole = sound(HELLO)
    assert decode(whole[: len(whole) // 2], 48_000).faults == [Fault("cut", len(whole) // 2, HELLO)]


def test_a_piece_out_of_the_middle_of_a_word_is_an_orphan_with_neither_start_nor_end() -> None:
    whole = sound(HELLO)
    assert decode(whole[2_000:9_000], 48_000).faults == [Fault("orphan", 0, "middle")]


def test_a_tail_right_behind_a_whole_word_is_an_orphan() -> None:
    whole = sound(HELLO)
    decoded = decode(join(whole, whole[7_003:]), 48_000)
    assert decoded.text == HELLO
    assert decoded.faults == [Fault("orphan", len(whole), "tail")]


def test_a_word_that_begins_twice_is_a_cut_and_a_whole_word() -> None:
    whole = sound(HELLO)
    decoded = decode(join(whole[:5_000], whole), 48_000)
    assert [fault.kind for fault in decoded.faults] == ["cut"]
    assert decoded.text == HELLO


@pytest.mark.parametrize("first", [1_000, 6_000, 12_000])
def test_a_hole_of_silence_inside_a_word_is_damage(first: int) -> None:
    broken = sound(HELLO).copy()
    broken[first : first + 480] = 0
    decoded = decode(broken, 48_000)
    assert decoded.words == []
    assert decoded.faults[0].kind in {"damaged", "cut"}


def test_a_stretch_lost_inside_a_word_is_noticed() -> None:
    whole = sound(HELLO)
    decoded = decode(join(whole[:6_000], whole[6_960:]), 48_000)
    assert decoded.words == []
    assert decoded.faults[0].kind == "cut"


def test_a_long_word_lacking_one_of_its_pieces_is_not_a_word() -> None:
    whole = sound("x" * 80)  # three pieces, of 32, 32 and 16 characters
    second, third = 32 * 2880, 64 * 2880
    decoded = decode(join(whole[:second], whole[third:]), 48_000)
    assert decoded.words == []
    assert [fault.kind for fault in decoded.faults] == ["cut", "orphan"]
    assert decode(whole[:third], 48_000).faults == [Fault("cut", third, "x" * 64)]


def test_silence_and_nothing_hold_neither_words_nor_faults() -> None:
    for samples in (np.zeros(0, dtype=np.int16), np.zeros(48_000, dtype=np.int16)):
        decoded = decode(samples, 48_000)
        assert (decoded.words, decoded.faults) == ([], [])


@pytest.mark.parametrize("rate", RATES)
def test_a_word_takes_60_ms_a_character_and_at_least_120(rate: int) -> None:
    assert len(sound("internationalization", rate)) == round(20 * 0.06 * rate)
    assert len(sound("a", rate)) == round(0.12 * rate)
    assert len(render("a", rate)) == round(0.12 * rate) + round(0.04 * rate)


def test_a_blank_text_has_no_sound() -> None:
    assert len(render("", 48_000)) == 0
    assert len(render(" \n", 48_000)) == 0
    assert len(render_text([], 48_000).samples) == 0


def test_what_cannot_be_rendered_is_refused() -> None:
    with pytest.raises(ValueError, match="more than one word"):
        render("two words", 48_000)
    with pytest.raises(ValueError, match="samples a second"):
        render("a", 4_000)
    with pytest.raises(ValueError, match="pace"):
        render("a", 48_000, 0)


@pytest.mark.parametrize("to_rate", [8_000, 16_000, 24_000, 44_100])
def test_words_survive_another_rate_and_another_volume(to_rate: int) -> None:
    words = "Nothing that stands in between can lose a word.".split()
    samples = render_text(words, 48_000).samples
    times = np.arange(0, len(samples), 48_000 / to_rate)
    resampled = (np.interp(times, np.arange(len(samples)), samples) * 0.4).astype(np.int16)
    decoded = decode(resampled, to_rate)
    assert ([word.text for word in decoded.words], decoded.faults) == (words, [])


def test_words_survive_mu_law() -> None:
    words = "Nothing is lost on the telephone.".split()
    coded = np.frombuffer(AudioFormat("ulaw", 8_000).encode(render_text(words, 8_000).samples), dtype=np.uint8)
    code = ~coded
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + 132 << (code >> 4 & 7)) - 132
    samples = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    assert decode(samples, 8_000).text == " ".join(words)


async def test_the_voice_speaks_words_as_they_come() -> None:
    voice = Marker(pace=0.5)
    assert voice.ready(["one", "two"]) == 2
    clip = await voice.speak(["one", "two"], 24_000)
    assert decode(clip.samples, 24_000).text == "one two"
    assert clip.words[0].last_sample < clip.words[1].first_sample
