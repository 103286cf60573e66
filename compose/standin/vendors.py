"""Which vendors are stood in for, and whose rules are spoken at each path."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from saystream.compose.standin import fishaudio, gradium, kugelaudio
from saystream.compose.standin.behaviour import Behaviour
from saystream.compose.standin.orders import Vendor


class Rules(NamedTuple):
    """What is spoken at a path."""

    vendor: str
    make: Callable[[Behaviour], Vendor]


_VENDORS: Final[Mapping[str, Mapping[str, Callable[[Behaviour], Vendor]]]] = {
    "gradium": gradium.PATHS,
    "kugelaudio": kugelaudio.PATHS,
    "fishaudio": fishaudio.PATHS,
}

RULES: Final[Mapping[str, Rules]] = {
    path: Rules(vendor, make) for vendor, paths in _VENDORS.items() for path, make in paths.items()
}
"""By path."""
