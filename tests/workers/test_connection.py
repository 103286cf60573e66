"""One connection and its streams, against a scripted vendor."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from saystream.common.errors import Action, Scope, VendorError
from saystream.workers.connection import Connection, Stream
from saystream.workers.providers.base import AudioData, Cancel, Finished, Handshake, VendorEvent, Warned
from tests.timing import MS, eventually
from tests.workers.scripted import CAPABILITIES, SPEC, Scripted, ScriptedProtocol, Vendor, all_of, error, vendor

ACKNOWLEDGED = {"cancel": Cancel.ACKNOWLEDGED}
MULTIPLEXED = {"cancel": Cancel.ACKNOWLEDGED, "streams": 4}


class Heard:
    """A witness that keeps what it is told."""

    def __init__(self) -> None:
        self.signs: list[str] = []
        self.is_gone = asyncio.Event()

    def spoke(self) -> None:
        self.signs.append("spoke")

    def finished(self) -> None:
        self.signs.append("finished")

    def failed(self, error: VendorError, *, stalled: bool) -> None:
        self.signs.append("stalled" if stalled else "failed")

    def cancelled(self) -> None:
        self.signs.append("cancelled")

    def gone(self) -> None:
        self.signs.append("gone")
        self.is_gone.set()


@asynccontextmanager
async def connected(
    here: Vendor, capabilities: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Connection]:
    provider = here.provider(replace(CAPABILITIES, **(capabilities or {})), **settings)
    connection = await Connection.open(provider, "", lambda _: None)
    try:
        yield connection
    finally:
        await connection.close()


async def start(connection: Connection) -> tuple[Stream, Heard]:
    heard = Heard()
    connection.reserve()
    stream, frames = connection.start(SPEC, heard)
    await connection.send(frames)
    return stream, heard


async def test_a_stream_is_told_of_once_in_order() -> None:
    async with vendor() as here, connected(here) as connection:
        stream, heard = await start(connection)
        assert repr(connection) == "<Connection to scripted: 1 active, 1 turns>"
        await stream.finish("hello")
        assert await all_of(stream) == b"hello"
        assert heard.signs == ["spoke", "finished", "gone"]
        stream.cancel()
        stream.fail(error())
        assert heard.signs == ["spoke", "finished", "gone"]
        assert repr(connection) == "<Connection to scripted: idle, 1 turns>"


async def test_a_broken_connection_fails_its_stream_behind_all_that_was_said() -> None:
    async with vendor() as here, connected(here) as connection:
        stream, heard = await start(connection)
        await stream.text("hello")
        await eventually(lambda: "spoke" in heard.signs)
        here.cut()
        await heard.is_gone.wait()
        await stream.text("this goes nowhere")
        assert any(isinstance(event, AudioData) for event in await stream.events())
        for _ in range(2):
            with pytest.raises(VendorError, match="the connection broke"):
                await stream.events()
        assert heard.signs == ["spoke", "failed", "gone"]
        assert repr(connection) == "<Connection to scripted: lost, 1 turns>"


async def test_a_vendors_error_of_a_stream_leaves_the_connection_alone() -> None:
    unknown = error("no such voice", Scope.STREAM, Action.GIVE_UP)
    async with vendor(fails_alone=unknown) as here, connected(here) as connection:
        stream, heard = await start(connection)
        await stream.finish("hello")
        with pytest.raises(VendorError, match="no such voice"):
            await all_of(stream)
        assert heard.signs == ["failed", "gone"]
        assert (connection.error, connection.free) == (None, 1)


async def test_closing_to_cancel_holds_the_place_until_the_vendor_has_seen_it() -> None:
    async with vendor() as here, connected(here) as connection:
        stream, heard = await start(connection)
        stream.cancel()
        assert heard.signs == ["cancelled"]
        assert connection.error is not None
        await connection.close()
        assert heard.signs == ["cancelled", "gone"]
        await here.until(lambda vendor: not vendor.sockets)


async def test_a_cancelled_stream_parts_until_the_vendor_releases_it() -> None:
    async with vendor() as here, connected(here, ACKNOWLEDGED) as connection:
        stream, heard = await start(connection)
        stream.cancel()
        assert (connection.active, connection.parting, connection.free) == (0, 1, 0)
        assert repr(connection) == "<Connection to scripted: idle, 1 parting, 1 turns>"
        await heard.is_gone.wait()
        assert (connection.active, connection.parting, connection.free) == (0, 0, 1)
        stream, again = await start(connection)
        await stream.finish("next")
        assert await all_of(stream) == b"next", "nothing of the cancelled stream"
        assert again.signs == ["spoke", "finished", "gone"]


async def test_a_vendor_that_does_not_acknowledge_loses_the_connection() -> None:
    async with vendor(acknowledges=False) as here, connected(here, ACKNOWLEDGED, cancel_s=10 * MS) as connection:
        stream, heard = await start(connection)
        stream.cancel()
        await eventually(lambda: connection.error)
        assert "did not acknowledge" in str(connection.error)
        await connection.close()
        assert heard.signs == ["cancelled", "gone"]


async def test_others_on_a_connection_that_does_not_acknowledge_go_on_to_their_end() -> None:
    async with vendor(acknowledges=False) as here, connected(here, MULTIPLEXED, cancel_s=10 * MS) as connection:
        other, _ = await start(connection)
        stream, heard = await start(connection)
        stream.cancel()
        await eventually(lambda: connection.spent)
        assert connection.free == 0
        await other.finish("still here")
        assert await all_of(other) == b"still here"
        await connection.close()
        assert heard.signs == ["cancelled", "gone"]


async def test_an_abandoned_stream_has_no_time_limit() -> None:
    async with vendor(acknowledges=False) as here:
        async with connected(here, {"cancel": Cancel.ABANDON, "streams": 2}, cancel_s=MS) as connection:
            stream, heard = await start(connection)
            stream.cancel()
            await here.until(lambda vendor: bool(vendor.verbs("cancel")))
            other, _ = await start(connection)
            await other.finish("hello")
            assert await all_of(other) == b"hello"
            assert (connection.parting, connection.free) == (1, 1)
        assert heard.signs == ["cancelled", "gone"], "at the latest when the connection is closed"


async def test_a_stalled_stream_takes_its_connection_with_it() -> None:
    async with vendor(silent=True) as here, connected(here, ACKNOWLEDGED) as connection:
        stream, heard = await start(connection)
        stream.fail(error("stalled"))
        assert str(connection.error).endswith("given up")
        with pytest.raises(VendorError, match="stalled"):
            await all_of(stream)
        await connection.close()
        assert heard.signs == ["stalled", "gone"]


async def test_a_stalled_stream_among_others_is_cancelled_and_no_more_are_started_there() -> None:
    async with vendor() as here, connected(here, MULTIPLEXED) as connection:
        other, _ = await start(connection)
        stream, heard = await start(connection)
        stream.fail(error("stalled"))
        await heard.is_gone.wait()
        assert heard.signs == ["stalled", "gone"]
        assert (connection.error, connection.spent) == (None, True)
        await other.finish("hello")
        assert await all_of(other) == b"hello"


async def test_closing_fails_the_streams_that_are_on_it() -> None:
    async with vendor() as here, connected(here, MULTIPLEXED) as connection:
        (one, heard), (other, parting) = await start(connection), await start(connection)
        other.cancel()
        await connection.close()
        with pytest.raises(VendorError, match="closed by us"):
            await all_of(one)
        assert heard.signs == ["failed", "gone"]
        assert parting.signs == ["cancelled", "gone"]


async def test_a_vendor_that_takes_no_more_text_is_given_up() -> None:
    async with vendor() as here, connected(here, first_audio_s=20 * MS) as connection:
        stream, heard = await start(connection)
        for socket in here.sockets:
            socket.transport.pause_reading()
        async with asyncio.timeout(10):
            while not stream.over:
                await stream.text("x" * 1_000_000)
        with pytest.raises(VendorError, match="takes no more text"):
            await all_of(stream)
        here.cut()
        await connection.close()
        assert heard.signs[-2:] == ["failed", "gone"]


async def test_a_connection_that_has_served_waits_for_the_vendor_to_close_it() -> None:
    async with vendor() as here, connected(here, {"settle_s": 100.0}) as connection:
        assert connection.ready_at == 0.0
        stream, _ = await start(connection)
        await stream.finish("hello")
        await all_of(stream)
        assert connection.proving
        assert connection.ready_at > connection.idle_since + 99.0


async def test_a_proxy_is_for_vendors_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said to the stand-in stays on this machine."""
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with vendor() as here, connected(here):
        pass


