"""What a pool decides, without I/O: which waiting turn gets which connection, how many to open, which to retire."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

#: Over how many seconds the rate at which turns come is smoothed.
_RATE_S = 10.0
#: How much a new measurement of the time to connect weighs against the earlier ones.
_CONNECT_WEIGHT = 0.3
#: So small a fraction of a stream is not worth a connection.
_CRUMB = 0.05


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """What a pool may have and wants to have.

    Args:
        min: connections with a free place to keep ready, however few turns come.
        max: connections at most.
        streams: places on one connection.
        demand: free places to keep ready, from `demand`.
    """

    min: int
    max: int
    streams: int = 1
    demand: int = 0


class Place(Protocol):
    """What the decision needs to know of a connection. Times are in seconds on one clock.

    Attributes:
        active: streams on it.
        free: streams it could take, if time allows.
        spent: it takes no more streams, ever.
        idle_since: when its last stream ended (or it was opened).
        ready_at: before this no stream is given to it: the vendor may be about to close it.
        retire_at: from then on another should be there in its place; until that is ready it is still of use.
        expire_at: from then on no stream is given to it.
    """

    @property
    def active(self) -> int: ...
    @property
    def free(self) -> int: ...
    @property
    def spent(self) -> bool: ...
    @property
    def idle_since(self) -> float: ...
    @property
    def ready_at(self) -> float: ...
    @property
    def retire_at(self) -> float: ...
    @property
    def expire_at(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done now. Connections are named by their place in the sequence that was given.

    Args:
        give: a connection for each of the first waiting turns, in their order.
        open: connections to open.
        retire: connections to close.
        lacking: connections that would be opened besides, if there were room for them.
        wake_at: when to decide again even if nothing happens; None: not before something does.
    """

    give: tuple[int, ...] = ()
    open: int = 0
    retire: tuple[int, ...] = ()
    lacking: int = 0
    wake_at: float | None = None


def decide(
    connections: Sequence[Place],
    waiting: int,
    opening: int,
    now: float,
    limits: PoolLimits,
    *,
    open_at: float = 0.0,
    at_once: int | None = None,
    one_turn: bool = False,
) -> Decision:
    """Decide for a pool with ``waiting`` turns and ``opening`` connections on their way.

    None opens before ``open_at``, and no more than ``at_once`` are on their way together. With ``one_turn`` the vendor
    is known to close a connection after its first stream: one that has just been used does not count as coming back.

    The connection that was used last is given first, so that those that are not needed age and go; of those that
    already carry streams the fullest comes first, and before all that, those that need not be replaced soon.
    """
    retire: list[int] = []
    usable: list[int] = []  # can be given
    settling: list[int] = []  # used just now, and empty
    ageing: list[int] = []  # empty, and to be replaced
    wake: list[float] = []
    coming, coming_places = opening, opening * limits.streams
    for number, place in enumerate(connections):
        empty = place.active == 0
        if place.spent or place.expire_at <= now:
            if empty:
                retire.append(number)
            continue
        fresh = place.retire_at > now
        if place.ready_at > now:
            wake.append(place.ready_at)
            if empty:
                settling.append(number)
            if fresh and not one_turn:
                coming += 1
                coming_places += place.free
        elif place.free > 0:
            usable.append(number)
        if empty:
            if not fresh:
                ageing.append(number)
            wake.append(place.retire_at if fresh else place.expire_at)

    if waiting:
        usable.sort(key=lambda number: _preference(connections[number], now), reverse=True)
    give = [number for number in usable for _ in range(connections[number].free)][:waiting] if waiting else []
    waiting -= len(give)

    taken = Counter(give)
    left = [connections[number].free - taken[number] for number in usable if connections[number].retire_at > now]
    ready, places = sum(free > 0 for free in left), sum(left)
    if not waiting and ready >= limits.min and places >= limits.demand:
        retire += [number for number in ageing if number not in taken]

    missing = max(
        0,
        math.ceil((waiting + limits.demand - places - coming_places) / limits.streams),
        math.ceil(waiting / limits.streams) + limits.min - ready - coming,
    )
    room = max(0, limits.max - len(connections) - opening)
    lacking = max(0, missing - room)
    held_back = missing > 0 and now < open_at
    if held_back:
        wake.append(open_at)
    elif one_turn and waiting and lacking:  # the vendor will close them: their room is wanted
        retire += [number for number in settling if number not in retire][:lacking]
    opened = 0 if held_back else min(missing, room)
    if at_once is not None:
        opened = min(opened, max(0, at_once - opening))
    return Decision(tuple(give), opened, tuple(retire), lacking, min((at for at in wake if at > now), default=None))


def _preference(place: Place, now: float) -> tuple[bool, int, float]:
    return place.retire_at > now, place.active, place.idle_since


def demand(rate_hz: float, connect_s: float, limits: PoolLimits) -> int:
    """Return how many streams are to be expected while a connection opens: so many places are kept ready.

    Never fewer than ``min`` connections' first places, never more than ``max`` connections have.
    """
    expected = math.ceil(max(0.0, rate_hz * connect_s - _CRUMB))
    return max(limits.min, min(expected, limits.max * limits.streams))


class Pace:
    """How fast turns come and how long connecting takes, both smoothed."""

    def __init__(self) -> None:
        self._weight, self._at = 0.0, 0.0
        self.connect_s = 0.0

    def arrived(self, now: float) -> None:
        """A stream has been asked for."""
        self._weight, self._at = self._faded(now) + 1.0, now

    def connected(self, took_s: float) -> None:
        """A connection has been opened."""
        weight = _CONNECT_WEIGHT if self.connect_s else 1.0
        self.connect_s += weight * (took_s - self.connect_s)

    def rate_hz(self, now: float) -> float:
        """Return how many streams are asked for in a second."""
        return self._faded(now) / _RATE_S

    def _faded(self, now: float) -> float:
        return self._weight * math.exp(-max(0.0, now - self._at) / _RATE_S)
