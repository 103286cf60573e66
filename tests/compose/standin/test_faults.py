"""What can go wrong with the stand-in on purpose, seen by a plain client."""

import asyncio
import binascii
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, TypeAlias

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from saystream.compose.standin import TEST_KEY, Behaviour, Fault, Kind, StandIn
from saystream.compose.standin.conduct import Account
from tests.timing import MS, eventually

OpenClient: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

TEXT = "one two three four five six"
FRAME_BYTES = 2 * 1_920


async def speak(client: Any, text: str = TEXT, **fields: Any) -> None:
    """Send a whole request."""
    await client.setup(**fields)
    named = {name: value for name, value in fields.items() if name == "client_req_id"}
    await client.text(f"{text} <flush>", **named)
    await client.end(**named)


async def cut_off(client: Any) -> ConnectionClosedError:
    """Receive everything up to an end that is none; return it."""
    with pytest.raises(ConnectionClosedError) as closed:
        await client.until_closed()
    return closed.value


# The socket


async def test_a_socket_is_closed_with_a_code_after_so_many_frames(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.CLOSE, 3, 1011, "out of order"))
    async with open_client(standin) as client:
        await speak(client)
        closed = await cut_off(client)
    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (1011, "out of order")
    assert client.kinds().count("audio") == 3
    assert "end_of_stream" not in client.kinds()


async def test_a_reset_is_one_of_tcp(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.RESET, 2))
    async with open_client(standin) as client:
        await speak(client)
        closed = await cut_off(client)
    assert closed.rcvd is None
    assert isinstance(closed.__cause__, ConnectionResetError)
    assert client.kinds().count("audio") == 2


async def test_a_silent_socket_stays_and_answers_nothing(standin: StandIn) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.SILENCE, 2))
    headers = {"x-api-key": TEST_KEY}
    async with connect(standin.gradium_url, additional_headers=headers, close_timeout=50 * MS) as connection:
        await connection.send('{"type":"setup","voice_id":"marker","output_format":"pcm_24000"}')
        await connection.send('{"type":"text","text":"' + TEXT + ' <flush>"}')
        kinds: list[str] = []
        while kinds.count("audio") < 2:
            kinds.append(orjson.loads(await connection.recv())["type"])
        pong = asyncio.ensure_future(await connection.ping())
        await connection.send('{"type":"end_of_stream"}')
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 50 * MS)
        assert not pong.done()
        assert standin.stats.connections_open == 1
        closing = asyncio.create_task(connection.close())  # nor is its close answered: it gives up after a while
        await standin.stats.until(lambda stats: stats.connections_open == 0)
        await closing
    assert connection.close_code == 1006
    assert standin.stats.requests[0].outcome == "aborted"
    await asyncio.gather(pong, return_exceptions=True)


async def test_a_silent_socket_holds_nobody_up_when_the_stand_in_stops(open_client: OpenClient) -> None:
    before = asyncio.all_tasks()
    async with asyncio.timeout(900 * MS), StandIn(behaviour=Behaviour(fault=Fault(Kind.SILENCE))) as standin:
        connection = await connect(standin.gradium_url, additional_headers={"x-api-key": TEST_KEY}, close_timeout=0)
        await connection.send('{"type":"setup","voice_id":"marker"}')
        await connection.send('{"type":"text","text":"never heard <flush>"}')
        await standin.stats.until(lambda stats: stats.requests_started == 1)
        await eventually(lambda: standin.connections[1].wire.silent)
    await connection.wait_closed()
    assert asyncio.all_tasks() == before
    assert standin.stats.connections_open == 0


# The request


async def test_a_stalled_request_says_nothing_more_and_its_socket_is_well(
    standin: StandIn, open_client: OpenClient
) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.STALL, 2), faulty_requests=1)
    async with open_client(standin) as client:
        await speak(client, client_req_id="stalled", close_ws_on_eos=False)
        await standin.stats.until(lambda stats: len(stats.requests) == 1 and stats.requests[0].frames_sent == 2)
        await speak(client, client_req_id="well", close_ws_on_eos=False)
        await client.until("end_of_stream")
        await (await client.connection.ping())
    assert client.heard(client_req_id="well").text == TEXT
    assert len(client.sound("stalled")) == 2 * 1_920