async def test_connections_that_were_opened_together_are_not_replaced_together() -> None:
    async with vendor() as here, connected(here, max_age_s=100.0) as one, connected(here, max_age_s=100.0) as other:
        ages = [connection.retire_at - connection.opened_at for connection in (one, other)]
        assert all(75.0 <= age_s <= 90.0 for age_s in ages)
        assert ages[0] != ages[1]
        assert one.expire_at - one.opened_at == pytest.approx(100.0)


class Talkative(ScriptedProtocol):
    """Has something of its own to say after each verb, and warns of everything."""

    def __init__(self) -> None:
        super().__init__(prepares=False)
        self._own: list[VendorEvent] = []

    def finish(self, stream: str, text: str) -> list[str | bytes]:
        self._own = [Finished(stream)]
        return []

    def pending(self) -> list[VendorEvent]:
        own, self._own = self._own, []
        return own

    def receive(self, frame: str | bytes) -> list[VendorEvent]:
        return [Warned("the plan ends soon"), *super().receive(frame)]


async def test_what_a_verb_brings_about_by_itself_is_heard(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Scripted, "protocol", lambda _: Talkative())
    caplog.set_level(logging.INFO)
    async with vendor() as here, connected(here) as connection:
        stream, heard = await start(connection)
        await stream.finish("")
        assert await all_of(stream) == b""
        assert heard.signs == ["finished", "gone"]
        await eventually(lambda: "the plan ends soon" in caplog.text)


