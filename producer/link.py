"""A producer's link to Redis: the ledger, asked with patience; what all turns of one speaker share."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from saystream.common.errors import InvalidSettings, RedisUnavailable, SaystreamError, UnknownTurn, UnknownVoice
from saystream.common.ids import TurnRef
from saystream.common.ledger import Bounds, Cut, Heard, Ledger, Opened
from saystream.common.ledger.tokens import ended
from saystream.common.redis_client import connect, without_password
from saystream.common.request import TurnRequest
from saystream.common.settings import Settings
from saystream.common.states import State
from saystream.producer.outbox import Outbox
from saystream.producer.patience import Patience
from saystream.producer.writer import Writer

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Steps (open, interrupt) at the same time; more of them wait here, where it does not use up the time of a try.
STEPS = 32
#: For how long a voice that was known is not asked for again.
VOICES_AGE_S = 30.0


class Link:
    """Opens, writes and interrupts turns. A context manager: entering connects, leaving ends what is still open.

    Args:
        url: where Redis is.
        settings: shards and limits.
        patience: how long Redis may take to acknowledge anything.
        outbox_bytes: what one turn may send before Redis has acknowledged it.

    Raises:
        InvalidInput: the URL is none of ours.
    """

    def __init__(self, url: str, settings: Settings, patience: Patience, outbox_bytes: int) -> None:
        self.patience, self.limits, self.outbox_bytes = patience, settings.limits, outbox_bytes
        self.where = without_password(url)
        self._redis = connect(url, timeout_s=patience.try_s, connections=STEPS + 1, replicas=settings.redis_replicas)
        self._ledger = Ledger(self._redis, shards=settings.shards, bounds=Bounds.of(settings.limits))
        self._writer = Writer(self._ledger, patience, self._lost)
        self._steps = asyncio.Semaphore(STEPS)
        self._voices: frozenset[str] = frozenset()
        self._voices_until_s = 0.0
        self._outboxes: dict[Outbox, None] = {}  # of turns that may still take text
        self._opening: set[asyncio.Future[None]] = set()
        self._abandoning: set[asyncio.Task[Exception | None]] = set()
        self._connected = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<Link to {self._redis.where} [{self.state}]>"

    @property
    def state(self) -> str:
        """How things stand, as a sentence."""
        if not self._connected:
            return "closed" if self._closed else "not connected"
        turns = sum(not outbox.over for outbox in self._outboxes)
        return f"Turns: {turns} open | Tokens: {self._writer.waiting} waiting"

    async def __aenter__(self) -> Self:
        if self._connected or self._closed:
            raise SaystreamError("A speaker can be entered once; make another one.")
        try:
            async with asyncio.timeout(self.patience.seconds):
                await self._ledger.greet()
                await self._read_voices()
        except TimeoutError as error:
            await self._close_redis()
            late = f"no reply within {self.patience.seconds:g} s"
            raise RedisUnavailable(f"Redis at {self._redis.where} cannot be used: {late}.") from error
        except BaseException:
            await self._close_redis()
            raise
        self._connected = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for turns that have ended to be acknowledged, interrupt the others, and disconnect.

        A turn that another task is just opening is one of the others; that task is told that the speaker is closed.
        Takes no longer than three times the patience. When cancelled, it disconnects at once.
        """
        if not self._connected or self._closed:
            return
        self._closed = True
        try:
            await asyncio.gather(
                *(outbox.all_acknowledged() for outbox in self._outboxes if outbox.ended), return_exceptions=True
            )
            if self._opening:
                await asyncio.wait(self._opening)
            for outbox in [outbox for outbox in self._outboxes if not outbox.over]:
                log.warning("! turn %s was not ended", outbox.ref.turn, extra={"action": "interrupt"})
                self.abandon(outbox)
            while self._abandoning:
                await asyncio.wait(self._abandoning)
        finally:
            self._connected = False
            await _cancelled(*self._abandoning)
            await self._writer.close()
            await self._close_redis()

    async def open(self, request: TurnRequest) -> tuple[Opened, Outbox]:
        """Open a turn; see `Ledger.open`.

        Raises:
            UnknownVoice: workers are there, and none of them speaks this voice.
            TurnConflict, SessionBusy: the ledger refuses it.
            NotAcknowledged: Redis has not answered in time.
        """
        self._check_connected()

        async def step() -> Opened:
            self._check_connected()
            await self._check_voice(request.voice)
            return await self._ledger.open(request)

        settled = asyncio.get_running_loop().create_future()
        self._opening.add(settled)
        try:
            opened = await self._repeat(f"opening turn {request.turn}", step)
            self._check_connected()
        except SaystreamError:
            if self._closed:  # meanwhile; it may be open, and `close` waits for us so that it can be interrupted
                self.abandon_ref(request.ref)
            raise
        finally:
            self._opening.discard(settled)
            settled.set_result(None)
        outbox = Outbox(request.ref, self.outbox_bytes)
        self._outboxes[outbox] = None
        self._writer.add(outbox)
        return opened, outbox

    def written(self, outbox: Outbox) -> None:
        """Have what was put into an outbox written."""
        self._check_connected()
        self._writer.wake(outbox)

    def finished(self, outbox: Outbox) -> None:
        """Forget an outbox: its turn takes no more text."""
        self._outboxes.pop(outbox, None)
        self._writer.remove(outbox)

    async def interrupt(self, session: str, turn: str = "", *, waiting_only: bool = False) -> tuple[Cut, ...]:
        """Interrupt a turn, or all that speaks and waits in a session, or all that waits; see `Ledger.interrupt`.

        Raises:
            UnknownTurn: there is no such turn.
            NotAcknowledged: Redis has not answered in time.
        """
        self._check_connected()
        return await self._interrupt(session, turn, waiting_only=waiting_only)

    async def heard(self, ref: TurnRef) -> Heard:
        """Return what a player has played of a turn; see `Ledger.heard`.

        Raises:
            UnknownTurn: there is no such turn.
            NotAcknowledged: Redis has not answered in time.
        """
        self._check_connected()
        return await self._repeat(f"asking what was heard of turn {ref.turn}", lambda: self._ledger.heard(ref))

    def abandon(self, outbox: Outbox) -> asyncio.Task[Exception | None]:
        """Interrupt a turn whose text will never be whole; the task returns why that failed, if it did.

        The task is ours: whoever must not wait for it may leave it alone, and closing waits for it.
        """
        outbox.fail(ended(outbox.ref.turn, State.INTERRUPTED))
        self.finished(outbox)
        return self.abandon_ref(outbox.ref)

    def abandon_ref(self, ref: TurnRef, cause: str = "") -> asyncio.Task[Exception | None]:
        """Interrupt a turn of which it is not known whether it was opened; see `abandon`."""
        task = asyncio.create_task(self._abandon(ref, cause), name=f"saystream interrupts {ref.turn}")
        self._abandoning.add(task)
        task.add_done_callback(self._abandoning.discard)
        return task

    def _lost(self, outbox: Outbox, cause: str) -> None:
        """End a turn whose text Redis has lost."""
        self.finished(outbox)
        self.abandon_ref(outbox.ref, cause)

    async def _abandon(self, ref: TurnRef, cause: str) -> Exception | None:
        try:
            with contextlib.suppress(UnknownTurn):  # it was never opened, or has expired
                await self._interrupt(ref.session, ref.turn, cause=cause)
        except Exception as error:
            log.warning("! turn %s could not be interrupted: %s", ref.turn, error, extra={"action": "interrupt"})
            return error
        return None

    async def _interrupt(
        self, session: str, turn: str, *, waiting_only: bool = False, cause: str = ""
    ) -> tuple[Cut, ...]:
        what = f"interrupting turn {turn}" if turn else f"interrupting session {session}"
        call_id = uuid.uuid4().hex

        async def step() -> tuple[Cut, ...]:
            return await self._ledger.interrupt(session, turn, waiting_only=waiting_only, cause=cause, call_id=call_id)

        return await self._repeat(what, step)

    async def _repeat(self, what: str, step: Callable[[], Awaitable[T]]) -> T:
        async def while_connected() -> T:
            async with self._steps:
                if not self._connected:  # a try after the close would open a connection that nobody closes
                    raise SaystreamError("This speaker is closed.")
                return await step()

        return await self.patience.repeat(what, while_connected)

    async def _check_voice(self, voice: str) -> None:
        if voice in self._voices and asyncio.get_running_loop().time() < self._voices_until_s:
            return
        await self._read_voices()
        if self._voices and voice not in self._voices:
            raise UnknownVoice(f"no worker speaks the voice {voice!r}; known are: {', '.join(sorted(self._voices))}")

    async def _read_voices(self) -> None:
        self._voices = frozenset(await self._ledger.voices())
        self._voices_until_s = asyncio.get_running_loop().time() + VOICES_AGE_S

    def _check_connected(self) -> None:
        if not self._connected or self._closed:
            raise SaystreamError(f"This speaker is {'closed' if self._closed else 'not connected: use `async with`'}.")

    async def _close_redis(self) -> None:
        self._closed = True
        await self._redis.aclose()


def url_of(url: str | None, settings: Settings) -> str:
    """Return where Redis is; raises InvalidSettings if nobody has said it."""
    if chosen := url or settings.redis_url:
        return chosen
    raise InvalidSettings(
        "redis_url: nobody has said where Redis is; give its URL to the speaker, or set redis_url in saystream.toml, "
        "or SAYSTREAM_REDIS_URL"
    )


async def _cancelled(*tasks: asyncio.Task[Exception | None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
