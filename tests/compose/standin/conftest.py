"""A running stand-in, and a plain client for it."""

import binascii
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import numpy as np
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from saystream.compose.standin import TEST_KEY, StandIn
from saystream.compose.standin.marker import Decoded, decode
from saystream.compose.standin.sound import Samples


class Client:
    """A client that sends Gradium messages and collects what comes."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.messages: list[dict[str, Any]] = []

    async def send(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            await self.connection.send(orjson.dumps(message), text=True)

    async def setup(self, **fields: Any) -> None:
        await self.send({"type": "setup", "voice_id": "marker", "output_format": "pcm_24000", **fields})

    async def text(self, text: str, **fields: Any) -> None:
        await self.send({"type": "text", "text": text, **fields})

    async def end(self, **fields: Any) -> None:
        await self.send({"type": "end_of_stream", **fields})

    async def receive(self) -> dict[str, Any]:
        """The next message; kept in `messages`."""
        message: dict[str, Any] = orjson.loads(await self.connection.recv())
        self.messages.append(message)
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """Receive up to the first message of a type."""
        while True:
            message = await self.receive()
            if message["type"] == kind:
                return message

    async def until_closed(self) -> int:
        """Receive everything; return the close code."""
        async for message in self.connection:
            self.messages.append(orjson.loads(message))
        assert self.connection.close_code is not None
        return self.connection.close_code

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.messages]

    def said(self, client_req_id: str | None = None) -> list[str]:
        """The words told in text messages."""
        return [message["text"] for message in self._of("text", client_req_id)]

    def sound(self, client_req_id: str | None = None) -> Samples:
        """The audio as PCM."""
        parts = [binascii.a2b_base64(message["audio"]) for message in self._of("audio", client_req_id)]
        return np.frombuffer(b"".join(parts), dtype=np.int16)

    def heard(self, rate: int = 24_000, client_req_id: str | None = None) -> Decoded:
        """What the marker decoder reads in the audio."""
        return decode(self.sound(client_req_id), rate)

    def _of(self, kind: str, client_req_id: str | None) -> list[dict[str, Any]]:
        return [m for m in self.messages if m["type"] == kind and m.get("client_req_id") == client_req_id]


OpenClient: TypeAlias = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with StandIn() as running:
        yield running


@pytest.fixture
def open_client() -> OpenClient:
    """Opens a client: `async with open_client(standin) as client`."""

    @asynccontextmanager
    async def opened(standin: StandIn, api_key: str = TEST_KEY, query: str = "") -> AsyncIterator[Client]:
        headers = {"x-api-key": api_key}
        url = standin.gradium_url + query
        async with connect(url, additional_headers=headers, compression=None, max_queue=None) as connection:
            yield Client(connection)

    return opened
