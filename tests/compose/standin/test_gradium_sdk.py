"""The vendor's own SDK, unchanged, does not notice that it talks to the stand-in."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from gradium.client import GradiumClient
from gradium.speech import TTSSetup

from saystream.compose.standin import TEST_KEY, StandIn
from saystream.compose.standin.marker import decode

TEXT = "The quick brown fox, naïve as ever, jumps over 13 lazy dogs. <flush>"
WORDS = TEXT.removesuffix(" <flush>")


def client(standin: StandIn, api_key: str = TEST_KEY) -> GradiumClient:
    return GradiumClient(base_url=f"{standin.url}/api", api_key=api_key)


def marker_setup(output_format: str = "pcm_24000") -> TTSSetup:
    return TTSSetup(model_name="default", voice_id="marker", output_format=output_format)


@pytest.mark.parametrize(("output_format", "rate"), [("pcm", 48_000), ("pcm_8000", 8_000), ("pcm_22050", 22_050)])
async def test_one_shot_gives_every_word_once(standin: StandIn, output_format: str, rate: int) -> None:
    result = await client(standin).tts(marker_setup(output_format), TEXT)
    assert result.sample_rate == rate
    assert result.request_id == standin.stats.requests[0].request_id
    decoded = decode(result.pcm16(), rate)
    assert (decoded.text, decoded.faults) == (WORDS, [])


async def test_one_shot_tells_when_each_word_is_heard(standin: StandIn) -> None:
    result = await client(standin).tts(marker_setup(), TEXT)
    told = [(t.text, round(t.start_s * 24_000), round(t.stop_s * 24_000)) for t in result.text_with_timestamps]
    heard = [(w.text, w.first_sample, w.last_sample) for w in decode(result.pcm16(), 24_000).words]
    assert told == heard


async def test_wav_has_one_header_before_its_samples(standin: StandIn) -> None:
    result = await client(standin).tts(marker_setup("wav"), TEXT)
    assert result.raw_data[:4] + result.raw_data[8:16] == b"RIFFWAVEfmt "
    assert result.raw_data[36:40] == b"data"
    assert decode(np.frombuffer(result.raw_data[44:], dtype=np.int16), 48_000).text == WORDS


async def test_streamed_gives_every_word_of_a_growing_text_once(standin: StandIn) -> None:
    async def phrases() -> AsyncIterator[str]:
        for phrase in ("The quick brown fox,", "naïve as ever,", "jumps over", "13 lazy dogs.", "<flush>"):
            yield phrase
            await asyncio.sleep(0)

    stream = await client(standin).tts_stream(marker_setup(), phrases())
    sound = b"".join([chunk async for chunk in stream.iter_bytes()])
    assert stream.sample_rate == 24_000
    assert decode(np.frombuffer(sound, dtype=np.int16), 24_000).text == WORDS
    log = standin.stats.requests[0]
    assert log.heard == ["The quick brown fox,", "naïve as ever,", "jumps over", "13 lazy dogs.", "<flush>"]
    assert (log.flushes, log.outcome) == (1, "completed")


async def test_realtime_speaks_words_as_they_are_sent(standin: StandIn) -> None:
    kinds, sound = [], b""
    async with client(standin).tts_realtime(**marker_setup(), wait_for_ready_on_start=True) as tts:
        for word in TEXT.split():
            await tts.send_text(word)
        await tts.send_eos()
        async for message in tts:
            kinds.append(message["type"])
            if message["type"] == "audio":
                sound += message["audio"]
    assert tts.ready["frame_size"] == 1_920
    assert kinds[0] == "text"
    assert kinds[-1] == "end_of_stream"
    assert decode(np.frombuffer(sound, dtype=np.int16), 24_000).text == WORDS


async def test_a_socket_speaks_one_request_after_another(standin: StandIn) -> None:
    setup = {**marker_setup(), "close_ws_on_eos": False}
    texts = ["First answer.", "A second one, longer.", "Third."]
    async with client(standin).tts_realtime(**setup, send_setup_on_start=False) as tts:
        for text in texts:
            await tts.send_setup(setup)
            await tts.send_text(f"{text} <flush>")
            await tts.send_eos()
            sound = b""
            while (message := await tts.recv())["type"] != "end_of_stream":
                if message["type"] == "audio":
                    sound += message["audio"]
            assert decode(np.frombuffer(sound, dtype=np.int16), 24_000).text == text
        await tts.send_eos()
        assert await tts.recv() is None
    assert standin.stats.connections_opened == 1
    assert standin.stats.requests_completed == len(texts)


async def test_a_socket_speaks_several_requests_at_once(standin: StandIn) -> None:
    texts = {f"turn-{number}": f"Answer number {number} of six. <flush>" for number in range(6)}
    setup = {**marker_setup(), "close_ws_on_eos": False}
    sounds = dict.fromkeys(texts, b"")
    ended: set[str] = set()
    async with client(standin).tts_realtime(**setup, send_setup_on_start=False) as tts:
        for name in texts:
            await tts.send_setup({**setup, "client_req_id": name})
        for name, text in texts.items():
            await tts.send_text(text, client_req_id=name)
        for name in texts:
            await tts.send_eos(client_req_id=name)
        while len(ended) < len(texts):
            message = await tts.recv()
            if message["type"] == "audio":
                sounds[message["client_req_id"]] += message["audio"]
            elif message["type"] == "end_of_stream":
                ended.add(message["client_req_id"])
    for name, text in texts.items():
        decoded = decode(np.frombuffer(sounds[name], dtype=np.int16), 24_000)
        assert (f"{decoded.text} <flush>", decoded.faults) == (text, [])


async def test_a_bad_key_is_reported_as_the_vendor_reports_it(standin: StandIn) -> None:
    with pytest.raises(Exception, match=r"Websocket connection error: .* \(1008\)"):
        await client(standin, "wrong").tts(marker_setup(), TEXT)
    assert standin.stats.requests_started == 0


async def test_a_bad_format_is_reported_as_the_vendor_reports_it(standin: StandIn) -> None:
    with pytest.raises(Exception, match=r"output_format mp3 is not supported.* \(1008\)"):
        await client(standin).tts(marker_setup("mp3"), TEXT)
