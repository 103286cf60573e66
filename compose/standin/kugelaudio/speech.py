"""One turn, context or request while it is spoken: its sentences go to the model one after the other, and are counted.

A chunk's messages are `generation_started`, its audio, `word_timestamps`, `chunk_complete`. They go out when the voice
gets there, which a mark before the chunk and one behind it tell: a request that is refused never says that it speaks.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from saystream.compose.standin.kugelaudio.chunks import Chunker
from saystream.compose.standin.kugelaudio.errors import missing_voice
from saystream.compose.standin.kugelaudio.messages import gen_ms, told
from saystream.compose.standin.kugelaudio.script import Script, script
from saystream.compose.standin.kugelaudio.settings import ENCODINGS, Settings
from saystream.compose.standin.orders import Abandon, Begin, Finish, Key, Mark, Note, Order, Sound, Speak, Wake
from saystream.compose.standin.sound import SpokenWord

FRAME_MS = 200
"""Audio in one message: typical of the documents' examples, promised nowhere."""

FLUSH_TIMER = "flush"
"""How the names of the timers for unconfirmed sentences begin; the key follows."""

WORDS_TIMER = "words"
"""How the names of the timers for word times that come late begin; the key follows, and the chunk's number."""

_CENTS_PER_S = 0.08  # of audio; made up
_START, _END, _FLUSHED = "start", "end", "flushed"  # labels of marks, the first two before a chunk's number


@dataclass(slots=True)
class Chunk:
    """A sentence that the model has been given."""

    number: int
    text: str
    script: Script
    first_sample: int = 0
    """Of the request; known once the voice has got there."""
    words: list[SpokenWord] = field(default_factory=list)


