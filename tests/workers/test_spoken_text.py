"""The text on its whole way: what is written, what is spoken, and where captions point."""

from typing import Any

import pytest

from saystream.common.errors import InvalidRequest, InvalidSettings
from saystream.common.events import Splice
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind
from tests.rig import rig
from tests.vendors import FISHAUDIO, GRADIUM, VENDORS, Row

MARKDOWN = """# Dinner

**Dr. Lee** says: *the soup* is [ready](https://example.com/soup)! 🍲

```python
print("not read")
```
- take &amp; eat
- wash up"""
SPOKEN = "Dinner. Dr. Lee says: the soup is ready! take & eat. wash up".split()


@pytest.fixture(params=VENDORS, ids=str)
def row(request: pytest.FixtureRequest) -> Row:
    chosen: Row = request.param
    return chosen


async def test_markdown_is_spoken_as_text_and_captions_point_into_the_markdown(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row) as way:
        await way.say("s", "t", MARKDOWN)
        heard = await way.hear("s", "t")
        assert heard.words("t") == SPOKEN
        assert heard.ends["t"].reason is State.DONE
        assert heard.ends["t"].spoken == len(MARKDOWN)
        told = [MARKDOWN[start:end].strip("#*[]()_ .!?:,") for start, end in heard.told("t")]
        assert [word for word in told if word][:3] == ["Dinner", "Dr", "Lee"]
        assert "ready](https://example.com/soup" in told


async def test_a_socket_that_breaks_costs_no_word_of_filtered_text(redis_url: str, row: Row) -> None:
    behaviour = Behaviour(speed=20.0, fault=Fault(Kind.CUT, 8), faulty_requests=2)
    async with rig(redis_url, row=row, behaviour=behaviour) as way:
        await way.say("s", "t", MARKDOWN)
        assert (await way.hear("s", "t")).words("t") == SPOKEN


async def test_a_voice_that_normalises_without_a_language_is_refused_at_the_start(redis_url: str) -> None:
    with pytest.raises(InvalidSettings, match="needs the voice's language"):
        async with rig(redis_url, voice={"text": {"normalise": True}}):
            pass


@pytest.mark.parametrize("text", [{"markdown": False, "emoji": "keep"}, {"replacements": {"soup": "stew"}}])
async def test_a_turn_sets_switches_of_its_own(redis_url: str, text: dict[str, Any]) -> None:
    async with rig(redis_url, row=FISHAUDIO) as way:
        await way.say("s", "t", "*the soup* 🍲", text=text)
        heard = (await way.hear("s", "t")).words("t")
        assert heard == (["*the", "soup*", "🍲"] if "markdown" in text else ["the", "stew"])


async def test_a_break_is_exact_silence_where_the_vendor_has_none(redis_url: str) -> None:
    async with rig(redis_url, row=FISHAUDIO) as way:
        await way.say("s", "t", 'One two. <break time="1.5s"/> Three.')
        heard = await way.hear("s", "t")
        assert heard.words("t") == ["One", "two.", "Three."]
        (splice,) = heard.of("t", Splice)
        assert splice.cause == "silence in the text"
        two, three = heard.decoded("t").words[1:]
        assert 36_000 <= three.first_sample - two.last_sample < 36_000 + 2_000  # the voice's own gaps are short
        assert heard.ends["t"].spoken == len('One two. <break time="1.5s"/> Three.')


async def test_a_break_goes_as_the_vendors_own_tag_where_it_has_one(redis_url: str) -> None:
    async with rig(redis_url, row=GRADIUM) as way:
        await way.say("s", "t", 'One two. <break time="1.5s"/> Three.')
        heard = await way.hear("s", "t")
        assert heard.words("t") == ["One", "two.", "Three."]
        assert heard.of("t", Splice) == []
        assert '<break time="1.5s" />' in " ".join(way.standin.stats.requests[0].heard)


async def test_a_text_that_begins_and_ends_with_silence_is_spoken(redis_url: str, row: Row) -> None:
    text = '<break time="0.5s"/> One. <break time="0.5s"/>'
    async with rig(redis_url, row=row) as way:
        await way.say("s", "t", text)
        heard = await way.hear("s", "t")
        assert heard.words("t") == ["One."]
        assert heard.ends["t"].reason is State.DONE


async def test_a_flush_tag_and_a_spelled_word_are_understood(redis_url: str, row: Row) -> None:
    async with rig(redis_url, row=row) as way:
        await way.say("s", "t", "One. <flush> My code is <spell>AB</spell> and done.")
        heard = await way.hear("s", "t")
        assert heard.words("t") == "One. My code is A B and done.".split()


async def test_a_switch_that_is_none_is_refused_where_the_turn_is_opened(redis_url: str) -> None:
    async with rig(redis_url, workers=0) as way, way.speaker() as speaker:
        with pytest.raises(InvalidRequest, match=r"text.*markdwon"):
            speaker.turn("s", text={"markdwon": True})


async def test_a_language_that_cannot_be_normalised_fails_the_turn_with_the_reason(redis_url: str) -> None:
    async with rig(redis_url, voice={"language": "xx"}) as way:
        await way.say("s", "t", "It costs $5.", text={"normalise": True})
        end = (await way.hear("s", "t")).ends["t"]
        assert end.reason is State.FAILED
        assert "xx" in end.cause
