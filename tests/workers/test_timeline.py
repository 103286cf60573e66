"""The timeline: samples, words and the place where another stream of speech goes on."""

import re
import time
from weakref import WeakKeyDictionary

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.common.audio import AudioFormat
from saystream.workers.providers.base import OpenWord, WordTime
from saystream.workers.text.run import Run, spread
from saystream.workers.timeline import Timeline, TurnTooLong

FORMAT = AudioFormat(sample_rate=8_000)
TAG = re.compile(r"<[^<>]*>")
CUE = re.compile(r"\[[^\[\]]*\]")


def send(timeline: Timeline, text: str) -> None:
    """Give the vendor more text, as the producer wrote it."""
    SENT[timeline] = start = SENT.get(timeline, timeline.spoken)
    timeline.sent(Run(text, start, start + len(text)))
    SENT[timeline] = start + len(text)


#: How much of the producer's text each timeline was given.
SENT: WeakKeyDictionary[Timeline, int] = WeakKeyDictionary()


def spoken_by(text: str, *words: str) -> list[tuple[str, int, int]]:
    """Return where a vendor's words are found in a text."""
    timeline = Timeline(FORMAT)
    send(timeline, text)
    times = tuple(WordTime(word, number, number + 1) for number, word in enumerate(words))
    return [(text[word.start : word.end], word.start, word.end) for word in timeline.words(times)]


def test_a_segment_of_several_words_is_found_as_a_whole() -> None:
    assert spoken_by("Once upon a time, there was", "Once upon", "a time", "there", "was") == [
        ("Once upon", 0, 9),
        ("a time,", 10, 17),
        ("there", 18, 23),
        ("was", 24, 27),
    ]


def test_audio_stands_at_the_position_and_moves_it() -> None:
    timeline = Timeline(FORMAT, cut=100)
    chunk = timeline.audio(bytes(160))
    assert (chunk.offset, chunk.samples, timeline.position) == (100, 80, 180)


@given(st.lists(st.binary(max_size=9), max_size=20))
def test_odd_bytes_wait_for_their_other_half(pieces: list[bytes]) -> None:
    timeline = Timeline(FORMAT)
    chunks = [timeline.audio(piece) for piece in pieces]
    whole = b"".join(pieces)
    assert b"".join(chunk.data for chunk in chunks) == whole[: len(whole) // 2 * 2]
    assert all(len(chunk.data) == 2 * chunk.samples for chunk in chunks)
    assert timeline.position == len(whole) // 2


def test_spoken_moves_when_a_word_has_been_published_to_its_end() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello, world")
    timeline.words((WordTime("Hello,", 0.0, 0.5), WordTime("world", 0.6, 1.0)))
    timeline.audio(bytes(2 * 3999))
    assert (timeline.spoken, timeline.cut) == (0, 0)
    timeline.audio(bytes(2 * 1001))
    assert (timeline.spoken, timeline.cut) == (6, 4000)


def test_audio_that_ends_in_the_last_word_is_noticed_once() -> None:
    def stream(short_at: int) -> Timeline:
        timeline = Timeline(FORMAT, 0, 0, short_at=short_at)
        send(timeline, "Hello, world")
        timeline.words((WordTime("Hello,", 0.0, 0.5), WordTime("world", 0.6, 1.0)))
        timeline.audio(bytes(2 * 7000))
        return timeline

    first = stream(-1)
    assert first.cut_short()
    assert (first.spoken, first.cut) == (6, 4000)
    assert not stream(first.short_at).cut_short(), "its times reach beyond its audio"


def test_a_word_that_ends_a_little_behind_the_audio_is_whole() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello")
    timeline.words((WordTime("Hello", 0.0, 0.5),))
    timeline.audio(bytes(2 * 3900))
    assert not timeline.cut_short()


def test_words_that_come_after_their_audio_count_at_once() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello")
    timeline.audio(bytes(16_000))
    timeline.words((WordTime("Hello", 0.0, 0.5),))
    assert (timeline.spoken, timeline.cut) == (5, 4000)


def test_a_stream_that_takes_over_begins_at_the_end_of_the_last_whole_word() -> None:
    first = Timeline(FORMAT)
    send(first, "Hello, world")
    first.words((WordTime("Hello,", 0.0, 0.5), WordTime("world", 0.6, 1.0)))
    first.audio(bytes(2 * 5001) + b"x")
    second = Timeline(FORMAT, first.cut, first.spoken)
    assert (second.position, second.spoken) == (4000, 6)
    send(second, " world")
    [word] = second.words((WordTime("world", 0.0, 0.4),))
    assert (word.start, word.end, word.first_sample, word.last_sample) == (7, 12, 4000, 7200)
    assert second.audio(b"ab").data == b"ab"


def test_a_finished_stream_has_spoken_all_that_it_was_given() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello, world. ")
    timeline.audio(bytes(100))
    timeline.finished(SENT[timeline])
    assert (timeline.spoken, timeline.cut) == (14, 50)


def test_a_stream_with_words_and_no_audio_is_silent() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, " ... ")
    assert not timeline.silent()
    send(timeline, "word")
    assert timeline.silent()
    timeline.audio(bytes(2))
    assert not timeline.silent()


