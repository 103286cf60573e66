"""The espeak voice: real speech from espeak-ng's library, with the times of its words.

The library comes from the wheel `espeakng-loader` (extra `local`) and is loaded when the first voice is opened. It has
one global state and crashes the process when two threads use it at once, so there is one engine a process, behind a
lock, and one thread that waits for it. Types, constants and return codes are those of espeak-ng 1.52, `speak_lib.h`.
"""

import asyncio
import ctypes
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from saystream.compose.standin.sound import Clip, Samples, SpokenWord

ENGINE_RATE = 22_050  # what espeak-ng's data is made for

_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: calls back, returns when all is said
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: without it missing data ends the process
_UTF8_AND_END_PAUSE = 0x0001 | 0x1000  # espeakCHARS_UTF8 | espeakENDPAUSE
_CHARACTER_POSITIONS = 1  # espeak_POSITION_TYPE
_LIST_TERMINATED, _WORD = 0, 1  # espeak_EVENT_TYPE

_LONGEST_PHRASE = 12  # words
_SHORTEST_CLAUSE = 4  # words; a comma after fewer is no reason to stop


class EngineError(Exception):
    """espeak-ng refused a call or could not be started."""


class LanguageError(EngineError):
    """espeak-ng has no voice for this language."""


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class _VoiceProperties(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class _Utterance:
    samples: Samples  # at ENGINE_RATE
    word_starts: list[tuple[int, int]]  # (character from 0, sample)


class Engine:
    """espeak-ng's library: one a process, safe to call from any thread.

    Raises:
        ImportError: the extra `local` is not installed.
        EngineError: the library does not start.
    """

    def __init__(self) -> None:
        import espeakng_loader  # the extra: only who asks for real speech needs it

        self._lock = threading.Lock()
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._language = ""
        self._sound: list[bytes] = []
        self._word_starts: list[tuple[int, int]] = []
        self._error: BaseException | None = None
        self._callback = _Callback(self._heard)  # kept: the library holds only its address
        rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _DONT_EXIT)
        if rate != ENGINE_RATE:
            raise EngineError(f"espeak-ng answered sample rate {rate} instead of {ENGINE_RATE}")
        self._library.espeak_SetSynthCallback(self._callback)

    def choose(self, language: str) -> None:
        """Make sure that `language` (`de`, `en-gb`, …) can be spoken.

        Raises:
            LanguageError: it cannot; the previous language stays chosen.
        """
        with self._lock:
            self._choose(language)

    def utter(self, text: str, language: str) -> _Utterance:
        """Return the sound of `text`; blocks until all of it is synthesised."""
        # The library reads up to a zero byte; a blank in its place keeps the positions of what follows.
        encoded = text.replace("\0", " ").encode(errors="replace")
        with self._lock:
            self._choose(language)
            self._sound, self._word_starts, self._error = [], [], None
            code = self._library.espeak_Synth(
                encoded, ctypes.c_size_t(len(encoded) + 1), 0, _CHARACTER_POSITIONS, 0, _UTF8_AND_END_PAUSE, None, None
            )
            if self._error is not None:
                raise self._error
            if code:
                raise EngineError(f"espeak_Synth answered {code}")
            return _Utterance(np.frombuffer(b"".join(self._sound), dtype=np.int16), self._word_starts)

    def _choose(self, language: str) -> None:
        if language == self._language:
            return
        # By properties, not by name: SetVoiceByName does not know "en-gb", and keeps the previous voice when it fails.
        properties = _VoiceProperties(languages=language.encode())
        code = self._library.espeak_SetVoiceByProperties(ctypes.byref(properties))
        if code:
            raise LanguageError(f"espeak-ng has no voice for {language!r} (answered {code})")
        self._language = language

    def _heard(self, wave: Any, samples: int, events: Any) -> int:
        # An exception that leaves a callback is printed and lost: it is kept and raised when espeak_Synth is back.
        try:
            if wave and samples > 0:
                self._sound.append(ctypes.string_at(wave, samples * 2))
            index = 0
            while events[index].type != _LIST_TERMINATED:
                if events[index].type == _WORD:
                    self._word_starts.append((events[index].text_position - 1, events[index].sample))
                index += 1
        except BaseException as error:
            self._error = error
            return 1
        return 0


