"""Real speech: it sounds, its words have times, it can be asked for from everywhere at once."""

import asyncio
import ctypes
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError

from saystream.compose.standin import StandIn, espeak
from saystream.compose.standin.espeak import ENGINE_RATE, Engine, Espeak, LanguageError, open_voice, resample
from saystream.compose.standin.marker import Marker
from saystream.compose.standin.voices import UnknownVoiceError, VoiceUnavailableError
from saystream.compose.standin.voices import open_voice as choose

OpenClient: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

WORDS = "Hello, world — it costs $3.50 today.".split()


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 48_000])
async def test_speech_is_loud_and_as_long_as_speech(rate: int) -> None:
    clip = await (await open_voice("en")).speak(WORDS, rate)
    assert np.sqrt(np.mean(clip.samples.astype(np.float64) ** 2)) > 1_000
    assert 2 < len(clip.samples) / rate < 8


@pytest.mark.parametrize("language", ["en", "en-gb", "de", "fr-fr"])
async def test_the_times_of_the_words_follow_one_another_and_cover_the_text(language: str) -> None:
    clip = await (await open_voice(language)).speak(WORDS, 24_000)
    assert [word.text for word in clip.words] == WORDS
    assert clip.words[0].first_sample == 0
    assert clip.words[-1].last_sample == len(clip.samples)
    assert all(one.last_sample == next_one.first_sample for one, next_one in pairwise(clip.words))
    assert all(word.first_sample <= word.last_sample for word in clip.words)
    assert sum(word.last_sample - word.first_sample > 1_000 for word in clip.words) >= len(WORDS) - 1


@pytest.mark.parametrize("words", [["..."], ["—"], ["\0"], ["a\0b", "c"], ["<b>", "&"], ["日本語"], ["x" * 300]])
async def test_whatever_the_words_each_is_accounted_for(words: list[str]) -> None:
    clip = await (await open_voice("en")).speak(words, 16_000)
    assert [word.text for word in clip.words] == words


async def test_a_language_that_is_not_there_is_refused_and_the_next_utterance_has_its_own() -> None:
    voice = await open_voice("en")
    with pytest.raises(LanguageError):
        await open_voice("zz")
    again = await voice.speak(["one"], ENGINE_RATE)
    assert len(again.samples) > 0


async def test_twenty_voices_at_once_do_not_disturb_one_another() -> None:
    numbers = ["1999", "777777", "91"]  # 15 per cent shorter in English than in German
    voices = {language: await open_voice(language) for language in ("en", "de")}
    alone = {language: len((await voice.speak(numbers, 24_000)).samples) for language, voice in voices.items()}
    assert alone["en"] < 0.9 * alone["de"]
    clips = await asyncio.gather(*(voices[language].speak(numbers, 24_000) for language in ("en", "de") * 10))
    # The same text is never quite the same length: a little of the engine's state outlives an utterance.
    for language, clip in zip(("en", "de") * 10, clips, strict=True):
        assert len(clip.samples) == pytest.approx(alone[language], rel=0.02)


async def test_threads_may_use_the_engine_without_a_queue_of_their_own() -> None:
    engine = (await open_voice("en")).engine
    utterances = await asyncio.gather(*(asyncio.to_thread(engine.utter, "one two", "en") for _ in range(20)))
    assert {len(utterance.word_starts) for utterance in utterances} == {2}


async def test_an_exception_in_the_callback_comes_out_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: Any) -> bytes:
        raise MemoryError("no room for sound")

    engine = (await open_voice("en")).engine
    with monkeypatch.context() as patched:
        patched.setattr(ctypes, "string_at", no_room)
        with pytest.raises(MemoryError, match="no room"):
            engine.utter("one", "en")
    assert len(engine.utter("one", "en").samples) > 0


def test_a_clause_is_spoken_as_soon_as_it_is_whole() -> None:
    voice = Espeak(engine=None, language="en")  # type: ignore[arg-type]
    assert voice.ready(["This", "is"]) == 0
    assert voice.ready(["This", "is", "it.", "And"]) == 3
    assert voice.ready(["Well,", "then"]) == 0
    assert voice.ready(["Well", "then", "my", "friend,", "go"]) == 4
    assert voice.ready(["He", "said", '"no."', "Then"]) == 3
    assert voice.ready(["word"] * 40) == 12


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_resampling_keeps_a_tone_its_pitch_and_its_length(rate: int) -> None:
    tone = (8_000 * np.sin(2 * np.pi * 440 * np.arange(10_000) / ENGINE_RATE)).astype(np.int16)
    resampled = resample(tone, ENGINE_RATE, rate)
    assert len(resampled) == round(10_000 * rate / ENGINE_RATE)
    expected = 8_000 * np.sin(2 * np.pi * 440 * np.arange(len(resampled)) / rate)
    assert np.max(np.abs(resampled - expected)[500:-500]) < 100


async def test_the_voice_id_chooses_the_voice() -> None:
    assert isinstance(await choose("marker"), Marker)
    assert isinstance(await choose("marker-two"), Marker)
    assert isinstance(await choose("anything", engine="marker"), Marker)
    languages = {"default": "en", "YTpq7expH9539ERJ": "en", "espeak": "en", "espeak-de": "de", "de": "de", "bob": "en"}
    for voice_id, language in languages.items():
        voice = await choose(voice_id)
        assert isinstance(voice, Espeak)
        assert voice.language == language
    assert isinstance(await choose("marker", engine="espeak"), Espeak)


@pytest.mark.parametrize("voice_id", ["unknown", "unknown-1", "espeak-zz"])
async def test_some_voices_are_unknown(voice_id: str) -> None:
    with pytest.raises(UnknownVoiceError):
        await choose(voice_id)


async def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)  # an import of it fails
    monkeypatch.setattr(espeak, "_engine", Engine)
    assert isinstance(await choose("marker"), Marker)
    with pytest.raises(VoiceUnavailableError, match=r"saystream\[local\]"):
        await choose("default")


async def test_a_vendors_voice_speaks_over_the_socket(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup(voice_id="YTpq7expH9539ERJ")
        await client.text("Two sentences. One after the other. <flush>")
        await client.end()
        assert await client.until_closed() == 1000
    assert client.said() == ["Two", "sentences.", "One", "after", "the", "other."]
    assert np.sqrt(np.mean(client.sound().astype(np.float64) ** 2)) > 1_000
    starts = [message["start_s"] for message in client.messages if message["type"] == "text"]
    assert starts == sorted(starts)


async def test_a_missing_language_is_an_unknown_voice_to_the_client(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup(voice_id="espeak-zz")
        with pytest.raises(ConnectionClosedError):
            await client.until_closed()
    assert client.messages[0]["message"] == "Embeddings not found for espeak-zz"
