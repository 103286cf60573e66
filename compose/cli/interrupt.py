"""``saystream interrupt``: silence, and how far each turn had come."""

from saystream.common.audio import AudioFormat
from saystream.common.errors import UnknownTurn
from saystream.common.ledger import Cut, Ledger
from saystream.common.settings import Settings
from saystream.compose.cli import terminal
from saystream.compose.cli.target import ledger_at
from saystream.producer import Speaker


async def interrupt(session: str, turn: str | None, settings: Settings, url: str, *, json: bool) -> None:
    """Interrupt a turn, or all of a session, and say where each was cut."""
    async with ledger_at(settings, url) as ledger:
        async with Speaker.connect(url, settings=settings) as speaker:
            cuts = await speaker.interrupt(session, turn)
        if not (cuts or json):
            terminal.line(f"nothing speaks or waits in session {session}")
        for cut in cuts:
            await _tell(cut, ledger, json=json)


async def _tell(cut: Cut, ledger: Ledger, *, json: bool) -> None:
    seconds = (await _format(cut, ledger)).seconds(cut.samples)
    if json:
        terminal.as_json(
            event="cut",
            turn=cut.turn,
            number=cut.number,
            state=cut.state,
            samples=cut.samples,
            seconds=round(seconds, 3),
            spoken=cut.spoken,
        )
    else:
        terminal.line(f"turn {cut.turn}  {cut.state} after {seconds:.2f} s, {cut.spoken} characters spoken")


async def _format(cut: Cut, ledger: Ledger) -> AudioFormat:
    try:
        return (await ledger.inspect(cut.turn)).format or AudioFormat()
    except UnknownTurn:  # it has expired in this moment
        return AudioFormat()
