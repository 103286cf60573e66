"""Fish Audio's own SDK, unchanged, does not notice that it talks to the stand-in; a plain client does the rest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import fish_audio_sdk
import numpy as np
import ormsgpack
import pytest
from fish_audio_sdk.exceptions import WebSocketErr
from fishaudio import AsyncFishAudio, FishAudio, FlushEvent, TextEvent, TTSConfig
from fishaudio.exceptions import WebSocketError
from fishaudio.types import Prosody
from httpx_ws import WebSocketUpgradeError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from saystream.compose.standin import TEST_KEY, Behaviour, Fault, Kind, StandIn
from saystream.compose.standin.fishaudio import LIVE, WITH_TIMESTAMP
from saystream.compose.standin.marker import Decoded, MarkedWord, decode
from tests.timing import MS, eventually

TEXT = (
    "The quick brown fox, naïve as ever, jumps over 13 lazy dogs. Nobody knows what it wanted there, and it isn't "
    "telling. They say that it came back next day, sat down on the very same hill — and waited until dark."
)
RATE = 44_100
"""What the SDK gets if it names no rate, in samples a second."""

WAV_HEADER_BYTES = 44

Messages = list[dict[str, Any]]


@pytest.fixture(params=[True, False], ids=["keeps its sockets", "closes its sockets"])
async def standin(request: pytest.FixtureRequest) -> AsyncIterator[StandIn]:
    async with StandIn(behaviour=Behaviour(keeps_socket=request.param)) as running:
        yield running


@pytest.fixture
async def client(standin: StandIn) -> AsyncIterator[AsyncFishAudio]:
    async with AsyncFishAudio(api_key=TEST_KEY, base_url=standin.url) as opened:
        yield opened


@pytest.fixture
def sync_client(standin: StandIn) -> Iterator[FishAudio]:
    with FishAudio(api_key=TEST_KEY, base_url=standin.url) as opened:
        yield opened


marked: dict[str, Any] = {"reference_id": "marker", "format": "pcm"}


async def given_out(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
        await asyncio.sleep(0)


def tokens(text: str) -> list[str]:
    """The text as a model gives it: pieces of three characters, blanks and all."""
    return [text[at : at + 3] for at in range(0, len(text), 3)]


async def spoken_by(client: AsyncFishAudio, items: list[Any], **options: Any) -> bytes:
    stream = client.tts.stream_websocket(given_out(items), **{**marked, **options})
    return b"".join([chunk async for chunk in stream])


def heard(audio: bytes, rate: int = RATE) -> Decoded:
    return decode(np.frombuffer(audio, dtype="<i2"), rate)


def with_behaviour(standin: StandIn, **fields: Any) -> None:
    standin.behaviour = Behaviour(keeps_socket=standin.behaviour.keeps_socket, **fields)


def only_error(raised: BaseException) -> BaseException:
    """What the SDK raised, out of the groups that its asynchronous sockets wrap it in."""
    while isinstance(raised, BaseExceptionGroup):
        (raised,) = raised.exceptions
    return raised


# The SDK, asynchronous


@pytest.mark.parametrize("items", [[TEXT], tokens(TEXT), [TextEvent(text=TEXT)]], ids=["one", "tokens", "event"])
async def test_every_word_comes_once(client: AsyncFishAudio, standin: StandIn, items: list[Any]) -> None:
    decoded = heard(await spoken_by(client, items))
    assert (decoded.text, decoded.faults) == (TEXT, [])
    log = standin.stats.requests[0]
    assert (log.outcome, "".join(log.heard)) == ("completed", TEXT)


async def test_a_rate_a_speed_and_a_model_are_accepted(client: AsyncFishAudio, standin: StandIn) -> None:
    config = TTSConfig(sample_rate=24_000, chunk_length=100, prosody=Prosody(volume=-3.0), latency="normal")
    audio = await spoken_by(client, [TEXT], config=config, speed=1.3, model="s1")
    assert heard(audio, 24_000).text == TEXT
    setup = standin.stats.requests[0].setup
    assert (setup["model"], setup["request"]["prosody"]) == ("s1", {"speed": 1.3, "volume": -3.0})


async def test_wav_has_one_header_before_its_samples(client: AsyncFishAudio) -> None:
    audio = await spoken_by(client, [TEXT], format="wav")
    assert audio[:4] + audio[8:16] == b"RIFFWAVEfmt "
    assert audio.count(b"RIFF") == 1
    assert heard(audio[WAV_HEADER_BYTES:]).text == TEXT


async def test_a_flush_speaks_before_the_text_is_complete(client: AsyncFishAudio, standin: StandIn) -> None:
    first_audio = asyncio.Event()

    async def items() -> AsyncIterator[Any]:
        yield "Short piece. "
        yield FlushEvent()
        await first_audio.wait()
        yield "The rest."

    audio = b""
    async for chunk in client.tts.stream_websocket(items(), **marked):
        audio += chunk
        first_audio.set()
    assert heard(audio).text == "Short piece. The rest."
    assert standin.stats.requests[0].flushes == 1


async def test_three_turns_of_one_client(client: AsyncFishAudio, standin: StandIn) -> None:
    for text in ("First answer.", "A second one, longer.", "Third."):
        assert heard(await spoken_by(client, tokens(text))).text == text
    assert standin.stats.connections_opened == 3  # the SDK has a socket for each turn, kept or not
    await eventually(lambda: standin.stats.connections_open == 0)


async def test_several_turns_at_once(client: AsyncFishAudio) -> None:
    texts = [f"Answer number {number} of six." for number in range(6)]
    spoken = await asyncio.gather(*(spoken_by(client, tokens(text)) for text in texts))
    assert [heard(audio).text for audio in spoken] == texts


async def test_leaving_the_stream_ends_the_request_at_the_server(client: AsyncFishAudio, standin: StandIn) -> None:
    with_behaviour(standin, speed=1)
    stream = client.tts.stream_websocket(given_out([TEXT]), **marked)
    assert await anext(stream)
    with contextlib.suppress(BaseExceptionGroup):  # httpx_ws wraps even the news that the caller leaves
        await stream.aclose()
    await eventually(lambda: standin.stats.requests_aborted == 1)
    await eventually(lambda: standin.stats.connections_open == 0)


async def test_a_bad_key_is_refused_at_the_upgrade(standin: StandIn) -> None:
    async with AsyncFishAudio(api_key="wrong", base_url=standin.url) as client:
        with pytest.raises(WebSocketUpgradeError) as raised:
            await spoken_by(client, [TEXT])
    assert raised.value.response.status_code == 401
    assert standin.stats.requests_started == 0


@pytest.mark.parametrize("options", [{"reference_id": "unknown-voice"}, {"format": "mp3"}, {"format": "opus"}])
async def test_a_refused_start_is_an_unexpected_end_to_the_sdk(client: AsyncFishAudio, options: dict[str, Any]) -> None:
    with pytest.raises(BaseExceptionGroup) as raised:
        await spoken_by(client, [TEXT], **options)
    assert isinstance(error := only_error(raised.value), WebSocketError)
    assert str(error) == "WebSocket disconnected unexpectedly"


async def test_a_failure_in_mid_turn_is_a_finish_with_an_error(client: AsyncFishAudio, standin: StandIn) -> None:
    with_behaviour(standin, fault=Fault(Kind.ERROR, after_frames=5, code=500, message="out of memory"))
    with pytest.raises(BaseExceptionGroup) as raised:
        await spoken_by(client, [TEXT])
    assert isinstance(error := only_error(raised.value), WebSocketError)
    assert str(error) == "WebSocket stream ended with error"


# The SDK, synchronous


async def test_the_synchronous_client_hears_every_word_once(sync_client: FishAudio) -> None:
    def speak(**options: Any) -> bytes:
        items = ["One, ", FlushEvent(), *tokens(TEXT)]
        return b"".join(sync_client.tts.stream_websocket(iter(items), **{**marked, **options}))

    assert heard(await asyncio.to_thread(speak)).text == f"One, {TEXT}"
    wav = await asyncio.to_thread(speak, format="wav")
    assert heard(wav[WAV_HEADER_BYTES:]).text == f"One, {TEXT}"


async def test_the_synchronous_client_takes_three_turns(sync_client: FishAudio) -> None:
    def speak(text: str) -> bytes:
        return b"".join(sync_client.tts.stream_websocket(tokens(text), **marked))

    for text in ("First answer.", "A second one, longer.", "Third."):
        assert heard(await asyncio.to_thread(speak, text)).text == text


async def test_the_synchronous_client_can_leave(sync_client: FishAudio, standin: StandIn) -> None:
    with_behaviour(standin, speed=1)

    def leave() -> None:
        stream = sync_client.tts.stream_websocket([TEXT], **marked)
        assert next(stream)
        stream.close()

    await asyncio.to_thread(leave)
    await eventually(lambda: standin.stats.requests_aborted == 1)


@pytest.mark.parametrize(
    ("key", "options", "expected"),
    [("wrong", {}, WebSocketUpgradeError), (TEST_KEY, {"reference_id": "unknown"}, WebSocketError)],
)
async def test_the_synchronous_client_is_refused_alike(
    standin: StandIn, key: str, options: dict[str, Any], expected: type[Exception]
) -> None:
    def speak() -> None:
        with FishAudio(api_key=key, base_url=standin.url) as client:
            list(client.tts.stream_websocket([TEXT], **{**marked, **options}))

    with pytest.raises(expected):
        await asyncio.to_thread(speak)


# The SDK's legacy module


def legacy_request(**fields: Any) -> fish_audio_sdk.TTSRequest:
    return fish_audio_sdk.TTSRequest(text="", **{**marked, **fields})


async def test_the_legacy_session_hears_every_word_once(standin: StandIn) -> None:
    async with fish_audio_sdk.AsyncWebSocketSession(TEST_KEY, base_url=standin.url) as session:
        for request, header_bytes in ((legacy_request(), 0), (legacy_request(format="wav"), WAV_HEADER_BYTES)):
            audio = b"".join([chunk async for chunk in session.tts(request, given_out(tokens(TEXT)))])
            assert heard(audio[header_bytes:]).text == TEXT
    assert standin.stats.requests[0].setup["model"] == "s2.1-pro"  # of the module's own `speech-1.5` nobody knows


async def test_the_synchronous_legacy_session_hears_every_word_once(standin: StandIn) -> None:
    def speak() -> bytes:
        with fish_audio_sdk.WebSocketSession(TEST_KEY, base_url=standin.url) as session:
            return b"".join(session.tts(legacy_request(), iter(tokens(TEXT))))

    assert heard(await asyncio.to_thread(speak)).text == TEXT


async def test_the_legacy_session_tells_an_error(standin: StandIn) -> None:
    with_behaviour(standin, fault=Fault(Kind.ERROR, after_frames=2, code=500))
    async with fish_audio_sdk.AsyncWebSocketSession(TEST_KEY, base_url=standin.url) as session:
        with pytest.raises(BaseExceptionGroup) as raised:
            async for _ in session.tts(legacy_request(), given_out([TEXT])):
                pass
    assert isinstance(only_error(raised.value), WebSocketErr)


# A plain client


class Plain:
    """Sends events, and receives them."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, event: str, **fields: Any) -> None:
        await self.connection.send(ormsgpack.packb({"event": event, **fields}))

    async def start(self, **request: Any) -> None:
        await self.send("start", request={"text": "", "sample_rate": 24_000, **marked, **request})

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = ormsgpack.unpackb(await self.connection.recv(decode=False))
        return message

    async def turn(self, text: str, **request: Any) -> Messages:
        """Speak a text; return the events up to its finish."""
        await self.start(**request)
        for token in tokens(text):
            await self.send("text", text=token)
        await self.send("stop")
        return await self.until(lambda message: message["event"] == "finish")

    async def until(self, last: Callable[[dict[str, Any]], bool]) -> Messages:
        messages = [await self.receive()]
        while not last(messages[-1]):
            messages.append(await self.receive())
        return messages