async def test_one_audio_message_comes_cut_in_half(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.MALFORMED, 2))
    whole, broken = [], []
    async with open_client(standin) as client:
        await speak(client)
        async for message in client.connection:
            try:
                whole.append(orjson.loads(message))
            except orjson.JSONDecodeError:
                broken.append(message)
    assert [message[:16] for message in broken] == ['{"type":"audio",']
    assert whole[-1]["type"] == "end_of_stream"
    starts = [message["start_s"] for message in whole if message["type"] == "audio"]
    assert starts[:3] == [0.0, 0.08, 0.24]


async def test_a_request_without_audio_ends_well(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.NO_AUDIO))
    async with open_client(standin) as client:
        await speak(client)
        assert await client.until_closed() == 1000
    assert client.kinds() == ["ready", "end_of_stream"]
    assert standin.stats.requests[0].outcome == "completed"


async def test_a_request_without_its_tail_ends_well(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.NO_TAIL, 8))
    async with open_client(standin) as client:
        await speak(client)
        assert await client.until_closed() == 1000
    assert client.kinds()[-1] == "end_of_stream"
    assert client.kinds().count("audio") == 8
    assert client.said() == TEXT.split()[: len(client.said())]
    assert 0 < len(client.said()) < 6


async def test_a_request_without_its_end_has_all_its_audio(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.NO_END))
    async with open_client(standin) as client:
        await speak(client)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.until("end_of_stream"), 200 * MS)
        assert client.heard().text == TEXT
        assert standin.stats.requests[0].outcome == "active"


@pytest.mark.parametrize(
    ("kind", "code", "words"), [(Kind.LIMIT, 1008, "Concurrency limit"), (Kind.UNKNOWN_VOICE, 1011, "not found")]
)
async def test_a_request_is_refused_in_the_vendors_words(
    standin: StandIn, open_client: OpenClient, kind: Kind, code: int, words: str
) -> None:
    standin.behaviour = Behaviour(fault=Fault(kind))
    async with open_client(standin) as client:
        await speak(client)
        closed = await cut_off(client)
    [error] = client.messages
    assert (error["code"], words in error["message"]) == (code, True)
    assert closed.rcvd is not None
    assert closed.rcvd.code == code
    assert standin.stats.requests_failed == 1


@pytest.mark.parametrize("code", [0, 500, 1006])
async def test_an_error_whose_code_no_socket_can_be_closed_with_is_told_all_the_same(
    standin: StandIn, open_client: OpenClient, code: int
) -> None:
    standin.behaviour = Behaviour(fault=Fault(Kind.ERROR, 2, code, "out of order"))
    async with open_client(standin) as client:
        await speak(client)
        closed = await cut_off(client)
    assert client.messages[-1] == {"type": "error", "message": "out of order", "code": code}
    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (1011, "out of order")
    assert standin.stats.requests_failed == 1