@pytest.mark.parametrize("status", [401, 404, 429, 503])
async def test_a_status_instead_of_a_socket_is_for_the_provider_to_read(status: int) -> None:
    async with vendor(status=status) as here:
        with pytest.raises(VendorError, match=f"HTTP {status}") as caught:
            await Connection.open(here.provider(), "", lambda _: None)
        assert caught.value.code == status


async def test_a_redirect_is_not_followed_because_the_key_is_meant_for_one_host() -> None:
    def redirect(_: ServerConnection, request: Request) -> Response:
        asked.append(request.path)
        return Response(302, "Found", Headers({"Location": "/elsewhere"}))

    async def nobody(_: ServerConnection) -> None:
        raise AssertionError("nothing is upgraded here")

    asked: list[str] = []
    async with serve(nobody, "127.0.0.1", 0, process_request=redirect) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(VendorError, match="HTTP 302"):
            await Connection.open(Vendor(url=f"ws://127.0.0.1:{port}/there").provider(), "", lambda _: None)
    assert asked == ["/there"]


@pytest.mark.parametrize(("header", "value"), [("x-api-key", "secret"), ("Authorization", "Bearer secret")])
def test_no_key_stands_in_what_a_server_reflects(header: str, value: str) -> None:
    handshake = Handshake("ws://vendor", {header: value, "x-api-source": "saystream"})
    assert handshake.without_key(f"saystream sent {value}") == f"saystream sent {value.replace('secret', '…')}"


@pytest.mark.parametrize("url", ["http://example.com/x?key=SECRET", "ws://user:SECRET@127.0.0.1:99999/"])
async def test_a_url_that_is_none_is_a_matter_of_configuration_and_shows_no_secret(url: str) -> None:
    provider = Vendor(url=url).provider()
    with pytest.raises(VendorError, match="cannot connect") as caught:
        await Connection.open(provider, "", lambda _: None)
    assert (caught.value.scope, caught.value.action) == (Scope.ACCOUNT, Action.FIX_CONFIGURATION)
    assert "SECRET" not in str(caught.value)
