"""The stand-in on real sockets: pacing, ends, errors, faults."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from itertools import pairwise
from typing import Any, TypeAlias

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from saystream.compose.standin import Behaviour, Fault, Kind, StandIn, serve

OpenClient: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

FRAME_S = 0.08


async def test_a_request_is_ready_words_audio_and_an_end(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup()
        await client.text("Hello, world. <flush>")
        await client.end()
        assert await client.until_closed() == 1000
    ready = client.messages[0]
    assert ready["type"] == "ready"
    assert (ready["sample_rate"], ready["frame_size"]) == (24_000, 1_920)
    assert client.kinds()[-1] == "end_of_stream"
    assert client.said() == ["Hello,", "world."]
    assert client.heard().text == "Hello, world."


async def test_every_audio_message_but_the_last_is_80_ms(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup()
        await client.text("A few words to fill some frames. <flush>")
        await client.end()
        await client.until_closed()
    spans = [(m["start_s"], m["stop_s"]) for m in client.messages if m["type"] == "audio"]
    assert spans[0][0] == 0
    assert all(stop == start for (_, stop), (start, _) in pairwise(spans))
    assert {round(stop - start, 6) for start, stop in spans[:-1]} == {FRAME_S}
    assert 0 < spans[-1][1] - spans[-1][0] <= FRAME_S


async def test_a_word_is_told_before_its_audio(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup()
        await client.text("one two three four five <flush>")
        await client.end()
        await client.until_closed()
    sent_s = 0.0
    for message in client.messages:
        if message["type"] == "text":
            assert message["start_s"] >= sent_s
        elif message["type"] == "audio":
            sent_s = message["stop_s"]


async def test_the_voice_stays_two_words_behind_until_the_flush(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup()
        await client.until("ready")
        await client.text("one two three")
        await client.text("four")
        await standin.stats.until(lambda stats: stats.requests[0].words == 2)
        await client.text("<flush>")
        while len(client.said()) < 4:
            await client.receive()
        assert client.said() == ["one", "two", "three", "four"]
        assert "end_of_stream" not in client.kinds()


async def test_without_flush_or_end_the_last_words_are_never_spoken(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup(close_ws_on_eos=False, client_req_id="open")
        await client.text("never spoken", client_req_id="open")
        # A second request on the same socket comes to its end, and still nothing of the first has come.
        await client.setup(client_req_id="ended", close_ws_on_eos=False)
        await client.text("spoken at once", client_req_id="ended")
        await client.end(client_req_id="ended")
        await client.until("end_of_stream")
        assert client.said("ended") == ["spoken", "at", "once"]
        assert client.said("open") == []


async def test_a_break_is_silence(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup()
        await client.text('before <break time="1.5s" /> after')
        await client.end()
        await client.until_closed()
    before, after = client.heard().words
    assert (before.text, after.text) == ("before", "after")
    gap_s = (after.first_sample - before.last_sample) / 24_000
    assert gap_s == pytest.approx(1.5 + 0.04)


async def test_no_frame_is_sent_before_its_time(standin: StandIn, open_client: OpenClient) -> None:
    speed = 4.0
    standin.behaviour = Behaviour(speed=speed)
    async with open_client(standin) as client:
        await client.setup()
        await client.text("This is long enough for a measurement of the pace. <flush>")
        await client.end()
        await client.until_closed()
    log = standin.stats.requests[0]
    text_s, _ = log.texts[0]
    assert log.frames_sent > 20
    assert all(sent_s >= text_s + index * FRAME_S / speed for index, sent_s in enumerate(log.frames))
    assert log.frames[-1] < text_s + log.frames_sent * FRAME_S / speed + 1.0


async def test_as_fast_as_possible_is_faster_than_any_listener(standin: StandIn, open_client: OpenClient) -> None:
    begun_s = time.monotonic()
    async with open_client(standin) as client:
        await client.setup()
        await client.text("word " * 200 + "<flush>")
        await client.end()
        await client.until_closed()
    assert client.messages[-2]["stop_s"] > 40
    assert time.monotonic() - begun_s < 10


async def test_the_first_audio_comes_after_its_delay(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(first_audio_delay_s=0.15, first_audio_jitter_s=0.05)
    async with open_client(standin) as client:
        await client.setup()
        await client.text("late <flush>")
        await client.until("audio")
        log = standin.stats.requests[0]
        assert log.frames[0] - log.texts[0][0] >= 0.15


async def test_a_connection_is_dropped_after_so_many_frames(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.CUT, 3))
    async with open_client(standin) as client:
        await client.setup()
        await client.text("one two three four five six <flush>")
        with pytest.raises(ConnectionClosedError) as closed:
            await client.until_closed()
    assert closed.value.rcvd is None
    assert client.kinds().count("audio") == 3
    await standin.stats.until(lambda stats: stats.connections_open == 0)
    assert standin.stats.requests_aborted == 1
    assert standin.stats.connections[0].close_code == 1006


async def test_only_so_many_requests_meet_a_fault(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.CUT), faulty_requests=1)
    for _ in range(3):
        async with open_client(standin) as client:
            await client.setup()
            await client.text("once more <flush>")
            await client.end()
            with suppress(ConnectionClosedError):
                await client.until_closed()
    await standin.stats.until(lambda stats: stats.connections_open == 0)
    assert [log.outcome for log in standin.stats.requests] == ["aborted", "completed", "completed"]


async def test_all_connections_can_be_cut_at_once(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as one, open_client(standin) as other:
        await one.setup()
        await one.until("ready")
        await other.setup()
        await other.until("ready")
        assert standin.stats.connections_open == 2
        await standin.drop_connections()
        assert standin.stats.connections_open == 0
        for client in (one, other):
            with pytest.raises(ConnectionClosedError) as closed:
                await client.receive()
            assert closed.value.rcvd is None
    assert standin.stats.requests_aborted == 2


async def test_an_error_in_the_place_of_ready_closes_the_socket_with_its_code(
    standin: StandIn, open_client: OpenClient
) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.ERROR, code=1008, message="no credits"))
    async with open_client(standin) as client:
        await client.setup()
        with pytest.raises(ConnectionClosedError) as closed:
            await client.until_closed()
    assert client.messages == [{"type": "error", "message": "no credits", "code": 1008}]
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert standin.stats.requests_failed == 1


async def test_an_error_of_one_request_leaves_the_others_alone(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup(client_req_id="good", close_ws_on_eos=False)
        await client.until("ready")
        standin.behaviour = Behaviour(fault=Fault(Kind.ERROR, 2, 1011, "worker failure"))
        await client.setup(client_req_id="bad", close_ws_on_eos=False)
        await client.text("this one breaks off <flush>", client_req_id="bad")
        error = await client.until("error")
        assert (error["client_req_id"], error["code"]) == ("bad", 1011)
        await client.text("this one does not <flush>", client_req_id="good")
        await client.end(client_req_id="good")
        await client.until("end_of_stream")
        await client.end()
        assert await client.until_closed() == 1000
    assert len(client.sound("bad")) == 2 * 1_920
    assert client.heard(client_req_id="good").text == "this one does not"


async def test_an_unknown_voice_is_refused(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup(voice_id="unknown-voice")
        with pytest.raises(ConnectionClosedError):
            await client.until_closed()
    assert client.messages == [{"type": "error", "message": "Embeddings not found for unknown-voice", "code": 1011}]


async def test_a_bad_key_is_refused_after_the_upgrade(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin, api_key="wrong") as client:
        with pytest.raises(ConnectionClosedError) as closed:
            await client.until_closed()
    assert client.messages[0]["code"] == 1008
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_there_is_nothing_at_other_paths(standin: StandIn) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(standin.gradium_url + "/other")
    assert refused.value.response.status_code == 404


async def test_a_handshake_can_be_slow(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(handshake_delay_s=0.1)
    begun_s = time.monotonic()
    async with open_client(standin):
        assert time.monotonic() - begun_s >= 0.1


async def test_stopping_waits_for_no_handshake() -> None:
    async with StandIn(behaviour=Behaviour(handshake_delay_s=300.0)) as standin:
        silent, silent_writer = await asyncio.open_connection(standin.host, standin.port)
        slow, slow_writer = await asyncio.open_connection(standin.host, standin.port)
        slow_writer.write(
            b"GET /api/speech/tts HTTP/1.1\r\nHost: standin\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await slow_writer.drain()
    assert await silent.read() == b""
    assert b"101" not in await slow.read()
    for writer in (silent_writer, slow_writer):
        writer.close()
        await writer.wait_closed()


async def test_stopping_says_goodbye_to_open_connections(open_client: OpenClient) -> None:
    standin = StandIn(behaviour=Behaviour(speed=1.0))
    await standin.__aenter__()
    async with open_client(standin) as client:
        await client.setup()
        await client.text("cut short by the end of the server <flush>")
        await client.until("audio")
        stopping = asyncio.create_task(standin.__aexit__(None, None, None))
        assert await client.until_closed() == 1001
        await stopping
    assert standin.stats.connections_open == 0
    assert standin.stats.requests_aborted == 1


async def test_the_log_holds_what_the_client_sent(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await client.setup(model_name="m", json_config='{"temp": 0}')
        for text in ("One phrase, ", "another", "and the last. <flush>"):
            await client.text(text)
        await client.end()
        await client.until_closed()
    log = standin.stats.requests[0]
    assert log.heard == ["One phrase, ", "another", "and the last. <flush>"]
    assert log.setup["json_config"] == '{"temp": 0}'
    assert (log.flushes, log.outcome, log.words) == (1, "completed", 6)
    assert log.end_of_stream_s is not None
    assert log.begun_s <= log.texts[0][0] <= log.texts[-1][0] <= log.end_of_stream_s
    assert log.frames_sent == len(log.frames) == client.kinds().count("audio")
    assert log.samples_sent == len(client.sound())


async def test_a_client_that_does_not_read_holds_up_only_itself(standin: StandIn, open_client: OpenClient) -> None:
    async with connect(
        standin.gradium_url,
        additional_headers={"x-api-key": "test-key"},
        compression=None,
        max_queue=1,
        close_timeout=0.1,
    ) as stuck:
        await stuck.send('{"type":"setup","voice_id":"marker","output_format":"pcm"}')
        await stuck.send('{"type":"text","text":"' + "conversation " * 400 + '<flush>"}')
        async with open_client(standin) as client:
            await client.setup()
            await client.text("still here <flush>")
            await client.end()
            await client.until_closed()
        assert client.heard().text == "still here"
        assert standin.stats.requests[0].outcome == "active"
        await standin.drop_connections()


async def test_many_turns_at_once_are_all_whole(standin: StandIn, open_client: OpenClient) -> None:
    async def turn(number: int) -> str:
        async with open_client(standin) as client:
            await client.setup()
            for word in f"This is turn number {number} of forty".split():
                await client.text(word)
            await client.text("<flush>")
            await client.end()
            await client.until_closed()
        decoded = client.heard()
        assert decoded.faults == []
        return str(decoded.text)

    texts = await asyncio.gather(*map(turn, range(40)))
    assert texts == [f"This is turn number {number} of forty" for number in range(40)]
    assert standin.stats.requests_completed == 40


async def test_with_the_marker_engine_every_voice_is_the_marker(open_client: OpenClient) -> None:
    async with StandIn(engine="marker") as standin, open_client(standin) as client:
        await client.setup(voice_id="YTpq7expH9539ERJ")
        await client.text("read back <flush>")
        await client.end()
        await client.until_closed()
    assert client.heard().text == "read back"


async def test_the_pace_of_the_marker_is_a_setting(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(marker_pace=0.5)
    async with open_client(standin) as client:
        await client.setup()
        await client.text("abcdefghij <flush>")
        await client.end()
        await client.until_closed()
    (word,) = client.heard().words
    assert (word.last_sample - word.first_sample) / 24_000 == pytest.approx(0.3)


async def test_serve_runs_until_it_is_cancelled() -> None:
    running: asyncio.Future[StandIn] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(port=0, started=running.set_result))
    standin = await running
    assert standin.url in repr(standin)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(OSError, match=r".*"):
        await asyncio.open_connection(standin.host, standin.port)


@pytest.mark.parametrize("wrong", [{"speed": 0}, {"speed": -1.0}, {"word_lag": -1}, {"first_audio_delay_s": -0.1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Behaviour(**wrong)
