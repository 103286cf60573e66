"""The control endpoint: what it shows, and what it does."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from saystream.compose.standin import Behaviour, Fault, Kind, StandIn
from saystream.compose.standin.conduct import Conduct
from saystream.compose.standin.control import Control
from tests.timing import MS, eventually

OpenClient: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]


async def get(standin: StandIn, path: str) -> tuple[int, Any]:
    """Ask the control endpoint as any HTTP client would; return status and JSON."""
    url = urlsplit(standin.control_url + path)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        writer.write(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: standin\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    assert "application/json" in head
    return int(head.split()[1]), orjson.loads(body)


async def well(standin: StandIn, path: str) -> Any:
    status, answer = await get(standin, path)
    assert status == 200, answer
    return answer


async def test_it_shows_how_it_behaves_what_it_counted_and_who_is_there(
    standin: StandIn, open_client: OpenClient
) -> None:
    async with open_client(standin) as client:
        await client.setup()
        await client.text("hello there")
        await client.until("ready")
        everything = await well(standin, "")
        [connection] = everything["connections"]
        assert (connection["number"], connection["vendor"], connection["path"]) == (1, "gradium", "/api/speech/tts")
        assert connection["speaking"] == [standin.stats.requests[0].request_id]
        assert await well(standin, "/connections/1") == connection | {"open_s": pytest.approx(1, abs=60)}
        assert everything["behaviour"]["speed"] == "inf"
        stats = await well(standin, "/stats")
        assert (stats["connections_open"], stats["streams_open"]) == (1, {"gradium": 1})
        assert stats["requests"][0]["outcome"] == "active"


async def test_a_query_changes_what_it_names_and_a_reset_takes_it_back() -> None:
    started_with = Behaviour(word_lag=1)
    async with StandIn(behaviour=started_with) as standin:
        shown = await well(standin, "/behaviour?speed=8&fault.kind=close&fault.after_frames=3&fault.code=1011")
        expected = Behaviour(word_lag=1, speed=8.0, fault=Fault(Kind.CLOSE, 3, 1011))
        assert standin.behaviour == expected
        assert shown == await well(standin, "/behaviour")
        await well(standin, "/behaviour?fault=none")
        assert standin.behaviour == Behaviour(word_lag=1, speed=8.0)
        await well(standin, "/behaviour/reset?drip_bytes=7")
        assert standin.behaviour == Behaviour(word_lag=1, drip_bytes=7)


async def test_a_change_counts_the_faulty_requests_anew(standin: StandIn, open_client: OpenClient) -> None:
    for _ in range(2):
        await well(standin, "/behaviour?fault.kind=unknown-voice&faulty_requests=1")
        for kind in ("error", "end_of_stream"):
            async with open_client(standin) as client:
                await client.setup()
                await client.end()
                await client.until(kind)


@pytest.mark.parametrize("action", ["cut", "reset", "roll", "close?code=3000&message=bye"])
async def test_one_connection_is_ended_and_the_others_stay(
    standin: StandIn, open_client: OpenClient, action: str
) -> None:
    async with open_client(standin) as ended, open_client(standin) as other:
        done = await well(standin, f"/connections/1/{action}")
        assert done == {"done": action.partition("?")[0], "connections": [1]}
        with pytest.raises(ConnectionClosed) as closed:
            await ended.receive()
        code = {"roll": 1012, "close?code=3000&message=bye": 3000}.get(action)
        assert (closed.value.rcvd and closed.value.rcvd.code) == code
        await other.setup()
        await other.until("ready")


async def test_the_next_request_of_one_connection_meets_a_fault(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as client:
        await well(standin, "/connections/1/fault?kind=error&code=1011&message=as%20told")
        await client.setup(client_req_id="a", close_ws_on_eos=False)
        assert (await client.until("error"))["message"] == "as told"
        await client.setup(client_req_id="b", close_ws_on_eos=False)
        await client.until("ready")


async def test_all_connections_can_be_silenced_at_once(standin: StandIn, open_client: OpenClient) -> None:
    async with open_client(standin) as one, open_client(standin) as other:
        assert (await well(standin, "/connections/all/silence"))["connections"] == [1, 2]
        assert [connection["silent"] for connection in await well(standin, "/connections")] == [True, True]
        for client in (one, other):
            client.connection.transport.abort()
        await eventually(lambda: not standin.connections)
    assert await well(standin, "/connections/all/cut") == {"done": "cut", "connections": []}


@pytest.mark.parametrize("action", ["close?code=1012&message=restarting", "roll"])
async def test_a_silent_connection_says_no_goodbye(standin: StandIn, open_client: OpenClient, action: str) -> None:
    async with open_client(standin) as silent, open_client(standin) as other:
        await well(standin, "/connections/1/silence")
        await well(standin, f"/connections/all/{action}")
        with pytest.raises(ConnectionClosed):
            await other.receive()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(silent.receive(), 50 * MS)
        assert silent.connection.protocol.close_rcvd is None
        silent.connection.transport.abort()
        await eventually(lambda: not standin.connections)


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/behaviour?speeed=1", 400, "there is no speeed; is it speed?"),
        ("/behaviour?speed=0", 400, "speed must be positive"),
        ("/stats?speed=1", 400, "takes no query"),
        ("/nothing", 404, "there is no /standin/nothing"),
        ("/connections/9", 404, "no connection 9 is open"),
        ("/connections/x/cut", 404, "no connection x is open"),
        ("/connections/all/explode", 404, "only fault, close, cut"),
        ("/connections/all/close?code=1006", 400, "no socket can be closed with code 1006"),
        ("/connections/all/close?code=many", 400, "invalid literal"),
        ("/connections/all/fault?kind=bang", 400, "kind: Input should be 'close'"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_sentence(
    standin: StandIn, path: str, status: int, sentence: str
) -> None:
    before = standin.behaviour
    refused, answer = await get(standin, path)
    assert (refused, sentence in answer["error"]) == (status, True), answer
    assert standin.behaviour == before


@pytest.mark.parametrize(
    ("peer", "anyone", "status"),
    [
        ("127.0.0.1", False, 200),
        ("::1", False, 200),
        ("::ffff:127.0.0.1", False, 200),
        ("10.0.0.7", False, 403),
        ("10.0.0.7", True, 200),
    ],
)
def test_only_clients_of_this_machine_may_control_it_unless_told_otherwise(
    peer: str, anyone: bool, status: int
) -> None:
    control = Control(Conduct(Behaviour(), "marker"), {}, lambda behaviour: None, anyone=anyone)
    answer = control.answer("/standin/behaviour", peer)
    assert answer is not None
    assert answer.status == status


def test_other_paths_are_not_its_business() -> None:
    control = Control(Conduct(Behaviour(), "marker"), {}, lambda behaviour: None, anyone=True)
    assert control.answer("/api/speech/tts", "127.0.0.1") is None
    assert control.answer("/standinn", "127.0.0.1") is None