def test_a_stream_of_tags_and_cues_alone_has_no_words_to_be_silent_about() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, '<break time="1s"/> ')
    assert timeline.silent()
    assert not timeline.silent(TAG)


# words of which the vendor does not tell the end


def test_a_word_whose_end_is_not_told_is_spoken_when_the_next_begins() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello brave world")
    timeline.words((OpenWord("Hello", 0.0, 0.0),))
    timeline.audio(bytes(2 * 4000))
    assert (timeline.spoken, timeline.cut) == (0, 0)
    [brave] = timeline.words((OpenWord("brave", 0.5, 0.5),))
    assert (timeline.spoken, timeline.cut) == (5, 4000)
    assert brave.last_sample > timeline.cut, "or it would be published as whole"
    timeline.audio(bytes(2 * 4000))
    assert (timeline.spoken, timeline.cut) == (5, 4000)
    assert not timeline.cut_short()


def test_the_last_word_whose_end_is_not_told_ends_with_the_stream() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello")
    timeline.words((OpenWord("Hello", 0.0, 0.0),))
    timeline.audio(bytes(2 * 4000))
    timeline.finished(SENT[timeline])
    assert (timeline.spoken, timeline.cut) == (5, 4000)


def test_words_that_are_said_to_begin_at_once_end_where_the_first_end_is_told() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello brave world")
    timeline.audio(bytes(2 * 8000))
    timeline.words((OpenWord("Hello", 0.0, 0.0), OpenWord("brave", 0.0, 0.0)))
    assert (timeline.spoken, timeline.cut) == (0, 0)
    timeline.words((WordTime("world", 0.0, 1.0),))
    assert (timeline.spoken, timeline.cut) == (17, 8000)


def test_a_word_whose_end_is_told_ends_those_before_it_whatever_its_times_are() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello brave new world")
    timeline.words((OpenWord("Hello", 0.5, 0.5), WordTime("brave", 0.0, 0.2)))
    timeline.words((WordTime("new", 0.5, 0.75), WordTime("world", 0.75, 1.0)))
    timeline.audio(bytes(2 * 8000))
    assert (timeline.spoken, timeline.cut) == (21, 8000)


@pytest.mark.parametrize("ending", [(), ("ahem",)])
def test_rewritten_words_whose_end_is_not_told_stand_for_the_text_of_their_time(ending: tuple[str, ...]) -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "See https://example.com/a/long/path/to/it")
    spoken = ["See", "that", "page", "there", *ending]
    timeline.words(tuple(OpenWord(word, float(number), float(number)) for number, word in enumerate(spoken)))
    timeline.audio(bytes(2 * 8000 * len(spoken)))
    assert not timeline.missing()


