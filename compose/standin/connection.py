"""One connection to a client: carries out what its vendor's rules order, and what goes wrong with it."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from websockets.exceptions import ConnectionClosed

from saystream.compose.standin import voices
from saystream.compose.standin.behaviour import Fault, Kind
from saystream.compose.standin.conduct import Account, Conduct
from saystream.compose.standin.orders import (
    Abandon,
    Begin,
    Close,
    Finish,
    Flush,
    Key,
    Mark,
    Note,
    Order,
    Send,
    Sound,
    Speak,
    Vendor,
    Wake,
)
from saystream.compose.standin.speaker import FaultError, Speaker
from saystream.compose.standin.stats import ConnectionLog, RequestLog
from saystream.compose.standin.wire import Wire

logger = logging.getLogger(__name__)

Told: TypeAlias = Literal["close", "cut", "reset", "silence", "roll"]
"""What may be done to a connection from outside."""

RESTARTING = 1012
DRAINING = 1013
_ABNORMAL = 1006


@dataclass(slots=True)
class _Request:
    """A request that is being spoken."""

    log: RequestLog
    fault: Fault | None
    has_slot: bool
    speaker: Speaker | None = None
    task: "asyncio.Task[None] | None" = None


@dataclass(eq=False, slots=True)
class Connection:
    """A connection whose handshake is done.

    Args:
        account: whose streams of speech it opens.
        draining: it is closed with 1013 before anything else happens.
    """

    wire: Wire
    vendor: Vendor
    account: Account
    conduct: Conduct
    log: ConnectionLog
    draining: bool = False
    next_fault: Fault | None = None
    """What the next request meets, whatever the behaviour says."""
    rolling: bool = False
    """It is closed with 1012 as soon as no request runs."""
    requests: dict[Key, _Request] = field(default_factory=dict)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Serve the connection to its end."""
        try:
            if self.draining:
                await self.wire.close(DRAINING, "draining")
                return
            await self.obey(self.vendor.connected())
            while True:
                await self.wire.gate()
                message = await self.wire.recv()
                await self.wire.gate()
                await self.obey(self.vendor.received(message))
        except ConnectionClosed:
            pass  # how it ended is in the log
        finally:
            await self._end()

    async def obey(self, orders: Iterable[Order]) -> None:
        """Carry out orders, in their order.

        Raises:
            ConnectionClosed: the client is gone.
        """
        for order in orders:
            await self.wire.gate()
            match order:
                case Send(message):
                    await self.wire.send(message, text=not self.vendor.binary)
                case Close(code, reason):
                    await self.wire.close(code, reason)
                case Begin():
                    await self._begin(order)
                case Note(key, text, flushes):
                    self._note(key, text, flushes)
                case Abandon(key):
                    self._abandon(key)
                case Wake(label, after_s):
                    self._wake(label, after_s)
                case Speak(key) | Mark(key) | Flush(key) | Finish(key):
                    await self._pass_on(key, order)
        if self.rolling and not self.requests:
            await self.wire.close(RESTARTING, "restarting")

    def do(self, told: Told, code: int = 1000, reason: str = "") -> None:
        """Do something to the connection now; ``code`` and ``reason`` are for ``close``."""
        match told:
            case "close":
                self._start(self.wire.close(code, reason))
            case "cut":
                self.wire.cut()
            case "reset":
                self.wire.reset()
            case "silence":
                self.wire.silence()
            case "roll":
                self.rolling = True
                self._start(self.obey(()))

    async def _begin(self, begin: Begin) -> None:
        conduct = self.conduct
        behaviour = conduct.behaviour
        log = conduct.stats.begun(self.log, begin.request_id, begin.setup)
        fault, self.next_fault = self.next_fault or conduct.next_fault(), None
        has_slot = conduct.slots.take(self.account, behaviour.most_streams)
        request = self.requests[begin.key] = _Request(log, fault, has_slot)
        logger.debug("→ %s voice %s", begin.request_id, begin.voice)
        if not has_slot or (fault is not None and fault.kind is Kind.LIMIT):
            await self._refuse(begin.key, self.vendor.over_limit(begin.key))
            return
        if fault is not None and fault.kind is Kind.UNKNOWN_VOICE:
            await self._refuse(begin.key, self.vendor.unknown_voice(begin.key, begin.voice))
            return
        if fault is not None and fault.kind is Kind.ERROR and fault.after_frames == 0:
            await self._meet(begin.key, fault)
            return
        try:
            voice = await voices.open_voice(begin.voice, conduct.engine, behaviour.marker_pace)
        except voices.UnknownVoiceError:
            await self._refuse(begin.key, self.vendor.unknown_voice(begin.key, begin.voice))
            return
        except voices.VoiceUnavailableError as error:
            logger.warning("! %s %s", begin.request_id, error)
            await self._refuse(begin.key, self.vendor.broken(begin.key, str(error)))
            return
        await self.obey(self.vendor.accepted(begin.key))

        async def send(sound: Sound, damaged: bool) -> None:
            await self._send_sound(begin.key, log, sound, damaged=damaged)

        async def reached(label: str, sample: int) -> None:
            await self.obey(self.vendor.reached(begin.key, label, sample))

        request.speaker = Speaker(voice, begin.format, begin.frame_ms, behaviour, send, reached, fault)
        request.task = self._start(self._speak(begin.key, request, request.speaker))

    async def _speak(self, key: Key, request: _Request, speaker: Speaker) -> None:
        try:
            finished = await speaker.run()
        except FaultError as met:
            await self._meet(key, met.fault)
            return
        except ConnectionClosed:
            return
        except Exception as error:  # a voice that breaks down must not leave its client waiting
            logger.exception("! %s", request.log.request_id)
            await self._refuse(key, self.vendor.broken(key, f"the voice failed: {error}"))
            return
        if finished and not (request.fault is not None and request.fault.kind is Kind.NO_END):
            # Before its last message is sent: whoever has read that may at once begin another.
            self._forget(key, "completed")
            logger.debug("← %s %d frames", request.log.request_id, request.log.frames_sent)
            await self.obey(self.vendor.finished(key))

    async def _send_sound(self, key: Key, log: RequestLog, sound: Sound, *, damaged: bool) -> None:
        messages = self.vendor.sound(key, sound)
        if damaged and messages:
            messages[-1] = messages[-1][: len(messages[-1]) // 2]
        for message in messages:
            await self.wire.gate()
            await self.wire.send(message, text=not self.vendor.binary)
        log.sent(len(sound.words), sound.last_sample - sound.first_sample, audio=bool(sound.data))
        self.conduct.stats.changed()

    async def _meet(self, key: Key, fault: Fault) -> None:
        """Let a fault happen to a request, or to the connection with all its requests."""
        match fault.kind:
            case Kind.CLOSE:
                await self.wire.close(fault.code or 1000, fault.message)
            case Kind.CUT:
                self.wire.cut()
            case Kind.RESET:
                self.wire.reset()
            case Kind.SILENCE:
                self.wire.silence()
            case Kind.ERROR:
                await self._refuse(key, self.vendor.failed(key, fault.code or 0, fault.message))
            case _:
                pass  # it stalls: nothing more comes

    async def _refuse(self, key: Key, orders: Iterable[Order]) -> None:
        """Obey what ends a request; it has ended then, whatever the orders are."""
        try:
            await self.obey(orders)
        finally:
            self._abandon(key)

    async def _pass_on(self, key: Key, order: Speak | Mark | Flush | Finish) -> None:
        request = self.requests.get(key)
        if request is None or request.speaker is None:
            return  # it has failed meanwhile
        match order:
            case Speak(_, items):
                request.speaker.say(items)
                if request.task is not asyncio.current_task():  # it would wait for itself
                    await request.speaker.room()
            case Mark(_, label):
                request.speaker.mark(label)
            case Flush():
                request.speaker.flush()
            case Finish():
                request.log.end_of_stream_s = time.monotonic()
                request.speaker.finish()
        self.conduct.stats.changed()

    def _note(self, key: Key, text: str, flushes: int) -> None:
        request = self.requests.get(key)
        if request is not None:
            request.log.texts.append((time.monotonic(), text))
            request.log.flushes += flushes
            self.conduct.stats.changed()

    def _abandon(self, key: Key) -> None:
        request = self._forget(key, "failed")
        if request is None:
            return
        logger.debug("! %s", request.log.request_id)
        if request.speaker is not None:
            request.speaker.stop()
        # A request that abandons itself is on its way out, and may still have something to send.
        if request.task is not None and request.task is not asyncio.current_task():
            request.task.cancel()

    def _forget(self, key: Key, outcome: Literal["completed", "failed", "aborted"]) -> _Request | None:
        request = self.requests.pop(key, None)
        if request is None:
            return None
        if request.has_slot:
            self.conduct.slots.give_back(self.account)
        self.conduct.stats.ended(request.log, outcome)
        return request

    def _wake(self, label: str, after_s: float | None) -> None:
        earlier = self.timers.pop(label, None)
        if earlier is not None:
            earlier.cancel()
        if after_s is not None and math.isfinite(after_s):
            self.timers[label] = asyncio.get_running_loop().call_later(after_s, self._woke, label)

    def _woke(self, label: str) -> None:
        del self.timers[label]
        if not self.wire.silent:
            self._start(self.obey(self.vendor.woke(label)))

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        async def worked() -> None:
            with contextlib.suppress(ConnectionClosed):
                await work

        task = asyncio.create_task(worked())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _end(self) -> None:
        for timer in self.timers.values():
            timer.cancel()
        for key in list(self.requests):
            self._forget(key, "aborted")
        for task in list(self.tasks):
            task.cancel()
        if self.tasks:
            await asyncio.wait(list(self.tasks))
        self.conduct.stats.disconnected(self.log, self.wire.close_code or _ABNORMAL)
        self.gone.set()
