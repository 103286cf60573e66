"""What a pool decides, without I/O: which waiting turn gets which connection, how many to open, which to retire."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """``warm`` connections are kept ready beside those in use, up to ``max`` in all."""

    warm: int
    max: int


@dataclass(frozen=True, slots=True)
class View:
    """What the decision needs to know of a connection.

    Args:
        id: names it.
        active: streams on it.
        free: streams it could take now.
        idle_since: when its last stream ended (or it was opened), in seconds.
        retire_at: when it must be replaced if no stream is on it, in seconds.
    """

    id: int
    active: int
    free: int
    idle_since: float
    retire_at: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done now.

    Args:
        give: a connection for each of the first waiting turns, in their order.
        open: connections to open.
        retire: connections to close.
        wake_at: when to decide again even if nothing happens; None: not before something does.
    """

    give: tuple[int, ...] = ()
    open: int = 0
    retire: tuple[int, ...] = ()
    wake_at: float | None = None


def decide(
    connections: Sequence[View], waiting: int, opening: int, now: float, limits: PoolLimits, open_at: float = 0.0
) -> Decision:
    """Decide for a pool with ``waiting`` turns and ``opening`` connections on their way; none opens before ``open_at``.

    The connection that was used last is given first, so that those that are not needed age and go; of those that
    already carry streams the fullest comes first. A connection past its time is never given; it is retired
    when it is empty.
    """
    retire = tuple(view.id for view in connections if view.active == 0 and (view.retire_at <= now or view.free <= 0))
    usable = [view for view in connections if view.free > 0 and view.retire_at > now]
    usable.sort(key=lambda view: (view.active, view.idle_since), reverse=True)
    places = [view.id for view in usable for _ in range(view.free)]
    give = tuple(places[:waiting])

    ready = len({view.id for view in usable if view.active == 0} - set(give))
    wanted = (waiting - len(give)) + limits.warm - ready - opening
    room = limits.max - (len(connections) - len(retire)) - opening
    missing = max(0, min(wanted, room))
    held_back = missing > 0 and now < open_at

    times = [view.retire_at for view in connections if view.active == 0 and view.id not in {*retire, *give}]
    if held_back:
        times.append(open_at)
    return Decision(give, 0 if held_back else missing, retire, min(times, default=None))
