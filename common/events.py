"""What travels in the streams: token events, output events, and how they are written as stream fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from saystream.common.audio import AudioFormat
from saystream.common.ids import EntryId
from saystream.common.states import State

Fields = Mapping[bytes, bytes]
#: Fields to be written; redis-py encodes text as UTF-8 and numbers as decimal text.
Encoded = dict[str, str | bytes | int]


# Token events: producer to worker. The entry id is the token's number, from 1 without holes.


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the turn's text, as the LLM gave it."""

    text: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Speak what is there now, without waiting for more text."""


@dataclass(frozen=True, slots=True)
class EndOfText:
    """The last token event of a turn."""


@dataclass(frozen=True, slots=True)
class Seal:
    """The turn has ended; written by the ledger, and nothing can be appended behind it."""

    state: State


TokenEvent = Text | Flush | EndOfText


def encode_token(event: TokenEvent) -> Encoded:
    """Write a token event as stream fields."""
    match event:
        case Text(text):
            return {"text": text}
        case Flush():
            return {"flush": ""}
        case EndOfText():
            return {"end": ""}


def decode_token(fields: Fields) -> TokenEvent | Seal:
    """Read a token event; raises ValueError for fields that are none."""
    if (text := fields.get(b"text")) is not None:
        return Text(text.decode())
    if b"flush" in fields:
        return Flush()
    if b"end" in fields:
        return EndOfText()
    if (seal := fields.get(b"seal")) is not None:
        return Seal(State(seal.decode()))
    raise ValueError(f"not a token event: fields {sorted(fields)!r}")


# Output events: worker (and ledger) to consumer.


class Word(NamedTuple):
    """A spoken word: where it stands in the turn's text (characters, end exclusive) and in its audio (samples)."""

    text: str
    start: int
    end: int
    first_sample: int
    last_sample: int


@dataclass(frozen=True, slots=True)
class Begin:
    """A turn starts to speak."""

    cursor: EntryId
    turn: str
    format: AudioFormat
    voice: str
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio of a turn; ``data`` starts at sample ``offset`` of the turn.

    ``spoken`` characters of the text are covered by the samples before ``cut``; after it a word may have begun.
    """

    cursor: EntryId
    turn: str
    offset: int
    samples: int
    spoken: int
    cut: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Words:
    """Words whose times are now known."""

    cursor: EntryId
    turn: str
    offset: int
    spoken: int
    cut: int
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Splice:
    """Audio of this turn from sample ``offset`` on is replaced by what follows, for a ``cause``, spoken by ``voice``.

    It stands wherever one stream of speech follows another, also where nothing is replaced.
    """

    cursor: EntryId
    turn: str
    offset: int
    spoken: int
    cause: str = ""
    voice: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """A turn has ended: after ``samples`` samples, with ``spoken`` characters of its text spoken."""

    cursor: EntryId
    turn: str
    reason: State
    samples: int
    spoken: int
    cause: str


OutputEvent = Begin | Audio | Words | Splice | End


def encode_audio(turn: str, offset: int, samples: int, spoken: int, cut: int, data: bytes) -> Encoded:
    """Write audio as stream fields; the bytes go as they are."""
    return {
        "type": "audio",
        "turn": turn,
        "offset": offset,
        "samples": samples,
        "spoken": spoken,
        "cut": cut,
        "data": data,
    }


def encode_words(turn: str, offset: int, spoken: int, cut: int, words: tuple[Word, ...]) -> Encoded:
    """Write words as stream fields; ``offset`` is the position at which they are published."""
    packed = orjson.dumps([tuple(word) for word in words])  # orjson refuses named tuples
    return {
        "type": "words",
        "turn": turn,
        "offset": offset,
        "samples": 0,
        "spoken": spoken,
        "cut": cut,
        "words": packed,
    }


def encode_splice(turn: str, offset: int, spoken: int, cause: str, voice: str) -> Encoded:
    """Write a splice as stream fields (from one stream of speech to the next; take-over's splice is the ledger's)."""
    return {
        "type": "splice",
        "turn": turn,
        "offset": offset,
        "samples": 0,
        "spoken": spoken,
        "cut": offset,
        "cause": cause,
        "voice": voice,
    }


def decode_output(entry_id: bytes | str, fields: Fields) -> OutputEvent:
    """Read an entry of the output stream; raises ValueError for fields that are none."""
    cursor = EntryId.parse(entry_id)
    try:
        kind, turn = fields[b"type"], fields[b"turn"].decode()
        if kind == b"audio":
            offset, samples = int(fields[b"offset"]), int(fields[b"samples"])
            return Audio(cursor, turn, offset, samples, int(fields[b"spoken"]), int(fields[b"cut"]), fields[b"data"])
        if kind == b"words":
            words = tuple(Word(*word) for word in orjson.loads(fields[b"words"]))
            return Words(cursor, turn, int(fields[b"offset"]), int(fields[b"spoken"]), int(fields[b"cut"]), words)
        if kind == b"begin":
            metadata = orjson.loads(fields[b"metadata"])
            return Begin(
                cursor, turn, AudioFormat.parse(fields[b"format"].decode()), fields[b"voice"].decode(), metadata
            )
        if kind == b"splice":
            cause, voice = fields[b"cause"].decode(), fields[b"voice"].decode()
            return Splice(cursor, turn, int(fields[b"offset"]), int(fields[b"spoken"]), cause, voice)
        if kind == b"end":
            reason, cause = State(fields[b"reason"].decode()), fields[b"cause"].decode()
            return End(cursor, turn, reason, int(fields[b"samples"]), int(fields[b"spoken"]), cause)
    except KeyError as missing:
        raise ValueError(f"output entry {cursor} has no field {missing}") from missing
    except TypeError as error:
        raise ValueError(f"output entry {cursor} has a field of the wrong kind: {error}") from error
    raise ValueError(f"output entry {cursor} is of unknown type {kind!r}")
