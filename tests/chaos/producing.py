"""A producer of a run, as a process: ``python -m tests.chaos.producing NAME NUMBER``. It may be killed at any moment.

What it writes as evidence is its journal, too: when it comes back it opens again what it had opened and not ended, with
the same id and the same tokens from the first.
"""

import asyncio
import contextlib
import itertools
import json
import signal
import sys
import time
import zlib
from pathlib import Path

from saystream.common.errors import NotAcknowledged, RedisUnavailable, SaystreamError
from saystream.common.ids import SessionId, TurnId, TurnRef
from saystream.common.loop import run
from saystream.common.settings import load
from saystream.producer import Speaker, Turn
from tests.chaos.brief import Brief
from tests.chaos.ends import Ends
from tests.chaos.evidence import (
    EndAcknowledged,
    FaultKind,
    FaultOver,
    FaultSet,
    Interrupted,
    InterruptFailed,
    Interrupting,
    Opened,
    Opening,
    Refused,
    Sending,
    TurnLost,
    Witness,
)
from tests.chaos.plan import DOOMED, Interrupt, SessionPlan, TurnPlan

#: Before a turn is opened again that was not acknowledged, in seconds.
_REST_S = 0.2
#: Shorter than many faults: a producer is told that something was not acknowledged, and has to do it again.
_PATIENCE_S = 1.5