@contextlib.asynccontextmanager
async def plain(standin: StandIn, path: str = WITH_TIMESTAMP) -> AsyncIterator[Plain]:
    headers = {"authorization": f"Bearer {TEST_KEY}"}
    url = f"ws://{standin.host}:{standin.port}{path}"
    async with connect(url, additional_headers=headers, compression=None) as connection:
        yield Plain(connection)


def sound_of(messages: Messages) -> bytes:
    return b"".join(message["audio"] for message in messages if message["event"] == "audio")


def times_of(messages: Messages) -> list[tuple[str, int, int]]:
    """The words told, and their first and last sample: a snapshot replaces the one before it of the same chunk."""
    chunks: dict[int, list[tuple[str, int, int]]] = {}
    for message in messages:
        if message["event"] == "audio" and message["alignment"] is not None:
            offset_s = message["chunk_audio_offset_sec"]
            chunks[message["chunk_seq"]] = [
                (s["text"], round((offset_s + s["start"]) * 24_000), round((offset_s + s["end"]) * 24_000))
                for s in message["alignment"]["segments"]
            ]
    return [word for _, words in sorted(chunks.items()) for word in words]


def letters(word: MarkedWord) -> str:
    return "".join(character for character in word.text if character.isalnum())


async def test_the_snapshots_together_tell_when_each_word_is_heard(standin: StandIn) -> None:
    async with plain(standin) as client:
        messages = await client.turn(TEXT, chunk_length=100)
    words = heard(sound_of(messages), 24_000).words
    assert [word.text for word in words] == TEXT.split()
    expected = [(letters(word), word.first_sample, word.last_sample) for word in words if letters(word)]
    assert times_of(messages) == expected


