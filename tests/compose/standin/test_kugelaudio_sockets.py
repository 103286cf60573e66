"""KugelAudio's rules with real sockets, voices and clocks."""

import asyncio
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from saystream.compose.standin import TEST_KEY, StandIn
from saystream.compose.standin.behaviour import Behaviour, Fault, Kind
from saystream.compose.standin.kugelaudio import LATE, MULTI_PATH, PATHS, STREAM_PATH
from saystream.compose.standin.marker import decode
from tests.compose.standin.kugelaudio_hand import codes, kinds, only
from tests.timing import MS

VOICE = {"voice_id": "marker"}


class Client:
    """Sends KugelAudio's messages and collects what comes."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.messages: list[dict[str, Any]] = []

    async def send(self, **fields: Any) -> None:
        await self.connection.send(orjson.dumps(fields).decode())

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Receive up to the first message of a kind; return what came."""
        came: list[dict[str, Any]] = []
        while kinds(came)[-1:] != [kind]:
            came.append(orjson.loads(await self.connection.recv()))
        self.messages += came
        return came

    async def until_closed(self) -> int:
        async for message in self.connection:
            self.messages.append(orjson.loads(message))
        assert self.connection.close_code is not None
        return self.connection.close_code

    def said(self, context_id: str | None = None) -> str:
        """The words that were heard, if there was nothing else."""
        audio = [m["audio"] for m in only(self.messages, "audio") if m.get("context_id") == context_id]
        pcm = b"".join(binascii.a2b_base64(part) for part in audio)
        decoded = decode(np.frombuffer(pcm, dtype=np.int16), 24_000)
        assert decoded.faults == []
        return decoded.text


@asynccontextmanager
async def client(standin: StandIn, path: str = STREAM_PATH, key: str = TEST_KEY) -> AsyncIterator[Client]:
    url = f"ws://{standin.host}:{standin.port}{path}"
    headers = {"Authorization": f"Bearer {key}"}
    async with connect(url, additional_headers=headers, max_queue=None) as connection:
        yield Client(connection)


@pytest.mark.parametrize("path", PATHS)
async def test_each_path_speaks(standin: StandIn, path: str) -> None:
    async with client(standin, path) as kugel:
        await kugel.send(text="Read this back.", context_id="c", flush=True, voice_settings=VOICE, **VOICE)
        await kugel.until("final")
        assert kugel.said("c" if path == MULTI_PATH else None) == "Read this back."


