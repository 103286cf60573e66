"""KugelAudio's turns one after the other on one socket: none takes anything from the one before, and none is lost."""

import pytest

from saystream.common.events import Splice, Words
from saystream.common.states import State
from saystream.compose.standin import Behaviour
from tests.rig import Heard, rig
from tests.timing import MS
from tests.vendors import KUGELAUDIO, ROWS, Row

ONE_SOCKET = {"min": 1, "max": 1}
MULTI = next(row for row in ROWS if row.name == "kugelaudio-multi")
TURNS = {
    "t0": "Once upon a time there lived a king. He had a daughter, and she was fair.",
    "t1": "Yes. And no, by no means at all.",
    "t2": "Well then. That is what he said, and he went.",
}


def words(heard: Heard, turn: str) -> list[str]:
    return [word.text for told in heard.of(turn, Words) for word in told.words]


@pytest.mark.parametrize("row", [KUGELAUDIO, MULTI], ids=str)
async def test_words_that_are_told_late_stay_with_their_turn(redis_url: str, row: Row) -> None:
    behaviour = Behaviour(speed=10.0, words_late_s=100 * MS)
    async with rig(redis_url, row=row, behaviour=behaviour, account=ONE_SOCKET) as way:
        for turn, text in TURNS.items():
            await way.say("s", turn, text)
        heard = await way.hear("s", *TURNS)
        for turn, text in TURNS.items():
            assert heard.words(turn) == text.split()
            assert (heard.ends[turn].reason, heard.ends[turn].spoken) == (State.DONE, len(text))
            told = words(heard, turn)
            # What came behind the end of its turn is told by nobody; the rest is, once and where it stands.
            assert told == text.split()[: len(told)]
            assert [text[start:end] for start, end in heard.told(turn)] == told
        assert words(heard, "t0")
        assert way.standin.stats.connections_opened == 1


async def test_a_turn_behind_an_interrupt_is_spoken_even_if_the_vendor_forgets_the_voice(redis_url: str) -> None:
    behaviour = Behaviour(speed=2.0, forgets_after_cancel=True)
    async with rig(redis_url, row=KUGELAUDIO, behaviour=behaviour, account=ONE_SOCKET) as way, way.speaker() as speaker:
        await way.say("s", "t", TURNS["t0"] * 3)
        await way.until_heard("s", "time")
        await speaker.interrupt("s")
        await way.say("s", "next", "And now something else.")
        heard = await way.hear("s", "t", "next")
        assert heard.ends["t"].reason is State.INTERRUPTED
        assert heard.words("next") == "And now something else.".split()
        assert heard.of("next", Splice) == []
        assert way.standin.stats.connections_opened == 1