async def test_the_labels_never_go_back_and_lag_behind_the_audio(standin: StandIn) -> None:
    async with plain(standin) as client:
        messages = await client.turn(TEXT, chunk_length=100)
    *audio, finish = messages
    assert finish == {"event": "finish", "reason": "stop"}
    labels = [(message["chunk_seq"], message["chunk_audio_offset_sec"]) for message in audio]
    assert labels == sorted(labels)
    assert len({seq for seq, _ in labels}) == 3
    assert "".join({m["chunk_seq"]: m["content"] for m in audio}.values()) == TEXT
    begun_s = 0.0
    late = []
    for message, (seq, _) in zip(audio, labels, strict=True):
        late += [seq for other, offset_s in set(labels) if seq < other and offset_s < begun_s + HELD_S]
        begun_s += len(message["audio"]) / 48_000
    assert set(late) == {0, 1}  # bytes of a chunk under the label of the one before it
    assert any(message["alignment"] is None for message in audio)
    assert audio[-1]["audio"] == b""
    assert audio[-1]["alignment"] is not None


HELD_S = 0.021
"""Audio that is kept back comes with what follows it."""


@pytest.mark.parametrize("path", [LIVE, WITH_TIMESTAMP])
async def test_after_a_finish_the_socket_takes_another_start_or_closes(standin: StandIn, path: str) -> None:
    async with plain(standin, path) as client:
        messages = await client.turn("First answer.")
        assert heard(sound_of(messages), 24_000).text == "First answer."
        if not standin.behaviour.keeps_socket:
            with pytest.raises(ConnectionClosedOK):
                await client.receive()
            return
        for text in ("A second one, longer.", "Third."):
            messages = await client.turn(text)
            assert heard(sound_of(messages), 24_000).text == text
            if path == WITH_TIMESTAMP:
                assert [word for word, *_ in times_of(messages)] == text.replace(",", "").replace(".", "").split()
    assert (standin.stats.connections_opened, standin.stats.requests_completed) == (1, 3)


