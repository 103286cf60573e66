"""What KugelAudio has spoken of one stream: chunks of its own forming, all on the stream's one clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saystream.common.errors import Action, Scope
from saystream.workers.providers import reading
from saystream.workers.providers.account import Account
from saystream.workers.providers.base import (
    AudioData,
    ChunkSpoken,
    ChunkStarted,
    Started,
    StreamKey,
    VendorEvent,
    Warned,
    WordTime,
    WordTimes,
)
from saystream.workers.providers.kugelaudio.late import Late

ENCODING = "pcm_s16le"
_SAMPLE_BYTES = 2


@dataclass(slots=True)
class _Chunk:
    text: str = ""
    begun: bool = False  # the vendor has said so, or it was heard
    first_byte: int | None = None  # in the stream's audio; None before the chunk is heard
    last_byte: int = 0
    has_words: bool = False
    early: list[WordTime] = field(default_factory=list)  # words that came before the audio


class Spoken:
    """One stream's audio so far, and where in it each chunk stands.

    Word times count from the start of their chunk, come after its audio and perhaps after the next chunk's has begun:
    so each chunk keeps the place of its first byte.

    Args:
        stream: whose.
        sample_rate: as it was asked for.
        reports_words: whether the vendor was asked for word times.
        account: that errors are told of.
        late: what may still come of earlier sessions; None where a stream's frames cannot be taken for another's.
    """

    def __init__(
        self, stream: StreamKey, sample_rate: int, reports_words: bool, account: Account, late: Late | None = None
    ) -> None:
        self._stream, self._rate, self._reports_words, self._account = stream, sample_rate, reports_words, account
        self._late = late
        self._started = False
        self._bytes = 0
        self._chunks: dict[Any, _Chunk] = {}
        self.texts: list[str] = []  # of all chunks

    def read(self, message: Mapping[str, Any]) -> list[VendorEvent]:
        """Read a frame about a chunk; anything else means nothing here.

        Raises:
            VendorError: audio that cannot be used.
            Exception: one of `reading.MALFORMED`.
        """
        number = message.get("chunk_id")
        chunk = self._chunks.setdefault(number, _Chunk())
        events: list[VendorEvent] = []
        if message.get("generation_started"):
            chunk.text, chunk.begun = str(message.get("text") or ""), True
            self.texts.append(chunk.text)
            events.append(ChunkStarted(self._stream, chunk.text))
        if message.get("audio"):
            events += self._audio(chunk, message)
        if stamps := message.get("word_timestamps"):
            events += self._words(number, chunk, stamps)
        if message.get("chunk_complete"):
            # Where words are on their way the text must not count as spoken before it is known which of it is.
            events.append(self._spoken(chunk, "" if self._reports_words else chunk.text))
        return events

    def session_ended(self) -> list[VendorEvent]:
        """The vendor has spoken all chunks that there are; the next ones are numbered anew."""
        wordless = [
            chunk
            for chunk in self._chunks.values()
            if self._reports_words and chunk.first_byte is not None and not chunk.has_words
        ]
        self.session_lost()
        return [self._spoken(chunk, chunk.text) for chunk in wordless]

    def session_lost(self) -> None:
        """Expect no more of the vendor's session than word times that are on their way."""
        if self._late is not None and self._reports_words:
            self._late.session_ended({number: chunk.text for number, chunk in self._chunks.items() if chunk.begun})
        self._chunks = {}

    def _audio(self, chunk: _Chunk, message: Mapping[str, Any]) -> list[VendorEvent]:
        events: list[VendorEvent] = []
        encoding = message.get("enc") or ENCODING
        rate = reading.rate(message.get("sr") or self._rate)
        if encoding != ENCODING:
            raise self._account.error(
                f"answers in {encoding} where {ENCODING} is due", None, Scope.STREAM, Action.FIX_CONFIGURATION
            )
        if not self._started:
            self._started, self._rate = True, rate
            events.append(Started(self._stream, rate))
        elif rate != self._rate:
            raise ValueError("another sample rate")
        data = reading.audio(message["audio"])
        if chunk.first_byte is None:
            chunk.first_byte, chunk.begun = self._bytes, True
            if chunk.early:
                events.append(self._placed(chunk.first_byte, chunk.early))
        self._bytes += len(data)
        chunk.last_byte = self._bytes
        events.append(AudioData(self._stream, data))
        return events

    def _words(self, number: Any, chunk: _Chunk, stamps: Any) -> list[VendorEvent]:
        try:
            words = [word for word in map(_word, stamps) if word.text.strip()]
        except reading.MALFORMED as error:  # no reason to give up audio that is good
            return [Warned(reading.unreadable(error))]
        if not words or not self._are_own(number, chunk, [word.text for word in words]):
            return []
        chunk.has_words = True
        if chunk.first_byte is None:
            chunk.early += words
            return []
        return [self._placed(chunk.first_byte, words)]

    def _are_own(self, number: Any, chunk: _Chunk, words: list[str]) -> bool:
        if self._late is None:
            return True
        # Words never come before their chunk.
        return chunk.begun and self._late.are_own(number, chunk.text, words)

    def _placed(self, first_byte: int, words: list[WordTime]) -> WordTimes:
        base_s = self._seconds(first_byte)
        return WordTimes(self._stream, tuple(WordTime(text, base_s + at, base_s + to) for text, at, to in words))

    def _spoken(self, chunk: _Chunk, text: str) -> ChunkSpoken:
        if chunk.first_byte is None:  # nothing was heard of it
            here_s = self._seconds(self._bytes)
            return ChunkSpoken(self._stream, "", here_s, here_s, silent=chunk.text)
        return ChunkSpoken(self._stream, text, self._seconds(chunk.first_byte), self._seconds(chunk.last_byte))

    def _seconds(self, audio_bytes: int) -> float:
        return audio_bytes / _SAMPLE_BYTES / self._rate


def usage(message: Mapping[str, Any]) -> list[VendorEvent]:
    """Return what the vendor bills, if a frame says so."""
    told = message.get("usage")
    if not isinstance(told, dict):
        return []
    seconds, chars, cents = (reading.figure(told.get(name)) for name in ("audio_seconds", "characters", "cost_cents"))
    cost = "unknown" if cents is None else f"{cents:g} cents"
    return [Warned(f"billed: {seconds or 0:g} s of audio, {chars or 0:g} characters, cost {cost}")]


def _word(stamp: Any) -> WordTime:
    stamp = reading.mapping(stamp)
    return WordTime(
        str(stamp["word"]), reading.seconds(stamp["start_ms"]) / 1000, reading.seconds(stamp["end_ms"]) / 1000
    )