def test_it_halts_at_the_next_word_where_ends_are_not_told() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello brave world")
    timeline.words((OpenWord("Hello", 0.0, 0.0), OpenWord("brave", 0.5, 0.5)))
    seconds_of_audio(timeline, 0.2)
    where = halting(timeline)
    assert seconds_of_audio(timeline, 2.0) == 2_400
    assert where == [4_000]
    assert (timeline.spoken, timeline.cut) == (5, 4_000)


# rewritten text


def places(runs: list[Run], words: str) -> list[tuple[int, int]]:
    """Return how far the text is spoken behind each word, and with how many words before the cut."""
    timeline, found = Timeline(FORMAT), []
    for run in runs:
        timeline.sent(run)
    for number, word in enumerate(words.split()):
        timeline.words((WordTime(word, float(number), number + 1.0),))
        seconds_of_audio(timeline, 1.0)
        found.append((timeline.spoken, timeline.cut // 8_000))
    return found


def test_a_word_within_rewritten_text_is_no_place_to_go_on() -> None:
    """All of what was rewritten would be said again, behind its first words."""
    # "At https://foo.org now"
    runs = [Run("At ", 0, 3), *spread(Run("foo dot org", 3, 18)), Run(" now", 18, 22)]
    assert places(runs, "At foo dot org now") == [(2, 1), (2, 1), (2, 1), (18, 4), (22, 5)]
    # "foo@x.org now"
    runs = [Run("foo", 0, 3), *spread(Run(" at x dot org", 3, 9)), Run(" now", 9, 13)]
    assert places(runs, "foo at x dot org now") == [(3, 1), (3, 1), (3, 1), (3, 1), (9, 5), (13, 6)]


def test_rewritten_text_counts_at_its_end_however_it_was_sent() -> None:
    cut = [Run("At ", 0, 3), Run("foo d", 3, 3), Run("ot or", 3, 3), Run("g", 3, 18), Run(" now", 18, 22)]
    assert places(cut, "At foo dot org now") == [(2, 1), (2, 1), (2, 1), (18, 4), (22, 5)]
    whole = [Run("At ", 0, 3), Run("foo dot org", 3, 18), Run(" now", 18, 22)]
    assert places(whole, "At foo dot org now") == [(2, 1), (2, 1), (2, 1), (18, 4), (22, 5)]
    spelled = [Run("At ", 0, 3), Run("<spell>A B</spell>", 3, 21), Run(" now", 21, 25)]
    assert places(spelled, "At A B now") == [(2, 1), (2, 1), (2, 1), (25, 4)]


def test_a_word_behind_which_a_filter_has_put_a_mark_is_whole() -> None:
    runs = [Run("Dinner", 2, 8), Run(".", 8, 8), Run(" Well", 8, 13)]
    assert places(runs, "Dinner. Well") == [(8, 1), (13, 2)]


def test_where_the_word_before_was_not_found_rewritten_text_does_not_cover_it() -> None:
    # "It is GIF https://foo.org now"
    runs = [Run("It is GIF ", 0, 10), *spread(Run("foo dot org", 10, 25)), Run(" now", 25, 29)]
    assert places(runs, "It is jiff foo dot org now")[2:] == [(5, 2), (5, 2), (5, 2), (25, 6), (29, 7)]


def test_a_segment_or_a_piece_that_ends_in_rewritten_text_is_no_place_to_go_on() -> None:
    timeline = Timeline(FORMAT)
    for run in [Run("Look at ", 0, 8), *spread(Run("foo dot org", 8, 23)), Run(" now", 23, 27)]:
        timeline.sent(run)
    seconds_of_audio(timeline, 9.0)
    timeline.words((WordTime("Look at foo", 0.0, 1.0),))
    timeline.words((WordTime("dot", 1.0, 1.5),))
    assert (timeline.spoken, timeline.cut) == (0, 0)
    timeline.words((WordTime("org now", 1.5, 2.0),))
    assert (timeline.spoken, timeline.cut) == (27, 16_000)
    pieces = Timeline(FORMAT)
    for run in [Run("Look at ", 0, 8), *spread(Run("foo dot org", 8, 23))]:
        pieces.sent(run)
    seconds_of_audio(pieces, 9.0)
    pieces.chunk("Look at foo", 0.0, 1.0)
    assert (pieces.spoken, pieces.cut) == (0, 0)
    pieces.chunk("dot org", 1.0, 2.0)
    assert (pieces.spoken, pieces.cut) == (23, 16_000)


def test_a_segment_that_ends_in_a_word_that_is_not_found_is_no_place_to_go_on() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "It costs $3 today.")
    seconds_of_audio(timeline, 9.0)
    timeline.words((WordTime("It costs three", 0.0, 1.0),))
    assert (timeline.spoken, timeline.cut) == (0, 0)


# pieces without words


def test_a_piece_of_text_moves_spoken_at_its_end_where_no_words_are_reported() -> None:
    timeline = Timeline(FORMAT, cut=80)
    send(timeline, "One two. Three four. Five.")
    timeline.chunk("One two. ", 0.0, 0.5)
    timeline.chunk("Three four.", 0.5, 1.0)
    timeline.audio(bytes(2 * 4000))
    assert (timeline.spoken, timeline.cut) == (8, 4080)
    timeline.audio(bytes(2 * 4000))
    assert (timeline.spoken, timeline.cut) == (20, 8080)


def test_a_piece_that_the_vendor_has_rewritten_moves_nothing_until_the_next_is_found() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "It costs $3. Yes. No more.")
    timeline.audio(bytes(2 * 8000))
    timeline.chunk("It costs three dollars.", 0.0, 0.5)
    assert (timeline.spoken, timeline.cut) == (0, 0)
    timeline.chunk("Yes.", 0.5, 0.75)
    assert (timeline.spoken, timeline.cut) == (17, 6000)


