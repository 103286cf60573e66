"""The judge of the chaos test is just: it finds nothing where all is well, and every promise that a part has broken."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from saystream.common.redis_client import call, connect
from saystream.compose.standin import Behaviour, Fault, Kind
from saystream.consumer import listen
from tests.chaos.case import Promise
from tests.chaos.evidence import FaultKind
from tests.chaos.small import PATIENCE_WITH_BROKEN_S, Listen, SmallRun, small_run
from tests.chaos.variants import bounds, order, resume, retries, silence, waiting, words
from tests.chaos.variants.breaking import Break

#: Words so long that a cut falls into one of them.
LONG = "incomprehensibilities counterrevolutionaries deinstitutionalization electroencephalograms uncharacteristically"


def _name(item: object) -> str:
    return getattr(item, "__name__", "")


Scenario = Callable[[SmallRun], Awaitable[None]]


async def spoken(run: SmallRun) -> None:
    """A turn, with nothing special about it."""
    run.hear("s")
    await run.say("s", "t")


async def in_a_row(run: SmallRun) -> None:
    """Three turns, of which two wait."""
    run.hear("s")
    for turn in ("first", "second", "third"):
        await run.say("s", turn, "One two three four five.")


async def taken_over(run: SmallRun) -> None:
    """A worker is cut off from Redis in mid-turn, and another one goes on."""
    run.hear("s")
    await run.say("s", "t", LONG)
    await run.until_within_a_word("s")
    async with run.fault(FaultKind.WORKER_CUT_OFF), run.wire.refusing():
        await run.way.start_worker()
        await run.until_taken_over("s")


async def interrupted(run: SmallRun) -> None:
    """A turn is interrupted in the middle, twice; another one was waiting behind it."""
    run.hear("s")
    await run.say("s", "t")
    await run.say("s", "next", "It waits.")
    await run.until_spoken("s")
    await run.interrupt("s", "t")
    await run.interrupt("s", "t")


async def interrupted_behind_its_back(run: SmallRun) -> None:
    """A turn is interrupted while its worker cannot hear of it."""
    run.hear("s")
    await run.say("s", "t")
    await run.until_spoken("s")
    with run.wire.silent():
        await run.way.standin.stats.until(lambda stats: stats.requests[-1].words > 10)
        await run.interrupt("s", "t")


async def silenced(run: SmallRun) -> None:
    """A session is interrupted in which one turn speaks and another one waits."""
    run.hear("s")
    await run.say("s", "t")
    await run.say("s", "next", "It waits.")
    await run.until_spoken("s")
    await run.interrupt("s")


async def came_back(run: SmallRun) -> None:
    """A consumer stops in mid-turn, and comes back with its cursor."""
    run.hear("s")
    run.hear("s", "traveller")
    await run.say("s", "t")
    await run.until_spoken("s")
    await run.stop_hearing("s", "traveller")
    await run.until_spoken("s", 50)
    run.hear("s", "traveller")


async def trimmed(run: SmallRun) -> None:
    """Entries are taken out of the stream before a consumer has read them."""
    run.hear("s")
    run.hear("s", "traveller")
    await run.say("s", "t")
    await run.until_spoken("s")
    await run.stop_hearing("s", "traveller")
    await run.until_spoken("s", 50)
    async with aclosing(connect(run.way.url)) as redis:
        await call(redis, "XTRIM", "saystream:{0}:audio:s", "MAXLEN", 5)
    run.hear("s", "traveller")


async def opened_again(run: SmallRun) -> None:
    """A producer comes back and says the same again."""
    run.hear("s")
    await run.say("s", "t")
    await run.say("s", "t")


async def refused(run: SmallRun) -> None:
    """The vendor refuses to speak."""
    run.hear("s")
    run.way.standin.behaviour = Behaviour(fault=Fault(Kind.ERROR, code=1011, message="No such voice"))
    async with run.fault(FaultKind.VENDOR):
        await run.say("s", "t")
        await run.until_ended()


async def left_alone(run: SmallRun) -> None:
    """A turn is interrupted that the vendor would speak for long."""
    run.way.standin.behaviour = Behaviour(speed=1.0)
    run.hear("s")
    await run.say("s", "t")
    await run.until_spoken("s", 4)
    await run.interrupt("s", "t")


ALL = (
    spoken,
    in_a_row,
    taken_over,
    interrupted,
    interrupted_behind_its_back,
    silenced,
    came_back,
    opened_again,
    refused,
)


@pytest.mark.parametrize("scenario", ALL, ids=_name)
async def test_it_finds_nothing_where_all_is_well(redis_url: str, tmp_path: Path, scenario: Scenario) -> None:
    async with small_run(redis_url, tmp_path) as (run, judged):
        await scenario(run)
    assert judged.verdict
    assert judged.verdict.violations == []
    assert judged.broken_workers == []
    assert judged.verdict.turns


BROKEN: tuple[tuple[Break, Scenario, Promise, str], ...] = (
    (words.goes_on_where_the_audio_ends, taken_over, Promise.WORDS, "words are broken"),
    (words.forgets_what_is_spoken, taken_over, Promise.WORDS, "6 words are spoken for the 5 of the text"),
    (words.starts_anew, taken_over, Promise.WORDS, "words had begun that begin again"),
    (words.loses_an_accepted_token, spoken, Promise.WORDS, "were acknowledged"),
    (words.captions_point_elsewhere, spoken, Promise.WORDS, "overlap"),
    (silence.returns_before_redis_has_acted, interrupted, Promise.SILENCE, "samples, and the turn has"),
    (silence.forgets_those_who_wait, silenced, Promise.SILENCE, "returned before it had ended"),
    (silence.climbs_over_the_fence, interrupted_behind_its_back, Promise.SILENCE, "stands behind its end"),
    (order.lets_two_speak_at_once, in_a_row, Promise.ORDER, "comes before first has ended"),
    (order.lets_the_last_go_first, in_a_row, Promise.ORDER, "comes before second, which has not ended"),
    (retries.numbers_a_repeated_token_anew, spoken, Promise.RETRY, "was never sent"),
    (retries.gives_a_known_turn_another_number, opened_again, Promise.RETRY, "several numbers"),
    (retries.ends_twice, spoken, Promise.RETRY, "2 ends"),
    (retries.cuts_again, interrupted, Promise.RETRY, "different cuts"),
    (waiting.never_looks_for_abandoned_turns, taken_over, Promise.NOTHING_WAITS, "still speaking at the end"),
    (waiting.buries_nothing, refused, Promise.NOTHING_WAITS, "not among the dead letters"),
    (waiting.fails_for_nothing, spoken, Promise.NOTHING_WAITS, "no fault explains it"),
    (waiting.interrupts_unasked, spoken, Promise.NOTHING_WAITS, "nobody has asked for that"),
    (bounds.lets_nothing_expire, spoken, Promise.BOUNDED, "never expires"),
    (bounds.never_acknowledges, spoken, Promise.BOUNDED, "the message"),
    (bounds.keeps_its_place, spoken, Promise.BOUNDED, "the place"),
    (bounds.leaves_streams_open, left_alone, Promise.BOUNDED, "streams of speech"),
)


@pytest.mark.parametrize(("broken", "scenario", "promise", "sentence"), BROKEN, ids=_name)
async def test_it_notices_a_part_that(
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: Break,
    scenario: Scenario,
    promise: Promise,
    sentence: str,
) -> None:
    async with small_run(redis_url, tmp_path, patience_s=PATIENCE_WITH_BROKEN_S) as (run, judged):
        broken(monkeypatch)
        await scenario(run)
    assert judged.verdict
    told = [violation.sentence for violation in judged.verdict.violations if violation.promise is promise]
    assert any(sentence in one for one in told), str(judged.verdict)


LISTENERS: tuple[tuple[Listen, Scenario, str], ...] = (
    (resume.skips_one, came_back, "it has missed 1 entries"),
    (resume.repeats_one, came_back, "came behind"),
    (resume.damages_audio, came_back, "is another entry in Redis"),
    (resume.keeps_gaps_to_itself, trimmed, "it has missed"),
    (listen, trimmed, "nothing was lost"),  # entries are lost where nothing is trimmed
)


@pytest.mark.parametrize(("listener", "scenario", "sentence"), LISTENERS, ids=_name)
async def test_it_notices_a_listener_that(
    redis_url: str, tmp_path: Path, listener: Listen, scenario: Scenario, sentence: str
) -> None:
    async with small_run(redis_url, tmp_path, listen=listener, patience_s=PATIENCE_WITH_BROKEN_S) as (run, judged):
        await scenario(run)
    assert judged.verdict
    told = [violation.sentence for violation in judged.verdict.violations if violation.promise is Promise.RESUME]
    assert any(sentence in one for one in told), str(judged.verdict)