class Speech:
    """What is known of one request, and the orders that follow from what becomes of it.

    Args:
        settings: those that it began with; later ones are for others
        flush_timeout_s: the server's own, for clients that ask for none
        context_id: of a context of /ws/tts/multi, told in every message

    Raises:
        Problem: the settings have no voice.
    """

    def __init__(
        self, key: Key, request_id: str, settings: Settings, flush_timeout_s: float, context_id: str | None = None
    ) -> None:
        if settings.voice_id is None:
            raise missing_voice()
        self.key = key
        self.request_id = request_id
        self.voice = settings.voice_id
        self.settings = settings
        self.format = settings.format
        self.context_id = context_id
        self.name: Mapping[str, Any] = {} if context_id is None else {"context_id": context_id}
        self.ended = False
        """No more text comes."""
        self.characters = 0
        self.messages = 0
        """Audio messages sent."""
        self.words_late_s = 0.0
        """How long word times stay behind the audio of their chunk."""
        self.late_words: dict[str, Order] = {}
        """Those that wait, by the label of their timer; the socket takes them, for it outlives what they belong to."""
        self._suffix = b"}" if context_id is None else b',"context_id":' + orjson.dumps(context_id) + b"}"
        asked_ms = settings.flush_timeout_ms
        self._flush_timeout_s = flush_timeout_s if asked_ms is None else asked_ms / 1000
        self._flush_armed = False
        self._chunker = Chunker(settings.max_buffer_length)
        self._chunks: dict[int, Chunk] = {}
        """Those that the voice has not got through."""
        self._chunks_given = 0
        self._chunks_done = 0
        self._speaking: Chunk | None = None
        self._samples = 0

    @property
    def busy(self) -> bool:
        """Something is being spoken, or is about to be."""
        return bool(self._chunks)

    @property
    def audio_s(self) -> float:
        """What has been sent of it."""
        return self._samples / self.format.rate

    def begin(self, message: Mapping[str, Any]) -> Begin:
        return Begin(self.key, self.request_id, self.voice, self.format, FRAME_MS, message)

    # Text

    def say(self, text: str, flushes: int = 0) -> list[Order]:
        """Take in text; what is a sentence for certain is spoken."""
        self.characters += len(text)
        return [Note(self.key, text, flushes), *self.speak(self._chunker.add(text))]

    def flush(self) -> list[Order]:
        """Speak what waits for its sentence to end, then tell that all has been sent."""
        return [*self.speak(self._chunker.flush()), Mark(self.key, _FLUSHED)]

    def waited(self) -> list[Order]:
        """Nothing has come for the flush time-out: what ends like a sentence is one."""
        self._flush_armed = False
        return self.speak(self._chunker.flush() if self._chunker.unconfirmed else [])

    def end(self) -> list[Order]:
        """Speak all there is; no more text comes."""
        self.ended = True
        return [*self.speak(self._chunker.flush()), Finish(self.key)]

    def abandon(self) -> list[Order]:
        return [*self._timer(wanted=False), Abandon(self.key)]

    def speak(self, texts: list[str]) -> list[Order]:
        """Give chunks to the model; one that has nothing to speak is none."""
        orders = self._timer(wanted=not self.ended and self._chunker.unconfirmed)
        for text in texts:
            spoken = script(text, self.settings.language)
            if spoken.items:
                number = self._chunks_given
                self._chunks_given += 1
                self._chunks[number] = Chunk(number, text, spoken)
                orders.append(Mark(self.key, f"{_START} {number}"))
                orders.append(Speak(self.key, spoken.items))
                orders.append(Mark(self.key, f"{_END} {number}"))
        return orders

    # What the voice does

    def reached(self, label: str, sample: int) -> list[Order]:
        """The voice has got to a mark."""
        self._samples = sample
        place, _, number = label.partition(" ")
        if place == _FLUSHED:
            return [told(final=True, **self.name)]
        if place == _START:
            self._speaking = self._chunks[int(number)]
            self._speaking.first_sample = sample
            return self.started(self._speaking)
        self._speaking = None
        self._chunks_done += 1
        return self.completed(self._chunks.pop(int(number)))

    def sound(self, sound: Sound) -> list[bytes]:
        chunk = self._speaking
        if chunk is not None:
            chunk.words += sound.words
        self._samples = sound.last_sample
        if not sound.data:
            return []
        message = b'{"audio":"%b","enc":"%b","idx":%d,"sr":%d,"samples":%d%b' % (
            binascii.b2a_base64(sound.data, newline=False),
            ENCODINGS[self.format.encoding],
            self.messages,
            self.format.rate,
            sound.last_sample - sound.first_sample,
            self.audio_suffix(self._chunks_done if chunk is None else chunk.number),
        )
        self.messages += 1
        return [message]

    # Figures

    def totals(self) -> dict[str, Any]:
        return {
            "total_audio_seconds": round(self.audio_s, 3),
            "total_text_chunks": self._chunks_done,
            "total_audio_chunks": self.messages,
        }

    def usage(self) -> dict[str, Any]:
        """The field `usage` of the last message; none where nothing was spoken."""
        if not self._samples:
            return {}
        figures = {"audio_seconds": round(self.audio_s, 3), "characters": self.characters}
        cost = {"cost_cents": round(self.audio_s * _CENTS_PER_S, 4), "currency": "eur"}
        return {"usage": {**figures, **cost, "model_id": self.settings.model_id}}

    def timestamps(self, chunk: Chunk) -> dict[str, Any]:
        """The field `word_timestamps` of a chunk, in milliseconds from its first sample; none without words."""
        if not (self.settings.word_timestamps and chunk.words):
            return {}
        rate, origin = self.format.rate, chunk.first_sample
        stamps = [
            {
                "word": word.text,
                "start_ms": round((word.first_sample - origin) * 1000 / rate),
                "end_ms": round((word.last_sample - origin) * 1000 / rate),
                "char_start": first,
                "char_end": last,
                "score": 1.0,
            }
            # Not strict: a fault may have swallowed the last words.
            for word, (first, last) in zip(chunk.words, chunk.script.spans, strict=False)
        ]
        return {"word_timestamps": stamps}

    # What the sockets tell differently

    def started(self, chunk: Chunk) -> list[Order]:
        return [told(generation_started=True, chunk_id=chunk.number, text=chunk.text, **self.name)]

    def audio_suffix(self, number: int) -> bytes:
        return b',"chunk_id":%d%b' % (number, self._suffix)

    def completed(self, chunk: Chunk) -> list[Order]:
        named = {"chunk_id": chunk.number, **self.name}
        stamps = self.timestamps(chunk)
        audio_s = (self._samples - chunk.first_sample) / self.format.rate
        figures = {"audio_seconds": round(audio_s, 3), "gen_ms": gen_ms(audio_s)}
        complete = told(chunk_complete=True, chunk_id=chunk.number, **figures, **self.name)
        return [*self.words_of(chunk, told(**stamps, **named)), complete] if stamps else [complete]

    def words_of(self, chunk: Chunk, message: Order) -> list[Order]:
        """Send the times of a chunk's words, now or later."""
        if not self.words_late_s:
            return [message]
        label = f"{WORDS_TIMER} {self.key} {chunk.number}"
        self.late_words[label] = message
        return [Wake(label, self.words_late_s)]

    def _timer(self, *, wanted: bool) -> list[Order]:
        """Wait for the flush time-out, from now on; or no more."""
        if not wanted and not self._flush_armed:
            return []
        self._flush_armed = wanted
        return [Wake(f"{FLUSH_TIMER} {self.key}", self._flush_timeout_s if wanted else None)]
