"""A consumer that is slow, stopped or gone harms nobody: not Redis, not other consumers, not what is being said."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from saystream.common.redis_client import call
from saystream.consumer import BEGINNING
from saystream.consumer.place import BATCH
from tests.consumer.studio import Studio, heard
from tests.timing import eventually

#: Samples of one entry, and what it takes in Redis at most, in bytes.
SAMPLES, ENTRY_BYTES = 10_000, 20_500
TURNS, CHUNKS = 3, 3 * BATCH
PIECE_BYTES = 1 << 16


class Stopped:
    """A path to Redis whose near end stops in the middle of a large reply, until it is told to go on."""

    def __init__(self, path: Path, server: str) -> None:
        self.url = f"unix://{path}"
        self.goes_on = threading.Event()
        self._server = server
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen()
        self._sockets = [self._door]
        self._threads = [threading.Thread(target=self._let_in)]

    def __enter__(self) -> "Stopped":
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self.goes_on.set()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._sockets:
            end.close()

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.socket(socket.AF_UNIX)
                self._sockets += [near, far]
                far.connect(self._server)
                for pair in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._pass, args=(*pair, pair[0] is far))
                    self._threads.append(thread)
                    thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, stops: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE_BYTES):
                sink.sendall(data)
                passed += len(data)
                if stops and passed > PIECE_BYTES:
                    self.goes_on.wait()
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def stopped(studio: Studio, tmp_path: Path) -> Iterator[Stopped]:
    if not studio.url.startswith("unix://"):
        pytest.skip("the Redis that was given has no socket of this machine")
    with Stopped(tmp_path / "redis.sock", studio.url.removeprefix("unix://")) as made:
        yield made


async def held_for_clients(studio: Studio) -> int:
    """Return what Redis holds of replies that the slowest of its clients has not taken, in bytes."""
    return max(int(client["omem"]) for client in await call(studio.redis, "CLIENT LIST"))


async def clients(studio: Studio, count: int) -> bool:
    return len(await call(studio.redis, "CLIENT LIST")) == count


async def say(studio: Studio, turn: str) -> None:
    speech = await studio.begin(turn)
    for value in range(CHUNKS):
        await speech.audio(value + 1, samples=SAMPLES)
    await speech.finish()


async def test_for_one_that_does_not_read_its_socket_redis_holds_one_reply_however_much_is_said(
    studio: Studio, stopped: Stopped
) -> None:
    """A reply has `BATCH` entries at most, and another is not asked for before it was taken."""
    last = f"t{TURNS - 1}"
    await say(studio, "t0")
    slow = asyncio.create_task(heard(studio, BEGINNING, idle_s=60, until_turn=last, via=stopped.url))
    await eventually(partial(held_for_clients, studio))
    quick = asyncio.create_task(heard(studio, BEGINNING, idle_s=60, until_turn=last))
    for number in range(1, TURNS):
        await say(studio, f"t{number}")
    whole = await quick
    assert len(whole) == TURNS * (CHUNKS + 2)
    assert 0 < await held_for_clients(studio) <= BATCH * ENTRY_BYTES < TURNS * CHUNKS * SAMPLES * 2 / 4
    assert not slow.done()
    stopped.goes_on.set()
    assert await slow == whole


async def test_of_one_that_dies_in_the_middle_of_a_reply_nothing_stays(studio: Studio, stopped: Stopped) -> None:
    await say(studio, "t")
    before = len(await call(studio.redis, "CLIENT LIST"))
    hearing = asyncio.create_task(heard(studio, BEGINNING, idle_s=60, until_turn="t", via=stopped.url))
    await eventually(partial(held_for_clients, studio))
    hearing.cancel()
    await asyncio.wait([hearing])
    await eventually(partial(clients, studio, before))
