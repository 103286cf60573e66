"""Producing speech: open a turn, send it tokens, end or interrupt it."""

from saystream.producer.blocking import BlockingSpeaker, BlockingTurn
from saystream.producer.speaker import Speaker
from saystream.producer.turn import TokenSource, Turn, TurnFields

__all__ = ["BlockingSpeaker", "BlockingTurn", "Speaker", "TokenSource", "Turn", "TurnFields"]
