"""What is said is spoken, as it is written; a session can be followed, silenced and looked into."""

import signal
import time
import wave
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from saystream.compose.standin.marker import decode
from tests.compose.cli_process import House, house, objects

LONG = "One two three four five six seven eight nine ten. " * 120
NUMBERS = count(1)


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    """A house in which everything is up, at 20 times real time."""
    with house() as made, made.up():
        yield made


@pytest.fixture
def session() -> str:
    return f"session-{next(NUMBERS)}"


def heard(path: Path) -> list[str]:
    """The words that a recording of the marker voice holds."""
    with wave.open(str(path)) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), dtype=np.int16)
        decoded = decode(samples, recording.getframerate())
    assert decoded.faults == []
    return [word.text for word in decoded.words]


def test_say_prints_where_how_long_and_how_much(home: House, session: str) -> None:
    said = home.run("say", "--session", session, "--voice", "marker", "Every", "word counts.", "--out", "a.wav")
    assert (said.returncode, said.stderr) == (0, "")
    first, last = said.stdout.splitlines()
    assert first.startswith(f"session {session}  turn ")
    with wave.open(str(home.directory / "a.wav")) as recording:
        length_s = recording.getnframes() / recording.getframerate()
    assert last == f"3 of 3 words spoken, {length_s:.2f} s of audio: a.wav"
    assert heard(home.directory / "a.wav") == ["Every", "word", "counts."]


def test_piped_text_is_spoken_while_it_is_being_written(home: House, session: str) -> None:
    with (
        home.start("listen", session, "--from", "beginning", "--json") as listening,
        home.start("say", "--session", session, "--voice", "marker", "--json", "--out", "b.wav") as saying,
    ):
        # No line has ended, and the last letter is not even whole: the first half of an é.
        saying.write(b"The first half is already spoken, while caf\xc3")
        listening.until(lambda event: any(word["text"] == "already" for word in event.get("words", [])))
        listening.until(lambda event: event["event"] == "audio")
        assert saying.process.poll() is None
        saying.write(b"\xa9s still wait.")
        assert saying.end() == 0
        end = saying.until(lambda event: event["event"] == "end")
        assert listening.until(lambda event: event["event"] == "end")["samples"] == end["samples"]
        listening.process.send_signal(signal.SIGINT)
        assert listening.end() == 130
        assert listening.errors() == ""
    assert heard(home.directory / "b.wav") == "The first half is already spoken, while cafés still wait.".split()
    assert end["words_spoken"] == end["words"] == 10


def test_a_file_can_be_said(home: House, session: str) -> None:
    (home.directory / "story.txt").write_text("Once upon a time.")
    (opened, end) = objects(home.run("say", "--file", "story.txt", "--voice", "marker", "--json").stdout)
    assert opened["session"].startswith("say-")
    assert (end["reason"], end["characters"], end["spoken"]) == ("done", 17, 17)


def test_an_unknown_voice_is_refused_with_those_that_are_known(home: House) -> None:
    refused = home.run("say", "--voice", "baritone", "La.")
    assert refused.returncode == 2
    assert "'baritone'; known are: default, fishaudio, kugelaudio, marker, narrator" in refused.stderr


def test_saying_the_same_again_with_the_same_turn_changes_nothing(home: House, session: str) -> None:
    again = ("say", "--session", session, "--turn", f"{session}-t", "--voice", "marker", "--json", "Just once.")
    ends = [objects(home.run(*again).stdout)[-1] for _ in range(2)]
    assert ends[0]["samples"] == ends[1]["samples"] > 0
    assert [end["reason"] for end in ends] == ["done", "done"]


def test_no_wait_returns_before_it_is_spoken(home: House, session: str) -> None:
    sent = home.run("say", "--session", session, "--voice", "marker", "--no-wait", LONG)
    assert sent.returncode == 0
    turn = sent.stdout.split()[-1]
    (record,) = objects(home.run("inspect", turn, "--json").stdout)
    assert record["state"] in ("ready", "speaking")
    assert home.run("interrupt", session).returncode == 0


def test_interrupt_silences_what_speaks_and_what_waits(home: House, session: str) -> None:
    with (
        home.start("listen", session, "--from", "beginning", "--json") as listening,
        home.start("say", "--session", session, "--voice", "marker", "--json", LONG) as first,
        home.start("listen", session, "--from", "beginning") as captions,
    ):
        speaking = first.object()["turn"]
        waiting = home.run("say", "--session", session, "--voice", "marker", "--no-wait", "Later.").stdout.split()[-1]
        listening.until(lambda event: event["event"] == "audio" and event["spoken"] > 20)
        (record,) = objects(home.run("inspect", speaking, "--json").stdout)
        assert record["state"] == "speaking"
        assert 20 < record["spoken"] < record["characters"] == len(LONG)

        cuts = {cut["turn"]: cut for cut in objects(home.run("interrupt", session, "--json").stdout)}
        assert list(cuts) == [speaking, waiting]
        assert (cuts[waiting]["samples"], cuts[waiting]["spoken"]) == (0, 0)
        assert first.end() == 1
        end = first.object()
        assert (end["reason"], end["samples"], end["spoken"]) == ("interrupted", *amount(cuts[speaking]))
        assert captions.line().startswith("One two three four ")
        assert amount(listening.until(lambda event: event["event"] == "end")) == amount(cuts[speaking])

    shown = home.run("inspect", speaking).stdout
    assert "interrupted" in shown
    assert "│" in shown
    assert home.run("interrupt", session).stdout == f"nothing speaks or waits in session {session}\n"


