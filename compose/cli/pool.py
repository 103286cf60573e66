"""``saystream pool``: how the connections to the vendors are, in all workers."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from saystream.common.errors import RedisUnavailable
from saystream.common.reports import PoolReport, Reports, Roll, WorkerReport
from saystream.common.settings import Settings
from saystream.compose.cli import terminal
from saystream.compose.cli.display import COMING, LABEL
from saystream.compose.cli.running import complain
from saystream.compose.cli.target import ledger_at
from saystream.compose.cli.wording import counted

_EVERY_S = 1.0
#: A worker whose report is older, in seconds, is late.
_LATE_S = 2.5
#: Where there is no terminal, nothing has to fit into it.
_WIDTH = 160
_STYLES = ("bold", "", COMING)
#: What the table needs beside its lines.
_OTHER_LINES = 6
_COLUMNS = ("active", "idle", "opening", "of", "waiting", "streams", "queued", "breaker", "warm", "hedges")
#: What is left out where there is no room, in this order.
SPARE = ("hedges", "warm", "opening", "of", "queued")
#: Behind each column, the last one, too.
_GAP = 2
#: As wide as the account's name and the breaker's state have to be, so that they can be told.
_ACCOUNT_WIDTH, _BREAKER_WIDTH = 16, len("half-open")
NOBODY = "No worker reports: none runs, or not with this Redis. `saystream worker` starts one."

#: A pool, and whose it is.
Pool = tuple[WorkerReport, PoolReport]


@dataclass(frozen=True, slots=True)
class Watch:
    """What is to be shown, and for how long."""

    once: bool = False
    json: bool = False


async def pool(order: Watch, settings: Settings, url: str) -> int:
    """Show it, each second until cancelled, or once; return the exit code: 1 if no worker reports."""
    async with ledger_at(settings, url) as ledger:
        reports = Reports(ledger.redis)
        if order.once or not (order.json or terminal.moves()):
            roll = await reports.read()
            _tell(roll, json=order.json)
            return 0 if roll.workers else 1
        if order.json:
            await _tell_machine(reports)
        await _show(reports)
    return 0


def _tell(roll: Roll, *, json: bool) -> None:
    if json:
        terminal.as_json(**fields(roll))
        return
    Console(highlight=False, width=None if terminal.moves() else _WIDTH).print(Board(roll))


async def _tell_machine(reports: Reports) -> None:
    while True:
        try:
            terminal.as_json(**fields(await reports.read()))
        except RedisUnavailable as error:
            complain(str(error))
        await asyncio.sleep(_EVERY_S)


async def _show(reports: Reports) -> None:
    board = Board(Roll(0), note="…")
    with Live(board, console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            try:
                board = Board(await reports.read())
            except RedisUnavailable as error:
                board = Board(board.roll, note=f"These figures are old. {error}")
            live.update(board, refresh=True)
            await asyncio.sleep(_EVERY_S)


@dataclass(frozen=True, slots=True)
class Figures:
    """Some pools of one account, in one sum. Fields are those of `PoolReport`."""

    active: int
    idle: int
    opening: int
    parting: int
    waiting: int
    most: int
    breaker: str
    limit: int | None
    held: int | None
    queued: int
    streams: int
    warm: int
    hedges: int
    hedges_won: int
    failures: int
    refusals: int

    @property
    def warm_share(self) -> float | None:
        """How many of the streams found a connection ready, from 0 to 1; None if there was no stream."""
        return self.warm / self.streams if self.streams else None


def add_up(pools: Sequence[Pool]) -> Figures:
    """Add up pools of one account. What each worker says of the account as a whole counts once for each worker."""
    of_workers = {worker.worker: report for worker, report in pools}.values()
    limited = [(worker.at_ms, report) for worker, report in pools if report.limit is not None]
    newest = max(limited, key=lambda pair: pair[0])[1] if limited else None
    summed = ("active", "idle", "opening", "parting", "waiting", "streams", "warm", "hedges", "hedges_won")
    sums = {name: sum(getattr(report, name) for _, report in pools) for name in (*summed, "failures", "refusals")}
    return Figures(
        **sums,
        most=sum(report.most for report in of_workers),
        queued=sum(report.queued for report in of_workers),
        breaker=_breaker([report.breaker for report in of_workers]),
        limit=newest.limit if newest else None,
        held=newest.held if newest else None,
    )


def _breaker(states: Sequence[str]) -> str:
    """Say what the breakers of one account are, those that are not closed first."""
    counts = {state: states.count(state) for state in sorted(set(states), key=lambda state: (state == "closed", state))}
    if len(counts) == 1:
        return states[0]
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _accounts(roll: Roll) -> dict[str, list[Pool]]:
    accounts: dict[str, list[Pool]] = {}
    for worker in roll.workers:
        for report in worker.pools:
            accounts.setdefault(report.provider, []).append((worker, report))
    return dict(sorted(accounts.items()))


def fields(roll: Roll) -> dict[str, Any]:
    """Describe it for machines."""
    return {
        "at_ms": roll.now_ms,
        "accounts": [
            {"provider": name, "vendor": pools[0][1].vendor, **_fields(add_up(pools))}
            for name, pools in _accounts(roll).items()
        ],
        "workers": [
            {"worker": worker.worker, "age_s": roll.age_s(worker), **worker.model_dump(exclude={"worker", "at_ms"})}
            for worker in roll.workers
        ],
    }


def _fields(figures: Figures) -> dict[str, Any]:
    share = figures.warm_share
    named = {name: getattr(figures, name) for name in Figures.__dataclass_fields__}
    return {**named, "warm_share": None if share is None else round(share, 4)}


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the table: an account (depth 0), one of its bindings (1), or a worker (2).

    Args:
        whole: whether it has all of an account's pools, so that what holds for the account belongs to it.
    """

    depth: int
    label: str
    pools: Sequence[Pool]
    whole: bool

    def cells(self) -> list[str]:
        figures = add_up(self.pools)
        share, limit = figures.warm_share, figures.limit
        hedges = f"{figures.hedges}, {figures.hedges_won} won" if figures.hedges else "0"
        return [
            str(figures.active),
            str(figures.idle),
            str(figures.opening),
            str(figures.most) if self.whole else "",
            str(figures.waiting),
            "" if self.depth or limit is None else f"{figures.held or 0} of {limit}",
            str(figures.queued) if self.whole else "",
            figures.breaker if self.whole else "",
            "–" if share is None else f"{share:.0%}",
            hedges if self.whole else "",
        ]