@pytest.mark.parametrize("path", PATHS)
async def test_a_bad_key_is_refused(standin: StandIn, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await client(standin, path, "wrong").__aenter__()
    assert refused.value.response.status_code == 403
    async with client(standin, path, f"{LATE}wrong") as kugel:
        with pytest.raises(ConnectionClosed):
            await kugel.until_closed()
        assert kugel.connection.close_code == 4001
        assert codes(kugel.messages) == [("UNAUTHORIZED", 401)]


async def test_audio_comes_in_pieces_of_200_ms(standin: StandIn) -> None:
    async with client(standin) as kugel:
        await kugel.send(text="A long enough sentence.", flush=True, **VOICE)
        *audio, last = only(await kugel.until("session_closed"), "audio")
        assert {message["samples"] for message in audio} == {4_800}
        assert 0 < last["samples"] <= 4_800


async def test_a_sentence_that_nothing_confirms_is_spoken_after_a_while(standin: StandIn) -> None:
    standin.behaviour = Behaviour(flush_timeout_s=30 * MS)
    async with client(standin) as kugel:
        await kugel.send(text="Anyone there?", **VOICE)
        await kugel.until("chunk_complete")
        assert kugel.said() == "Anyone there?"


async def test_a_turn_that_thinks_for_too_long_is_two_turns(standin: StandIn) -> None:
    standin.behaviour = Behaviour(idle_turn_s=30 * MS)
    async with client(standin) as kugel:
        await kugel.send(text="Let me see", **VOICE)
        came = await kugel.until("session_closed")
        assert kinds(came)[0] == "warning"
        await kugel.send(text=" what there is.", flush=True)
        await kugel.until("session_closed")
        assert kugel.said() == "Let me see what there is."
    assert standin.stats.requests_completed == 2


async def test_a_context_that_hears_nothing_is_closed_and_one_that_is_kept_alive_is_not(standin: StandIn) -> None:
    standin.behaviour = Behaviour(idle_context_s=200 * MS)
    async with client(standin, MULTI_PATH) as kugel:
        await kugel.send(text="kept", context_id="kept", voice_settings=VOICE)
        await kugel.send(text="left", context_id="left", voice_settings=VOICE)

        async def keep() -> None:
            while True:
                await kugel.send(text="", context_id="kept")
                await asyncio.sleep(20 * MS)

        keeping = asyncio.create_task(keep())
        (*_, closed) = await kugel.until("context_closed")
        keeping.cancel()
        assert closed["context_id"] == "left"
        assert kugel.said("left") == "left"


async def test_twenty_contexts_speak_at_once_each_its_own_words(standin: StandIn) -> None:
    standin.behaviour = Behaviour(speed=40)
    texts = {f"c{number}": f"Context number {number} has its own words." for number in range(20)}
    async with client(standin, MULTI_PATH) as kugel:
        for name, text in texts.items():
            await kugel.send(text=text, context_id=name, voice_settings=VOICE)
        for name in texts:
            await kugel.send(close_context=True, context_id=name)
        await kugel.send(close_socket=True)
        assert await kugel.until_closed() == 1000
    assert {name: kugel.said(name) for name in texts} == texts
    # They are heard side by side, not one after the other.
    first_end = kinds(kugel.messages).index("context_closed")
    assert len({m["context_id"] for m in only(kugel.messages[:first_end], "audio")}) == 20


async def test_after_an_interruption_nothing_of_the_turn_is_heard(standin: StandIn) -> None:
    standin.behaviour = Behaviour(speed=10)
    async with client(standin) as kugel:
        await kugel.send(text="interrupted " * 40, flush=True, **VOICE)
        await kugel.until("audio")
        await kugel.send(cancel=True)
        await kugel.until("interrupted")
        kugel.messages.clear()
        await kugel.send(text="The next turn.", flush=True)
        await kugel.until("session_closed")
        assert kugel.said() == "The next turn."


async def test_words_are_told_where_they_are_heard_counted_over_all_chunks(standin: StandIn) -> None:
    async with client(standin) as kugel:
        await kugel.send(word_timestamps=True, **VOICE)
        for token in "The first sentence. And a second, longer one. Done.".split(" "):
            await kugel.send(text=f"{token} ")
        await kugel.send(flush=True)
        came = await kugel.until("session_closed")
    audio = b"".join(binascii.a2b_base64(message["audio"]) for message in only(came, "audio"))
    heard = [(w.text, w.first_sample / 24) for w in decode(np.frombuffer(audio, dtype=np.int16), 24_000).words]
    told, start_ms = [], 0.0
    for message in came:
        told += [(word["word"], start_ms + word["start_ms"]) for word in message.get("word_timestamps", ())]
        if "chunk_complete" in message:
            start_ms = sum(m["samples"] for m in only(came[: came.index(message)], "audio")) / 24
    assert told == [(text, pytest.approx(first_ms, abs=1)) for text, first_ms in heard]


@pytest.mark.parametrize(("most", "expected"), [(1, ["RATE_LIMITED"]), (2, [])])
async def test_one_stream_too_many_for_the_account_is_refused(standin: StandIn, most: int, expected: list[str]) -> None:
    standin.behaviour = Behaviour(most_streams=most)
    async with client(standin) as first, client(standin) as second:
        await first.send(text="Still speaking", **VOICE)
        await first.send(update_settings={"speed": 1.0})
        await first.until("settings_updated")
        await second.send(text="One too many?", flush=True, **VOICE)
        if expected:
            with pytest.raises(ConnectionClosed):
                await second.until_closed()
            assert second.connection.close_code == 4029
        else:
            await second.until("session_closed")
        assert [message["error_code"] for message in only(second.messages, "error")] == expected


async def test_a_rolling_deploy_closes_idle_sockets_and_refuses_new_ones(standin: StandIn) -> None:
    async with client(standin) as idle, client(standin) as busy:
        await busy.send(text="Not yet", **VOICE)
        await busy.send(update_settings={"speed": 1.0})
        await busy.until("settings_updated")
        standin.behaviour = Behaviour(draining=True)
        with pytest.raises(ConnectionClosed):
            await idle.until_closed()
        assert idle.connection.close_code == 1012
        async with client(standin) as late:
            with pytest.raises(ConnectionClosed):
                await late.until_closed()
            assert late.connection.close_code == 1013
        await busy.send(flush=True)
        with pytest.raises(ConnectionClosed):
            await busy.until_closed()
        assert busy.connection.close_code == 1012
        assert busy.said() == "Not yet"
        assert kinds(busy.messages)[-1] == "session_closed"


@pytest.mark.parametrize("kind", [Kind.NO_AUDIO, Kind.NO_TAIL, Kind.NO_END])
async def test_a_fault_leaves_the_messages_around_it_whole(standin: StandIn, kind: Kind) -> None:
    standin.behaviour = Behaviour(fault=Fault(kind, after_frames=4))
    text = "One two three four five six seven eight nine ten."
    async with client(standin) as kugel:
        await kugel.send(text=text, flush=True, word_timestamps=True, **VOICE)
        came = await kugel.until("chunk_complete" if kind is Kind.NO_END else "session_closed")
    stamps = [word["word"] for message in only(came, "word_timestamps") for word in message["word_timestamps"]]
    assert len(only(came, "audio")) == {Kind.NO_AUDIO: 0, Kind.NO_TAIL: 4}.get(kind, len(only(came, "audio")))
    assert (stamps == text.split()) == (kind is Kind.NO_END)
    assert ("usage" in came[-1]) == (kind is Kind.NO_TAIL)
