"""The parts that all Redis URLs have: who asks, and where."""

import re

HostPort = tuple[str, int]

_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:@/?#\s]+))(?P<port>:[^:]*)?")
_PORT = re.compile(r"[0-9]{1,5}")
_DATABASE = re.compile(r"[0-9]{1,9}")


class Wrong(ValueError):
    """What is wrong with a URL; without any of its text, which may be a part of a password."""


def check_credentials(credentials: str) -> None:
    """Check ``user:password``; raises Wrong if it holds what a URL's parser takes for the beginning of the host."""
    if set(credentials) & set("/@?#[]") or credentials.count(":") > 1:
        raise Wrong("its user and password cannot be told from its host")


def read_host(text: str, port: int) -> HostPort:
    """Read ``host:port``, or ``host`` alone, whose port is then ``port``; an IPv6 address stands in brackets.

    Raises:
        Wrong: it is none.
    """
    found = _HOST.fullmatch(text)
    if not found:
        raise Wrong("it names no host")
    given = (found["port"] or ":")[1:]
    if given and not (_PORT.fullmatch(given) and 0 < int(given) < 1 << 16):
        raise Wrong("its port is no number from 1 to 65535")
    return found["six"] or found["host"], int(given) if given else port


def read_database(text: str) -> int:
    """Read a database's number, 0 if it is not given; raises Wrong."""
    if text and not _DATABASE.fullmatch(text):
        raise Wrong("its database is no number")
    return int(text or 0)
