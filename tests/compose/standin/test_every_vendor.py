"""What the shell does to every vendor alike, whatever its protocol: faults, limits, deploys."""

import asyncio
import binascii
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import ormsgpack
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from saystream.compose.standin import TEST_KEY, Behaviour, Fault, Kind, StandIn
from saystream.compose.standin.marker import decode
from tests.timing import MS

TEXT = "one two three four five six"
RATE = 24_000


@dataclass(frozen=True)
class Plain:
    """How a vendor is spoken to by hand."""

    name: str
    url: Callable[[StandIn], str]
    header: tuple[str, str]
    request: tuple[dict[str, Any], ...]
    end: Callable[[dict[str, Any]], bool]
    audio: Callable[[dict[str, Any]], bytes | None]
    error: Callable[[dict[str, Any]], bool]
    binary: bool = False

    def encode(self, message: dict[str, Any]) -> bytes | str:
        return ormsgpack.packb(message) if self.binary else orjson.dumps(message).decode()

    def decode(self, message: bytes | str) -> dict[str, Any] | None:
        """None if it is not of the protocol."""
        try:
            if isinstance(message, bytes):
                decoded: dict[str, Any] = ormsgpack.unpackb(message)
            else:
                decoded = orjson.loads(message)
        except ValueError:
            return None
        return decoded if isinstance(decoded, dict) else None

    def __str__(self) -> str:
        return self.name


def base64_audio(message: dict[str, Any]) -> bytes | None:
    return binascii.a2b_base64(message["audio"]) if "audio" in message else None


def fish_request() -> tuple[dict[str, Any], ...]:
    request = {"text": "", "format": "pcm", "sample_rate": RATE, "reference_id": "marker"}
    return {"event": "start", "request": request}, {"event": "text", "text": TEXT}, {"event": "stop"}


GRADIUM = Plain(
    "gradium",
    lambda standin: standin.gradium_url,
    ("x-api-key", TEST_KEY),
    (
        {"type": "setup", "voice_id": "marker", "output_format": "pcm_24000", "close_ws_on_eos": False},
        {"type": "text", "text": f"{TEXT} <flush>"},
        {"type": "end_of_stream"},
    ),
    lambda message: message["type"] == "end_of_stream",
    base64_audio,
    lambda message: message["type"] == "error",
)
KUGEL_STREAM = Plain(
    "kugelaudio stream",
    lambda standin: standin.kugelaudio_url,
    ("authorization", f"Bearer {TEST_KEY}"),
    ({"voice_id": "marker", "language": "en"}, {"text": TEXT}, {"flush": True}),
    lambda message: "session_closed" in message,
    base64_audio,
    lambda message: "error" in message,
)
KUGEL_MULTI = replace(
    KUGEL_STREAM,
    name="kugelaudio multi",
    url=lambda standin: standin.kugelaudio_multi_url,
    request=(
        {"text": " ", "context_id": "c", "voice_settings": {"voice_id": "marker"}, "language": "en"},
        {"text": TEXT, "context_id": "c", "flush": True},
        {"close_context": True, "context_id": "c"},
    ),
    end=lambda message: "context_closed" in message,
)
FISH = Plain(
    "fishaudio",
    lambda standin: standin.fishaudio_url,
    ("authorization", f"Bearer {TEST_KEY}"),
    fish_request(),
    lambda message: message["event"] == "finish",
    lambda message: message["audio"] if message["event"] == "audio" else None,
    lambda message: message["event"] == "error" or message.get("reason") == "error",
    binary=True,
)
FISH_LIVE = replace(FISH, name="fishaudio live", url=lambda standin: standin.fishaudio_live_url)
VENDORS = [GRADIUM, KUGEL_STREAM, KUGEL_MULTI, FISH, FISH_LIVE]


@pytest.fixture(params=VENDORS, ids=str)
def vendor(request: pytest.FixtureRequest) -> Plain:
    chosen: Plain = request.param
    return chosen


class Heard:
    """What a request led to, up to its end, an error, or the end of the socket."""

    def __init__(self) -> None:
        self.sound = b""
        self.audio_messages = 0
        self.malformed = 0
        self.ended = False
        self.errors: list[dict[str, Any]] = []
        self.close_code: int | None = None

    @property
    def text(self) -> str:
        return decode(np.frombuffer(self.sound, dtype=np.int16), RATE).text


def opened(vendor: Plain, standin: StandIn, **options: Any) -> connect:
    return connect(
        vendor.url(standin),
        additional_headers=dict([vendor.header]),
        compression=None,
        max_queue=None,
        close_timeout=0.1,
        **options,
    )


async def speak(vendor: Plain, connection: ClientConnection) -> Heard:
    heard = Heard()
    try:
        for message in vendor.request:
            await connection.send(vendor.encode(message))
        while not heard.ended and not heard.errors:
            decoded = vendor.decode(await connection.recv())
            if decoded is None:
                heard.malformed += 1
                continue
            data = vendor.audio(decoded)
            if data:
                heard.sound += data
                heard.audio_messages += 1
            heard.ended = vendor.end(decoded)
            if vendor.error(decoded):
                heard.errors.append(decoded)
    except ConnectionClosed as closed:
        heard.close_code = 1006 if closed.rcvd is None else closed.rcvd.code
    return heard


