"""One turn, as a backend service writes it: tokens in, an end, perhaps an interruption."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from types import TracebackType
from typing import Any, Self, TypedDict

from saystream.common.errors import (
    InvalidToken,
    NotAcknowledged,
    RedisUnavailable,
    TokensLost,
    TooFarAhead,
    TurnEnded,
    TurnError,
    TurnGone,
    UnknownTurn,
)
from saystream.common.events import EndOfText, Flush, Text, TokenEvent
from saystream.common.ids import SessionId, TurnId
from saystream.common.ledger import Cut, Opened
from saystream.common.ledger.tokens import ended
from saystream.common.request import OnBusy, TurnRequest
from saystream.common.states import FINAL
from saystream.producer.ahead import Ahead
from saystream.producer.link import Link
from saystream.producer.outbox import Outbox

#: Where text may come from: a string, or tokens of an LLM.
TokenSource = str | Iterable[str] | AsyncIterable[str]

#: Bytes that one character takes in UTF-8 at most.
_WIDEST = 4


class TurnFields(TypedDict, total=False):
    """What can be asked of a turn beside its session; see `TurnRequest`."""

    turn: str | None
    voice: str
    on_busy: OnBusy
    start_within_ms: int
    metadata: dict[str, str]
    text: dict[str, Any]


class Turn:
    """One turn. A context manager: entering opens it, leaving ends it, leaving with an exception interrupts it.

    `send`, `flush` and `say` do not wait for Redis. They wait when more is on its way than an outbox holds, and when
    more than ``limits.ahead_chars`` characters are sent and not spoken. So that the turn was interrupted, or Redis is
    away, is raised by a later call, and then by every call:

    - TurnInterrupted, TurnFailed, TurnEnded: the turn is over, and takes no more text.
    - NotAcknowledged: Redis has not acknowledged a token in time.
    - TokensLost: Redis has lost tokens that it had acknowledged, more than the outbox still holds. The turn is
      interrupted.

    Whoever opens a turn again (after a crash, with the same id and request) must send the same tokens from the first:
    those that are there already are not written again.
    """

    def __init__(self, link: Link, request: TurnRequest) -> None:
        self.request = request
        self._link = link
        self._opening = asyncio.Lock()  # two outboxes of one turn would number its tokens twice
        self._opened: Opened | None = None
        self._outbox: Outbox | None = None
        self._ahead = Ahead(link.limits.turn_chars, link.limits.ahead_chars, link.limits.ahead_s)
        self._flushed = 0  # characters that were sent before the last flush
        self._interrupted_here = False

    def __repr__(self) -> str:
        what = f"Turn {self.id} of session {self.session}"
        if self._opened is None or self._outbox is None:
            return f"<{what} [not opened]>"
        return f"<{what} [{self._outbox.state}]>"

    @property
    def id(self) -> TurnId:
        """The turn's id."""
        return self.request.turn

    @property
    def session(self) -> SessionId:
        """The session that it belongs to."""
        return self.request.session

    @property
    def opened(self) -> Opened:
        """Its number, its state when it was opened, and what was interrupted for it; raises TurnError before that."""
        if self._opened is None:
            raise self._not_opened()
        return self._opened

    async def __aenter__(self) -> Self:
        # Perhaps it is open, and nobody would ever end it.
        try:
            await self.open()
        except NotAcknowledged:  # who calls again has some time to do so
            self._link.abandon_adrift(self.request.ref, self._link.patience.seconds)
            raise
        except asyncio.CancelledError:
            self._link.abandon_adrift(self.request.ref, 0)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                await self._abandon(error)
            elif not self._interrupted_here:
                await self._end_or_abandon()
        finally:
            self._link.finished(self._box())

    async def open(self) -> Opened:
        """Open the turn, as entering it does. An opened turn stays as it is.

        After NotAcknowledged the same call again takes the turn up, if it is there. If nobody calls again, it is
        interrupted when the speaker is left; if it was to be entered, after the speaker's patience already.

        Raises:
            UnknownVoice: workers are there, and none of them speaks its voice.
            TurnConflict: the id is known with another request.
            SessionBusy: ``on_busy="refuse"`` and the session speaks, or too many turns wait already.
            Overloaded: too many turns wait for a worker.
            NotAcknowledged: Redis has not answered in time.
        """
        async with self._opening:
            if self._opened is None:
                self._opened, self._outbox = await self._link.open(self.request)
            return self._opened

    async def send(self, token: str) -> None:
        """Send a token: text as the LLM gave it. An empty one is nothing, and is skipped.

        Raises:
            InvalidToken: it is no text, has unpaired surrogates, is larger than ``limits.token_bytes`` bytes of UTF-8,
                or would make the text longer than ``limits.turn_chars``. Nothing was sent, and the turn goes on.
            TooFarAhead: more than ``limits.ahead_chars`` are sent and not spoken, and for ``limits.ahead_s`` nothing
                more was; the time in which a turn waits behind others counts, too. Nothing was sent, and the turn stays
                as it is: send it again later, or interrupt the turn.
            TurnInterrupted, TurnFailed, TurnEnded, NotAcknowledged, TokensLost: see the class.
        """
        box = self._box()
        box.check()
        self._check_token(token)
        if token:
            await self._wait_for_speech(box)
            await self._put(box, Text(token))

    async def flush(self) -> None:
        """Have spoken what was sent so far, without waiting for more text; raises what `send` raises.

        Where nothing was sent since the last one, it is nothing, and is skipped: so a text's length bounds these, too.
        """
        box = self._box()
        box.check()
        if (sent := self._ahead.sent) > self._flushed:
            await self._put(box, Flush())
            self._flushed = sent

    async def say(self, source: TokenSource) -> None:
        """Send all of a source: a string (of any length), or an iterator of tokens.

        An iterator that is not asynchronous is read on the event loop and must not block. When sending fails, a
        generator is closed, so that an LLM which streams into it can stop. Raises what `send` and the source raise.
        """
        if isinstance(source, str):
            for piece in pieces(source, self._link.limits.token_bytes):
                await self.send(piece)
            return
        try:
            if isinstance(source, AsyncIterable):
                async for token in source:
                    await self.send(token)
            else:
                for token in source:
                    await self.send(token)
        except BaseException:
            if isinstance(source, AsyncGenerator):
                await source.aclose()
            elif isinstance(source, Generator):
                source.close()
            raise

    async def end(self) -> None:
        """End the text and wait until all of it is acknowledged. Ending again waits for the same.

        Raises:
            TurnInterrupted, TurnFailed, TurnEnded: the turn was over before its text.
            NotAcknowledged: Redis has not acknowledged all of it in time.
            TokensLost: see the class.
        """
        box = self._box()
        if box.error is None and not box.ended:
            await self._put(box, EndOfText())
        await box.all_acknowledged()
        self._link.finished(box)

    async def interrupt(self) -> Cut:
        """Interrupt the turn: when this has returned, nothing more of it enters the output.

        Returns:
            How far it had come. A turn that had ended stays as it was; the cut's state says how.

        Raises:
            UnknownTurn: it is no longer in Redis.
            NotAcknowledged: Redis has not answered in time.
        """
        box = self._box()
        (cut,) = await self._link.interrupt(self.session, self.id)
        box.fail(ended(self.id, cut.state))
        self._link.finished(box)
        self._interrupted_here = True
        return cut

    async def _put(self, box: Outbox, event: TokenEvent) -> None:
        await box.room_for(event)
        if isinstance(event, Text):  # counted where nothing is waited for any more: others may send to this turn, too
            self._check_fits(event.text)
            self._ahead.sent += len(event.text)
        box.put(event, asyncio.get_running_loop().time())
        self._link.written(box)

    async def _wait_for_speech(self, box: Outbox) -> None:
        """Wait while too much is sent and not spoken; raises TooFarAhead."""
        ahead, now = self._ahead, asyncio.get_running_loop().time
        if not ahead.full:
            return
        ahead.begin(now())
        while True:
            ahead.told(await self._spoken(box), now())
            if ahead.free:
                return
            if not (pause_s := ahead.pause_s(now())):
                limits = self._link.limits
                raise TooFarAhead(
                    self.id,
                    f"{ahead.sent - ahead.spoken} characters are sent and not spoken, {limits.ahead_chars} may be "
                    f"(limits.ahead_chars), and for {limits.ahead_s:g} s nothing more of it was spoken.",
                )
            await asyncio.sleep(pause_s)

    async def _spoken(self, box: Outbox) -> int:
        """Ask how much of the text is spoken; 0 if nobody can say. Raises what ended the turn."""
        spoken = 0
        try:
            heard = await self._link.heard(self.request.ref)
        except UnknownTurn:
            box.fail(TurnGone(self.id))
        except RedisUnavailable:
            pass  # the writer decides how long that is borne
        else:
            spoken = heard.spoken
            if heard.state in FINAL:
                box.fail(ended(self.id, heard.state))
        box.check()
        return spoken

    def _box(self) -> Outbox:
        if self._outbox is None:
            raise self._not_opened()
        return self._outbox

    def _not_opened(self) -> TurnError:
        return TurnError(self.id, "It is not opened: use `async with`.")

    def _check_token(self, token: object) -> None:
        if not isinstance(token, str):
            raise InvalidToken(f"turn {self.id}: a token is text (str), not {type(token).__name__}")
        self._check_fits(token)
        limit = self._link.limits.token_bytes
        try:
            size = len(token.encode())
        except UnicodeEncodeError as error:
            raise InvalidToken(
                f"turn {self.id}: a token of {len(token)} characters is no text: character {error.start} is half of a "
                "surrogate pair"
            ) from None
        if size > limit:
            raise InvalidToken(
                f"turn {self.id}: a token has {size} bytes, and {limit} are allowed (limits.token_bytes); "
                "send it in pieces"
            )

    def _check_fits(self, token: str) -> None:
        if not self._ahead.fits(len(token)):
            raise InvalidToken(
                f"turn {self.id}: with this token its text has more than {self._link.limits.turn_chars} characters "
                "(limits.turn_chars); say the rest in another turn"
            )

    async def _end_or_abandon(self) -> None:
        try:
            await self.end()
        except BaseException as error:
            await self._abandon(error)
            raise

    async def _abandon(self, error: BaseException) -> None:
        """Interrupt the turn because of an error, which goes on whatever becomes of this."""
        box = self._box()
        told = isinstance(error, TurnEnded) and error.turn == self.id
        if told or isinstance(box.error, TurnEnded | TokensLost):
            return  # it is over already, or the link is just ending it
        if not (interrupting := self._link.abandon(box)):
            return
        # Not the task itself: cancelling whoever leaves the block must not leave a turn that waits for text for ever.
        await asyncio.wait([interrupting])
        failure = "the speaker was closed" if interrupting.cancelled() else interrupting.result()
        if failure:
            error.add_note(f"Turn {self.id} could not be interrupted: {failure}")


def pieces(text: str, limit_bytes: int) -> Iterable[str]:
    """Cut a text into pieces that are surely not larger than so many bytes of UTF-8."""
    length = max(1, limit_bytes // _WIDEST)
    return (text[start : start + length] for start in range(0, len(text), length))
