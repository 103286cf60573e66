"""What was heard: as far as whole words were played, and never more than was published."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.audio import AudioFormat
from saystream.common.errors import UnknownTurn
from saystream.common.events import Audio, Begin, End, OutputEvent, Splice, Word, Words
from saystream.common.ids import EntryId
from saystream.common.states import State
from saystream.consumer import Assembler
from saystream.consumer.playhead import MOST_TURNS, Playhead, Playheads

CURSOR = EntryId(1, 0)
#: "one two three", a hundred samples a word.
ONE, TWO, THREE = Word("one", 0, 3, 0, 100), Word("two", 4, 7, 100, 200), Word("three", 8, 13, 200, 300)


def begin(turn: str = "t") -> Begin:
    return Begin(CURSOR, turn, AudioFormat(), "v", {})


def audio(offset: int, samples: int, spoken: int, cut: int) -> Audio:
    return Audio(CURSOR, "t", offset, samples, spoken, cut, bytes(2 * samples))


def words(*told: Word, at: int = 0, spoken: int = 0, cut: int = 0) -> Words:
    return Words(CURSOR, "t", at, spoken, cut, told)


def end(samples: int, spoken: int, reason: State = State.DONE) -> End:
    return End(CURSOR, "t", reason, samples, spoken, "")


def playhead(*events: OutputEvent) -> Playhead:
    made = Playhead()
    for event in events:
        made.take(event)
    return made


@pytest.mark.parametrize(("sample", "heard"), [(0, 0), (99, 0), (100, 3), (199, 3), (200, 7), (299, 7), (300, 13)])
def test_a_word_is_heard_when_it_was_played_to_its_end(sample: int, heard: int) -> None:
    told = playhead(begin(), words(ONE, TWO, THREE), audio(0, 300, 13, 300))
    assert told.heard(sample) == heard


def test_where_no_words_are_told_what_is_heard_moves_as_the_text_is_said_to_be_spoken() -> None:
    told = playhead(begin(), audio(0, 100, 0, 0), audio(100, 150, 7, 200), audio(250, 50, 13, 300))
    assert [told.heard(sample) for sample in (100, 199, 200, 299, 300)] == [0, 0, 7, 7, 13]


def test_what_is_played_beyond_what_was_published_does_not_count() -> None:
    told = playhead(begin(), words(ONE, TWO, THREE), audio(0, 150, 3, 100))
    assert told.heard(1000) == 3


def test_a_splice_forgets_the_words_that_it_replaces() -> None:
    told = playhead(begin(), words(ONE, TWO, THREE), audio(0, 300, 13, 300), Splice(CURSOR, "t", 200, 7))
    assert told.heard(300) == 7
    told.take(words(Word("three", 8, 13, 250, 400), at=200, spoken=7, cut=200))
    told.take(audio(200, 200, 13, 400))
    assert [told.heard(sample) for sample in (300, 399, 400)] == [7, 7, 13]


def test_of_replaced_audio_that_was_played_counts_what_stayed_until_the_new_audio_has_come_so_far() -> None:
    """The player has played 180 samples; a splice takes the turn back to 100, and another voice goes on."""
    told = playhead(begin(), words(ONE, TWO), audio(0, 200, 7, 200))
    assert told.heard(180) == 3
    told.take(Splice(CURSOR, "t", 100, 3))
    assert told.heard(180) == 3
    told.take(words(Word("two", 4, 7, 100, 170), at=100, spoken=3, cut=100))
    told.take(audio(100, 60, 3, 100))
    assert told.heard(180) == 3
    told.take(audio(160, 40, 7, 170))
    assert told.heard(180) == 7


def test_of_an_interrupted_turn_only_what_was_published_can_be_heard() -> None:
    told = playhead(begin(), words(ONE, TWO, THREE), audio(0, 250, 7, 200), end(250, 7, State.INTERRUPTED))
    assert told.heard(300) == 7


def test_at_the_end_of_a_turn_all_of_its_text_is_heard() -> None:
    """Also what stands behind its last word."""
    told = playhead(begin(), words(ONE, TWO, THREE), audio(0, 300, 13, 300), end(320, 14))
    assert [told.heard(sample) for sample in (300, 319, 320)] == [13, 13, 14]


@st.composite
def histories(draw: st.DrawFn) -> list[OutputEvent]:
    """What workers may publish of a turn: words, perhaps ahead of their audio; audio; splices at the end of a word."""
    events: list[OutputEvent] = [begin()]
    known: list[Word] = []
    position = spoken = cut = char = 0
    for step in draw(st.lists(st.sampled_from(["word", "audio", "audio", "splice"]), max_size=40)):
        if step == "word":
            first = max(position, known[-1].last_sample if known else 0) + draw(st.integers(0, 20))
            length = draw(st.integers(1, 9))
            known.append(Word("w" * length, char, char + length, first, first + draw(st.integers(1, 50))))
            char += length + 1
            events.append(words(known[-1], at=position, spoken=spoken, cut=cut))
        elif step == "audio":
            samples = draw(st.integers(1, 60))
            whole = [word for word in known if word.last_sample <= position + samples]
            if whole:
                cut, spoken = whole[-1].last_sample, whole[-1].end
            events.append(audio(position, samples, spoken, cut))
            position += samples
        else:
            position, char = cut, spoken
            known = [word for word in known if word.end <= spoken]
            events.append(Splice(CURSOR, "t", cut, spoken))
    if draw(st.booleans()):
        events.append(end(position, spoken, State.INTERRUPTED))
    return events


@given(histories(), st.lists(st.integers(0, 3000), min_size=2))
def test_who_has_played_more_has_heard_no_less(events: list[OutputEvent], samples: list[int]) -> None:
    told = playhead(*events)
    heard = [told.heard(sample) for sample in sorted(samples)]
    assert heard == sorted(heard)


@given(histories(), st.integers(0, 3000))
def test_nothing_is_heard_that_is_not_spoken(events: list[OutputEvent], sample: int) -> None:
    told = Playhead()
    for event in events:
        told.take(event)
        assert told.heard(sample) <= told.spoken == getattr(event, "spoken", 0)


@given(histories(), st.integers(0, 3000))
def test_it_is_the_last_whole_word_of_the_audio_as_the_splices_have_left_it(
    events: list[OutputEvent], sample: int
) -> None:
    """Compared with the plain way: put the turn together, look at each of its words."""
    told, turn = Playhead(), Assembler("t")
    for place, event in enumerate(events):
        turn.add(_at(event, place))
        told.take(event)
    played = min(sample, turn.samples)
    whole = [word.end for word in turn.words if word.last_sample <= played and word.end <= turn.spoken]
    assert told.heard(sample) == max(whole, default=0)


def _at(event: OutputEvent, place: int) -> OutputEvent:
    """Give an event an id of its own, which the assembler goes by."""
    return replace(event, cursor=EntryId(1, place))


def test_the_last_turns_are_remembered_and_no_others() -> None:
    turns = Playheads()
    for number in range(MOST_TURNS + 1):
        turns.take(begin(f"t{number}"))
    with pytest.raises(UnknownTurn, match="more than 16 turns ago"):
        turns.heard("t0", 0)
    assert turns.heard("t1", 0) == turns.heard(f"t{MOST_TURNS}", 0) == 0


def test_a_long_turn_is_remembered_by_its_words_and_not_by_its_entries() -> None:
    told = playhead(begin(), *(audio(number * 10, 10, number // 100, number // 100 * 1000) for number in range(10_000)))
    assert "100 places known" in repr(told)
    assert told.heard(55_500) == 55


def test_a_turn_that_begins_again_forgets_what_was_said_before() -> None:
    """A failover has lost the attempt that was heard, and another one says the same text at other places."""
    later = words(Word("one", 0, 3, 50, 150), Word("two", 4, 7, 150, 260))
    told = playhead(begin(), words(ONE, TWO, THREE), audio(0, 300, 13, 300), begin(), later, audio(0, 150, 3, 150))
    assert [told.heard(sample) for sample in (100, 149, 150, 300)] == [0, 0, 3, 3]
