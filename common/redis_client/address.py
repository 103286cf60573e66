"""Redis's address: one server, or the sentinels or members that know where the servers are."""

from dataclasses import dataclass
from typing import Literal

from saystream.common.errors import InvalidInput

SINGLE = ("redis://", "rediss://", "unix://")
SENTINEL = ("redis+sentinel://", "rediss+sentinel://")
CLUSTER = ("redis+cluster://", "rediss+cluster://")
SCHEMES = (*SINGLE, *SENTINEL, *CLUSTER)

HostPort = tuple[str, int]

_EXAMPLES = {
    "sentinel": "redis+sentinel://host:26379,host:26379,host:26379/mymaster",
    "cluster": "redis+cluster://host:6379,host:6379,host:6379",
}
_PORTS = {"sentinel": 26379, "cluster": 6379}
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
    """Raise InvalidInput if this is no URL of Redis; what is behind the scheme is looked at by who connects."""
    if not url.startswith(SCHEMES):
        raise InvalidInput(f"{without_password(url)!r} is not a Redis URL: use one of {', '.join(SCHEMES)}")


def parse(url: str) -> Group | None:
    """Read a URL of sentinels or of a cluster; None if it names one server.

    Raises:
        InvalidInput: it is none of ours; says what a good one looks like.
    """
    check(url)
    if url.startswith(SINGLE):
        return None
    kind: Literal["sentinel", "cluster"] = "sentinel" if url.startswith(SENTINEL) else "cluster"
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    credentials, at, rest = rest.rpartition("@")
    own, others = _split(query)
    user, password = (own.get(option, "") for option in _OWN)
    asking = f"{user}:{password}@" if password else ""
    hosts, _, path = rest.partition("/")
    name, _, database = path.partition("/")
    try:
        if (kind == "sentinel") != bool(name) or not (database or "0").isdecimal():
            raise ValueError
        if any(set(part) & set("/@") or part.count(":") > 1 for part in (credentials, asking[:-1])):
            raise ValueError
        members = tuple(_host_port(member, _PORTS[kind]) for member in hosts.split(","))
    except ValueError:  # whose text may hold a part of the password
        hint = f"use {_EXAMPLES[kind]}, and write / : @ ? in a password as %2F %3A %40 %3F"
        raise InvalidInput(f"{without_password(url)!r} is not a Redis URL: {hint}") from None
    return Group(
        kind=kind,
        tls=scheme.startswith("rediss"),
        members=members,
        credentials=credentials + at,
        asking=asking,
        name=name,
        database=int(database or 0),
        options=f"?{others}" if others else "",
    )


def _host_port(member: str, port: int) -> HostPort:
    host, colon, given = member.rpartition(":")
    if not colon or member.endswith("]"):  # no port; an IPv6 address stands in brackets
        host, given = member, ""
    if not (host := host.strip("[]")):
        raise ValueError
    return host, int(given) if given else port


def _split(query: str) -> tuple[dict[str, str], str]:
    """Return the options that are ours, and the others as they are."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    own = {name: value for name, _, value in pairs if name in _OWN}
    return own, "&".join("".join(pair) for pair in pairs if pair[0] not in _OWN)
