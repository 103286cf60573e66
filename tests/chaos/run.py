"""``make chaos``: breaks things while it counts words. ``make chaos CHAOS=--help`` lists the options."""

import argparse
import asyncio
import contextlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from saystream.common.errors import RedisUnavailable
from tests.chaos import final, schedule
from tests.chaos.checker import judge
from tests.chaos.evidence import Run, Witness
from tests.chaos.faults import Faults
from tests.chaos.figures import HARNESS, Figures
from tests.chaos.stage import LEASE_S, Stage, stage

#: How long turns may go on when nothing goes wrong any more, in seconds.
_CALM_S = 90.0
#: And consumers, and vendors' streams, when all turns have ended.
_HEARD_S = 30.0
_CLOSED_S = 15.0
#: No session begins in the last part of a run, so that all are over soon after the last fault.
_SAYING = 0.95
_PROGRESS_S = 10.0
TURNS_A_MINUTE = 2000 / 30
#: What a worker logs when it goes on with a turn.
_AGAIN = re.compile(r" attempt (?!1,)\d")


@dataclass(frozen=True, slots=True)
class Order:
    """A run.

    Args:
        seed: all is drawn from it.
        seconds: how long things are broken.
        turns: how many.
        words: of a turn, at least and at most.
    """

    seed: int
    seconds: float
    turns: int
    words: tuple[int, int] = (5, 40)


async def chaos(order: Order, folder: Path) -> list[str]:
    """Run it; leaves evidence in the folder; returns what went wrong with the run itself, as sentences."""
    wrong: list[str] = []
    with Witness(folder / "evidence", HARNESS) as witness:
        # KugelAudio tells of the words of a chunk behind it, Fish Audio of each word a moment after its sound.
        witness.note(Run(seed=order.seed, lease_s=LEASE_S, late_voices=["ben", "cleo"]))
        async with stage(
            folder,
            witness,
            seed=order.seed,
            turns=order.turns,
            seconds=order.seconds,
            saying_s=order.seconds * _SAYING,
            words=order.words,
        ) as staged:
            faults = Faults(staged.cast, witness, staged.brief.began_s)
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(staged.watch()), group.create_task(_tell(order, staged, faults))]
                await faults.run(schedule.draw(order.seed, order.seconds))
                wrong += await _wait(staged)
                for task in beside:
                    task.cancel()
            await _settle(staged)
            await final.record(witness, staged.cast.redis.url, [staged.cast.standin])
            wrong += staged.wrong
    return wrong


async def _wait(staged: Stage) -> list[str]:
    """Wait until all is said and heard; returns who has not come to an end."""
    late = []
    for children, longest_s in ((staged.producers, _CALM_S), (staged.consumers, _HEARD_S)):
        deadline_s = time.monotonic() + longest_s
        while any(child.running for child in children) and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(0.2)  # no event: they may be started again meanwhile
        late += [f"{child.name} has not come to an end in {longest_s:g} s" for child in children if child.running]
        for child in children:
            await child.stop()
    return late


async def _settle(staged: Stage) -> None:
    """Wait until nothing is held any more, for a while: the checker sees what is."""
    deadline_s = time.monotonic() + _CLOSED_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(RedisUnavailable):
            if await final.nothing_is_held(staged.cast.redis.url, [staged.cast.standin]):
                return
        await asyncio.sleep(0.2)


async def _tell(order: Order, staged: Stage, faults: Faults) -> None:
    """Say how far it is."""
    began_s = staged.brief.began_s
    refreshed = sys.stderr.isatty()
    while True:
        await asyncio.sleep(1.0 if refreshed else _PROGRESS_S)
        passed_s = time.monotonic() - began_s
        ended = len(list(staged.brief.ended.iterdir()))
        again = sum(len(_AGAIN.findall(worker.log.read_text(errors="replace"))) for worker in staged.workers)
        line = (
            f"{int(passed_s // 60):3}:{int(passed_s % 60):02}  turns {ended}/{order.turns}  "
            f"faults {sum(faults.done.values())}  take-overs {again}  crashes {len(staged.crashes)}"
        )
        sys.stderr.write(f"\r{line}" if refreshed else f"{line}\n")
        sys.stderr.flush()


def main() -> int:
    """Run the command line; returns the exit code."""
    given = _arguments()
    turns = round(given.minutes * TURNS_A_MINUTE) if given.turns is None else given.turns
    order = Order(random.randrange(1 << 31) if given.seed is None else given.seed, given.minutes * 60, max(1, turns))
    folder = Path(tempfile.mkdtemp(prefix="saystream-chaos-")) if given.keep is None else given.keep.resolve()
    again = f"--minutes {given.minutes:g} --turns {order.turns} --seed {order.seed}"
    sys.stderr.write(f"seed {order.seed}; the same again: make chaos CHAOS='{again}'\n")
    keep = given.keep is not None
    try:
        wrong = asyncio.run(_until_told(order, folder))
        wrong += map(str, judge(folder / "evidence").violations)
        sys.stdout.write(f"{Figures.of(folder)}\n" + "".join(f"! {sentence}\n" for sentence in wrong))
        sys.stdout.write(f"violations   {len(wrong)}\n")
        keep = keep or bool(wrong)  # whoever is to find out why needs it
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 128 + signal.SIGINT
    finally:
        if keep:
            sys.stderr.write(f"evidence and logs: {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.chaos.run")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long things are broken (30)")
    parser.add_argument("--turns", type=int, default=None, help="how many are said (2000 in 30 minutes)")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run: the same texts and faults again")
    parser.add_argument("--keep", type=Path, default=None, metavar="DIR", help="leave evidence and logs here")
    given = parser.parse_args()
    if given.keep is not None and given.keep.exists() and any(given.keep.iterdir()):
        parser.error(f"{given.keep} is not empty")
    return given


async def _until_told(order: Order, folder: Path) -> list[str]:
    """Run it, and end it cleanly when told to."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await chaos(order, folder)


if __name__ == "__main__":
    sys.exit(main())
