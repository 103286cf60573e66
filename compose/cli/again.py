"""A turn that is said again: whether its text is the same is known before anything is done to it."""

from collections.abc import AsyncIterator

from saystream.common.errors import TurnConflict
from saystream.common.events import EndOfText, Flush, Seal, Text
from saystream.common.ledger import Ledger, tokens
from saystream.common.states import State
from saystream.compose.cli.source import chain

#: More token events than a turn can have.
_ALL = 1_000_000


async def compared(ledger: Ledger, session: str, turn: str, text: AsyncIterator[str]) -> AsyncIterator[str]:
    """Compare a text with what Redis has of the turn; return it in the pieces in which it was sent before.

    As much is read of it as was sent before, and where that was all, its end is waited for.

    Raises:
        TurnConflict: it is another text, or somebody else's turn. The turn stays as it is.
    """
    found = [event for _, event in await tokens.read(ledger.redis, ledger.keys(session).tokens(turn), 0, _ALL)]
    if any(isinstance(event, Flush) for event in found):
        raise TurnConflict(turn, "It is another program's: give the text another --turn.")
    sent = [event.text for event in found if isinstance(event, Text)]
    before, given = "".join(sent), ""
    whole = any(isinstance(event, EndOfText) or event == Seal(State.DONE) for event in found)
    while len(given) < len(before) or (whole and given == before):
        piece = await anext(text, None)
        if piece is None:
            break
        given += piece
        if not before.startswith(given[: len(before)]):
            break
    if not given.startswith(before) or (whole and given != before):
        raise TurnConflict(turn, "It is known already, with another text: give this one another --turn.")
    return chain([*sent, *filter(None, [given[len(before) :]])], text)
