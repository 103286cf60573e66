"""Marks become what a vendor understands, and nothing that it would read aloud."""

import pytest

from saystream.workers.providers.gradium import breaks as gradium_breaks
from saystream.workers.providers.kugelaudio.breaks import breaks as kugelaudio_breaks
from saystream.workers.text.lowering import NO_TAGS, TagRule, lower, spelled
from saystream.workers.text.run import Flush, Item, Pause, Run, Spell, Whole, text_of

GRADIUM = TagRule(gradium_breaks)
KUGELAUDIO = TagRule(kugelaudio_breaks, spell=True)

ITEMS: list[Item] = [Run("a", 0, 1), Pause(1.5, 1, 5), Flush(5, 6), Spell("A1", 6, 10)]


def test_gradium_has_breaks_between_blanks_and_is_spelled_for() -> None:
    lowered = lower(ITEMS, GRADIUM, "en")
    assert lowered[:3] == [Run("a", 0, 1), Whole(' <break time="1.5s" /> ', 1, 5, spoken=False), Flush(5, 6)]
    assert text_of(lowered[3:]) == "A one"
    assert (lowered[3].start, lowered[-1].end) == (6, 10)


def test_kugelaudio_has_both() -> None:
    assert lower(ITEMS, KUGELAUDIO, "en")[1:] == [
        Whole('<break time="500ms"/>' * 3, 1, 5, spoken=False),
        Flush(5, 6),
        Whole("<spell>A1</spell>", 6, 10, spoken=True),
    ]


def test_a_vendor_without_tags_gets_exact_silence_and_letters() -> None:
    assert lower(ITEMS, NO_TAGS, "de")[1] == Pause(1.5, 1, 5)
    assert text_of(lower(ITEMS, NO_TAGS, "de")[3:]) == "A eins"


@pytest.mark.parametrize(
    ("seconds", "parts"), [(0.1, ["0.1"]), (2.0, ["2.0"]), (2.05, ["2.0"]), (4.5, ["2.0", "2.0", "0.5"])]
)
def test_gradiums_breaks_are_no_longer_than_it_allows(seconds: float, parts: list[str]) -> None:
    assert gradium_breaks(seconds) == "".join(f' <break time="{part}s" />' for part in parts) + " "


def test_a_pause_that_no_tag_can_say_stays() -> None:
    assert lower([Pause(0.02, 0, 1)], GRADIUM, None) == [Pause(0.02, 0, 1)]
    assert lower([Pause(0.02, 0, 1)], KUGELAUDIO, None) == [Pause(0.02, 0, 1)]


@pytest.mark.parametrize("tenths", range(1, 101))
def test_kugelaudios_breaks_add_up(tenths: int) -> None:
    tags = kugelaudio_breaks(tenths / 10)
    assert tags is not None
    parts = [int(part.split("ms")[0]) for part in tags.split('"')[1::2]]
    assert set(parts) <= {200, 400, 500}
    assert sum(parts) == {1: 200, 3: 400}.get(tenths, tenths * 100)


@pytest.mark.parametrize(
    ("text", "language", "letters"),
    [
        ("ABC", "en", "A B C"),
        ("a-1.x", "en", "A dash one dot X"),
        ("AB 12", "de", "A B, eins zwei"),
        ("x@y.fr", "fr", "X arobase Y point F R"),
        ("a_b/9", "es", "A guion bajo B barra nueve"),
        ("ß٣", "de", "ß drei"),
        ("é7", "pt-BR", "É sete"),
        ("A1", "xx", "A one"),
        ("A1", "zh", "A 一"),
        ("की2", "hi", "की दो"),
    ],
)
def test_letters_and_signs_have_names(text: str, language: str, letters: str) -> None:
    assert spelled(text, language) == letters
