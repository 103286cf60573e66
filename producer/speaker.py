"""The producer's front door: connect, open turns, interrupt sessions."""

from types import TracebackType
from typing import Self, Unpack

from saystream.common.ids import session_id, turn_id
from saystream.common.ledger import Cut
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

    async def interrupt(self, session: str, turn: str | None = None) -> tuple[Cut, ...]:
        """Interrupt a turn, or all that speaks and waits in a session: afterwards nothing more of it enters the output.

        Returns:
            How far each had come, in their order; empty for a session in which nothing spoke.

        Raises:
            InvalidId: an id is none.
            UnknownTurn: there is no such turn.
            NotAcknowledged: Redis has not answered in time.
        """
        return await self._link.interrupt(session_id(session), "" if turn is None else turn_id(turn))