def test_a_piece_says_nothing_where_words_are_reported() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "One two. Three four.")
    timeline.audio(bytes(2 * 8000))
    timeline.words((WordTime("One", 0.0, 0.25),))
    timeline.chunk("One two. ", 0.0, 0.5)
    timeline.chunk("", 0.0, 0.5)
    assert (timeline.spoken, timeline.cut) == (3, 2000)
    timeline.chunk("One two. ", 0.5, 0.75)  # a later piece, of which there are no words
    assert (timeline.spoken, timeline.cut) == (3, 2000)


def test_a_piece_of_which_there_are_no_words_counts_beside_others_that_have_them() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "One two. Three four.")
    timeline.audio(bytes(2 * 8000))
    timeline.words((WordTime("One", 0.0, 0.25), WordTime("two.", 0.25, 0.5)))
    timeline.chunk("Three four.", 0.5, 1.0)
    assert (timeline.spoken, timeline.cut) == (20, 8000)
    assert not timeline.missing()


def test_a_piece_is_found_far_behind_one_that_was_rewritten() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "3 " * 500 + "And so on. The end.")
    timeline.audio(bytes(2 * 8000))
    timeline.chunk("Three, and three again, and so forth.", 0.0, 0.5)
    timeline.chunk("And so on.", 0.5, 0.75)
    assert (timeline.spoken, timeline.cut) == (1010, 6000)


# a missing tail


def missing(text: str, *words: str, unspoken: re.Pattern[str] | None = None, word_s: float = 1.0) -> bool:
    timeline = Timeline(FORMAT)
    send(timeline, text)
    timeline.words(tuple(WordTime(word, number * word_s, (number + 1) * word_s) for number, word in enumerate(words)))
    return timeline.missing(unspoken)


