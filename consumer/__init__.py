"""Consumers: listening to a session with a cursor, putting its audio together, recording it."""

from saystream.consumer.assembler import Assembler, Drop, Put, TurnAudio
from saystream.consumer.events import Event, Gap, Unreadable
from saystream.consumer.listener import Listener, listen
from saystream.consumer.place import BEGINNING, LIVE, Start
from saystream.consumer.recorder import CannotRecord, RecordedTurn, Recorder, Recording, record

__all__ = [
    "BEGINNING",
    "LIVE",
    "Assembler",
    "CannotRecord",
    "Drop",
    "Event",
    "Gap",
    "Listener",
    "Put",
    "RecordedTurn",
    "Recorder",
    "Recording",
    "Start",
    "TurnAudio",
    "Unreadable",
    "listen",
    "record",
]
