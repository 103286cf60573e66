"""The splice rule: audio at its offset; at a splice, what lies past it is dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.audio import AudioFormat
from saystream.common.errors import InvalidInput
from saystream.common.events import Audio, Begin, End, Splice, Word, Words
from saystream.common.ids import EntryId
from saystream.common.states import State
from saystream.consumer import Assembler, Drop, Event, Gap, Put, TurnAudio, Unreadable
from tests.consumer.studio import tone

TURN = "t"


def begin(seq: int = 0) -> Begin:
    return Begin(EntryId(9, seq), TURN, AudioFormat(), "default", {})


def audio(seq: int, offset: int, value: int, samples: int = 10, spoken: int = 0) -> Audio:
    return Audio(EntryId(9, seq), TURN, offset, samples, spoken, offset, tone(value, samples))


def splice(seq: int, offset: int, spoken: int = 0) -> Splice:
    return Splice(EntryId(9, seq), TURN, offset, spoken)


def end(seq: int, samples: int, spoken: int = 0, reason: State = State.DONE) -> End:
    return End(EntryId(9, seq), TURN, reason, samples, spoken, "because")


def put_together(*events: Event) -> TurnAudio:
    turn = TurnAudio(TURN)
    for event in events:
        turn.add(event)
    return turn


def test_audio_stands_one_behind_the_other() -> None:
    turn = put_together(begin(), audio(1, 0, 1), audio(2, 10, 2))
    assert turn.data == tone(1, 10) + tone(2, 10)
    assert turn.assembler.samples == 20


def test_a_splice_drops_what_lies_past_it() -> None:
    turn = put_together(begin(), audio(1, 0, 1), audio(2, 10, 2), splice(3, 5), audio(4, 5, 3))
    assert turn.data == tone(1, 5) + tone(3, 10)


def test_a_splice_at_the_end_drops_nothing() -> None:
    assembler = Assembler(TURN)
    assembler.add(audio(1, 0, 1))
    assert assembler.add(splice(2, 10)) is None
    assert assembler.add(splice(3, 9)) == Drop(9)


def test_what_was_taken_before_changes_nothing() -> None:
    events: list[Event] = [begin(), audio(1, 0, 1), splice(2, 4), audio(3, 4, 2), end(4, 14)]
    assert put_together(*events, *events).data == put_together(*events).data == tone(1, 4) + tone(2, 10)


def test_audio_that_is_there_already_is_not_written_again() -> None:
    assembler = Assembler(TURN)
    assert assembler.add(audio(1, 0, 1)) == Put(0, tone(1, 10))
    assert assembler.add(audio(2, 0, 2)) is None
    assert assembler.add(audio(3, 6, 3)) == Put(10, tone(3, 6))
    assert assembler.samples == 16


def test_what_never_came_is_a_hole_and_silent() -> None:
    turn = put_together(begin(), audio(1, 10, 1), audio(2, 30, 2))
    assert turn.data == tone(0, 10) + tone(1, 10) + tone(0, 10) + tone(2, 10)
    assert turn.assembler.holes == ((0, 10), (20, 30))


def test_a_splice_drops_holes_too() -> None:
    turn = put_together(begin(), audio(1, 10, 1), audio(2, 30, 2), splice(3, 25))
    assert list(turn.assembler.holes) == [(0, 10), (20, 25)]
    turn.add(splice(4, 10))
    assert list(turn.assembler.holes) == [(0, 10)]


def test_the_end_counts_the_samples() -> None:
    assert put_together(begin(), audio(1, 0, 1), end(2, 4)).data == tone(1, 4)
    short = put_together(begin(), audio(1, 0, 1), end(2, 15))
    assert (short.data, short.assembler.holes) == (tone(1, 10) + tone(0, 5), ((10, 15),))


def test_it_knows_how_much_is_spoken_and_how_it_ended() -> None:
    assembler = Assembler(TURN)
    steps: list[tuple[Event, int]] = [
        (audio(1, 0, 1, spoken=7), 7),
        (splice(2, 5, 3), 3),
        (end(3, 5, 2, State.FAILED), 2),
    ]
    for event, spoken in steps:
        assert assembler.reason is None
        assembler.add(event)
        assert assembler.spoken == spoken
    assert (assembler.reason, assembler.cause) == (State.FAILED, "because")
    assert repr(assembler) == "<Assembler [turn t: 5 samples, 0 holes, failed]>"


def test_words_that_are_spoken_again_are_not_counted_twice() -> None:
    hello, world = Word("hello", 0, 5, 0, 9), Word("world", 6, 11, 10, 19)
    assembler = Assembler(TURN)
    assembler.add(Words(EntryId(9, 1), TURN, 20, 11, 20, (hello, world)))
    assembler.add(splice(2, 10, 5))
    assert list(assembler.words) == [hello]
    again = world._replace(first_sample=12, last_sample=22)
    assembler.add(Words(EntryId(9, 3), TURN, 20, 11, 20, (again,)))
    assert list(assembler.words) == [hello, again]


def test_words_that_were_announced_and_never_spoken_are_not_counted() -> None:
    hello, world = Word("hello", 0, 5, 0, 9), Word("world", 6, 11, 10, 19)
    assembler = Assembler(TURN)
    assembler.add(audio(1, 0, 1))
    assembler.add(Words(EntryId(9, 2), TURN, 10, 5, 10, (hello, world)))
    assembler.add(end(3, 10, 5, State.INTERRUPTED))
    assert assembler.words == (hello,)


def test_gaps_and_other_turns_do_nothing() -> None:
    assembler = Assembler("other")
    cursor = EntryId(9, 3)
    events: list[Event] = [audio(1, 0, 1), end(2, 10), Gap(cursor, None, cursor), Unreadable(cursor, "")]
    assert [assembler.add(event) for event in events] == [None] * 4
    assert (assembler.samples, assembler.reason) == (0, None)


@pytest.mark.parametrize(
    "event",
    [
        Audio(EntryId(9, 5), TURN, 10, 10, 0, 0, bytes(19)),
        Audio(EntryId(9, 5), TURN, 10, 10, 0, 0, bytes(10)),
        Audio(EntryId(9, 5), TURN, 10, 0, 0, 0, bytes(1)),
        Audio(EntryId(9, 5), TURN, -1, 10, 0, 0, bytes(20)),
        splice(5, -1),
        end(5, -1),
    ],
    ids=repr,
)
def test_an_event_that_contradicts_itself_is_refused_and_changes_nothing(event: Event) -> None:
    turn = put_together(begin(), audio(1, 0, 1))
    with pytest.raises(InvalidInput, match="entry 9-5"):
        turn.add(event)
    turn.add(audio(5, 10, 2))
    assert turn.data == tone(1, 10) + tone(2, 10)
    assert turn.assembler.reason is None


def test_samples_of_unknown_format_are_refused_in_memory() -> None:
    with pytest.raises(InvalidInput, match="its format is not known"):
        put_together(audio(1, 0, 1))
    resumed = TurnAudio(TURN, AudioFormat())
    resumed.add(audio(1, 0, 1))
    assert resumed.data == tone(1, 10)


def test_memory_is_bounded() -> None:
    turn = TurnAudio(TURN, AudioFormat(), most_bytes=40)
    turn.add(audio(1, 0, 1))
    with pytest.raises(InvalidInput, match="longer than 40 bytes"):
        turn.add(audio(2, 1 << 40, 1))


chunk = st.tuples(st.just("audio"), st.integers(0, 40), st.integers(0, 12))
cut = st.tuples(st.just("splice"), st.integers(0, 40), st.just(0))


@given(st.lists(st.one_of(chunk, cut), max_size=25), st.integers(0, 3))
def test_it_does_what_the_rule_says_to_a_plain_list_of_samples(steps: list[tuple[str, int, int]], repeats: int) -> None:
    """The model: samples in a list, None where none came; at a splice the list is cut."""
    turn = TurnAudio(TURN, AudioFormat())
    model: list[int | None] = []
    for seq, (kind, offset, samples) in enumerate(steps, 1):
        event: Event = audio(seq, offset, seq, samples) if kind == "audio" else splice(seq, offset)
        if kind == "splice":
            del model[offset:]
        elif samples and offset + samples > len(model):
            model += [None] * (offset - len(model))
            model += [seq] * (offset + samples - len(model))
        for _ in range(1 + repeats):
            turn.add(event)
    assert turn.data == b"".join(tone(value or 0, 1) for value in model)
    assert turn.assembler.samples == len(model)
    missing = {sample for first, end in turn.assembler.holes for sample in range(first, end)}
    assert missing == {sample for sample, value in enumerate(model) if value is None}
    assert all(first < end for first, end in turn.assembler.holes)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.data())
def test_any_number_of_takeovers_leaves_every_sample_once(sizes: list[int], data: st.DataObject) -> None:
    """Attempts that each go on where another was put together the turn that one attempt would have spoken."""
    whole = b"".join(value.to_bytes(2, "little") for value in range(sum(sizes)))
    turn = TurnAudio(TURN, AudioFormat())
    seq, position = 0, 0
    while position < sum(sizes):
        for size in sizes[: data.draw(st.integers(1, len(sizes)))]:
            seq += 1
            piece = whole[2 * position : 2 * (position + size)]
            turn.add(Audio(EntryId(9, seq), TURN, position, len(piece) // 2, 0, 0, piece))
            position += len(piece) // 2
        if position < sum(sizes):
            seq += 1
            keep = data.draw(st.integers(max(0, position - 3), position))
            position = keep if data.draw(st.booleans()) and seq < 60 else position
            turn.add(splice(seq, position))
    assert turn.data == whole
    assert turn.assembler.holes == ()


def test_what_a_failover_has_lost_is_put_together_anew() -> None:
    """The gap rewinds: ids that were taken come again, and an end that was heard is none any more."""
    turn = put_together(begin(), audio(1, 0, 1), end(2, 10))
    lost = Gap(EntryId(8, 5), EntryId(9, 2), EntryId(9, 0))
    turn.add(lost)
    assert turn.assembler.reason is None
    for event in (begin(), audio(1, 0, 7), audio(2, 10, 8)):
        turn.add(event)
    assert turn.data == tone(7, 10) + tone(8, 10)
    assert (turn.assembler.reason, turn.assembler.cause) == (None, "")