def test_words_that_stop_before_the_text_does_leave_a_tail_missing() -> None:
    assert missing("one two three", "one", "two")
    assert not missing("one two three. ", "one", "two", "three")
    assert not missing("one two three! —", "one", "two", "three")


def test_nothing_is_known_to_be_missing_where_no_words_are_reported() -> None:
    assert not missing("one two three")


@pytest.mark.parametrize("said", [["three", "dollars", "fifty"], ["three", "fifty"], ["costs", "a", "lot"]])
def test_a_tail_that_the_vendor_rewrote_is_not_missing(said: list[str]) -> None:
    assert not missing("It costs $3.50.", "It", "costs", *said)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("$3.50.", "three dollars fifty"),
        ("$3.50 today.", "three dollars and fifty cents today"),
        ("12:30", "half past twelve"),
        ("https://example.com/a/long/path?q=1", "example dot com slash a slash long slash path q equals one"),
        ("1,234,567.89", "one million two hundred and thirty four thousand and some"),
        ("Dr.", "doctor"),
        ("3点", "三 点"),
    ],
)
def test_a_rewritten_end_at_the_speed_of_speech_is_not_missing(end: str, said: str) -> None:
    assert not missing(f"It costs {end}", "It", "costs", *said.split(), word_s=0.3)
    assert not missing(f"It costs {end}", "It", "costs", said, word_s=0.3 * len(said.split()))


@pytest.mark.parametrize("said", [["three"], ["three", "dollars", "fifty"], ["three dollars fifty"]])
def test_rewritten_words_do_not_stand_for_more_than_can_be_spoken_in_their_time(said: list[str]) -> None:
    text = "It costs $3.50 here today, and there is much more to say about that, for example who pays."
    assert missing(text, "It", "costs", *said, word_s=0.3)


def test_a_piece_that_the_vendor_rewrote_stands_for_the_text_of_its_time() -> None:
    for text, is_missing in (("It is. That costs $3.", False), ("It is. That costs $3. " + "And more. " * 9, True)):
        timeline = Timeline(FORMAT)
        send(timeline, text)
        timeline.words((WordTime("It", 0.0, 0.2), WordTime("is.", 0.2, 0.4)))
        timeline.chunk("That costs three dollars.", 0.4, 1.6)
        assert timeline.missing() == is_missing


def test_a_tail_behind_a_rewritten_word_that_was_found_again_is_missing() -> None:
    assert missing("It is $5 today, you know, my friend", "It", "is", "five", "dollars", "today", "you", "know")


def test_tags_and_cues_at_the_end_are_not_missing() -> None:
    assert not missing('one two<break time="1s"/>', "one", "two", unspoken=TAG)
    assert not missing("one two, [laughs softly]", "one", "two", unspoken=CUE)
    assert missing("one two [laughs] three", "one", "two", unspoken=CUE)
    assert missing("one two [laughs]", "one", "two")


# words in the text


def test_words_are_found_with_their_marks() -> None:
    found = spoken_by("It costs $3.50, “really” — yes!", "It", "costs", "$3.50,", "“really”", "—", "yes!")
    assert [text for text, _, _ in found] == ["It", "costs", "$3.50,", "“really”", "—", "yes!"]


def test_words_are_found_without_the_marks_that_a_vendor_leaves_out() -> None:
    found = spoken_by("Well — “Hello,” he said.", "well", "hello", "he", "said")
    assert [text for text, _, _ in found] == ["Well", "“Hello,”", "he", "said."]


def test_words_that_are_not_in_the_text_take_no_room_and_two_that_are_bring_it_back() -> None:
    found = spoken_by("It is $5 today, you know", "It", "is", "five", "dollars", "today", "you", "know")
    assert [text for text, _, _ in found] == ["It", "is", "", "", "", "you", "know"]


