"""What ``/standin/…`` answers on the stand-in's own port: how it is, and how it is told to be otherwise.

    /standin                        all of what the next ones show
    /standin/behaviour              its behaviour; a query changes it: ?speed=1&fault.kind=cut
    /standin/behaviour/reset        back to what it was started with; a query changes that
    /standin/stats                  what it has counted, and its most recent requests
    /standin/connections            the open connections
    /standin/connections/N          one of them
    /standin/connections/N/fault    its next request meets what the query says: ?kind=close&code=1011
    /standin/connections/N/close    closed now: ?code=1011&message=…
    /standin/connections/N/cut      and /reset, /silence, /roll

N may be ``all``. Everything is a GET without a body, because the WebSocket library reads no other request.
"""

import http
import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from saystream.common.errors import InvalidInput
from saystream.compose.standin import told
from saystream.compose.standin.behaviour import Behaviour, check_close
from saystream.compose.standin.conduct import Conduct
from saystream.compose.standin.connection import Connection
from saystream.compose.standin.stats import RequestLog

PREFIX: Final = "/standin"

_RECENT: Final = 100  # requests
_ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request to the control endpoint gets; the body is JSON."""

    status: http.HTTPStatus
    body: bytes


class _Unknown(Exception):
    """There is nothing of this name."""


class Control:
    """The control endpoint of one stand-in.

    Args:
        connections: those that are open, by number.
        become: makes the stand-in behave otherwise.
        anyone: answers clients of other machines too.
    """

    def __init__(
        self,
        conduct: Conduct,
        connections: Mapping[int, Connection],
        become: Callable[[Behaviour], None],
        *,
        anyone: bool,
    ) -> None:
        self._conduct = conduct
        self._connections = connections
        self._become = become
        self._anyone = anyone
        self._started_with = conduct.behaviour

    def answer(self, target: str, peer: str) -> Answer | None:
        """Do what the target of a request asks for; None if it is not for the control endpoint.

        Args:
            peer: the client's IP address.
        """
        url = urlsplit(target)
        head, *parts = url.path.strip("/").split("/")
        if f"/{head}" != PREFIX:
            return None
        if not self._anyone and not _is_loopback(peer):
            return _answer(
                http.HTTPStatus.FORBIDDEN, {"error": "only clients of this machine may control the stand-in"}
            )
        try:
            return _answer(http.HTTPStatus.OK, self._do(parts, parse_qsl(url.query, keep_blank_values=True)))
        except _Unknown as error:
            return _answer(http.HTTPStatus.NOT_FOUND, {"error": str(error)})
        except (InvalidInput, ValueError) as error:
            return _answer(http.HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def _do(self, parts: list[str], query: list[tuple[str, str]]) -> Any:
        match parts:
            case ["behaviour"]:
                return self._behave(self._conduct.behaviour, query) if query else told.shown(self._conduct.behaviour)
            case ["behaviour", "reset"]:
                return self._behave(self._started_with, query)
            case ["connections", wanted, action]:
                return self._act(wanted, action, query)
        if query:
            raise ValueError("this only shows, it takes no query")
        match parts:
            case []:
                return {
                    "behaviour": told.shown(self._conduct.behaviour),
                    "stats": self._stats(),
                    "connections": self._shown(_ALL),
                }
            case ["stats"]:
                return self._stats()
            case ["connections"]:
                return self._shown(_ALL)
            case ["connections", number]:
                return self._shown(number)[0]
        raise _Unknown(f"there is no {PREFIX}/{'/'.join(parts)}")

    def _behave(self, base: Behaviour, query: list[tuple[str, str]]) -> dict[str, Any]:
        behaviour = told.changed(base, told.nested(query))
        self._become(behaviour)
        return told.shown(behaviour)

    def _act(self, wanted: str, action: str, query: list[tuple[str, str]]) -> dict[str, Any]:
        connections = self._chosen(wanted)
        match action:
            case "fault":
                fault = told.fault(query)
                for connection in connections:
                    connection.next_fault = fault
            case "close":
                given = {"code": "1000", "message": "", **dict(query)}
                code, message = int(given["code"]), given["message"]
                check_close(code, message)
                for connection in connections:
                    connection.do(action, code, message)
            case "cut" | "reset" | "silence" | "roll":
                for connection in connections:
                    connection.do(action)
            case _:
                raise _Unknown(f"nothing is called {action}, only fault, close, cut, reset, silence, roll")
        return {"done": action, "connections": [connection.log.number for connection in connections]}

    def _chosen(self, wanted: str) -> list[Connection]:
        if wanted == _ALL:
            return list(self._connections.values())
        if not wanted.isdecimal() or int(wanted) not in self._connections:
            raise _Unknown(f"no connection {wanted} is open")
        return [self._connections[int(wanted)]]

    def _shown(self, wanted: str) -> list[dict[str, Any]]:
        now = time.monotonic()
        return [
            {
                "number": connection.log.number,
                "vendor": connection.log.vendor,
                "path": connection.log.path,
                "open_s": round(now - connection.log.opened_s, 3),
                "requests": connection.log.requests,
                "speaking": [request.log.request_id for request in connection.requests.values()],
                "silent": connection.wire.silent,
                "rolling": connection.rolling,
            }
            for connection in self._chosen(wanted)
        ]

    def _stats(self) -> dict[str, Any]:
        stats, slots = self._conduct.stats, self._conduct.slots
        counters = ("connections_opened", "connections_open", "upgrades_refused")
        requests = ("requests_started", "requests_completed", "requests_failed", "requests_aborted")
        return {
            **{name: getattr(stats, name) for name in (*counters, *requests)},
            "streams_open": slots.by_vendor(slots.open),
            "streams_at_most": slots.by_vendor(slots.peak),
            "requests": [_request(log) for log in list(stats.requests)[-_RECENT:]],
        }


def _request(log: RequestLog) -> dict[str, Any]:
    names = ("connection", "vendor", "path", "request_id", "outcome", "words", "frames_sent", "samples_sent")
    return {name: getattr(log, name) for name in names}


def _answer(status: http.HTTPStatus, body: Any) -> Answer:
    return Answer(status, orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _is_loopback(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
