"""The vendors as the tests use them: an account with the stand-in for each of the ways to speak to one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saystream.compose.standin import TEST_KEY, StandIn
from tests.timing import MS

#: So short that a stall does not make the tests long.
IMPATIENCE = {
    "first_audio_s": 400 * MS,
    "pause_s": 200 * MS,
    "stall_s": 100 * MS,
    "connect_timeout_s": 2000 * MS,
    "breaker_s": 200 * MS,
    "cancel_s": 300 * MS,
}


@dataclass(frozen=True)
class Row:
    """One vendor in one of its ways.

    Args:
        name: of the row.
        vendor: whose protocol.
        url: where the stand-in speaks it.
        options: of the provider.
        voice: settings of the voice beside its provider and the vendor's id.
        behaviour: how the stand-in behaves, beside what a test asks for.
        broken_code: the vendor's own for a fault of its engine.
        word_times: whether it tells when each word is spoken.
        gap: whether it ends a turn that gets no text for some seconds.
    """

    name: str
    vendor: str
    url: Callable[[StandIn], str]
    options: Mapping[str, Any] = field(default_factory=dict)
    voice: Mapping[str, Any] = field(default_factory=dict)
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    broken_code: int = 500
    word_times: bool = True
    gap: bool = False

    def provider(self, standin: StandIn, **changes: Any) -> dict[str, Any]:
        """Return the settings of an account with the stand-in."""
        return {
            "vendor": self.vendor,
            "url": self.url(standin),
            "api_key": TEST_KEY,
            "options": dict(self.options),
            **IMPATIENCE,
            **changes,
        }

    def __str__(self) -> str:
        return self.name


def _gradium(standin: StandIn) -> str:
    return standin.gradium_url


def _kugelaudio(standin: StandIn) -> str:
    return standin.kugelaudio_url


def _kugelaudio_multi(standin: StandIn) -> str:
    return standin.kugelaudio_multi_url


def _fishaudio(standin: StandIn) -> str:
    return standin.fishaudio_url


def _fishaudio_live(standin: StandIn) -> str:
    return standin.fishaudio_live_url


GRADIUM = Row("gradium", "gradium", _gradium, broken_code=1011)
KUGELAUDIO = Row("kugelaudio", "kugelaudio", _kugelaudio, gap=True)
FISHAUDIO = Row("fishaudio", "fishaudio", _fishaudio)

#: Each vendor as it is used if nothing else is said.
VENDORS = (GRADIUM, KUGELAUDIO, FISHAUDIO)

#: All ways. A new vendor gets a row here, and with it the whole conformance suite.
ROWS = (
    *VENDORS,
    Row("gradium-single", "gradium", _gradium, {"mode": "single"}, broken_code=1011),
    Row("gradium-multiplexed", "gradium", _gradium, {"mode": "multiplexed"}, broken_code=1011),
    Row("kugelaudio-multi", "kugelaudio", _kugelaudio_multi, {"mode": "multi"}),
    Row(
        "kugelaudio-no-words",
        "kugelaudio",
        _kugelaudio,
        voice={"settings": {"word_timestamps": False}},
        word_times=False,
        gap=True,
    ),
    Row("fishaudio-closing", "fishaudio", _fishaudio, behaviour={"keeps_socket": False}),
    Row("fishaudio-live", "fishaudio", _fishaudio_live, {"timestamps": False}, word_times=False),
)
