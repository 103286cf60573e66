"""A small run in one process: the real parts on a real Redis, recorded as evidence, and judged."""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from redis.exceptions import ResponseError

from saystream.common.errors import SaystreamError
from saystream.common.events import Audio, Splice
from saystream.common.redis_client import call, connect
from saystream.common.states import FINAL
from saystream.compose.standin import Behaviour
from saystream.consumer import BEGINNING, Event, listen
from saystream.producer import Speaker
from tests.chaos import final
from tests.chaos.checker import Verdict, judge
from tests.chaos.evidence import (
    EndAcknowledged,
    FaultKind,
    FaultOver,
    FaultSet,
    Heard,
    Interrupted,
    InterruptFailed,
    Interrupting,
    Listening,
    Opened,
    Opening,
    Run,
    Sending,
    Stopped,
    TurnLost,
    Witness,
)
from tests.proxy import Proxy
from tests.rig import Rig, rig
from tests.timing import MS, eventually

LEASE_S = 300 * MS
#: What a turn says: words that are all different, so that none can stand for another. Five seconds.
TEXT = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
#: For how long nothing may happen before the run is over. Broken parts never come to an end.
PATIENCE_S, PATIENCE_WITH_BROKEN_S = 5000 * MS, 500 * MS
_MUCH = 7_200  # samples: 300 ms

Listen = Callable[..., AsyncGenerator[Event, None]]


@dataclass
class SmallRun:
    """A run with one worker behind a proxy, and others as they are asked for.

    Attributes:
        way: the rig.
        wire: between the first worker and Redis.
        listen: how consumers listen.
        patience_s: for how long nothing may happen before the run is over.
    """

    way: Rig
    wire: Proxy
    witness: Witness
    speaker: Speaker
    listen: Listen = listen
    patience_s: float = PATIENCE_S
    _heard_s: float = field(default_factory=time.monotonic)
    _ears: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _cursors: dict[str, str] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def say(self, session: str, turn: str, text: str = TEXT, **request: str) -> None:
        """Open a turn, send its text in pieces of eight characters, end it."""
        note = self.witness.note
        note(Opening(session=session, turn=turn, request=request))
        try:
            said = self.speaker.turn(session, turn=turn, **request)  # type: ignore[arg-type]
            opened = await said.open()
            note(Opened(session=session, turn=turn, number=opened.number, state=opened.state, cuts=list(opened.cuts)))
            pieces = [text[at : at + 8] for at in range(0, len(text), 8)]
            for number, piece in enumerate(pieces, 1):
                note(Sending(turn=turn, number=number, kind="text", text=piece))
                await said.send(piece)
            note(Sending(turn=turn, number=len(pieces) + 1, kind="end"))
            await said.end()
            note(EndAcknowledged(turn=turn, number=len(pieces) + 1))
        except SaystreamError as error:
            note(TurnLost(turn=turn, error=type(error).__name__, message=str(error)))

    async def interrupt(self, session: str, turn: str = "") -> None:
        """Interrupt a turn, or a session."""
        number = next(self._numbers)
        self.witness.note(Interrupting(call=number, session=session, turn=turn))
        try:
            cuts = await self.speaker.interrupt(session, turn or None)
            self.witness.note(Interrupted(call=number, session=session, cuts=list(cuts)))
        except SaystreamError as error:
            self.witness.note(InterruptFailed(call=number, session=session, error=type(error).__name__))

    def hear(self, session: str, name: str = "steady") -> None:
        """Have a consumer listen, from the beginning or from where it was."""
        key = f"{name}@{session}"
        start = self._cursors.get(key, "beginning")
        self.witness.note(Listening(consumer=name, session=session, start=start, steady=name == "steady"))
        self._ears[key] = asyncio.create_task(self._hear(session, name, key))

    async def stop_hearing(self, session: str, name: str) -> None:
        """End a consumer's life."""
        ear = self._ears.pop(f"{name}@{session}")
        ear.cancel()
        with suppress(asyncio.CancelledError):
            await ear

    async def _hear(self, session: str, name: str, key: str) -> None:
        start = self._cursors.get(key) or BEGINNING
        async with aclosing(self.listen(self.way.url, session, start)) as events:
            async for event in events:
                self.witness.note(Heard(consumer=name, session=session, event=event))
                self._cursors[key] = str(event.cursor)
                self._heard_s = time.monotonic()

    @asynccontextmanager
    async def fault(self, kind: FaultKind) -> AsyncIterator[None]:
        """Note a fault, for as long as the block takes."""
        number = next(self._numbers)
        self.witness.note(FaultSet(fault=number, kind=kind))
        yield
        self.witness.note(FaultOver(fault=number))

    async def until_spoken(self, session: str, chars: int = 20) -> None:
        """Wait until so much of a turn is spoken."""
        await asyncio.wait_for(self.way.until_spoken(session, chars), 10)

    async def until_within_a_word(self, session: str) -> None:
        """Wait until much of a word is published whose end is not."""
        async with asyncio.timeout(10):
            async for event in self.way.listening(session):
                if isinstance(event, Audio) and event.spoken and event.offset + event.samples > event.cut + _MUCH:
                    return

    async def until_taken_over(self, session: str) -> None:
        """Wait until another attempt speaks, or the first worker has given its turn up in vain."""
        taken_over = asyncio.create_task(self._taken_over(session))
        given_up = asyncio.create_task(eventually(lambda: self.way.workers[0].report().turns == 0, 10_000 * MS))
        await asyncio.wait([taken_over, given_up], return_when=asyncio.FIRST_COMPLETED)
        for task in (taken_over, given_up):
            task.cancel()
        await asyncio.gather(taken_over, given_up, return_exceptions=True)

    async def _taken_over(self, session: str) -> None:
        async with aclosing(self.way.listening(session)) as events:
            async for event in events:
                if isinstance(event, Splice):
                    return

    async def until_ended(self) -> None:
        """Wait until every turn is in a final state."""
        await eventually(self._ended)

    async def deaf(self) -> None:
        """End the lives of all consumers."""
        for key in list(self._ears):
            name, _, session = key.partition("@")
            await self.stop_hearing(session, name)

    async def quiet(self) -> None:
        """Wait until all has ended and was heard; what never does is left to the judge."""
        with suppress(AssertionError):
            await eventually(self._at_rest)
        with suppress(AssertionError):
            await eventually(self._heard_all, self.patience_s)
        for key in list(self._ears):
            name, _, session = key.partition("@")
            await self.stop_hearing(session, name)
            self.witness.note(Stopped(consumer=name, session=session))
        with suppress(AssertionError):
            await eventually(
                lambda: final.nothing_is_held(self.way.url, [self.way.standin.control_url]), self.patience_s
            )

    async def _at_rest(self) -> bool:
        return await self._ended() or time.monotonic() - self._heard_s > self.patience_s

    async def _ended(self) -> bool:
        async with aclosing(connect(self.way.url)) as redis:
            turns = await call(redis, "KEYS", "saystream:*:turn:*")
            states = [await call(redis, "HGET", turn, "state") for turn in turns]
        return all(state.decode() in FINAL for state in states)

    async def _heard_all(self) -> bool:
        async with aclosing(connect(self.way.url)) as redis:
            for key in self._ears:
                stream = f"saystream:{{0}}:audio:{key.partition('@')[2]}"
                last = await call(redis, "XREVRANGE", stream, "+", "-", "COUNT", 1)
                if last and last[0][0].decode() != self._cursors.get(key):
                    return False
        return True


