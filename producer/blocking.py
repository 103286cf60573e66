"""The producer for programs without an event loop: the same code, on a loop in a thread of its own."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Generator, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from saystream.common.errors import SaystreamError
from saystream.common.ids import SessionId, TurnId
from saystream.common.ledger import Cut, Heard, Opened
from saystream.common.settings import Settings
from saystream.producer.speaker import OUTBOX_BYTES, Speaker
from saystream.producer.turn import Turn, TurnFields

T = TypeVar("T")


class _LoopThread:
    """An event loop in a daemon thread; any thread may have coroutines run there."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._lock = threading.Lock()  # a coroutine handed over behind the stop would never be run

    @property
    def running(self) -> bool:
        return self._loop is not None

    def start(self) -> None:
        """Start the thread and return when its loop runs."""
        if self._thread is not None:
            raise SaystreamError("A speaker can be entered once; make another one.")
        ready = threading.Event()
        self._thread = threading.Thread(target=self._main, args=(ready,), name="saystream", daemon=True)
        self._thread.start()
        ready.wait()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and wait for it. Ctrl-C cancels it and goes on."""
        with self._lock:
            # After a fork the thread is not alive in the child, and waiting for it would never end.
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                coroutine.close()
                raise SaystreamError(
                    "This speaker is not connected: enter it with `with`, in the process that uses it, and use it only "
                    "in that block."
                )
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise SaystreamError("This speaker was closed by another thread.") from error
        finally:
            future.cancel()

    def stop(self) -> None:
        """Stop the loop, cancel what runs on it, and wait for the thread's end."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join()

    def _main(self, ready: threading.Event) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            ready.set()
            await self._stop.wait()

        asyncio.run(serve())


class BlockingSpeaker:
    """`Speaker` for programs without an event loop; may be used by several threads at once::

        with BlockingSpeaker.connect(url) as speaker:
            with speaker.turn("call-42") as turn:
                for token in llm_stream:
                    turn.send(token)

    It has a thread, so it is entered in the process that uses it: after a fork, not before.
    """

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._thread = _LoopThread()

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        settings: Settings | None = None,
        patience_s: float | None = None,
        outbox_bytes: int = OUTBOX_BYTES,
    ) -> Self:
        """Make a speaker; entering it connects. Arguments and errors are those of `Speaker.connect`."""
        return cls(Speaker.connect(url, settings=settings, patience_s=patience_s, outbox_bytes=outbox_bytes))

    def __repr__(self) -> str:
        return repr(self._speaker).replace("<Speaker", "<BlockingSpeaker", 1)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._thread.run(self._speaker.__aenter__())
        except BaseException:
            self._thread.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect, as leaving does; takes no longer than three times the patience."""
        try:
            if self._thread.running:
                self._thread.run(self._speaker.close())
        finally:
            self._thread.stop()

    def turn(self, session: str, **fields: Unpack[TurnFields]) -> "BlockingTurn":
        """Prepare a turn of a session; see `Speaker.turn`."""
        return BlockingTurn(self._speaker.turn(session, **fields), self._thread)

    def say(self, session: str, source: str | Iterable[str], **fields: Unpack[TurnFields]) -> "BlockingTurn":
        """Say something: open a turn, send all of a source, end it; see `Speaker.say`."""
        with self.turn(session, **fields) as turn:
            turn.say(source)
        return turn

    def interrupt(self, session: str, turn: str | None = None, *, waiting_only: bool = False) -> tuple[Cut, ...]:
        """Interrupt a turn, or all that speaks and waits in a session, or all that waits; see `Speaker.interrupt`.

        What an LLM remembers of its turn can be cut to what was heard of it::

            for cut in speaker.interrupt("call-42"):
                said = cut.spoken if cut.heard is None else cut.heard
                history[cut.turn] = history[cut.turn][:said]
        """
        return self._thread.run(self._speaker.interrupt(session, turn, waiting_only=waiting_only))

    def heard(self, session: str, turn: str) -> Heard:
        """Return how much of a turn has been played, and how much of its text that is; see `Speaker.heard`."""
        return self._thread.run(self._speaker.heard(session, turn))


class BlockingTurn:
    """`Turn` for programs without an event loop.

    Leaving it ends the turn; leaving it with an exception (Ctrl-C is one) interrupts it.
    """

    def __init__(self, turn: Turn, thread: _LoopThread) -> None:
        self._turn, self._thread = turn, thread

    def __repr__(self) -> str:
        return repr(self._turn).replace("<Turn", "<BlockingTurn", 1)

    @property
    def id(self) -> TurnId:
        """The turn's id."""
        return self._turn.id

    @property
    def session(self) -> SessionId:
        """The session that it belongs to."""
        return self._turn.session

    @property
    def opened(self) -> Opened:
        """Its number, its state when it was opened, and what was interrupted for it."""
        return self._turn.opened

    def __enter__(self) -> Self:
        self._thread.run(self._turn.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.run(self._turn.__aexit__(kind, error, traceback))

    def open(self) -> Opened:
        """Open the turn, as entering it does; see `Turn.open`."""
        return self._thread.run(self._turn.open())

    def send(self, token: str) -> None:
        """Send a token; see `Turn.send`."""
        self._thread.run(self._turn.send(token))

    def flush(self) -> None:
        """Have spoken what was sent so far; see `Turn.flush`."""
        self._thread.run(self._turn.flush())

    def say(self, source: str | Iterable[str]) -> None:
        """Send all of a source. An iterator is read in this thread, and may block; see `Turn.say`."""
        if isinstance(source, str):
            self._thread.run(self._turn.say(source))
            return
        try:
            for token in source:
                self.send(token)
        except BaseException:
            if isinstance(source, Generator):
                source.close()
            raise

    def end(self) -> None:
        """End the text and wait until all of it is acknowledged; see `Turn.end`."""
        self._thread.run(self._turn.end())

    def interrupt(self) -> Cut:
        """Interrupt the turn; see `Turn.interrupt`."""
        return self._thread.run(self._turn.interrupt())
