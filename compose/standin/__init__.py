"""The stand-in TTS server: the vendors' protocols on this machine, with a voice that tests can read back."""

from saystream.compose.standin.behaviour import TEST_KEY, Behaviour, Fault, Kind
from saystream.compose.standin.server import DEFAULT_PORT, StandIn, serve
from saystream.compose.standin.stats import ConnectionLog, RequestLog, Stats
from saystream.compose.standin.voices import EngineChoice

__all__ = [
    "DEFAULT_PORT",
    "TEST_KEY",
    "Behaviour",
    "ConnectionLog",
    "EngineChoice",
    "Fault",
    "Kind",
    "RequestLog",
    "StandIn",
    "Stats",
    "serve",
]
