"""Which turns a worker that drains hands over."""

from typing import Any

from saystream.common.ids import TurnRef, session_id, turn_id
from saystream.common.ledger import Message
from saystream.common.reports import Roll, WorkerReport
from saystream.workers.hand_off import placed
from saystream.workers.leases import Held


def turns(count: int, voice: str = "narrator") -> list[Held]:
    refs = [TurnRef(session_id("s"), turn_id(f"{voice}-{number}")) for number in range(count)]
    return [Held(Message(0, f"{number}-0", ref, voice)) for number, ref in enumerate(refs)]


def worker(name: str, **report: Any) -> WorkerReport:
    return WorkerReport(worker=name, **{"slots": 10, "voices": {"narrator": 24_000}, **report})


def test_no_more_than_others_have_room_for() -> None:
    ours = turns(5)
    assert placed(ours, [worker("a", turns=9), worker("b", turns=8)]) == ours[:3]
    assert placed(ours, [worker("full", turns=10), worker("overfull", turns=12)]) == []
    assert placed(ours, []) == []


def test_only_to_those_that_can_speak_the_turns_voice_now() -> None:
    narrators, guides = turns(2), turns(2, "guide")
    others = [worker("a", slots=1), worker("b", slots=1, voices={"guide": 24_000}), worker("unwell", voices={})]
    assert placed([*narrators, *guides], others) == [narrators[0], guides[0]]


def test_neither_to_ourselves_nor_to_those_that_drain() -> None:
    roll = Roll(0, (worker("ours"), worker("draining", draining=True), worker("other")))
    assert [report.worker for report in roll.beside("ours")] == ["other"]
