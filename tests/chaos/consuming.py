"""A consumer of a run, as a process: ``python -m tests.chaos.consuming NAME [--steady]``. It may be killed any moment.

It listens to every session from its beginning. What it writes as evidence is its journal, too: when it comes back it
goes on behind the last event that it has written down.
"""

import asyncio
import contextlib
import json
import signal
import sys
import time
from pathlib import Path

from saystream.common.errors import SaystreamError
from saystream.common.events import Audio, Begin
from saystream.common.ids import EntryId
from saystream.common.keys import keys_of
from saystream.common.loop import run
from saystream.common.redis_client import call, connect
from saystream.common.settings import load
from saystream.consumer import BEGINNING, Listener
from tests.chaos.brief import Brief
from tests.chaos.evidence import Heard, Listening, Stopped, Witness
from tests.chaos.plan import SessionPlan

_LOOK_S = 0.5
#: A session in which nothing more will be opened is left when nothing has come for so long.
_LINGER_S = 3.0
#: How often a player's place is told.
_PLAYED_S = 1.0


def cursors(folder: Path, name: str) -> dict[str, str]:
    """Return where earlier lives of a consumer were in each session.

    Each life writes down at once where it goes on in all of them, so that the last one's word is enough as a rule.
    """
    known: dict[str, str] = {}
    lives = sorted(folder.glob(f"{name}.*.jsonl"), key=lambda path: int(path.name.split(".")[-2]), reverse=True)
    for path in lives:
        of_life: dict[str, str] = {}
        for raw in path.read_bytes().splitlines(keepends=True):
            if raw.endswith(b"\n"):
                line = json.loads(raw)
                if line["record"] != "Stopped":
                    start = line["start"] if line["record"] == "Listening" else line["event"]["cursor"]
                    of_life[line["session"]] = start
        known = of_life | known
    return known


class Ear:
    """One session, as one consumer hears it."""

    def __init__(self, brief: Brief, session: SessionPlan, name: str, witness: Witness, *, steady: bool) -> None:
        self._brief, self._plan, self._name, self._witness, self._steady = brief, session, name, witness, steady
        self._over = brief.left / f"{session.session}.{name}"
        self._last_s = time.monotonic()
        self._playing = ("", 0.0, 1)  # the turn, when its first audio came, its sample rate
        self._published = 0

    @property
    def over(self) -> bool:
        """Whether all of it was heard, in this life or an earlier one."""
        return self._over.exists()

    def announce(self, start: str) -> None:
        """Write down where listening starts."""
        session = self._plan.session
        self._witness.note(Listening(consumer=self._name, session=session, start=start, steady=self._steady))

    async def listen(self, start: str) -> None:
        """Listen until the session is over."""
        await asyncio.sleep(self._brief.began_s + self._plan.at_s - time.monotonic())
        settings = load()
        url = settings.redis_url
        assert url is not None
        place = BEGINNING if start == BEGINNING.value else start
        async with Listener(url, self._plan.session, place, name=self._name, shards=settings.shards) as listener:
            hearing = asyncio.create_task(self._hear(listener))
            playing = asyncio.create_task(self._play(listener))
            try:
                while not hearing.done() and not await self._left(listener, settings.shards):
                    await asyncio.wait([hearing], timeout=_LOOK_S)
                if hearing.done():
                    hearing.result()
            finally:
                for task in (hearing, playing):
                    task.cancel()
                await asyncio.gather(hearing, playing, return_exceptions=True)
        self._witness.note(Stopped(consumer=self._name, session=self._plan.session))
        self._over.touch()

    async def _left(self, listener: Listener, shards: int) -> bool:
        """Tell whether nothing more will come, and all that is there was heard."""
        if time.monotonic() - self._last_s < _LINGER_S or not (self._brief.left / self._plan.session).exists():
            return False
        async with contextlib.aclosing(connect(self._brief.redis_url)) as redis:
            stream = keys_of(self._plan.session, shards).audio(self._plan.session)
            with contextlib.suppress(SaystreamError):
                last = await call(redis, "XREVRANGE", stream, "+", "-", "COUNT", 1)
                return not last or EntryId.parse(last[0][0]) == listener.cursor
        return False

    async def _hear(self, listener: Listener) -> None:
        async with contextlib.aclosing(listener.events()) as events:
            async for event in events:
                self._witness.note(Heard(consumer=self._name, session=self._plan.session, event=event))
                self._last_s = time.monotonic()
                if isinstance(event, Begin):
                    self._playing, self._published = (event.turn, self._last_s, event.format.sample_rate), 0
                elif isinstance(event, Audio) and event.turn == self._playing[0]:
                    self._published = event.offset + event.samples

    async def _play(self, listener: Listener) -> None:
        """Tell now and then how far a loudspeaker would be."""
        while True:
            await asyncio.sleep(_PLAYED_S)
            turn, began_s, rate = self._playing
            if turn and self._published:
                played = min(self._published, int((time.monotonic() - began_s) * rate))
                with contextlib.suppress(SaystreamError):
                    await listener.played(turn, played)


async def main(name: str, *, steady: bool) -> None:
    """Listen to all sessions, until all are over or SIGTERM."""
    brief = Brief.read()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    known = cursors(brief.evidence, name)
    with Witness(brief.evidence, name) as witness:
        ears = [(session, Ear(brief, session, name, witness, steady=steady)) for session in brief.sessions]
        going = [(ear, known.get(session.session, BEGINNING.value)) for session, ear in ears if not ear.over]
        for ear, start in going:
            ear.announce(start)
        async with asyncio.TaskGroup() as group:
            for ear, start in going:
                group.create_task(ear.listen(start))


if __name__ == "__main__":
    run(main(sys.argv[1], steady="--steady" in sys.argv))