class Espeak:
    """The espeak voice of one language. Made by `open_voice`."""

    def __init__(self, engine: Engine, language: str) -> None:
        self.engine = engine
        self.language = language

    def ready(self, words: Sequence[str]) -> int:
        # A clause at a time: word by word it would sound like a list, and a whole text would keep the first sound back.
        for count, word in enumerate(words[:_LONGEST_PHRASE], start=1):
            ending = word.rstrip("\"'”’»)]*_")[-1:]
            if ending in set(".?!…。？！") or (ending in set(",;:—") and count >= _SHORTEST_CLAUSE):
                return count
        return _LONGEST_PHRASE if len(words) >= _LONGEST_PHRASE else 0

    async def speak(self, words: Sequence[str], rate: int) -> Clip:
        return await asyncio.get_running_loop().run_in_executor(_thread(), self._speak, words, rate)

    def _speak(self, words: Sequence[str], rate: int) -> Clip:
        utterance = self.engine.utter(" ".join(words), self.language)
        samples = resample(utterance.samples, ENGINE_RATE, rate)
        starts = _starts(words, utterance.word_starts, len(utterance.samples))
        edges = [round(start * rate / ENGINE_RATE) for start in starts] + [len(samples)]
        spoken = tuple(SpokenWord(word, edges[index], edges[index + 1]) for index, word in enumerate(words))
        return Clip(samples, spoken)


async def open_voice(language: str) -> Espeak:
    """Return the voice of a language, with the library loaded.

    Raises:
        ImportError: the extra `local` is not installed.
        LanguageError: espeak-ng does not know the language.
        EngineError: the library does not start.
    """

    def opened() -> Espeak:
        engine = _engine()
        engine.choose(language)
        return Espeak(engine, language)

    return await asyncio.get_running_loop().run_in_executor(_thread(), opened)


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Return the same sound at another rate, through its spectrum; both rates are multiples of 50.

    The length is that of the input times the ratio, rounded. Nothing of the input lies above half of either rate
    afterwards, so that 8 kHz has no mirrored frequencies.
    """
    if from_rate == to_rate or not len(samples):
        return samples
    # Padded to a length that is whole at both rates and splits into small factors: the transform stays fast and exact.
    unit = 8 * from_rate // 50
    padded = (len(samples) // unit + 2) * unit
    length = padded * to_rate // from_rate
    spectrum = np.fft.rfft(samples, padded)[: length // 2 + 1]
    wave = np.fft.irfft(spectrum, length) * (length / padded)
    return np.clip(np.rint(wave[: round(len(samples) * to_rate / from_rate)]), -32768, 32767).astype(np.int16)


def _starts(words: Sequence[str], word_starts: list[tuple[int, int]], samples: int) -> list[int]:
    """The first sample of every word, from the engine's events.

    The engine may say a word in several ("$3.50"), tell positions out of order, or leave one out ("—"): a word starts
    with the first event inside it, and one without an event where the next begins.
    """
    starts: list[int | None] = []
    position = 0
    for word in words:
        inside = [sample for character, sample in word_starts if position <= character < position + len(word)]
        starts.append(min(inside) if inside else None)
        position += len(word) + 1
    result, following = [], samples
    for start in reversed(starts):
        following = min(following if start is None else start, following)
        result.append(following)
    result.reverse()
    result[:1] = [0]  # what sounds before the first event belongs to the first word
    return result


@lru_cache(maxsize=1)
def _engine() -> Engine:
    return Engine()


@lru_cache(maxsize=1)
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")