@pytest.mark.parametrize(
    ("text", "words", "covered"),
    [
        ("It costs $100, and there is one more thing.", ["It", "costs", "one", "hundred"], "It costs"),
        ("Dr. Smith called the doctor again.", ["Doctor", "Smith"], ""),
        ("On 1 May the onerous rule ends.", ["On", "one", "May"], "On"),
    ],
)
def test_a_word_that_the_vendor_rewrote_is_not_found_further_on(text: str, words: list[str], covered: str) -> None:
    """A stream that takes over at a later word would leave out what lies between."""
    assert max(end for _, _, end in spoken_by(text, *words)) == len(covered)


@pytest.mark.parametrize(
    ("blank", "words"),
    [
        (" ", "It is $5=five_dollars a day or 30=thirty dollars a week."),
        (" ", "It is 20%=twenty_percent off, that is twenty percent off now."),
        (" ", "You owe $5=five million,=million_dollars I repeat, five million dollars. Pay!"),
        (" ", "At 5=five p.m., so five p.m., not six."),
        (" ", "He owes $500=five_hundred_dollars (five hundred dollars) today."),
        (" ", "Rent is $900=nine_hundred_dollars a month, or 9,000=nine_thousand dollars a year, all in."),
        (" ", "Drive 5=five km=kilometres or five kilometres more."),
        ("", "3=三 点 开 会， 三 点 开 会。"),
    ],
)
def test_no_word_is_passed_over_that_has_not_been_said(blank: str, words: str) -> None:
    """Each word stands with what the vendor says in its place."""
    both = [word.partition("=") for word in words.split()]
    text = blank.join(written for written, _, _ in both)
    timeline = Timeline(FORMAT)
    send(timeline, text)
    together, at, number = {(0, 0)}, 0, 0
    for written, _, said in both:
        *inner, last = (said or written).split("_")
        at += len(written)
        for word in [*inner, last]:
            timeline.words((WordTime(word, float(number), number + 1.0),))
            seconds_of_audio(timeline, 1.0)
            number += 1
            if word is last:
                together.add((at, number))
            assert (timeline.spoken, timeline.cut // 8_000) in together, (word, text[timeline.spoken :])
        at += len(blank)
    assert (timeline.spoken, timeline.cut // 8_000) == (len(text), number), "it is found again"


def test_a_word_that_the_vendor_did_not_report_is_passed_over_only_with_several_words_behind_it() -> None:
    text = "one two three four five six seven"
    ends = [end for _, _, end in spoken_by(text, "one", "three", "four", "five", "six", "seven")]
    assert ends == [3, 3, 3, 3, len("one two three four five six"), len(text)]
    text = "one $2 three four five six seven eight nine"  # the words may be what it makes of the number
    assert max(end for _, _, end in spoken_by(text, "one", "three", "four", "five", "six", "seven", "eight")) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It costs $3.50 here and now", "It costs three dollars fifty here and now"),
        ("It costs 1 000 euros here and now", "It costs mille euros here and now"),
        ("Ask Siobhan about that now", "Ask shiv awn about that now"),
        ("The GIF of NASA is here now", "The jiff of N A S A is here now"),
        ("Call Dr. Lee or Mr Ray, e.g. right now", "Call doctor Lee or mister Ray for example right now"),
        ("Take 5 x-ray scans right now", "Take five x ray scans right now"),
        ("Room [sic] 5 <b>is</b> the best", "Room five is the best"),
        ("Go 10 km at 5 mph & rest a lot", "Go ten kilometres at five miles an hour and rest a lot"),
    ],
)
def test_what_the_vendor_says_otherwise_does_not_stop_the_timeline(text: str, said: str) -> None:
    assert max(end for _, _, end in spoken_by(text, *said.split())) == len(text)


