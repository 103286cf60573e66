"""Redis's address: one server, or the sentinels or members that know where the servers are."""

from dataclasses import dataclass
from typing import Literal

from saystream.common.errors import InvalidInput
from saystream.common.redis_client.options import Kind, check_options
from saystream.common.redis_client.place import HostPort, Wrong, check_credentials, read_database, read_host

SINGLE = ("redis://", "rediss://", "unix://")
SENTINEL = ("redis+sentinel://", "rediss+sentinel://")
CLUSTER = ("redis+cluster://", "rediss+cluster://")
SCHEMES = (*SINGLE, *SENTINEL, *CLUSTER)

_EXAMPLES = {
    "single": "redis://host:6379/0 or unix:///path",
    "sentinel": "redis+sentinel://host:26379,host:26379,host:26379/mymaster",
    "cluster": "redis+cluster://host:6379,host:6379,host:6379",
}
_PORTS = {"single": 6379, "sentinel": 26379, "cluster": 6379}
_OWN = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True)
class Group:
    """Several addresses to begin at; credentials and options are, percent-encoded, as the URL has them.

    Args:
        kind: sentinels, which are asked for the primary; or members of a cluster.
        tls: whether to speak TLS, with everybody.
        members: whom to ask first.
        credentials: of the servers that hold data, up to and with the ``@``.
        asking: of the sentinels, likewise.
        name: that the sentinels know the primary by.
        database: its number.
        options: of redis-py's URLs, such as ``ssl_ca_certs=…``, with the ``?``.
    """

    kind: Literal["sentinel", "cluster"]
    tls: bool
    members: tuple[HostPort, ...]
    credentials: str = ""
    asking: str = ""
    name: str = ""
    database: int = 0
    options: str = ""

    def server(self, address: HostPort) -> str:
        """Return the URL of a server that holds data."""
        return f"{self._base(self.credentials, address)}/{self.database}{self.options}"

    def sentinel(self, address: HostPort) -> str:
        """Return the URL of a sentinel."""
        return f"{self._base(self.asking, address)}{self.options}"

    def _base(self, credentials: str, address: HostPort) -> str:
        host, port = address
        return f"{'rediss' if self.tls else 'redis'}://{credentials}{f'[{host}]' if ':' in host else host}:{port}"


def without_password(url: str) -> str:
    """Return a URL's scheme, hosts and path: passwords stand before the host or behind the question mark.

    Where an ``@`` follows a question mark, either may be a password's: then only the scheme is told.
    """
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    before, _, hosts = rest.rpartition("@")
    return f"{scheme}{mark}{'…' if '?' in before else hosts.partition('?')[0]}"


def check(url: str) -> None:
    """Raise InvalidInput if this is no URL of Redis: nothing is connected to that may be a part of a password."""
    parse(url)


def parse(url: str) -> Group | None:
    """Read a URL of sentinels or of a cluster; check one of a single server, and return None.

    Raises:
        InvalidInput: it is none of ours; says what a good one looks like.
    """
    if not url.startswith(SCHEMES):
        raise InvalidInput(f"{without_password(url)!r} is not a Redis URL: use one of {', '.join(SCHEMES)}")
    kind: Kind = "single" if url.startswith(SINGLE) else "sentinel" if url.startswith(SENTINEL) else "cluster"
    try:
        if "#" in url or "@" in url.partition("?")[2]:
            raise Wrong("it holds a character that must be written otherwise")
        if url.startswith("unix://"):
            _check_socket(url)
        elif kind == "single":
            _check_server(url)
        else:
            return _group(kind, url)
    except Wrong as wrong:
        hint = f"use {_EXAMPLES[kind]}"
        if "@" in url or "#" in url or "password=" in url:
            hint += ", and write / : @ ? # [ ] in a password as %2F %3A %40 %3F %23 %5B %5D"
        raise InvalidInput(f"{without_password(url)!r} is not a Redis URL: {wrong}; {hint}") from None
    return None


def _check_socket(url: str) -> None:
    place, _, query = url.removeprefix("unix://").partition("?")
    credentials, _, path = ("", "", place) if place.startswith("/") else place.rpartition("@")
    check_credentials(credentials)
    if not path.startswith("/"):
        raise Wrong("it names no path from the root")
    check_options("single", False, query)


def _check_server(url: str) -> None:
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    credentials, _, place = rest.rpartition("@")
    check_credentials(credentials)
    host, _, database = place.partition("/")
    read_host(host, _PORTS["single"])
    read_database(database)
    check_options("single", scheme == "rediss", query)


def _group(kind: Literal["sentinel", "cluster"], url: str) -> Group:
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    credentials, at, rest = rest.rpartition("@")
    check_credentials(credentials)
    tls = scheme.startswith("rediss")
    check_options(kind, tls, query)
    own, others = _split(query)
    user, password = (own.get(option, "") for option in _OWN)
    asking = f"{user}:{password}" if password else ""
    check_credentials(asking)
    if user and not password:
        raise Wrong("its sentinel_username needs a sentinel_password")
    hosts, _, path = rest.partition("/")
    name, _, database = path.partition("/")
    if kind == "sentinel" and not name:
        raise Wrong("it does not say by which name the sentinels know the primary")
    if kind == "cluster" and path:
        raise Wrong("a cluster has one database, and its URL no path")
    return Group(
        kind=kind,
        tls=tls,
        members=tuple(read_host(member, _PORTS[kind]) for member in hosts.split(",")),
        credentials=credentials + at,
        asking=asking and asking + "@",
        name=name,
        database=read_database(database),
        options=f"?{others}" if others else "",
    )


def _split(query: str) -> tuple[dict[str, str], str]:
    """Return the options that are ours, and the others as they are."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    own = {name: value for name, _, value in pairs if name in _OWN}
    return own, "&".join("".join(pair) for pair in pairs if pair[0] not in _OWN)