async def test_a_drip_is_the_same_audio_in_small_messages(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(drip_bytes=997)
    async with open_client(standin) as client:
        await speak(client)
        await client.until_closed()
    sizes = [len(binascii.a2b_base64(m["audio"])) for m in client.messages if m["type"] == "audio"]
    assert sizes[:5] == [997, 997, 997, FRAME_BYTES - 3 * 997, 997]
    decoded = client.heard()
    assert (decoded.text, decoded.faults) == (TEXT, [])


async def test_a_fault_may_be_meant_for_the_next_request_of_one_connection(
    standin: StandIn, open_client: OpenClient
) -> None:
    async with open_client(standin) as other, open_client(standin) as client:
        standin.connections[2].next_fault = Fault(Kind.ERROR, code=1011, message="this one")
        await speak(other)
        assert await other.until_closed() == 1000
        await speak(client, client_req_id="a", close_ws_on_eos=False)
        assert (await client.until("error"))["message"] == "this one"
        await speak(client, client_req_id="b", close_ws_on_eos=False)
        await client.until("end_of_stream")
    assert client.heard(client_req_id="b").text == TEXT


# Limits


async def open_request(client: Any, name: str) -> None:
    await client.setup(client_req_id=name, close_ws_on_eos=False)


async def test_one_key_has_so_many_streams_over_all_its_sockets(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(most_streams=2, api_keys=frozenset({TEST_KEY, "other"}))
    async with open_client(standin) as one, open_client(standin) as two, open_client(standin, "other") as other:
        await open_request(one, "a")
        await one.until("ready")
        await open_request(two, "b")
        await two.until("ready")
        await open_request(two, "c")
        assert (await two.until("error"))["code"] == 1008
        await open_request(other, "d")  # another account has streams of its own
        await other.until("ready")
        await one.end(client_req_id="a")
        await one.until("end_of_stream")  # whoever has read this has room again
        await open_request(two, "e")
        assert (await two.until("ready"))["client_req_id"] == "e"
    assert standin.slots.peak[Account("gradium", TEST_KEY)] == 2
    await standin.stats.until(lambda stats: stats.connections_open == 0)
    assert not +standin.slots.open


async def test_a_socket_that_is_gone_leaves_its_streams_to_others(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(most_streams=1)
    async with open_client(standin) as client:
        await open_request(client, "a")
        await client.until("ready")
        standin.connections[1].do("cut")
        await cut_off(client)
        await standin.stats.until(lambda stats: stats.connections_open == 0)
    async with open_client(standin) as client:
        await speak(client)
        assert await client.until_closed() == 1000


async def test_an_idle_socket_is_closed_as_the_vendor_closes_it(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(idle_socket_s=30 * MS)
    async with open_client(standin) as client:
        closed = await cut_off(client)
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1008
    assert [message["type"] for message in client.messages] == ["error"]


async def test_a_socket_that_speaks_is_not_idle(standin: StandIn, open_client: OpenClient) -> None:
    standin.behaviour = Behaviour(idle_socket_s=30 * MS, first_audio_delay_s=90 * MS)
    async with open_client(standin) as client:
        await speak(client, close_ws_on_eos=False)
        await client.until("end_of_stream")
        await cut_off(client)
    assert client.heard().text == TEXT


# Deploys and overload


async def test_during_a_deploy_new_sockets_are_turned_away_and_idle_ones_too(
    standin: StandIn, open_client: OpenClient
) -> None:
    async with open_client(standin) as idle, open_client(standin) as busy:
        await open_request(busy, "a")
        await busy.until("ready")
        standin.behaviour = replace(standin.behaviour, draining=True)
        closed = await cut_off(idle)
        assert closed.rcvd is not None
        assert closed.rcvd.code == 1012
        async with open_client(standin) as new:
            closed = await cut_off(new)
            assert closed.rcvd is not None
            assert closed.rcvd.code == 1013
        await busy.text(f"{TEXT} <flush>", client_req_id="a")
        await busy.end(client_req_id="a")
        closed = await cut_off(busy)
        assert closed.rcvd is not None
        assert closed.rcvd.code == 1012
    assert busy.heard(client_req_id="a").text == TEXT
    assert busy.kinds()[-1] == "end_of_stream"


async def test_one_socket_alone_may_be_rolled(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as rolled, open_client(standin) as other:
        standin.connections[1].do("roll")
        with pytest.raises(ConnectionClosed):
            await rolled.receive()
        await speak(other)
        assert await other.until_closed() == 1000


@pytest.mark.parametrize("status", [429, 503])
async def test_an_upgrade_may_be_answered_with_a_status(standin: StandIn, status: int) -> None:
    standin.behaviour = Behaviour(upgrade_status=status)
    for url in (standin.gradium_url, standin.fishaudio_url):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == status
        assert orjson.loads(refused.value.response.body or b"")["status"] == status
    assert standin.stats.upgrades_refused == 2