class Journal:
    """What earlier lives of this producer have written.

    Attributes:
        settled: turns of which nothing remains to be done but to wait for their end.
        refused: turns that were never opened, and will not be.
        opening: turns that were opened, or perhaps were.
        calls: numbers of interrupts so far.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.settled: set[str] = set()
        self.refused: set[str] = set()
        self.opening: set[str] = set()
        self.calls = 0
        for path in folder.glob(f"{name}.*.jsonl"):
            for line in path.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    self._read(json.loads(line))

    def _read(self, line: dict[str, str]) -> None:
        match line["record"]:
            case "Opening":
                self.opening.add(line["turn"])
            case "EndAcknowledged":
                self.settled.add(line["turn"])
            case "TurnLost" if line["error"] != NotAcknowledged.__name__:
                self.settled.add(line["turn"])
            case "Refused" if line["error"] != NotAcknowledged.__name__:
                self.refused.add(line["turn"])
            case "Interrupting":
                self.calls = max(self.calls, int(line["call"]))


class Producer:
    """Says its part of the run's sessions."""

    def __init__(self, brief: Brief, journal: Journal, witness: Witness, speaker: Speaker, ends: Ends) -> None:
        self._brief, self._journal, self._witness, self._speaker, self._ends = brief, journal, witness, speaker, ends
        self._calls = itertools.count(journal.calls + 1)

    async def run(self, number: int) -> None:
        """Say all sessions of this producer."""
        async with asyncio.TaskGroup() as group:
            for session in self._brief.sessions:
                if session.producer == number and not (self._brief.left / session.session).exists():
                    group.create_task(self._converse(session), name=f"session {session.session}")

    async def _converse(self, session: SessionPlan) -> None:
        await asyncio.sleep(self._brief.began_s + session.at_s - time.monotonic())
        going: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            for turn in session.turns:
                while sum(not task.done() for task in going) > turn.behind:
                    running = [task for task in going if not task.done()]
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                if turn.turn not in self._journal.opening:
                    await asyncio.sleep(turn.gap_s)
                opened = asyncio.Event()
                going.append(group.create_task(self._turn(session.session, turn, opened), name=f"turn {turn.turn}"))
                await opened.wait()  # the order of turns is that of their opening
        (self._brief.left / session.session).touch()

    async def _turn(self, session: str, turn: TurnPlan, opened: asyncio.Event) -> None:
        """Say a turn and wait for its end."""
        if turn.fields["voice"] == DOOMED:
            self._witness.note(FaultSet(fault=_fault(turn.turn), kind=FaultKind.VENDOR, detail="voice that nobody has"))
        if turn.turn in self._journal.refused:
            there = False
        elif turn.turn in self._journal.settled:
            there = True
        else:
            there = await self._open_and_say(session, turn, opened)
        opened.set()
        if there:
            await self._ends.of(TurnRef(SessionId(session), TurnId(turn.turn))).wait()
        if turn.fields["voice"] == DOOMED:
            self._witness.note(FaultOver(fault=_fault(turn.turn)))
        (self._brief.ended / turn.turn).touch()

    async def _open_and_say(self, session: str, turn: TurnPlan, opened: asyncio.Event) -> bool:
        """Say a turn, as often as it takes to be told that it is there; returns whether it was opened at all."""
        cutting: asyncio.Task[None] | None = None
        ref = TurnRef(SessionId(session), TurnId(turn.turn))
        try:
            while True:
                way = self._speaker.turn(session, turn=turn.turn, **turn.fields)
                request = way.request.model_dump(mode="json")
                self._witness.note(Opening(session=session, turn=turn.turn, request=request))
                try:
                    got = await way.open()
                except SaystreamError as error:
                    name = type(error).__name__
                    self._witness.note(Refused(session=session, turn=turn.turn, error=name, message=str(error)))
                    if not isinstance(error, RedisUnavailable):
                        return False
                    await asyncio.sleep(_REST_S)
                    continue
                self._witness.note(
                    Opened(
                        session=session, turn=turn.turn, number=got.number, state=str(got.state), cuts=list(got.cuts)
                    )
                )
                opened.set()
                if turn.interrupt is not None and cutting is None and turn.turn not in self._journal.opening:
                    cutting = asyncio.create_task(self._interrupt(ref, turn.interrupt))
                if await self._say(way, turn):
                    break
                await asyncio.sleep(_REST_S)
            if cutting is not None:
                await cutting
            return True
        finally:
            opened.set()
            if cutting is not None:
                cutting.cancel()

    async def _say(self, way: Turn, turn: TurnPlan) -> bool:
        """Send all tokens; returns whether that is over, else it has to be done again from the beginning."""
        sent, hurry = 0, turn.turn in self._journal.opening
        try:
            for token, pause_s in zip(turn.tokens, turn.pauses_s, strict=True):
                await asyncio.sleep(0 if hurry else pause_s)
                sent += 1
                self._witness.note(Sending(turn=turn.turn, number=sent, kind="text" if token else "flush", text=token))
                await (way.send(token) if token else way.flush())
            if turn.stuck:
                return True
            sent += 1
            self._witness.note(Sending(turn=turn.turn, number=sent, kind="end"))
            await way.end()
            self._witness.note(EndAcknowledged(turn=turn.turn, number=sent))
        except SaystreamError as error:
            self._witness.note(TurnLost(turn=turn.turn, error=type(error).__name__, message=str(error)))
            return not isinstance(error, RedisUnavailable)
        return True

    async def _interrupt(self, ref: TurnRef, wanted: Interrupt) -> None:
        await asyncio.sleep(wanted.after_s)
        turn = ref.turn if wanted.aim == "turn" else None
        waiting_only = wanted.aim == "waiting"
        while True:
            call = next(self._calls)
            intent = Interrupting(call=call, session=ref.session, turn=turn or "", waiting_only=waiting_only)
            self._witness.note(intent)
            try:
                cuts = await self._speaker.interrupt(ref.session, turn, waiting_only=waiting_only)
            except SaystreamError as error:
                name = type(error).__name__
                self._witness.note(InterruptFailed(call=call, session=ref.session, error=name, message=str(error)))
                if not isinstance(error, RedisUnavailable):
                    return
                await asyncio.sleep(_REST_S)
            else:
                self._witness.note(Interrupted(call=call, session=ref.session, cuts=list(cuts)))
                return


def _fault(turn: str) -> int:
    """Return a number that no other fault has: those of the harness are counted from 1."""
    return -1 - zlib.crc32(turn.encode())


async def _connected(stack: contextlib.AsyncExitStack) -> Speaker:
    """Connect; Redis may be away."""
    while True:
        try:
            return await stack.enter_async_context(Speaker.connect(settings=load(), patience_s=_PATIENCE_S))
        except RedisUnavailable:
            await asyncio.sleep(_REST_S)


async def main(name: str, number: int) -> None:
    """Say this producer's part, until it is said or SIGTERM."""
    brief = Brief.read()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    journal = Journal(brief.evidence, name)
    async with contextlib.AsyncExitStack() as stack:
        witness = stack.enter_context(Witness(brief.evidence, name))
        ends = Ends(brief.redis_url, load().shards)
        watching = asyncio.create_task(ends.watch())
        stack.callback(watching.cancel)
        speaker = await _connected(stack)
        await Producer(brief, journal, witness, speaker, ends).run(number)


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2])))