async def test_what_was_flushed_is_spoken_but_for_its_last_milliseconds(standin: StandIn) -> None:
    async with plain(standin, LIVE) as client:
        await client.start()
        await client.send("text", text="Hello there.")
        await client.send("flush")
        complete = 2 * 24_000 * sum(max(60 * len(word), 120) + 40 for word in ("Hello", "there.")) // 1000
        messages: Messages = []
        while len(sound_of(messages)) < complete - 2 * 24_000 * 20 // 1000:
            messages.append(await client.receive())
        assert len(sound_of(messages)) == complete - 2 * 24_000 * 20 // 1000
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.receive(), 30 * MS)
        await client.send("flush")
        messages.append(await client.receive())
        assert len(sound_of(messages)) == complete


async def test_real_speech_has_a_time_for_every_word(standin: StandIn) -> None:
    pytest.importorskip("espeakng_loader", reason="the extra `local` is not installed")
    async with plain(standin) as client:
        messages = await client.turn(TEXT, reference_id="0123456789abcdef0123456789abcdef", chunk_length=100)
    times = times_of(messages)
    assert [word for word, *_ in times] == [letters(MarkedWord(w, 0, 0)) for w in TEXT.split() if w != "—"]
    assert all(first <= last for _, first, last in times)
    assert times == sorted(times, key=lambda word: word[1])
    assert times[-1][2] <= len(sound_of(messages)) // 2


async def test_tiny_messages_of_odd_length_hold_the_same_words(standin: StandIn) -> None:
    with_behaviour(standin, drip_bytes=333)
    async with plain(standin) as client:
        messages = await client.turn(TEXT, chunk_length=100)
    *lengths, longest = sorted(len(message["audio"]) for message in messages[:-1])
    assert max(lengths) == 333
    assert longest == 2 * 24_000 * 20 // 1000  # what was kept back comes in one piece
    assert heard(sound_of(messages), 24_000).text == TEXT
    assert len(times_of(messages)) == len(TEXT.replace("— ", "").split())


async def test_one_stream_too_many_is_told_and_closed_until_one_ends(standin: StandIn) -> None:
    with_behaviour(standin, most_streams=1)
    async with plain(standin) as first:
        await first.start()
        await first.send("text", text="Hello. ")
        await first.send("flush")
        assert (await first.receive())["event"] == "audio"
        async with plain(standin, LIVE) as second:
            await second.start()
            error = {"event": "error", "error": "Concurrency limit exceeded", "max_concurrency": 1}
            assert await second.receive() == error
            with pytest.raises(ConnectionClosedError):
                await second.receive()
        await first.send("stop")
        await first.until(lambda message: message["event"] == "finish")
    async with plain(standin) as third:
        assert sound_of(await third.turn("Again."))


async def test_a_bad_key_has_a_body_that_says_so(standin: StandIn) -> None:
    with pytest.raises(InvalidStatus) as raised:
        await connect(standin.fishaudio_url, additional_headers={"authorization": "Bearer wrong"})
    assert raised.value.response.status_code == 401
    assert raised.value.response.body == b'{"message":"Invalid API key","status":401}'