@dataclass
class Judged:
    """What becomes of a small run when it is over."""

    verdict: Verdict | None = None
    broken_workers: list[str] = field(default_factory=list)


@asynccontextmanager
async def _workers_may_break(judged: Judged) -> AsyncIterator[None]:
    """Leave it to the test what to think of a worker that ends with an error: a broken part may be the cause."""
    try:
        yield
    except* (ResponseError, SaystreamError) as errors:
        judged.broken_workers.append(str(errors.exceptions))


@asynccontextmanager
async def small_run(
    url: str,
    folder: Path,
    *,
    speed: float = 10.0,
    listen: Listen = listen,
    patience_s: float = PATIENCE_S,
) -> AsyncIterator[tuple[SmallRun, Judged]]:
    """Run, record and judge.

    Args:
        speed: of the stand-in, in times of real time.
        listen: how consumers listen.
        patience_s: for how long nothing may happen before the run is over.
    """
    judged = Judged()
    worker = {"lease_s": LEASE_S, "drain_s": 0.0, "hand_off_s": 0.0}
    async with (
        Proxy(url) as wire,
        _workers_may_break(judged),
        rig(wire.url, behaviour=Behaviour(speed=speed), worker=worker, account={"limit": 3}) as way,
    ):
        way.url = url
        with Witness(folder, "run") as witness:
            witness.note(Run(seed=0, lease_s=LEASE_S, pace=speed))
            async with Speaker.connect(url, settings=way.settings) as speaker:
                run = SmallRun(way, wire, witness, speaker, listen, patience_s)
                try:
                    yield run, judged
                    await run.quiet()
                finally:
                    await run.deaf()
                await final.record(witness, url, [way.standin.control_url])
    judged.verdict = await asyncio.to_thread(judge, folder)
