"""Promise 1 across vendors: a turn survives its vendor in mid-word, with nothing lost and nothing said twice."""

import itertools

import pytest

from saystream.common.events import Splice
from saystream.common.states import State
from saystream.compose.standin import Behaviour, Fault, Kind, StandIn
from tests.rig import rig
from tests.timing import MS
from tests.vendors import FISHAUDIO, GRADIUM, KUGELAUDIO, VENDORS, Row

STORY = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. " * 3
PAIRS = [pytest.param(one, other, id=f"{one}-to-{other}") for one, other in itertools.permutations(VENDORS, 2)]
FAULTS = [
    Fault(Kind.CUT, 20),
    Fault(Kind.STALL, 20),
    Fault(Kind.CLOSE, 20, 1011, "going down"),
    Fault(Kind.LIMIT),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.kind))
@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_a_vendor_that_fails_in_mid_turn_is_relieved_by_another(
    redis_url: str, first: Row, second: Row, fault: Fault
) -> None:
    """Formats that differ are converted: the second vendor may not offer the rate that the turn has begun with."""
    async with StandIn(engine="marker") as spare:
        providers = {"spare": second.provider(spare)}
        voices = {
            "default": {"provider": first.vendor, "voice_id": "marker", "sample_rate": 22_050, "fallback": ["spare"]},
            "spare": {"provider": "spare", "voice_id": "marker-2"},
        }
        behaviour = Behaviour(speed=20.0, fault=fault)
        async with StandIn(engine="marker", behaviour=behaviour) as failing:
            providers[first.vendor] = first.provider(failing)
            async with rig(redis_url, providers=providers, voices=voices) as way:
                await way.say("s", "t", STORY)
                heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].reason is State.DONE
        assert heard.of("t", Splice)[-1].voice == "spare"
        assert first.vendor in heard.of("t", Splice)[-1].cause


async def test_an_open_breaker_sends_turns_to_the_fallback_without_asking_the_vendor(redis_url: str) -> None:
    async with (
        StandIn(engine="marker") as spare,
        rig(
            redis_url,
            providers={
                "gradium": {"url": "ws://127.0.0.1:9/", "api_key": "k", "breaker_failures": 1, "breaker_s": 60.0},
                "spare": KUGELAUDIO.provider(spare),
            },
            voices={
                "default": {"provider": "gradium", "voice_id": "marker", "fallback": ["spare"]},
                "spare": {"provider": "spare", "voice_id": "marker"},
            },
        ) as way,
    ):
        await way.until_breaker("gradium", "open")
        await way.say("s", "t", STORY)
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        [splice] = heard.of("t", Splice)
        assert splice.voice == "spare"
        assert splice.cause.startswith("gradium: not asked for now, after: cannot connect to ws://127.0.0.1:9/")


@pytest.mark.parametrize(("late", "quick"), [(GRADIUM, FISHAUDIO), (FISHAUDIO, KUGELAUDIO), (KUGELAUDIO, GRADIUM)])
async def test_a_late_first_audio_is_overtaken_by_the_hedge(redis_url: str, late: Row, quick: Row) -> None:
    """The first to speak wins, the other is cancelled, and both are counted."""
    async with (
        StandIn(engine="marker", behaviour=Behaviour(first_audio_delay_s=600 * MS)) as slow,
        StandIn(engine="marker") as fast,
        rig(
            redis_url,
            providers={"late": late.provider(slow), "quick": quick.provider(fast)},
            voices={
                "default": {
                    "provider": "late",
                    "voice_id": "marker",
                    "hedge_ms": 100 * MS * 1000,
                    "hedge_voice": "quick",
                },
                "quick": {"provider": "quick", "voice_id": "marker"},
            },
        ) as way,
    ):
        await way.say("s", "t", STORY)
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.ends["t"].reason is State.DONE
        assert [splice.voice for splice in heard.of("t", Splice)] == ["quick"]
        counts = {report.provider: report for report in way.workers[0].reports()}
        assert (counts["late"].hedges, counts["late"].hedges_won) == (1, 1)
        await slow.stats.until(
            lambda stats: stats.requests_aborted + stats.requests_failed + stats.requests_completed == 1
        )


async def test_a_hedge_that_is_overtaken_is_cancelled(redis_url: str) -> None:
    """Here it races on another connection of the same account."""
    voice = {"hedge_ms": 100 * MS * 1000}
    async with rig(redis_url, behaviour=Behaviour(first_audio_delay_s=300 * MS, speed=20.0), voice=voice) as way:
        await way.say("s", "t", STORY)
        heard = await way.hear("s", "t")
        assert heard.words("t") == STORY.split()
        assert heard.of("t", Splice) == []
        (report,) = way.workers[0].reports()
        assert (report.hedges, report.hedges_won) == (1, 0)
        assert sorted(request.outcome for request in way.standin.stats.requests) == ["aborted", "completed"]


async def test_a_first_audio_in_time_starts_no_hedge(redis_url: str) -> None:
    async with rig(redis_url, voice={"hedge_ms": 5000.0}) as way:
        await way.say("s", "t", STORY)
        await way.hear("s", "t")
        assert way.standin.stats.requests_started == 1
        (report,) = way.workers[0].reports()
        assert (report.hedges, report.hedges_won) == (0, 0)
