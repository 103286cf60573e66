"""``saystream interrupt``: silence, and how far each turn had come."""

from dataclasses import dataclass

from saystream.common.audio import AudioFormat
from saystream.common.errors import InvalidInput, UnknownTurn
from saystream.common.ledger import Cut, Ledger
from saystream.common.settings import Settings
from saystream.compose.cli import terminal
from saystream.compose.cli.target import ledger_at
from saystream.compose.cli.wording import counted
from saystream.producer import Speaker


@dataclass(frozen=True, slots=True)
class Silence:
    """What is to fall silent: a session, one turn of it, or what waits in it."""

    session: str
    turn: str | None = None
    waiting_only: bool = False
    json: bool = False


async def interrupt(order: Silence, settings: Settings, url: str) -> None:
    """Interrupt it, and say where each turn was cut."""
    if order.turn is not None and order.waiting_only:
        raise InvalidInput("--waiting is about all that waits in the session: leave the turn out, or --waiting")
    async with ledger_at(settings, url) as ledger:
        async with Speaker.connect(url, settings=settings) as speaker:
            cuts = await speaker.interrupt(order.session, order.turn, waiting_only=order.waiting_only)
        if not (cuts or order.json):
            doing = "waits" if order.waiting_only else "speaks or waits"
            terminal.line(f"nothing {doing} in session {order.session}")
        for cut in cuts:
            await _tell(cut, ledger, json=order.json)


async def _tell(cut: Cut, ledger: Ledger, *, json: bool) -> None:
    format_ = await _format(cut, ledger)
    if json:
        terminal.as_json(
            event="cut",
            turn=cut.turn,
            number=cut.number,
            state=cut.state,
            samples=cut.samples,
            seconds=round(format_.seconds(cut.samples), 3),
            spoken=cut.spoken,
            played=cut.played,
            heard=cut.heard,
        )
        return
    spoken = counted(cut.spoken, "character")
    told = f"turn {cut.turn}  {cut.state} after {format_.seconds(cut.samples):.2f} s, {spoken} spoken"
    if cut.played is not None:
        told += f"; {format_.seconds(cut.played):.2f} s played, {counted(cut.heard or 0, 'character')} heard"
    terminal.line(told)


async def _format(cut: Cut, ledger: Ledger) -> AudioFormat:
    try:
        return (await ledger.inspect(cut.turn)).format or AudioFormat()
    except UnknownTurn:  # it has expired in this moment
        return AudioFormat()
