"""A producer's link to Redis: the ledger, asked with patience; what all turns of one speaker share."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from redis.exceptions import ResponseError

from saystream.common.errors import (
    InvalidInput,
    InvalidSettings,
    RedisUnavailable,
    SaystreamError,
    ShardMismatch,
    TurnError,
    UnknownTurn,
    UnknownVoice,
)
from saystream.common.ids import SessionId, TurnId, TurnRef
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
#: How long a turn is remembered at most of which it is not known whether it is open.
ADRIFT_S = 3600.0


class Link:
    """Opens, writes and interrupts turns. A context manager: entering connects, leaving ends what is still open.

    A turn is adrift when it is perhaps open and nobody here writes it: Redis has not acknowledged its opening, or some
    of its text. Opening it again takes it up; leaving interrupts it. A turn is opened only when no interrupt of ours is
    on its way to it: so what an earlier call has left behind does not hit a later one.

    Args:
        url: where Redis is.
        settings: shards and limits.
        patience: how long Redis may take to acknowledge anything.
        outbox_bytes: what one turn may send before Redis has acknowledged it.

    Raises:
        InvalidInput: the URL is none of ours, or an outbox of that size is none.
    """

    def __init__(self, url: str, settings: Settings, patience: Patience, outbox_bytes: int) -> None:
        if not isinstance(outbox_bytes, int) or outbox_bytes < 1:
            raise InvalidInput(f"outbox_bytes: {outbox_bytes!r} is no number of bytes: give a whole one, 1 or more")
        self.patience, self.limits, self.outbox_bytes = patience, settings.limits, outbox_bytes
        self.where = without_password(url)
        self._redis = connect(url, timeout_s=patience.try_s, connections=STEPS + 1, replicas=settings.redis_replicas)
        self._ledger = Ledger(self._redis, shards=settings.shards, bounds=Bounds.of(settings.limits))
        self._writer = Writer(self._ledger, patience, self._lost)
        self._steps = asyncio.Semaphore(STEPS)
        self._voices: frozenset[str] = frozenset()
        self._voices_until_s = 0.0
        self._outboxes: dict[TurnRef, list[Outbox]] = {}  # that may still take text; several if it was opened again
        self._opening: dict[asyncio.Future[None], TurnRef] = {}
        self._adrift: dict[TurnRef, asyncio.TimerHandle] = {}  # with what happens if nobody opens it again
        self._abandoning: dict[TurnRef, asyncio.Task[Exception | None]] = {}
        self._connected = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<Link to {self._redis.where} [{self.state}]>"

    @property
    def state(self) -> str:
        """How things stand, as a sentence."""
        if not self._connected:
            return "closed" if self._closed else "not connected"
        turns = sum(not all(outbox.over for outbox in outboxes) for outboxes in self._outboxes.values())
        return f"Turns: {turns} open | Tokens: {self._writer.waiting} waiting"

    async def __aenter__(self) -> Self:
        if self._connected or self._closed:
            raise SaystreamError("A speaker can be entered once; make another one.")
        try:
            async with asyncio.timeout(self.patience.seconds):
                await self._ledger.greet(settle=False)
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
            last = [outbox for outboxes in self._outboxes.values() for outbox in outboxes if outbox.ended]
            await asyncio.gather(*(outbox.all_acknowledged() for outbox in last), return_exceptions=True)
            if self._opening:
                await asyncio.wait(self._opening)
            # If one of a turn's outboxes has brought all of the text, another one that did not has nothing to say.
            unended = [ref for ref, boxes in self._outboxes.items() if not any(box.over for box in boxes)]
            for ref in dict.fromkeys([*unended, *self._adrift]):
                log.warning("! turn %s was not ended", ref.turn, extra={"action": "interrupt"})
                for outbox in self._outboxes.get(ref, ())[:]:
                    outbox.fail(ended(ref.turn, State.INTERRUPTED))
                self.abandon_ref(ref)
            while self._abandoning:
                await asyncio.wait(self._abandoning.values())
        finally:
            self._connected = False
            await self._let_go()

    async def open(self, request: TurnRequest) -> tuple[Opened, Outbox]:
        """Open a turn; see `Ledger.open`.

        What ends this other than by the ledger's answer leaves the turn adrift. An interrupt of ours that is on its way
        to the turn is waited for first: up to one more patience.

        Raises:
            UnknownVoice: workers are there, and none of them speaks this voice.
            TurnConflict, SessionBusy: the ledger refuses it.
            NotAcknowledged: Redis has not answered in time.
        """
        self._check_connected()
        ref, was_adrift, perhaps_open = request.ref, False, False

        async def step() -> Opened:
            nonlocal perhaps_open
            self._check_connected()
            await self._check_voice(request.voice)
            perhaps_open = True
            return await self._ledger.open(request)

        settled = asyncio.get_running_loop().create_future()
        self._opening[settled] = ref
        try:
            while interrupting := self._abandoning.get(ref):
                await asyncio.wait([interrupting])
            was_adrift = perhaps_open = self._take_up(ref)
            opened = await self._repeat(f"opening turn {request.turn}", step)
            self._check_connected()
        except BaseException as error:
            del self._opening[settled]
            # Refused, it is not open, or another producer's: that one must not be interrupted.
            refused = isinstance(error, TurnError | ResponseError | ShardMismatch)
            if was_adrift or (perhaps_open and not refused):
                self._set_adrift(ref)
            raise
        finally:
            self._opening.pop(settled, None)
            settled.set_result(None)  # `close` waits for it
        self._take_up(ref)  # another call may have failed meanwhile
        outbox = Outbox(ref, self.outbox_bytes, self._failed)
        self._outboxes.setdefault(ref, []).append(outbox)
        self._writer.add(outbox)
        return opened, outbox

    def written(self, outbox: Outbox) -> None:
        """Have what was put into an outbox written."""
        self._check_connected()
        self._writer.wake(outbox)

    def finished(self, outbox: Outbox) -> None:
        """Forget an outbox: its turn takes no more text."""
        if outbox.error is None and outbox.over:  # the text is whole, whatever others of this turn have or had to say
            for other in self._outboxes.pop(outbox.ref, ()):
                self._writer.remove(other)
            self._take_up(outbox.ref)
        self._drop(outbox)

    async def interrupt(self, session: str, turn: str = "", *, waiting_only: bool = False) -> tuple[Cut, ...]:
        """Interrupt a turn, or all that speaks and waits in a session, or all that waits; see `Ledger.interrupt`.

        Raises:
            UnknownTurn: there is no such turn.
            NotAcknowledged: Redis has not answered in time.
        """
        self._check_connected()
        cuts = await self._interrupt(session, turn, waiting_only=waiting_only)
        for cut in cuts:
            self._take_up(ref := TurnRef(SessionId(session), TurnId(cut.turn)))
            for outbox in self._outboxes.get(ref, ())[:]:
                if not outbox.over:
                    outbox.fail(ended(ref.turn, cut.state))
        return cuts

    async def heard(self, ref: TurnRef) -> Heard:
        """Return what a player has played of a turn; see `Ledger.heard`.

        Raises:
            UnknownTurn: there is no such turn.
            NotAcknowledged: Redis has not answered in time.
        """
        self._check_connected()
        return await self._repeat(f"asking what was heard of turn {ref.turn}", lambda: self._ledger.heard(ref))

    def abandon(self, outbox: Outbox) -> asyncio.Task[Exception | None] | None:
        """Interrupt a turn whose text will never be whole; the task returns why that failed, if it did.

        The task is ours: whoever must not wait for it may leave it alone, and closing waits for it. None: the outbox
        has failed, and meanwhile the turn was opened again, so that it is for somebody else to end.
        """
        if not (outbox.error is None or outbox.over or outbox.ref in self._adrift):
            return self._abandoning.get(outbox.ref)
        outbox.fail(ended(outbox.ref.turn, State.INTERRUPTED))
        self._drop(outbox)
        return self.abandon_ref(outbox.ref)

    def abandon_ref(self, ref: TurnRef, cause: str = "") -> asyncio.Task[Exception | None]:
        """Interrupt a turn of which it is not known whether it was opened; see `abandon`."""
        self._take_up(ref)
        if (task := self._abandoning.get(ref)) is None:
            task = asyncio.create_task(self._abandon(ref, cause), name=f"saystream interrupts {ref.turn}")
            self._abandoning[ref] = task
            task.add_done_callback(lambda _: self._abandoning.pop(ref))
        return task

    def abandon_adrift(self, ref: TurnRef, after_s: float) -> None:
        """Interrupt a turn after so many seconds if it is adrift, and nobody has opened it again by then."""
        if self._take_up(ref):
            after_s = min(after_s, ADRIFT_S)
            self._adrift[ref] = asyncio.get_running_loop().call_later(after_s, self.abandon_ref, ref)

    def _set_adrift(self, ref: TurnRef) -> None:
        if not self._connected or ref in self._outboxes or ref in self._opening.values():
            return  # somebody else writes it, or is about to
        if self._closed:  # `close` waits for it
            self.abandon_ref(ref)
        elif ref not in self._adrift:
            self._adrift[ref] = asyncio.get_running_loop().call_later(ADRIFT_S, self._adrift.pop, ref, None)

    def _take_up(self, ref: TurnRef) -> bool:
        """Let a turn be adrift no more; tells whether it was."""
        if timer := self._adrift.pop(ref, None):
            timer.cancel()
        return timer is not None

    def _drop(self, outbox: Outbox) -> None:
        self._writer.remove(outbox)
        others = [other for other in self._outboxes.pop(outbox.ref, ()) if other is not outbox]
        if others:
            self._outboxes[outbox.ref] = others

    def _failed(self, outbox: Outbox) -> None:
        self._drop(outbox)
        if not outbox.over:
            self._set_adrift(outbox.ref)

    def _lost(self, outbox: Outbox, cause: str) -> None:
        """End a turn whose text Redis has lost."""
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

    async def _let_go(self) -> None:
        """Leave no task, no timer and nobody waiting behind, however far closing came."""
        for timer in self._adrift.values():
            timer.cancel()
        self._adrift.clear()
        for outbox in [outbox for outboxes in self._outboxes.values() for outbox in outboxes if not outbox.over]:
            outbox.fail(SaystreamError(f"turn {outbox.ref.turn}: The speaker was closed before its text was whole."))
        await _cancelled(*self._abandoning.values())
        await self._writer.close()
        await self._close_redis()

    async def _close_redis(self) -> None:
        self._closed = True
        await self._redis.aclose()


def url_of(url: str | None, settings: Settings) -> str:
    """Return where Redis is; raises InvalidSettings if nobody has said it, InvalidInput for what is no text."""
    if chosen := url or settings.redis_url:
        if not isinstance(chosen, str):
            raise InvalidInput(f"a Redis URL is text (str), not {type(chosen).__name__}")
        return chosen
    raise InvalidSettings(
        "redis_url: nobody has said where Redis is; give its URL to the speaker, or set redis_url in saystream.toml, "
        "or SAYSTREAM_REDIS_URL"
    )


async def _cancelled(*tasks: asyncio.Task[Exception | None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
