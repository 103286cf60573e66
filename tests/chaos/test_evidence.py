"""Evidence survives its writers: what was noted is read, whoever was killed meanwhile."""

from pathlib import Path

import pytest

from saystream.common.audio import AudioFormat
from saystream.common.events import Audio, Begin, End, Splice, Word, Words
from saystream.common.ids import EntryId
from saystream.common.ledger import Cut
from saystream.common.states import State
from saystream.consumer import Event, Gap
from tests.chaos.case import Case
from tests.chaos.checker import judge
from tests.chaos.checks import waiting
from tests.chaos.evidence import (
    Complete,
    Evidence,
    FaultKind,
    FaultSet,
    FinalEntry,
    Heard,
    Interrupted,
    Listening,
    Run,
    Witness,
)

EVENTS: list[Event] = [
    Begin(EntryId.of(7, 1, 0), "t", AudioFormat(), "default", {"a": "b"}),
    Audio(EntryId.of(7, 1, 1), "t", 0, 2, 3, 1, b"\0\1\2\3"),
    Words(EntryId.of(7, 1, 2), "t", 2, 3, 1, (Word("one", 0, 3, 0, 1),)),
    Splice(EntryId.of(7, 2, 0), "t", 1, 3, "it broke", "other"),
    Audio(EntryId.of(7, 2, 1), "t", 1, 0, 3, 1, b""),
    End(EntryId.of(7, 2, 2), "t", State.DONE, 1, 3, ""),
    Gap(EntryId.of(8, 0, 0), None, EntryId.of(8, 1, 0)),
]


def heard(event: Event) -> Heard:
    return Heard(consumer="c", session="s", event=event)


def test_what_was_noted_is_read_as_it_was(tmp_path: Path) -> None:
    with Witness(tmp_path, "consumer") as witness:
        for event in EVENTS:
            witness.note(heard(event))
            witness.note(FinalEntry(session="s", event=event))
        witness.note(Interrupted(call=1, session="s", cuts=[Cut("t", 7, 2, 3, State.DONE)]))
        witness.note(FaultSet(fault=1, kind=FaultKind.WORKER_KILLED))
    read = Evidence(tmp_path)
    assert [one.event for one in read.heard("s")] == EVENTS
    assert read.output("s") == EVENTS
    assert read.of(Interrupted)[0].cuts == [Cut("t", 7, 2, 3, State.DONE)]
    assert read.of(FaultSet)[0].kind is FaultKind.WORKER_KILLED
    assert {one.process for one in read.heard("s")} == {"consumer"}


def test_a_writer_that_was_killed_has_torn_its_last_line_at_most(tmp_path: Path) -> None:
    with Witness(tmp_path, "consumer") as witness:
        for event in EVENTS[:3]:
            witness.note(heard(event))
    path = tmp_path / "consumer.1.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    with Witness(tmp_path, "consumer") as witness:  # it comes back, and does not write behind the torn line
        witness.note(heard(EVENTS[3]))
    assert [one.event for one in Evidence(tmp_path).heard("s")] == [*EVENTS[:2], EVENTS[3]]


def test_any_other_torn_line_is_an_error(tmp_path: Path) -> None:
    with Witness(tmp_path, "consumer") as witness:
        witness.note(heard(EVENTS[0]))
    path = tmp_path / "consumer.1.jsonl"
    path.write_bytes(b'{"record":"He\n' + path.read_bytes())
    with pytest.raises(ValueError, match=r"consumer\.1\.jsonl, line 1"):
        Evidence(tmp_path)


def test_a_run_that_was_broken_off_is_not_judged(tmp_path: Path) -> None:
    with Witness(tmp_path, "harness") as witness:
        witness.note(Run(seed=1, lease_s=1.0))
    with pytest.raises(ValueError, match="not that of one complete run"):
        judge(tmp_path)
    with Witness(tmp_path, "harness") as witness:
        witness.note(Complete())
    assert judge(tmp_path).violations == []


def test_a_take_over_that_comes_late_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: a real worker would have to be kept from its work for as long as the bound is generous."""

    def sentences(folder: Path, late_s: float) -> list[str]:
        with Witness(folder, "all") as witness:
            for at_s, record in (
                (0.0, Run(seed=1, lease_s=1.0)),
                (1.0, Listening(consumer="c", session="s", start="beginning", steady=True)),
                *((10.0 + number / 10, heard(event)) for number, event in enumerate(EVENTS[:3])),
                (10.5, FaultSet(fault=1, kind=FaultKind.WORKER_KILLED, target="worker-1")),
                (10.5 + late_s, heard(EVENTS[3])),
            ):
                with monkeypatch.context() as clock:
                    clock.setattr("time.monotonic", lambda at_s=at_s: at_s)
                    witness.note(record)
        case = Case.of(Evidence(folder))
        return [violation.sentence for session in case.sessions() for violation in waiting.check(case, session)]

    assert sentences(tmp_path / "in time", 2.0) == []
    assert sentences(tmp_path / "late", 8.0) == ["it was taken over 8.0 s after worker killed worker-1 at 10.500"]
