# ruff: noqa: PT012 - what is tested is how blocks are left
"""The blocking front does what the asynchronous one does, from any thread."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from saystream.common.errors import (
    InvalidRequest,
    InvalidToken,
    RedisUnavailable,
    SaystreamError,
    TurnEnded,
    TurnError,
    TurnInterrupted,
)
from saystream.common.keys import keys_of
from saystream.common.states import State
from saystream.producer import BlockingSpeaker, BlockingTurn
from tests.servers import MakeRedis
from tests.timing import MS


@pytest.fixture
def speaker(redis_url: str) -> Iterator[BlockingSpeaker]:
    with BlockingSpeaker.connect(redis_url) as speaker:
        yield speaker
    assert "saystream" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def tokens_of(client: "redis.Redis", turn: BlockingTurn) -> list[dict[bytes, bytes]]:
    execute: Callable[..., Any] = client.execute_command
    return [fields for _, fields in execute("XRANGE", keys_of(turn.session, 1).tokens(turn.id), "-", "+")]


def text_of(client: "redis.Redis", turn: BlockingTurn) -> str:
    return "".join(fields[b"text"].decode() for fields in tokens_of(client, turn) if b"text" in fields)


def state_of(client: "redis.Redis", turn: BlockingTurn) -> str:
    state = client.hget(keys_of(turn.session, 1).turn(turn.id), "state")
    assert isinstance(state, bytes)
    return state.decode()


def test_tokens_arrive_and_leaving_ends(speaker: BlockingSpeaker, client: "redis.Redis") -> None:
    with speaker.turn("s", turn="t") as turn:
        turn.send("one ")
        turn.flush()
        turn.say(iter(["two ", "three "]))
        turn.say("four")
        assert turn.opened.state is State.READY
    assert (turn.id, turn.session) == ("t", "s")
    assert text_of(client, turn) == "one two three four"
    assert b"end" in tokens_of(client, turn)[-1]
    with pytest.raises(TurnEnded):
        turn.send("late")
    turn.end()


def test_say_and_interrupt_in_one_call(speaker: BlockingSpeaker, client: "redis.Redis") -> None:
    turn = speaker.say("s", ["Good ", "evening."])
    assert text_of(client, turn) == "Good evening."
    (cut,) = speaker.interrupt("s")
    assert cut.turn == turn.id
    assert speaker.interrupt("s", turn.id) == (cut,)
    assert turn.interrupt() == cut


def test_an_exception_interrupts_and_goes_on(speaker: BlockingSpeaker, client: "redis.Redis") -> None:
    turn = speaker.turn("s")
    with pytest.raises(ValueError, match="mine"), turn:
        turn.send("half a ")
        raise ValueError("mine")
    assert state_of(client, turn) == "interrupted"


def test_errors_are_those_of_the_asynchronous_front(speaker: BlockingSpeaker) -> None:
    with pytest.raises(InvalidRequest):
        speaker.turn("two words")
    with pytest.raises(TurnError, match="not opened"):
        speaker.turn("s").send("a")
    with speaker.turn("s") as turn:
        with pytest.raises(InvalidToken):
            turn.send(b"a")  # type: ignore[arg-type]
        turn.interrupt()
        with pytest.raises(TurnInterrupted):
            turn.send("a")


def test_a_generator_is_closed_when_its_turn_is_interrupted(speaker: BlockingSpeaker) -> None:
    closed = []

    def llm() -> Iterator[str]:
        try:
            while True:
                yield "more "
        finally:
            closed.append(True)

    source = llm()  # held on to: else it would be closed when nobody has it any more
    with pytest.raises(TurnInterrupted), speaker.turn("s") as turn:
        speaker.interrupt("s")
        turn.say(source)
    assert closed == [True]


def test_many_threads_may_use_one_speaker(speaker: BlockingSpeaker, client: "redis.Redis") -> None:
    def one(number: int) -> BlockingTurn:
        with speaker.turn(f"session-{number}") as turn:
            for token in range(20):
                turn.send(f"{number}/{token} ")
        return turn

    with ThreadPoolExecutor(16) as threads:
        turns = list(threads.map(one, range(64)))
    for number, turn in enumerate(turns):
        assert text_of(client, turn) == "".join(f"{number}/{token} " for token in range(20))


def test_several_threads_may_send_to_one_turn(speaker: BlockingSpeaker, client: "redis.Redis") -> None:
    with speaker.turn("s") as turn, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: turn.send("a"), range(200)))
    assert text_of(client, turn) == "a" * 200


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises, also where these tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_interrupts_a_call_that_waits(make_redis: MakeRedis) -> None:
    server = make_redis()
    stopped = threading.Event()

    def press_ctrl_c() -> None:
        outbox = turn._turn._outbox
        while not (outbox and outbox._moved._waiters):  # the loop's own list of who waits, and no event tells
            time.sleep(MS)
        os.kill(os.getpid(), signal.SIGINT)
        stopped.wait(10)
        os.kill(server.pid, signal.SIGCONT)

    with BlockingSpeaker.connect(server.url, patience_s=30, outbox_bytes=1) as speaker:
        turn = speaker.turn("s")
        turn.open()
        os.kill(server.pid, signal.SIGSTOP)
        turn.send("a")
        pressing = threading.Thread(target=press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            pressing.start()
            turn.send("b")
        stopped.set()
        pressing.join()
        turn.send("c")
        turn.end()
        with redis.Redis.from_url(server.url) as client:
            assert text_of(client, turn) == "ac"


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_in_the_block_interrupts_the_turn(speaker: BlockingSpeaker, client: "redis.Redis") -> None:
    turn = speaker.turn("s")
    with pytest.raises(KeyboardInterrupt), turn:
        turn.send("half a ")
        signal.raise_signal(signal.SIGINT)
    assert state_of(client, turn) == "interrupted"


def test_closing_from_another_thread_ends_a_call_that_waits(make_redis: MakeRedis) -> None:
    server = make_redis()
    with BlockingSpeaker.connect(server.url, patience_s=400 * MS, outbox_bytes=1) as speaker:
        turn = speaker.turn("s")
        turn.open()
        server.stop()
        turn.send("a")
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(turn.send, "b")
            speaker.close()
            with pytest.raises(SaystreamError):
                waiting.result(10)


def test_it_works_inside_its_block_only_and_once(redis_url: str) -> None:
    speaker = BlockingSpeaker.connect(redis_url)
    with pytest.raises(SaystreamError, match="not connected: enter it with `with`"):
        speaker.say("s", "a")
    with speaker, pytest.raises(SaystreamError, match="entered once"):
        speaker.__enter__()
    with pytest.raises(SaystreamError, match="not connected"):
        speaker.say("s", "a")
    with pytest.raises(SaystreamError, match="entered once"):
        speaker.__enter__()
    speaker.close()


FORKING = """
import os, signal, sys
from saystream.common.errors import SaystreamError
from saystream.producer import BlockingSpeaker

with BlockingSpeaker.connect(sys.argv[1]) as speaker:
    if child := os.fork():
        told = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
        sys.exit(0 if told and speaker.interrupt("s") == () else 1)
    signal.alarm(10)  # whatever happens, nobody waits for it longer
    try:
        speaker.interrupt("s")
    except SaystreamError:
        os._exit(42)
    finally:
        os._exit(1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_after_a_fork_the_child_is_told_instead_of_waiting_for_ever(redis_url: str) -> None:
    """In a process of its own: what else is loaded into this one may not bear a fork."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, redis_url]
    assert subprocess.run(command, timeout=30 * 1000 * MS, check=False).returncode == 0


def test_a_redis_that_is_not_there_leaves_no_thread_behind() -> None:
    with pytest.raises(RedisUnavailable, match="cannot be used"), BlockingSpeaker.connect("redis://127.0.0.1:1"):
        pass
    assert "saystream" not in {thread.name for thread in threading.enumerate()}


def test_its_repr_is_a_sentence(speaker: BlockingSpeaker) -> None:
    assert repr(speaker).startswith("<BlockingSpeaker at ")
    assert repr(speaker.turn("s", turn="t")) == "<BlockingTurn t of session s [not opened]>"