class Board:
    """A table of accounts, their bindings, their workers; without the workers where there is no room for all."""

    def __init__(self, roll: Roll, note: str = "") -> None:
        self.roll, self._note = roll, note

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        workers = self.roll.workers
        if workers:
            yield Text(_summary(workers))
            yield from self._table(console, options)
            yield from self._errors()
        elif not self._note:
            yield Text(NOBODY)
        if self._note:
            yield Text(self._note, style="yellow")

    def _table(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = list(self._lines())
        if console.is_terminal and len(lines) + _OTHER_LINES > console.height:
            lines = [line for line in lines if line.depth < len(_STYLES) - 1]
        labels = ["  " * line.depth + line.label for line in lines]
        columns = {name: [line.cells()[place] for line in lines] for place, name in enumerate(_COLUMNS)}
        account_width, left_out = _fit(labels, columns, options.max_width)
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style=LABEL)
        table.add_column("account", no_wrap=True, width=account_width)
        for name in columns:
            if name == "breaker":
                table.add_column(name, min_width=_BREAKER_WIDTH)
            else:
                table.add_column(name, justify="right", no_wrap=True)
        for place, line in enumerate(lines):
            cells = (column[place] for column in columns.values())
            table.add_row(Text(labels[place]), *cells, style=_STYLES[line.depth])
        yield table
        if left_out:
            yield Text(f"Not shown here: {', '.join(left_out)}. A wider terminal has room, and --json has all.", COMING)

    def _lines(self) -> Iterator[_Line]:
        for name, pools in _accounts(self.roll).items():
            vendor = pools[0][1].vendor
            yield _Line(0, name if name == vendor else f"{name} ({vendor})", pools, whole=True)
            bindings = sorted({report.binding for _, report in pools})
            for binding in bindings:
                bound = [(worker, report) for worker, report in pools if report.binding == binding]
                if len(bindings) > 1:
                    yield _Line(1, binding or "(any)", bound, whole=False)
                for worker, report in bound:
                    yield _Line(2, self._named(worker), [(worker, report)], whole=len(bindings) == 1)

    def _named(self, worker: WorkerReport) -> str:
        age_s = self.roll.age_s(worker)
        remarks = ["draining"] * worker.draining + [f"{age_s:.0f} s ago"] * (age_s >= _LATE_S)
        return f"{worker.worker} ({', '.join(remarks)})" if remarks else worker.worker

    def _errors(self) -> Iterator[Text]:
        for name, pools in _accounts(self.roll).items():
            whose: dict[str, set[str]] = {}
            for worker, report in pools:
                if report.error:
                    whose.setdefault(report.error, set()).add(worker.worker)
            for error, workers in sorted(whose.items()):
                where = f" ({len(workers)} workers)" if len(workers) > 1 else f" ({min(workers)})"
                # A vendor's error begins with the vendor, which most accounts are named after.
                yield Text.assemble((f"{name}: ", LABEL), (error.removeprefix(f"{name}: "), "red"), where)


def _fit(labels: Sequence[str], columns: dict[str, list[str]], width: int) -> tuple[int, list[str]]:
    """Take columns out until all fits; returns how wide the account's may be, and which were taken out."""

    def of_columns() -> int:
        return _GAP + sum(_width([name, *cells]) + _GAP for name, cells in columns.items())

    account = _width(["account", *labels])
    left_out = []
    for name in SPARE:
        if account + of_columns() > width:
            del columns[name]
            left_out.append(name)
    return max(_ACCOUNT_WIDTH, min(account, width - of_columns())), left_out


def _width(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts))


def _summary(workers: Sequence[WorkerReport]) -> str:
    """Say how many there are, and how many turns: those that drain speak some, and have no room for others."""
    turns, draining = sum(worker.turns for worker in workers), [worker for worker in workers if worker.draining]
    slots = sum(worker.turns if worker.draining else worker.slots for worker in workers)
    drain = f", {len(draining)} draining" if draining else ""
    return f"{counted(len(workers), 'worker')}{drain}, {turns} of {counted(slots, 'turn')}"
