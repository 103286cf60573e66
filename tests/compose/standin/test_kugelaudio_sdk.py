"""The vendor's own SDK, unchanged, does not notice that it talks to the stand-in."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import numpy as np
import pytest
from kugelaudio import KugelAudio
from kugelaudio.exceptions import (
    AuthenticationError,
    InsufficientCreditsError,
    KugelAudioError,
    NotFoundError,
    RateLimitError,
    ServerRestartingError,
    ValidationError,
)
from kugelaudio.models import AudioChunk, AudioResponse, StreamConfig, WordTimestamp
from kugelaudio.streaming import StreamingSession

from saystream.compose.standin import TEST_KEY, StandIn
from saystream.compose.standin.behaviour import Behaviour, Fault, Kind
from saystream.compose.standin.kugelaudio import LATE
from saystream.compose.standin.marker import Decoded, MarkedWord, decode

TEXT = "The quick brown fox, naïve as ever, jumps over 13 lazy dogs."
VOICE: Any = "marker"  # the SDK says that voices are numbers, and sends whatever it is given
# The SDK asks a closed connection for its code in a way that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:ConnectionClosed:DeprecationWarning")

OPTIONS: Any = {"voice_id": VOICE, "model_id": "kugel-3", "language": "en"}


@pytest.fixture
async def kugel(standin: StandIn) -> AsyncIterator[KugelAudio]:
    client = KugelAudio(api_key=TEST_KEY, api_url=standin.url)
    yield client
    await client.aclose()


async def sound(chunks: AsyncIterator[AudioChunk]) -> bytes:
    return b"".join([chunk.audio async for chunk in chunks])


def read(audio: bytes | Iterable[bytes], rate: int = 24_000) -> Decoded:
    whole = audio if isinstance(audio, bytes) else b"".join(audio)
    return decode(np.frombuffer(whole, dtype=np.int16), rate)


def said(audio: bytes | Iterable[bytes], rate: int = 24_000) -> str:
    """The words of some audio, which has nothing else in it."""
    decoded = read(audio, rate)
    assert decoded.faults == []
    return decoded.text


def told(stamps: Iterable[WordTimestamp]) -> list[tuple[str, int, int]]:
    return [(stamp.word, stamp.start_ms, stamp.end_ms) for stamp in stamps]


def heard(words: Iterable[MarkedWord], origin: int = 0, rate: int = 24_000) -> list[tuple[str, int, int]]:
    """Words and their times in milliseconds, as timestamps would tell them."""

    def ms(sample: int) -> int:
        return round((sample - origin) * 1000 / rate)

    return [(word.text, ms(word.first_sample), ms(word.last_sample)) for word in words]


# /ws/tts


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 44_100])
async def test_one_shot_gives_every_word_once(kugel: KugelAudio, rate: int) -> None:
    response = await kugel.tts.generate_async(TEXT, sample_rate=rate, **OPTIONS)
    assert response.sample_rate == rate
    assert said(response.audio, rate) == TEXT
    assert response.samples == len(response.audio) // 2


async def test_one_shot_reuses_its_socket_and_is_billed_each_time(kugel: KugelAudio, standin: StandIn) -> None:
    for text in ("First answer.", "And the second. It has two sentences."):
        response = await kugel.tts.generate_async(text, **OPTIONS)
        assert said(response.audio) == text
        assert response.usage is not None
        assert response.usage.audio_seconds == pytest.approx(response.duration_seconds, abs=0.001)
        assert response.usage.cost_available
    assert standin.stats.connections_opened == 1


async def test_one_shot_tells_when_each_word_is_heard(kugel: KugelAudio) -> None:
    response: AudioResponse = await kugel.tts.generate_async(TEXT, word_timestamps=True, **OPTIONS)
    assert told(response.word_timestamps) == heard(read(response.audio).words)
    assert [TEXT[stamp.char_start : stamp.char_end] for stamp in response.word_timestamps] == TEXT.split()


async def test_one_shot_speaks_g711(kugel: KugelAudio) -> None:
    response = await kugel.tts.generate_async(TEXT, output_format="ulaw_8000", **OPTIONS)
    assert (response.sample_rate, response.samples) == (8_000, len(response.audio))


async def test_the_synchronous_client_is_served_as_well(kugel: KugelAudio) -> None:
    response = await asyncio.to_thread(kugel.tts.generate, TEXT, **OPTIONS)
    assert said(response.audio) == TEXT


# /ws/tts/stream


def session(kugel: KugelAudio, **options: Any) -> StreamingSession:
    return kugel.tts.streaming_session(**{**OPTIONS, **options})


async def test_streamed_tokens_give_every_word_once(kugel: KugelAudio, standin: StandIn) -> None:
    tokens = ["The qu", "ick ", "brown fox, na", "ïve as ever", ", jumps", " over 13 ", "lazy dogs."]
    async with session(kugel) as stream:
        audio = [await sound(stream.send(token)) for token in tokens]
        audio.append(await sound(stream.flush()))
        assert stream.last_final is not None
        assert stream.last_usage is not None
        assert stream.last_usage.characters == len(TEXT)
    assert said(audio) == TEXT
    (log,) = standin.stats.requests
    assert log.heard == [*tokens, ""]
    assert (log.flushes, log.outcome) == (1, "completed")


async def test_a_sentence_is_heard_before_the_turn_is_over(kugel: KugelAudio) -> None:
    async with session(kugel) as stream:
        first = await sound(stream.send("A whole sentence. And then"))
        rest = await sound(stream.send(" one more.", flush=True))
    assert (said(first), said(rest)) == ("A whole sentence.", "And then one more.")


async def test_a_socket_speaks_turn_after_turn_with_the_same_configuration(kugel: KugelAudio, standin: StandIn) -> None:
    async with session(kugel, sample_rate=16_000) as stream:
        for text in ("First answer.", "A second one, longer.", "Third."):
            assert said(await sound(stream.send(text, flush=True)), 16_000) == text
    assert standin.stats.connections_opened == 1
    assert standin.stats.requests_completed == 3


async def test_drain_ends_a_turn_with_all_that_was_not_spoken_yet(kugel: KugelAudio) -> None:
    async with session(kugel) as stream:
        assert await sound(stream.send("not a sentence")) == b""
        assert said(await sound(stream.drain())) == "not a sentence"
        stats = await stream.end_session()
        assert stats["total_text_chunks"] == 1
        assert said(await sound(stream.send("next", flush=True))) == "next"


async def test_streamed_words_are_timed_from_the_start_of_their_chunk(kugel: KugelAudio) -> None:
    stamps: list[list[WordTimestamp]] = []
    text = "One sentence first. Then another, longer one. Last."
    options = {**OPTIONS, "word_timestamps": True}
    async with kugel.tts.streaming_session(**options, on_word_timestamps=stamps.append) as stream:
        words = read(await sound(stream.send(text, flush=True))).words
    chunks = [words[:3], words[3:7], words[7:]]
    assert [told(chunk) for chunk in stamps] == [heard(chunk, chunk[0].first_sample) for chunk in chunks]


async def test_a_barge_in_silences_the_turn_and_leaves_the_socket(kugel: KugelAudio, standin: StandIn) -> None:
    standin.behaviour = Behaviour(speed=20)
    async with session(kugel) as stream:
        async for _ in stream.send("conversation " * 50, flush=True):
            break
        await stream.cancel_current()
        assert said(await sound(stream.send("Next answer.", flush=True))) == "Next answer."
    assert standin.stats.connections_opened == 1
    assert [log.outcome for log in standin.stats.requests] == ["failed", "completed"]


async def test_a_barge_in_with_nothing_to_silence_is_answered_too(kugel: KugelAudio) -> None:
    async with session(kugel) as stream:
        await stream.cancel_current()


async def test_settings_are_updated_between_turns(kugel: KugelAudio) -> None:
    async with session(kugel) as stream:
        await sound(stream.send("One.", flush=True))
        effective = await stream.update_settings(speed=1.1, temperature=0.3, language="de", cfg_scale=9)
        assert effective == {
            "cfg_scale": 2.5,
            "temperature": 0.3,
            "speed": 1.1,
            "max_new_tokens": 2048,
            "language": "de",
            "normalize": True,
        }
        with pytest.raises(ValidationError, match="speed"):
            await stream.update_settings(speed=2.0)
        assert said(await sound(stream.send("Two.", flush=True))) == "Two."


async def test_a_socket_may_change_its_voice_between_turns(kugel: KugelAudio, standin: StandIn) -> None:
    other: Any = "marker-two"
    async with session(kugel) as stream:
        await sound(stream.send("One.", flush=True))
        stream.update_config(StreamConfig(voice_id=other, sample_rate=8_000))
        assert said(await sound(stream.send("Two.", flush=True)), 8_000) == "Two."


@pytest.mark.parametrize("frames", [0, 1])
async def test_a_turn_is_replayed_after_a_rolling_deploy_if_nothing_of_it_was_heard(
    kugel: KugelAudio, standin: StandIn, frames: int
) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.CLOSE, after_frames=frames, code=1012), faulty_requests=1)
    async with session(kugel) as stream:
        if frames:
            with pytest.raises(ServerRestartingError):
                await sound(stream.send(TEXT, flush=True))
        else:
            assert said(await sound(stream.send(TEXT, flush=True))) == TEXT


# /ws/tts/multi


def contexts(kugel: KugelAudio, **options: Any) -> Any:
    voice = {"default_voice_id": VOICE, "model_id": "kugel-3", "language": "en"}
    return kugel.tts.multi_context_session(**{**voice, **options})


async def test_two_contexts_speak_on_one_socket(kugel: KugelAudio, standin: StandIn) -> None:
    async with contexts(kugel) as multi:
        await multi.create_context("a")
        await multi.create_context("b")
        for text in ("First of all.", "Second. In two sentences."):
            for name in ("a", "b"):
                spoken = await sound(multi.send(name, f"{name}: {text}", flush=True))
                assert said(spoken) == f"{name}: {text}"
        assert multi.active_contexts == {"a", "b"}
        for name in ("a", "b"):
            assert await sound(multi.close_context(name)) == b""
            assert multi.usage_for(name).audio_seconds > 1
    assert standin.stats.connections_opened == 1
    assert standin.stats.requests_completed == 2


async def test_closing_a_context_gives_what_it_had_not_spoken(kugel: KugelAudio) -> None:
    async with contexts(kugel) as multi:
        await multi.create_context("a")
        await multi._ws_send({"text": "no sentence yet", "context_id": "a"})  # its `send` would wait for sound
        assert said(await sound(multi.close_context("a"))) == "no sentence yet"


async def test_the_words_of_a_context_are_timed_too(kugel: KugelAudio) -> None:
    stamps: list[tuple[str, list[WordTimestamp]]] = []

    def tell(context_id: str, words: list[WordTimestamp]) -> None:
        stamps.append((context_id, words))

    async with contexts(kugel, word_timestamps=True, on_word_timestamps=tell) as multi:
        words = read(await sound(multi.send("a", TEXT, flush=True))).words
    assert [(name, told(chunk)) for name, chunk in stamps] == [("a", heard(words))]


async def test_a_barge_in_closes_its_context_only(kugel: KugelAudio, standin: StandIn) -> None:
    standin.behaviour = Behaviour(speed=20)
    async with contexts(kugel) as multi:
        await multi.create_context("b")
        async for _ in multi.send("a", "conversation " * 50, flush=True):
            break
        await sound(multi.close_context("a", immediate=True))
        assert said(await sound(multi.send("b", "Next answer.", flush=True))) == "Next answer."
        assert [log.outcome for log in standin.stats.requests] == ["active", "failed"]


async def test_one_context_too_many_is_refused_and_the_others_stay(kugel: KugelAudio) -> None:
    async with contexts(kugel) as multi:
        for number in range(20):
            await multi.create_context(f"c{number}")
        with pytest.raises(RateLimitError) as refused:
            await multi.create_context("c20")
        assert refused.value.error_code == "TOO_MANY_CONTEXTS"
        assert said(await sound(multi.send("c19", "still here", flush=True))) == "still here"


async def test_settings_of_later_contexts_are_updated(kugel: KugelAudio) -> None:
    async with contexts(kugel) as multi:
        assert (await multi.update_settings(speed=0.9))["speed"] == 0.9


async def test_contexts_are_restored_after_a_rolling_deploy(kugel: KugelAudio, standin: StandIn) -> None:
    async with contexts(kugel) as multi:
        await multi.create_context("a")
        for connection in list(standin.connections.values()):
            connection.do("close", 1012, "restarting")
        assert said(await sound(multi.send("a", TEXT, flush=True))) == TEXT
    assert standin.stats.connections_opened == 2


# Refusals


async def test_a_bad_key_is_refused_at_each_socket(standin: StandIn) -> None:
    client = KugelAudio(api_key="wrong", api_url=standin.url)
    with pytest.raises(AuthenticationError):
        await client.tts.generate_async(TEXT, **OPTIONS)
    with pytest.raises(AuthenticationError):
        await session(client).connect()
    with pytest.raises(AuthenticationError):
        await contexts(client).connect()
    assert standin.stats.requests_started == 0
    await client.aclose()


async def test_a_bad_key_may_also_be_refused_after_the_handshake(standin: StandIn) -> None:
    client = KugelAudio(api_key=f"{LATE}key", api_url=standin.url)
    with pytest.raises(AuthenticationError):
        await client.tts.generate_async(TEXT, **OPTIONS)
    await client.aclose()


async def test_a_missing_voice_is_reported(kugel: KugelAudio) -> None:
    with pytest.raises(ValidationError) as one_shot:
        await kugel.tts.generate_async(TEXT)
    async with kugel.tts.streaming_session() as stream:
        with pytest.raises(ValidationError) as streamed:
            await sound(stream.send(TEXT, flush=True))
        await stream.cancel_current()  # else it waits for the end of the turn
    async with contexts(kugel, default_voice_id=None) as multi:
        with pytest.raises(ValidationError) as context:
            await multi.create_context("a")
    codes = [caught.value.error_code for caught in (one_shot, streamed, context)]
    assert codes == ["MISSING_VOICE_ID"] * 3


async def test_an_unknown_voice_is_reported(kugel: KugelAudio) -> None:
    unknown: Any = "unknown"
    with pytest.raises(NotFoundError, match="Voice unknown not found"):
        await kugel.tts.generate_async(TEXT, voice_id=unknown)
    async with contexts(kugel, default_voice_id=unknown) as multi:
        with pytest.raises(NotFoundError):
            await multi.create_context("a")


@pytest.mark.parametrize(
    ("code", "error"),
    [(402, InsufficientCreditsError), (429, RateLimitError), (500, KugelAudioError), (4500, KugelAudioError)],
)
async def test_an_error_in_a_turn_is_reported_by_its_kind(
    kugel: KugelAudio, standin: StandIn, code: int, error: type[KugelAudioError]
) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.ERROR, after_frames=1, code=code, message="so it goes"))
    async with session(kugel) as stream:
        with pytest.raises(error, match="so it goes") as caught:
            await sound(stream.send(TEXT, flush=True))
        assert caught.value.request_id is not None
        await stream.cancel_current()  # else it waits for the end of the turn
