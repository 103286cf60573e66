"""Phrases hold their laws for any text, of any script, however it is cut into tokens."""

import itertools
import random
import re
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saystream.workers.text.boundaries import BARE, splits_cluster
from saystream.workers.text.phraser import MOST, Phrase, Phraser, PhraseRule
from saystream.workers.text.run import Flush, Item, Pause, Run, Whole, text_of

RULE = PhraseRule()
LANGUAGES = st.sampled_from([None, "en", "de", "fr", "es", "pt", "zh", "ja", "ar", "hi", "th", "he"])
#: Pieces of text in which the laws are easily broken.
PIECES = st.sampled_from(
    [
        *" \n\t\u00a0.,!?;:…—-'\"()«»“”$€%1239abZé",
        *"。，、！？「」漢字かなカナไทยเ",
        *"مرحبا،؟हिन्दी।שלום",
        *("👩‍👩‍👧", "🇩🇪", "👍🏽", "\u0301", "\u200d", "\ufe0f", "\r\n", "각", "क्ष"),
        *(" Dr. ", " z. B. ", " M. ", " p. ex. ", " 3. ", " 12 000 ", " 5 € ", " No. ", " etc. ", " a. m. ", " no. 5"),
        *("https://a.b/c?d=e,f", "1,234.56", "10:30", "1.2.3", "+49 170 123", " « ", " » ", " ! ", "...", " – "),
        *("word" * 8, "漢" * 30, " " * 30, "word " * 20, "x" * 130, "1 " * 30, "。" * 30),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=40).map("".join)
WHOLES = st.sampled_from(['<break time="1s"/>', "<spell>A B, C.</spell>", "<a 漢字。漢字>"])
MARKS = st.one_of(
    WHOLES.map(lambda text: Whole(text, 0, 0, spoken="spell" in text)), st.just(Pause(0.5, 0, 0)), st.just(Flush(0, 0))
)


def items_of(parts: Sequence[str | Item]) -> list[Item]:
    """Return texts and marks as items that lie one behind the other in a source."""
    items: list[Item] = []
    at = 0
    for part in parts:
        if isinstance(part, str):
            items.append(Run(part, at, at + len(part)))
            at += len(part)
        elif isinstance(part, Whole):
            items.append(Whole(part.text, at, at + len(part.text), part.spoken))
            at += len(part.text)
        else:
            items.append(Pause(part.seconds, at, at + 1) if isinstance(part, Pause) else Flush(at, at + 1))
            at += 1
    return items


def tokens_of(items: Sequence[Item], cuts: random.Random) -> list[Item]:
    """Return the same items with their runs cut anywhere."""
    tokens: list[Item] = []
    for item in items:
        if isinstance(item, Run):
            places = sorted(cuts.choices(range(len(item.text) + 1), k=cuts.randint(0, 20)))
            tokens += [item.piece(*pair) for pair in itertools.pairwise([0, *places, len(item.text)])]
        else:
            tokens.append(item)
    return tokens


def out_of(items: Sequence[Item], language: str | None = None, rule: PhraseRule = RULE) -> list[Phrase | Pause | Flush]:
    """Return all that comes out for items that are fed one by one, with the clock standing still."""
    phraser = Phraser(rule, language)
    return [out for item in items for out in phraser.feed([item], 0.0)] + phraser.flush()


def phrases_of(text: str, language: str | None = None) -> list[str]:
    return [out.text for out in out_of([Run(text, 0, len(text))], language) if isinstance(out, Phrase)]


def shown(outs: Sequence[Phrase | Pause | Flush]) -> list[object]:
    """Return what comes out in a form that does not show how the source was cut into runs."""
    return [
        (out.text, out.start, out.end, [map_ for run in out.runs for map_ in characters(run)])
        if isinstance(out, Phrase)
        else out
        for out in outs
    ]


def characters(run: Run) -> list[tuple[str, int, int]]:
    return [tuple(run.piece(at, at + 1)) for at in range(len(run.text))]  # type: ignore[misc]


def folded(text: str) -> str:
    return " ".join(text.split())


def bare(text: str) -> str:
    return "".join(text.split())


def stands_without_blanks(text: str, at: int) -> bool:
    """Tell whether a place lies in text of a script without blanks: such a letter is near, marks and brackets apart."""
    near = re.sub(rf"[^\w\s{BARE}]", "", text[max(0, at - 30) : at])[-1:] + re.sub(rf"[^\w\s{BARE}]", "", text[at:])[:1]
    return re.search(f"[{BARE}]", near) is not None


@given(TEXTS, LANGUAGES)
def test_the_phrases_joined_by_blanks_are_the_text(text: str, language: str | None) -> None:
    """Where a blank is added, it is in a script that has none, or in a word too long for any vendor."""
    phrases = phrases_of(text, language)
    assert bare("".join(phrases)) == bare(text)
    whole, at = folded(text), 0
    for phrase, following in itertools.pairwise(phrases):
        assert whole.startswith(phrase, at)
        at += len(phrase)
        if whole[at] == " ":
            at += 1
        else:
            assert stands_without_blanks(whole, at) or len(phrase) >= MOST // 2, (phrase, following)


@given(st.lists(TEXTS | MARKS, max_size=6), LANGUAGES, st.randoms(use_true_random=False))
def test_the_cut_into_tokens_makes_no_difference(
    parts: list[str | Item], language: str | None, cuts: random.Random
) -> None:
    items = items_of(parts)
    assert shown(out_of(tokens_of(items, cuts), language)) == shown(out_of(items, language))


@given(st.lists(TEXTS | MARKS, max_size=6), LANGUAGES)
def test_the_source_map_is_monotonic_and_says_what_the_phrase_says(
    parts: list[str | Item], language: str | None
) -> None:
    source = "".join(part if isinstance(part, str) else getattr(part, "text", "#") for part in parts)
    at = 0
    for out in out_of(items_of(parts), language):
        assert out.start >= at
        at = out.end
        if isinstance(out, Phrase):
            assert bare(source[out.start : out.end]) == bare(out.text)
            assert folded(out.whole) == out.text
            assert not source[out.start].isspace()
            assert not source[out.end - 1].isspace()


@given(st.lists(TEXTS | MARKS, max_size=6), LANGUAGES)
def test_marks_come_out_at_their_places_and_all_text_before_them_has_gone(
    parts: list[str | Item], language: str | None
) -> None:
    items = items_of(parts)
    outs = out_of(items, language)
    assert [out for out in outs if not isinstance(out, Phrase)] == [
        item for item in items if isinstance(item, Pause | Flush)
    ]
    for mark in (out for out in outs if not isinstance(out, Phrase)):
        before = [out for out in outs[: outs.index(mark)] if isinstance(out, Phrase)]
        assert bare("".join(phrase.text for phrase in before)) == bare(text_of(items[: items.index(mark)]))


@given(
    st.lists(st.text("ab ,.!漢。", max_size=30) | WHOLES.map(lambda text: Whole(text, 0, 0, spoken=False)), max_size=8)
)
def test_a_whole_is_never_cut_and_has_blanks_around_it(parts: list[str | Item]) -> None:
    items = items_of(parts)
    joined = f" {' '.join(out.text for out in out_of(items) if isinstance(out, Phrase))} "
    wholes = [item.text for item in items if isinstance(item, Whole)]
    assert re.findall(r"(?<= )<(?:break|spell|a ).*?(?:/>|</spell>|。漢字>)(?= )", joined) == wholes


@given(TEXTS, LANGUAGES, st.lists(st.integers(1, 200), min_size=60, max_size=60), st.randoms(use_true_random=False))
def test_a_pause_loses_nothing_and_ends_a_phrase_only_at_a_blank_or_behind_a_sentence(
    text: str, language: str | None, waits_ms: list[int], cuts: random.Random
) -> None:
    phraser, now, outs = Phraser(RULE, language), 0.0, []
    for token, wait_ms in zip(tokens_of([Run(text, 0, len(text))], cuts), itertools.cycle(waits_ms), strict=False):
        now += wait_ms / 1000
        due = phraser.due
        polled = phraser.poll(now)
        assert bool(polled) == (due is not None and now >= due)  # what is said to be due comes, and brings something
        for phrase in polled:
            assert isinstance(phrase, Phrase)
            at = phrase.runs[-1].end
            assert text[at : at + 1].isspace() or text[at - 1].isspace() or not phrase.text[-1].isalnum()
        outs += polled + phraser.feed([token], now)
    outs += phraser.flush()
    assert bare("".join(out.text for out in outs if isinstance(out, Phrase))) == bare(text)


TOGETHER = {
    "en": [
        "Dr. Lee",
        "$3.50",
        "1,234.56",
        "10:30",
        "v1.2.3",
        "+49 170 1234",
        "12 000 000",
        "J. R. R. Tolkien",
        "e.g. it",
    ],
    "de": ["z. B. das", "3. Oktober", "Hr. Meier", "1.234,56", "5 000 €", "Nr. 5", "d. h. er", "II. von"],
    "fr": ["Bonjour !", "« Oui »", "M. Dupont", "5 %", "n° 5", "p. ex.", "1 234,56 €", "Mme Curie"],
    "es": ["Sr. García", "¿Qué?", "n.º 5", "EE. UU.", "p. ej. eso", "1.234,56 €"],
    "hi": ["डॉ. शर्मा", "रु. 500"],
    None: ["Dr. Lee", "z. B. das", "https://a.b/c,d?e=f.g", "M. Dupont"],
}


@given(st.data())
def test_what_belongs_together_stays_together(data: st.DataObject) -> None:
    language = data.draw(st.sampled_from(list(TOGETHER)))
    words = st.text("abcdefgh", min_size=3, max_size=9)
    parts = data.draw(st.lists(st.sampled_from(TOGETHER[language]) | words, min_size=1, max_size=30))
    text = " so ".join(parts)
    phrases = phrases_of(text, language)
    for part in parts:
        assert sum(phrase.count(part) for phrase in phrases) == text.count(part), phrases


@given(st.lists(st.text(max_size=3) | PIECES, max_size=40).map(lambda pieces: "".join(pieces) * 20))
def test_no_grapheme_cluster_is_cut_unless_it_is_longer_than_any_phrase(text: str) -> None:
    for out in out_of([Run(text, 0, len(text))]):
        assert isinstance(out, Phrase)
        at = out.runs[-1].end
        if 0 < at < len(text) and not text[at].isspace() and not text[at - 1].isspace():
            assert not splits_cluster(text, at) or all(splits_cluster(text, at - back) for back in range(1, 100))


@pytest.mark.parametrize(
    "pattern",
    [
        "x",
        " ",
        ".",
        "1",
        "1 ",
        "Dr. ",
        "漢",
        "。",
        "…",
        "<",
        "\u0301",
        "🇩",
        "👩\u200d",
        "A\u00a0",
        "ab-",
        "!",
        "ᄀ",
        "\n",
        "١",
        "a.",
        "ก",
    ],
)
def test_any_pattern_goes_out_in_bounded_pieces(pattern: str) -> None:
    text = pattern * (100_000 // len(pattern))
    phraser, longest, held = Phraser(RULE, None), 0, 0
    for at in range(0, len(text), 7):
        for out in phraser.feed([Run(text[at : at + 7], at, at + len(text[at : at + 7]))], 0.0):
            assert isinstance(out, Phrase)
            longest = max(longest, len(out.whole))
        held = max(held, len(phraser._pending.text))
    assert longest <= MOST + 48
    assert held <= MOST + 48


def test_a_long_word_is_parted_where_its_parts_show() -> None:
    assert phrases_of("snake_case-" * 60)[0].endswith("-")
    assert {phrase[-1] for phrase in phrases_of("https://example.com/" + "a/bc" * 300)[:-1]} == {"/"}
    assert phrases_of("abc" * 90 + "где" * 90)[0] == "abc" * 90


@given(st.lists(st.text("abc", min_size=1, max_size=15), min_size=1, max_size=80))
def test_no_word_is_cut_and_the_last_one_comes(words: list[str]) -> None:
    assert [word for phrase in phrases_of(" ".join(words), "en") for word in phrase.split()] == words


def test_the_first_phrase_is_one_word_and_later_ones_grow() -> None:
    assert [len(phrase.split()) for phrase in phrases_of("word " * 40)][:4] == [1, 2, 4, 8]


def test_no_phrase_is_longer_than_the_rule_says_where_there_are_blanks() -> None:
    assert max(map(len, phrases_of("wordy " * 200))) <= RULE.most_chars
    assert max(map(len, phrases_of("กขคงจ" * 200))) <= RULE.most_chars


def test_a_phrase_covers_rewritten_text_at_its_end() -> None:
    phraser = Phraser(PhraseRule(first_words=2), "en")
    outs = (
        phraser.feed([Run("It is ", 0, 6), Run("one dollar fifty ", 6, 12), Run("now", 12, 15)], 0.0) + phraser.flush()
    )
    assert [(out.text, out.start, out.end) for out in outs if isinstance(out, Phrase)] == [
        ("It is", 0, 5),
        ("one dollar fifty now", 6, 15),
    ]


# the clock


@pytest.mark.parametrize(
    ("parts", "whole"),
    [(["Now ", Flush(0, 0), "-5 degrees."], "Now -5 degrees."), (["Now", Flush(0, 0), "-5"], "Now -5")],
)
def test_what_a_mark_parts_is_parted_in_what_the_phrases_are_made_of(parts: list[str | Item], whole: str) -> None:
    """The vendor gets two messages; in a text without the blank, a sign would belong to the word before it."""
    phrases = [out for out in out_of(items_of(parts), "en") if isinstance(out, Phrase)]
    assert "".join(phrase.whole for phrase in phrases) == whole
    assert not any(phrase.text[0].isspace() for phrase in phrases)


def test_a_pause_sends_the_whole_words_that_wait_and_keeps_the_rest() -> None:
    phraser = Phraser(PhraseRule(first_words=8, pause_ms=40), "en")
    assert phraser.feed([Run("one two thr", 0, 11)], 1.0) == []
    assert phraser.due == pytest.approx(1.04)
    assert phraser.poll(1.03) == []
    assert [out.text for out in phraser.poll(1.05) if isinstance(out, Phrase)] == ["one two"]
    assert phraser.due is None
    outs = phraser.feed([Run("ee four", 11, 18)], 2.0) + phraser.flush()
    assert [out.text for out in outs if isinstance(out, Phrase)] == ["three four"]


def test_a_longer_pause_sends_a_sentence_to_its_end() -> None:
    phraser = Phraser(PhraseRule(first_words=8, sentence_ms=120), "en")
    phraser.feed([Run("That is all.", 0, 12)], 1.0)
    assert [out.text for out in phraser.poll(1.05) if isinstance(out, Phrase)] == ["That is"]
    assert phraser.due == pytest.approx(1.12)
    assert [out.text for out in phraser.poll(1.13) if isinstance(out, Phrase)] == ["all."]
    assert phraser.due is None


@pytest.mark.parametrize(
    "text", ["It is 3.", "See www.a.", "Ask Dr.", "That is J.", "And, ", "Is it 3", "Is it 12 ", "a.b."]
)
def test_a_pause_does_not_end_what_may_go_on(text: str) -> None:
    phraser = Phraser(PhraseRule(first_words=8), "en")
    phraser.feed([Run(text, 0, len(text))], 1.0)
    sent = " ".join(out.text for out in phraser.poll(9.0) if isinstance(out, Phrase))
    assert text.split()[-1] not in sent or text == "And, "
    assert phraser.due is None


def test_the_first_phrase_goes_out_in_time_though_tokens_keep_coming() -> None:
    phraser = Phraser(PhraseRule(first_words=50, first_ms=100), "en")
    now = 0.0
    sent: list[tuple[float, str]] = []
    for token in ["One", " two", " three", " four", " five", " six", " seven", " eight"]:
        sent += [(now, out.text) for out in phraser.feed([Run(token, 0, len(token))], now) if isinstance(out, Phrase)]
        now += 0.02
    assert [(round(at, 3), text) for at, text in sent] == [(0.1, "One two three four five")]


def test_the_first_phrase_is_polled_in_time() -> None:
    phraser = Phraser(PhraseRule(first_words=50, first_ms=100, pause_ms=60), "en")
    for at_ms in (0, 50, 90):
        phraser.feed([Run(" word", 0, 5)], at_ms / 1000)
    assert phraser.due == pytest.approx(0.1)
    assert [out.text for out in phraser.poll(0.1) if isinstance(out, Phrase)] == ["word word"]


def first_phrase_ms(tokens: Sequence[str], language: str | None, token_ms: int = 20) -> int:
    """Return when the first phrase goes out after the first token."""
    phraser = Phraser(RULE, language)
    for at, token in enumerate(tokens):
        now = at * token_ms / 1000
        if phraser.poll(now) or phraser.feed([Run(token, 0, len(token))], now):
            return at * token_ms
    return len(tokens) * token_ms


@pytest.mark.parametrize("language", ["en", "de", "es", "pt", "fr", None])
def test_the_first_phrase_goes_out_with_the_token_that_ends_the_first_word(language: str | None) -> None:
    assert first_phrase_ms(["Hello", " there", " my", " friend"], language) == 20
    assert first_phrase_ms(["Sure", ",", " I", " can"], language) == 40
    if language != "fr":  # where a mark may stand behind a blank, the next word is waited for
        assert first_phrase_ms(["Hello ", "there ", "my "], language) == 0


def test_what_comes_out_does_not_depend_on_unicode_that_python_does_not_know() -> None:
    """Unassigned characters are held to be part of the cluster before them."""
    assert unicodedata.category("\u0378") == "Cn"
    assert splits_cluster("a\u0378", 1)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("e\u0301", True),
        ("👩\u200d👧", True),
        ("🇩🇪", True),
        ("क्ष", True),
        ("각", True),
        ("👍🏽", True),
        ("กำ", True),
        ("ab", False),
        ("漢字", False),
    ],
)
def test_a_cluster_is_not_cut(text: str, inside: bool) -> None:
    text = unicodedata.normalize("NFD", text)
    assert all(splits_cluster(text, at) for at in range(1, len(text))) is inside


def test_flags_are_cut_in_pairs() -> None:
    assert [splits_cluster("🇩🇪🇫🇷", at) for at in (1, 2, 3)] == [True, False, True]
