"""The producer's front door: connect, open turns, interrupt sessions."""

from types import TracebackType
from typing import Self, Unpack

from saystream.common.errors import InvalidInput
from saystream.common.ids import TurnRef, session_id, turn_id
from saystream.common.ledger import Cut, Heard
from saystream.common.request import TurnRequest
from saystream.common.settings import Settings, load
from saystream.producer.link import Link, url_of
from saystream.producer.patience import Patience
from saystream.producer.turn import TokenSource, Turn, TurnFields

#: What one turn may send before Redis has acknowledged it, in bytes; at 20 tokens a second, minutes of text.
OUTBOX_BYTES = 256 * 1024


class Speaker:
    """Opens turns. One is enough for a process; its turns share a connection::

        async with Speaker.connect(url) as speaker:
            async with speaker.turn("call-42", voice="narrator") as turn:
                async for token in llm_stream:
                    await turn.send(token)

    Leaving it waits for turns that have ended to be acknowledged, and interrupts those that were not ended.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        settings: Settings | None = None,
        patience_s: float | None = None,
        outbox_bytes: int = OUTBOX_BYTES,
    ) -> Self:
        """Make a speaker; entering it connects.

        Args:
            url: where Redis is; ``redis_url`` of the settings if not given.
            settings: shards and limits; ``saystream.toml`` and the environment if not given.
            patience_s: how long Redis may take to acknowledge anything, in seconds, whatever happens to connections
                meanwhile; ``redis_timeout_s`` of the settings if not given.
            outbox_bytes: what one turn may send before Redis has acknowledged it; then `send` waits.

        Raises:
            InvalidSettings: the settings cannot be read, or nothing says where Redis is.
            InvalidInput: the URL is none of Redis's.
            RedisUnavailable: on entering, Redis does not answer.
            ShardMismatch: on entering, others use this Redis with another number of shards.
        """
        settings = settings or load()
        patience = Patience(settings.redis_timeout_s if patience_s is None else patience_s)
        return cls(Link(url_of(url, settings), settings, patience, outbox_bytes))

    def __repr__(self) -> str:
        return f"<Speaker at {self._link.where} [{self._link.state}]>"

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect, as leaving does; takes no longer than three times the patience."""
        await self._link.close()

    def turn(self, session: str, **fields: Unpack[TurnFields]) -> Turn:
        """Prepare a turn of a session; entering it opens it. The fields are those of `TurnRequest`.

        Raises:
            InvalidRequest: naming each field that is wrong.
        """
        # Without `turn`, the request makes an id; None is what a caller gives who has none.
        given = {name: value for name, value in fields.items() if name != "turn" or value is not None}
        return Turn(self._link, TurnRequest.check(session=session, **given))

    async def say(self, session: str, source: TokenSource, **fields: Unpack[TurnFields]) -> Turn:
        """Say something: open a turn, send all of a source, end it. The fields are those of `TurnRequest`.

        Returns:
            The turn, when all of its text is acknowledged; it has not been spoken then.

        Raises:
            InvalidRequest: naming each field that is wrong.
            SaystreamError: what `Turn.open`, `Turn.say` and `Turn.end` raise.
        """
        async with self.turn(session, **fields) as turn:
            await turn.say(source)
        return turn

    async def interrupt(self, session: str, turn: str | None = None, *, waiting_only: bool = False) -> tuple[Cut, ...]:
        """Interrupt a turn, or all that speaks and waits in a session: afterwards nothing more of it enters the output.

        What an LLM remembers of its own turn can be cut to what was heard of it, if the listener tells what it plays
        (`Listener.played`); else to what was published::

            for cut in await speaker.interrupt("call-42"):
                said = cut.spoken if cut.heard is None else cut.heard
                history[cut.turn] = history[cut.turn][:said]

        Args:
            session: the session's id.
            turn: the turn's id; without one, all of the session.
            waiting_only: leave the turn that speaks, and interrupt those behind it.

        Returns:
            How far each had come, in their order; empty for a session in which nothing spoke. `Cut.heard` and
            `Cut.played` are what a player had told by then; `heard` asks for what it tells afterwards.

        Raises:
            InvalidId: an id is none.
            InvalidInput: a turn is given, and only what waits.
            UnknownTurn: there is no such turn.
            NotAcknowledged: Redis has not answered in time.
        """
        chosen = "" if turn is None else turn_id(turn)
        if chosen and waiting_only:
            raise InvalidInput("waiting_only is asked of a session: leave the turn out, or waiting_only")
        return await self._link.interrupt(session_id(session), chosen, waiting_only=waiting_only)

    async def heard(self, session: str, turn: str) -> Heard:
        """Return how much of a turn has been played, and how much of its text that is, by what players have told.

        Until the turn's record expires. ``heard`` and ``played`` are None where no player has told anything.

        Raises:
            InvalidId: an id is none.
            UnknownTurn: there is no such turn.
            NotAcknowledged: Redis has not answered in time.
        """
        return await self._link.heard(TurnRef(session_id(session), turn_id(turn)))
