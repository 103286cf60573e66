"""``saystream dead``: turns that failed on every attempt are looked at, said again, or forgotten."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from saystream.common.errors import InvalidInput, SaystreamError, TextGone, TextIncomplete, TurnError, UnknownLetter
from saystream.common.ledger import DeadLetter, Ledger
from saystream.common.ledger import dead as letters
from saystream.common.settings import Settings
from saystream.compose.cli import terminal
from saystream.compose.cli.display import COMING, LABEL, SPOKEN
from saystream.compose.cli.running import complain
from saystream.compose.cli.target import ledger_at

#: What is told of a text whose end had not been sent when its turn failed.
_CUT_OFF = "not whole"
#: What `--all` takes at most; the stream of dead letters holds no more than about this in each shard.
ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of them: some by their ids, or all. Raises InvalidInput if neither is said, or both are."""

    ids: list[str]
    all: bool = False

    def __post_init__(self) -> None:
        if self.all == bool(self.ids):
            raise InvalidInput("say which: one or more ids, as `saystream dead list` shows them, or --all")


def check_drop(chosen: Chosen, *, yes: bool) -> None:
    """Refuse to forget all of them unless that was said twice; raises InvalidInput."""
    if chosen.all and not yes:
        raise InvalidInput("--all forgets every dead letter for good: look at `saystream dead list`, then add --yes")


async def show_list(count: int, settings: Settings, url: str, *, json: bool) -> None:
    """Show the newest of them, one a line."""
    async with ledger_at(settings, url) as ledger:
        newest = await ledger.dead(count)
    if json:
        for letter in newest:
            terminal.as_json(**_fields(letter))
        return
    if not newest:
        terminal.line("no dead letters")
        return
    table = Table(box=None, pad_edge=False, header_style=LABEL)
    for title in ("id", "failed", "session", "turn", "attempts", "text", "cause"):
        table.add_column(title, overflow="fold", no_wrap=title in ("id", "text"))
    for letter in newest:
        who, text = letter.request, "whole" if letter.whole else _CUT_OFF
        when, attempts = _ago(letter.at_ms), str(letter.attempts)
        table.add_row(letter.id, when, who.session, who.turn, attempts, text, Text(letter.cause))
    Console(highlight=False).print(table)


async def show_one(letter_id: str, settings: Settings, url: str, *, json: bool) -> None:
    """Show all that is known of one."""
    async with ledger_at(settings, url) as ledger:
        letter = await ledger.dead_letter(letter_id)
    if json:
        terminal.as_json(**_fields(letter), text=letter.text, characters=len(letter.text))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style=LABEL)
    table.add_column(overflow="fold")
    rows: list[tuple[str, str | Text]] = [
        ("id", letter.id),
        ("turn", letter.request.turn),
        ("session", letter.request.session),
        ("voice", letter.request.voice),
        (
            "failed",
            f"{_ago(letter.at_ms)}, at {datetime.fromtimestamp(letter.at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC",
        ),
        ("cause", Text(letter.cause)),
        ("attempts", str(letter.attempts)),
        ("spoken", f"{letter.spoken} of {len(letter.text)} characters, {letter.samples} samples"),
        *(("metadata", Text(f"{name} = {value}")) for name, value in letter.request.metadata.items()),
        ("text", Text.assemble((letter.text[: letter.spoken], SPOKEN), (letter.text[letter.spoken :], COMING))),
    ]
    if not letter.whole:
        rows.append(("", f"{_CUT_OFF}: its producer had not sent the end of it when the turn failed"))
    for name, value in rows:
        table.add_row(name, value)
    Console(highlight=False).print(table)


async def redrive(chosen: Chosen, settings: Settings, url: str, *, rest: bool, incomplete: bool, json: bool) -> int:
    """Say them again; return the exit code: 1 if one of them could not be."""

    async def again(ledger: Ledger, letter_id: str) -> dict[str, object]:
        letter = await ledger.dead_letter(letter_id)
        opened = await ledger.redrive(letter_id, rest=rest, incomplete=incomplete)
        request = letters.again(letter)
        return {"session": request.session, "turn": request.turn, "state": opened.state}

    return await _each(chosen, settings, url, "redriven", again, json=json)


async def drop(chosen: Chosen, settings: Settings, url: str, *, json: bool) -> int:
    """Forget them; return the exit code: 1 if one of them is not there."""

    async def forget(ledger: Ledger, letter_id: str) -> dict[str, object]:
        await ledger.dead_letter(letter_id)  # a slip of the finger is told, and not taken for one that is gone
        await ledger.drop(letter_id)
        return {}

    return await _each(chosen, settings, url, "dropped", forget, json=json)


async def _each(
    chosen: Chosen,
    settings: Settings,
    url: str,
    done: str,
    step: Callable[[Ledger, str], Awaitable[dict[str, object]]],
    *,
    json: bool,
) -> int:
    """Take a step with each of them, and say so at once: with many of them, that is how far it has come."""
    failed = 0
    async with ledger_at(settings, url) as ledger:
        ids = chosen.ids
        if chosen.all:
            ids = [letter.id for letter in reversed(await ledger.dead(ALL))]
        for place, letter_id in enumerate(ids, 1):
            counted = f"{place} of {len(ids)}  " if len(ids) > 1 else ""
            try:
                told = await step(ledger, letter_id)
            except (InvalidInput, TurnError, UnknownLetter) as error:  # of this one; the others may be well
                failed += 1
                complain(f"{counted}{_what_to_do(letter_id, error)}")
                if json:
                    terminal.as_json(event="refused", id=letter_id, problem=str(error))
                continue
            if json:
                terminal.as_json(event=done, id=letter_id, **told)
            else:
                as_what = f" as turn {told['turn']} of session {told['session']}" if told else ""
                terminal.line(f"{counted}{letter_id} {done}{as_what}")
        if not (ids or json):
            terminal.line("no dead letters")
    return 1 if failed else 0


def _what_to_do(letter_id: str, error: SaystreamError) -> str:
    match error:
        case UnknownLetter():  # it names the letter itself
            return f"{str(error).rstrip('.')}. `saystream dead list` shows those that are there."
        case TextGone():
            return f"{letter_id}: {error} `saystream dead drop` forgets it."
        case TextIncomplete():
            return f"{letter_id}: {error} --incomplete says what there is of it."
    return f"{letter_id}: {error}"


def _ago(ms: int) -> str:
    seconds = max(0.0, time.time() - ms / 1000)
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _fields(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        **letter.request.model_dump(exclude={"text"}),  # what is done to the text, and not the text itself
        "cause": letter.cause,
        "attempts": letter.attempts,
        "samples": letter.samples,
        "spoken": letter.spoken,
        "whole": letter.whole,
        "at_ms": letter.at_ms,
    }
