"""Measure what an interrupt takes, from the call to its return, while a worker speaks many turns in real time.

python -m tests.bench.interrupt [--turns 50] [--rounds 6]
"""

import argparse
import asyncio
import statistics
import time

from saystream.compose.redis_server import PrivateRedis
from saystream.compose.standin import Behaviour
from tests.rig import rig

TEXT = "one two three four five six seven eight nine ten " * 300


async def measure(turns: int, rounds: int) -> list[float]:
    """Return how long each interrupt took, in ms; each hits a turn of which audio is being published."""
    took_ms: list[float] = []
    async with (
        PrivateRedis() as redis,
        rig(redis.url, workers=0, behaviour=Behaviour(speed=1.0), account={"max": turns}) as way,
        way.worker_process(),
        way.speaker() as speaker,
    ):
        for round_ in range(rounds):
            names = [f"s{round_}-{number}" for number in range(turns)]
            await asyncio.gather(*(way.say(name, name, [TEXT]) for name in names))
            await asyncio.gather(*(way.until_spoken(name, 1) for name in names))
            for name in names:
                began = time.perf_counter()
                [cut] = await speaker.interrupt(name)
                took_ms.append((time.perf_counter() - began) * 1000)
                assert cut.samples
    return took_ms


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=50, help="spoken at the same time")
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    took_ms = sorted(asyncio.run(measure(given.turns, given.rounds)))
    p50, p99 = statistics.median(took_ms), took_ms[int(len(took_ms) * 0.99)]
    print(f"interrupt, with {given.turns} turns: p50 {p50:.2f} ms, p99 {p99:.2f} ms, of {len(took_ms)}")  # noqa: T201


if __name__ == "__main__":
    main()