def test_a_piece_that_the_vendor_rewrote_is_what_the_words_behind_it_follow() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "It costs $3. Ask about it now")
    timeline.chunk("It costs three dollars.", 0.0, 1.0)
    timeline.words((WordTime("Ask", 1.0, 1.5),))
    [about] = timeline.words((WordTime("about", 1.5, 2.0),))
    assert (about.start, about.end) == (17, 22)


@pytest.mark.parametrize("text", ["a b a b a", "the the the", "1 2 1 2", "naïve Straße STRASSE"])
def test_repeated_and_accented_words_are_found_one_by_one(text: str) -> None:
    found = spoken_by(text, *text.split())
    assert [word for word, _, _ in found] == text.split()
    assert [start for _, start, _ in found] == sorted(start for _, start, _ in found)


@given(st.lists(st.text(st.characters(categories=["L", "N", "Po"]), min_size=1, max_size=8), max_size=20))
def test_a_vendor_that_spells_as_it_was_given_is_followed_exactly(words: list[str]) -> None:
    assert [text for text, _, _ in spoken_by(" ".join(words), *words)] == words


def test_words_are_found_without_their_apostrophes_and_accents() -> None:
    found = spoken_by(
        "I don’t think a naïve “café”-goer isn't here.", *"I dont think a naive cafegoer isnt here".split()
    )
    assert [text for text, _, _ in found] == ["I", "don’t", "think", "a", "naïve", "“café”-goer", "isn't", "here."]


def test_words_are_found_behind_tags_and_cues_that_the_vendor_says_nothing_of() -> None:
    found = spoken_by('[sighs] Well <break time="1s"/> yes, [laughs][coughs] no<b>!</b> So', "well", "yes", "no", "so")
    assert [text for text, _, _ in found] == ["Well", "yes,", "no", "So"]


def test_words_in_brackets_are_found_where_the_vendor_speaks_them() -> None:
    found = spoken_by("he said [sic] so <b>now</b>", "he", "said", "sic", "so", "b", "now", "b")
    assert [text for text, _, _ in found] == ["he", "said", "[sic]", "so", "<b>", "now", "</b>"]


def test_chinese_is_found_character_by_character_and_word_by_word() -> None:
    characters = spoken_by("你好，世界。我们3点见。", *"你好世界我们")
    assert [text for text, _, _ in characters] == ["你", "好，", "世", "界。", "我", "们"]
    words = spoken_by("你好，世界。我们见。", "你好", "世界", "我们")
    assert [text for text, _, _ in words] == ["你好，", "世界。", "我们"]


def test_chinese_behind_a_rewritten_number_is_found_again() -> None:
    found = spoken_by("我们3点在大学门口见。好的", *"我们三点在大学门口见好的")
    assert [text for text, _, _ in found[:3]] == ["我", "们", ""]
    assert [text for text, _, _ in found[-4:]] == ["口", "见。", "好", "的"]


@pytest.mark.parametrize(("text", "word"), [("надобно", "на"), ("éternel", "é"), ("onerous", "on"), ("각자", "가")])
def test_the_beginning_of_a_longer_word_is_not_the_word(text: str, word: str) -> None:
    assert spoken_by(text, word) == [("", 0, 0)]


# cost

SENTENCE = "The quick brown fox jumps over the dog again. "


def cost_s(words: int, spoken: str) -> float:
    """Return the seconds of CPU that a turn takes, the text of which is there before the first word is spoken."""
    timeline, count = Timeline(FORMAT), words // len(SENTENCE.split())
    tokens = re.findall(r"\S+ ", SENTENCE * count)
    start_s = time.thread_time()
    for token in tokens:
        send(timeline, token)
    for number in range(count):
        if spoken in ("pieces", "rewritten pieces"):
            timeline.chunk(SENTENCE if spoken == "pieces" else "Nine words that are not what was written here.", 0, 1)
        else:
            said = SENTENCE if spoken == "words" else "zz " * 9
            timeline.words(tuple(WordTime(word, number, number + 0.1) for word in said.split()))
    timeline.missing()
    return time.thread_time() - start_s