async def one(vendor: Plain, behaviour: Behaviour) -> tuple[Heard, StandIn]:
    async with StandIn(behaviour=behaviour) as standin, opened(vendor, standin) as connection:
        return await speak(vendor, connection), standin


async def test_a_request_is_heard_whole(vendor: Plain) -> None:
    heard, standin = await one(vendor, Behaviour())
    assert (heard.text, heard.ended) == (TEXT, True)
    [log] = standin.stats.requests
    assert (log.vendor, log.outcome, log.words) == (vendor.name.split()[0], "completed", 6)
    assert log.samples_sent * 2 == len(heard.sound)


async def test_odd_bytes_change_nothing_in_what_is_heard(vendor: Plain) -> None:
    heard, standin = await one(vendor, Behaviour(drip_bytes=997))
    assert (heard.text, heard.ended) == (TEXT, True)
    assert heard.audio_messages >= standin.stats.requests[0].frames_sent > len(heard.sound) // 1_000


@pytest.mark.parametrize("kind", [Kind.CLOSE, Kind.CUT, Kind.RESET])
async def test_a_socket_ends_after_so_many_frames(vendor: Plain, kind: Kind) -> None:
    heard, standin = await one(vendor, Behaviour(fault=Fault(kind, 2, code=4000)))
    assert heard.audio_messages == 2
    assert heard.close_code == (4000 if kind is Kind.CLOSE else 1006)
    assert standin.stats.requests[0].outcome == "aborted"


@pytest.mark.parametrize("kind", [Kind.SILENCE, Kind.STALL, Kind.NO_END])
async def test_the_end_of_a_request_may_never_come(vendor: Plain, kind: Kind) -> None:
    behaviour = Behaviour(fault=Fault(kind, 2))
    async with StandIn(behaviour=behaviour) as standin, opened(vendor, standin) as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(150 * MS):
                await speak(vendor, connection)
        assert standin.stats.requests[0].outcome == "active"
        assert (standin.stats.requests[0].frames_sent == 2) == (kind is not Kind.NO_END)
        pong = asyncio.ensure_future(await connection.ping())
        await asyncio.wait({pong}, timeout=100 * MS)
        assert pong.done() == (kind is not Kind.SILENCE)
    await asyncio.gather(pong, return_exceptions=True)


@pytest.mark.parametrize(("fault", "frames"), [(Fault(Kind.NO_AUDIO), 0), (Fault(Kind.NO_TAIL, 3), 3)])
async def test_a_request_may_end_well_with_too_little(vendor: Plain, fault: Fault, frames: int) -> None:
    heard, standin = await one(vendor, Behaviour(fault=fault))
    assert (heard.ended, heard.errors) == (True, [])
    assert heard.audio_messages in (frames, frames + bool(frames))  # Fish Audio holds back the end of what it has
    assert standin.stats.requests[0].words < 6


async def test_a_message_may_be_none_of_the_protocol(vendor: Plain) -> None:
    heard, _ = await one(vendor, Behaviour(fault=Fault(Kind.MALFORMED, 2)))
    assert (heard.malformed, heard.ended) == (1, True)


@pytest.mark.parametrize(
    "fault", [Fault(Kind.LIMIT), Fault(Kind.UNKNOWN_VOICE), Fault(Kind.ERROR, code=500), Fault(Kind.ERROR, 2, 500)]
)
async def test_a_refusal_is_said_in_the_vendors_way(vendor: Plain, fault: Fault) -> None:
    heard, standin = await one(vendor, Behaviour(fault=fault))
    assert len(heard.errors) == 1
    assert heard.audio_messages == fault.after_frames
    assert standin.stats.requests[0].outcome == "failed"


async def test_streams_above_the_limit_are_refused_until_one_has_ended(vendor: Plain) -> None:
    behaviour = Behaviour(most_streams=1, fault=Fault(Kind.STALL), faulty_requests=1)
    async with StandIn(behaviour=behaviour) as standin:
        async with opened(vendor, standin) as holding, opened(vendor, standin) as refused:
            for message in vendor.request:
                await holding.send(vendor.encode(message))
            await standin.stats.until(lambda stats: stats.requests_started == 1)
            assert (await speak(vendor, refused)).errors
        await standin.stats.until(lambda stats: stats.connections_open == 0)
        async with opened(vendor, standin) as later:
            assert (await speak(vendor, later)).text == TEXT


async def test_a_deploy_turns_new_sockets_away_and_closes_idle_ones(vendor: Plain) -> None:
    async with StandIn() as standin, opened(vendor, standin) as idle:
        await standin.stats.until(lambda stats: stats.connections_open == 1)
        standin.behaviour = Behaviour(draining=True)
        with pytest.raises(ConnectionClosedError) as closed:
            await idle.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        async with opened(vendor, standin) as new:
            with pytest.raises(ConnectionClosedError) as closed:
                await new.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013


@pytest.mark.parametrize("vendor", [GRADIUM, FISH, FISH_LIVE], ids=str)
async def test_an_idle_socket_is_closed_and_one_that_speaks_is_not(vendor: Plain) -> None:
    behaviour = Behaviour(idle_socket_s=40 * MS, first_audio_delay_s=90 * MS)
    async with StandIn(behaviour=behaviour) as standin, opened(vendor, standin) as connection:
        assert (await speak(vendor, connection)).text == TEXT
        await standin.stats.until(lambda stats: stats.connections_open == 0)
        assert standin.stats.connections[0].close_code != 1006
