"""One stream of speech: what is owed, what is published, and when."""

import asyncio
import time

from saystream.common.events import Audio, Splice
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind
from tests.rig import rig
from tests.timing import MS
from tests.vendors import FISHAUDIO, KUGELAUDIO


async def test_a_cue_is_not_audio_that_the_vendor_owes(redis_url: str) -> None:
    """The producer flushes behind a cue, and its LLM pauses for longer than any audio may take."""
    async with rig(redis_url, row=FISHAUDIO) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t") as turn:
            await turn.send("Hi! [laughing very softly, as if to nobody but itself, and then once more]")
            await turn.flush()
            await way.until_heard("s", "Hi!")
            await asyncio.sleep(2500 * MS)  # a tool call: this is the thing under test
            await turn.send(" There.")
        heard = await way.hear("s", "t")
        assert heard.words("t") == ["Hi!", "There."]
        assert heard.of("t", Splice) == []


async def test_a_turn_that_is_handed_over_while_the_llm_pauses_is_not_begun_again(redis_url: str) -> None:
    """Words whose times come behind their audio are published though no audio follows."""
    worker = {"lease_s": 400 * MS, "drain_s": 0.0}
    async with rig(redis_url, row=KUGELAUDIO, worker=worker) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t") as turn:
            await turn.send("One two three.")
            await turn.flush()
            await way.until_heard("s", "three.")
            await way.until_spoken("s", len("One two three."))
            await way.start_worker()
            way.stops[0].set()
            await way.runs[0]
            await turn.send(" Four.")
        heard = await way.hear("s", "t")
        assert heard.words("t") == ["One", "two", "three.", "Four."]
        (splice,) = heard.of("t", Splice)
        assert splice.spoken == len("One two three.")
        assert splice.offset > 0.9 * max(event.offset for event in heard.of("t", Audio) if event.cursor.attempt == 1)


async def test_a_stall_is_noticed_when_a_listener_runs_dry_however_long_the_first_audio_might_have_taken(
    redis_url: str,
) -> None:
    behaviour = Behaviour(speed=4.0, fault=Fault(Kind.STALL, 3), faulty_requests=1)
    account = {"first_audio_s": 30.0, "pause_s": 30.0, "stall_s": 100 * MS}
    async with rig(redis_url, behaviour=behaviour, account=account) as way:
        began = time.monotonic()
        await way.say("s", "t", "One two three four five six seven eight nine ten.")
        heard = await way.hear("s", "t")
        assert time.monotonic() - began < 10
        assert heard.words("t") == "One two three four five six seven eight nine ten.".split()
        assert heard.ends["t"].reason is State.DONE
        assert "overdue" in heard.of("t", Splice)[0].cause


async def test_a_vendor_that_never_begins_is_noticed_while_the_llm_goes_on(redis_url: str) -> None:
    behaviour = Behaviour(fault=Fault(Kind.STALL), faulty_requests=1)
    async with rig(redis_url, row=KUGELAUDIO, behaviour=behaviour) as way, way.speaker() as speaker:
        async with speaker.turn("s", turn="t") as turn:
            for number in range(60):
                await turn.send(f"Sentence number {number} is here. ")
            await way.until_heard("s", "Sentence")
        heard = await way.hear("s", "t")
        assert len(heard.words("t")) == 60 * 5