@pytest.mark.parametrize("spoken", ["words", "rewritten words", "pieces", "rewritten pieces"])
def test_the_cost_of_a_word_does_not_grow_with_the_text(spoken: str) -> None:
    short = min(cost_s(2_000, spoken) for _ in range(3))
    assert min(cost_s(20_000, spoken) for _ in range(2)) < 30 * short  # ten times the words; 100 times if it grew


# the end of a word, where another worker is to go on


def halting(timeline: Timeline) -> list[int]:
    """Have it halt at the end of a word; returns where it did, as soon as it has."""
    where: list[int] = []
    timeline.halt_at_word(lambda: where.append(timeline.position))
    return where


def seconds_of_audio(timeline: Timeline, seconds: float) -> int:
    """Give it audio; returns how many samples of it are to be published."""
    return timeline.audio(bytes(round(seconds * 8_000) * 2)).samples


def test_it_halts_at_the_end_of_the_word_that_is_being_spoken_and_takes_nothing_behind_it() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello there, friend.")
    timeline.words((WordTime("Hello", 0.0, 0.5), WordTime("there,", 0.5, 1.0), WordTime("friend.", 1.0, 1.5)))
    seconds_of_audio(timeline, 0.7)
    where = halting(timeline)
    assert where == []
    assert seconds_of_audio(timeline, 0.2) == 1_600
    assert seconds_of_audio(timeline, 2.0) == 800
    assert where == [8_000]
    assert timeline.halted
    assert (timeline.cut, timeline.spoken) == (8_000, len("Hello there,"))
    assert seconds_of_audio(timeline, 1.0) == 0
    assert (timeline.position, timeline.spoken) == (8_000, len("Hello there,"))


def test_between_two_words_it_halts_at_once() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello there")
    timeline.words((WordTime("Hello", 0.0, 0.5), WordTime("there", 0.8, 1.3)))
    seconds_of_audio(timeline, 0.7)
    assert halting(timeline) == [5_600]
    assert timeline.cut == 4_000
    assert halting(Timeline(FORMAT)) == [0]


def test_it_does_not_halt_in_the_middle_of_what_the_vendor_has_rewritten() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "It costs $3.50 here today")
    spoken = ["It", "costs", "three", "dollars", "fifty", "here", "today"]
    timeline.words(tuple(WordTime(word, number / 2, number / 2 + 0.4) for number, word in enumerate(spoken)))
    seconds_of_audio(timeline, 1.45)  # to the gap behind "three"
    where = halting(timeline)
    assert where == []
    seconds_of_audio(timeline, 9.0)
    assert where == [27_200]
    assert timeline.spoken == len("It costs $3.50 here today")


def test_a_word_that_has_ended_before_it_was_reported_is_no_place_to_halt() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello there")
    timeline.words((WordTime("Hello", 0.0, 0.5), WordTime("ahem", 0.5, 1.5), WordTime("there", 0.55, 0.6)))
    seconds_of_audio(timeline, 0.7)
    halting(timeline)
    assert seconds_of_audio(timeline, 0.5) == 4_000


def test_where_nobody_knows_where_words_end_it_takes_everything() -> None:
    timeline = Timeline(FORMAT)
    send(timeline, "Hello there")
    seconds_of_audio(timeline, 0.5)
    where = halting(timeline)
    assert seconds_of_audio(timeline, 1.0) == 8_000
    assert where == []
    timeline.finished(len("Hello there"))
    assert where == [12_000]


def test_a_turn_gets_no_longer_than_allowed() -> None:
    timeline = Timeline(FORMAT, most_s=1.0)
    seconds_of_audio(timeline, 1.0)
    with pytest.raises(TurnTooLong, match=r"limits\.turn_s = 1"):
        seconds_of_audio(timeline, 0.1)
    assert timeline.position == 8_000
