"""``saystream inspect``: what the ledger knows of a turn."""

import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from saystream.common.ids import turn_id
from saystream.common.ledger import Snapshot
from saystream.common.settings import Settings
from saystream.common.states import FINAL
from saystream.compose.cli import terminal
from saystream.compose.cli.display import COMING, LABEL, SPOKEN
from saystream.compose.cli.target import ledger_at
from saystream.compose.cli.wording import counted


async def inspect(turn: str, settings: Settings, url: str, *, json: bool) -> None:
    """Show a turn's record."""
    checked = turn_id(turn)
    async with ledger_at(settings, url) as ledger:
        record = await ledger.inspect(checked)
    if json:
        terminal.as_json(**_fields(record))
        return
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(style=LABEL)
    table.add_column(overflow="fold")
    for name, value in _rows(record, time.time() * 1000):
        table.add_row(name, value)
    console.print(table)


def _rows(record: Snapshot, now_ms: float) -> list[tuple[str, str | Text]]:
    began, ended = (_after(ms, record.opened_ms) for ms in (record.began_ms, record.ended_ms))
    tokens = counted(record.tokens, "token event")
    attempt = f"{record.attempt}, by {record.owner}" if record.owner else str(record.attempt)
    rows: list[tuple[str, str | Text]] = [
        ("turn", record.request.turn),
        ("session", f"{record.request.session}, number {record.number}"),
        ("state", f"{record.state}: {record.cause}" if record.cause else str(record.state)),
        ("voice", record.request.voice),
        ("attempt", attempt if record.attempt else "none yet"),
        ("opened", f"{(now_ms - record.opened_ms) / 1000:.1f} s ago"),
        ("began", began),
        ("ended", ended if record.state in FINAL else "not yet"),
        (
            "audio",
            f"{_seconds(record):.2f} s, {counted(record.samples, 'sample')}, {record.format or 'format not settled'}",
        ),
        ("spoken", f"{record.spoken} of {counted(len(record.text), 'character')}, in {tokens}"),
    ]
    if record.heard is not None and record.played is not None:
        played_s = record.format.seconds(record.played) if record.format else 0.0
        rows.append(("heard", f"{counted(record.heard, 'character')}, {played_s:.2f} s played"))
    rows += [("metadata", f"{name} = {value}") for name, value in record.request.metadata.items()]
    text = Text.assemble((record.text[: record.spoken], SPOKEN), (record.text[record.spoken :], COMING))
    if 0 < record.spoken < len(record.text):
        text = Text.assemble(text[: record.spoken], ("│", LABEL), text[record.spoken :])
    rows.append(("text", text))
    return rows


def _after(ms: int, opened_ms: int) -> str:
    return f"{(ms - opened_ms) / 1000:.3f} s after opening" if ms else "not yet"


def _seconds(record: Snapshot) -> float:
    return record.format.seconds(record.samples) if record.format else 0.0


def _fields(record: Snapshot) -> dict[str, object]:
    return {
        **record.request.model_dump(exclude={"text"}),
        "text_rules": record.request.text,  # what is done to the text
        "number": record.number,
        "state": record.state,
        "cause": record.cause,
        "attempt": record.attempt,
        "owner": record.owner,
        "format": record.format,
        "samples": record.samples,
        "seconds": round(_seconds(record), 3),
        "spoken": record.spoken,
        "characters": len(record.text),
        "played": record.played,
        "heard": record.heard,
        "tokens": record.tokens,
        "text": record.text,
        "opened_ms": record.opened_ms,
        "began_ms": record.began_ms,
        "ended_ms": record.ended_ms,
    }