def test_what_waits_can_be_interrupted_alone(home: House, session: str) -> None:
    with home.start("say", "--session", session, "--voice", "marker", "--json") as first:
        first.write(b"One two ")
        speaking = first.object()["turn"]
        waiting = home.run("say", "--session", session, "--voice", "marker", "--no-wait", "Later.").stdout.split()[-1]
        [cut] = objects(home.run("interrupt", session, "--waiting", "--json").stdout)
        assert (cut["turn"], cut["heard"], cut["played"]) == (waiting, None, None)
        assert home.run("interrupt", session, "--waiting").stdout == f"nothing waits in session {session}\n"
        assert first.end() == 0
        assert first.object()["turn"] == speaking


def amount(described: dict[str, int]) -> tuple[int, int]:
    return described["samples"], described["spoken"]


def test_interrupt_says_for_people_where_it_cut(home: House, session: str) -> None:
    turn = home.run("say", "--session", session, "--voice", "marker", "--no-wait", LONG).stdout.split()[-1]
    assert home.run("interrupt", session, "--turn", turn).stdout.startswith(f"turn {turn}  interrupted after ")
    failed = home.run("interrupt", session, "--turn", "no-such-turn")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("saystream: turn no-such-turn: No such turn")


def test_ctrl_c_of_say_interrupts_the_turn(home: House, session: str) -> None:
    with home.start("say", "--session", session, "--voice", "marker", "--json") as saying:
        saying.write(LONG.encode())
        turn = saying.object()["turn"]
        saying.process.send_signal(signal.SIGINT)
        assert saying.process.wait() == 130
        end = saying.object()
        assert (end["event"], end["turn"], end["reason"]) == ("end", turn, "interrupted")
        assert saying.errors() == ""
    (record,) = objects(home.run("inspect", turn, "--json").stdout)
    assert record["state"] == "interrupted"


def test_on_busy_interrupt_takes_the_place_of_what_speaks(home: House, session: str) -> None:
    with home.start("say", "--session", session, "--voice", "marker", "--json", LONG) as first:
        first.object()
        refused = home.run("say", "--session", session, "--voice", "marker", "--on-busy", "refuse", "No.")
        assert refused.returncode == 1
        assert f"session {session} is speaking turn" in refused.stderr
        (_, end) = objects(
            home.run("say", "-s", session, "--voice", "marker", "--on-busy", "interrupt", "--json", "Me!").stdout
        )
        assert end["reason"] == "done"
        assert first.end() == 1
        assert first.object()["reason"] == "interrupted"


def test_listen_goes_on_behind_a_cursor(home: House, session: str) -> None:
    home.run("say", "--session", session, "--voice", "marker", "Again and again.")
    everything = objects(home.run("listen", session, "--from", "beginning", "--until-end", "--json").stdout)
    assert [everything[0]["event"], everything[-1]["event"]] == ["begin", "end"]
    assert all("data" not in event for event in everything)
    middle = len(everything) // 2
    rest = home.run("listen", session, "--from", everything[middle]["cursor"], "--until-end", "--json").stdout
    assert objects(rest) == everything[middle + 1 :]


def test_a_listener_with_a_name_is_followed_like_any_other(home: House, session: str) -> None:
    home.run("say", "--session", session, "--voice", "marker", "Word for word.")
    shown = home.run("listen", session, "--from", "beginning", "--until-end", "--name", "display")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "Word for word.\n", "")


def test_listen_shows_captions_and_records(home: House, session: str) -> None:
    home.run("say", "--session", session, "--voice", "marker", "Word for word.")
    shown = home.run("listen", session, "--from", "beginning", "--until-end", "--out", "c.wav")
    assert (shown.returncode, shown.stdout) == (0, "Word for word.\n")
    assert shown.stderr.startswith("c.wav: ")
    assert heard(home.directory / "c.wav") == ["Word", "for", "word."]


def test_a_reader_that_goes_away_ends_listen_in_silence(home: House, session: str) -> None:
    home.run("say", "--session", session, "--voice", "marker", LONG[:100])
    with home.start("listen", session, "--from", "beginning", "--json") as listening:
        listening.object()
        assert listening.process.stdout is not None
        listening.process.stdout.close()
        home.run("say", "--session", session, "--voice", "marker", LONG[:100])
        assert listening.end() == 128 + signal.SIGPIPE
        assert listening.errors() == ""


def test_say_tells_whoever_waits_that_there_may_be_no_worker(redis_url: str) -> None:
    with house() as empty, empty.start("say", "--redis", redis_url, "Hello?") as saying:
        started = time.monotonic()
        assert saying.process.stderr is not None
        assert b"is one running?" in saying.process.stderr.readline()
        assert time.monotonic() - started < 10
        saying.process.send_signal(signal.SIGINT)
        assert saying.end() == 130
