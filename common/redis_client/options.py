"""The options that a Redis URL may have: those of redis-py's that leave our own time-outs and protocol alone."""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl

from saystream.common.redis_client.place import Wrong

Kind = Literal["single", "sentinel", "cluster"]


class Option(NamedTuple):
    """What an option's value must match, and how to say so."""

    pattern: str
    must_be: str


_TEXT = Option(r"(?s).+", "given")
_NUMBER = Option(r"[0-9]{1,9}", "a whole number")

_ANY = {"client_name": Option(r"[!-~]+", "a name of ASCII letters without spaces"), "health_check_interval": _NUMBER}
#: Those that redis-py has had since the oldest version that we take.
_TLS = {
    "ssl_ca_certs": _TEXT,
    "ssl_ca_data": _TEXT,
    "ssl_certfile": _TEXT,
    "ssl_keyfile": _TEXT,
    "ssl_ciphers": _TEXT,
    "ssl_cert_reqs": Option("none|optional|required", "none, optional or required"),
    "ssl_check_hostname": Option("(?i)true|false", "true or false"),
}
_OF_KIND: Mapping[Kind, Mapping[str, Option]] = {
    "single": {"db": _NUMBER, "username": _TEXT, "password": _TEXT},
    "sentinel": {"sentinel_username": _TEXT, "sentinel_password": _TEXT},
    "cluster": {},
}
_NAME = re.compile(r"[a-z_]{1,40}")


def check_options(kind: Kind, tls: bool, query: str) -> None:
    """Check what stands behind a URL's question mark.

    Raises:
        Wrong: an option that there is not, or not for this kind of URL, or a value that it cannot have.
    """
    known = {**_OF_KIND[kind], **_ANY, **(_TLS if tls else {})}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _TLS and not tls:
            raise Wrong(f"its option {name} needs TLS, as of rediss://")
        if name not in known:
            # What is no name may be a part of a password with a question mark.
            which = f"{name} is no option of it" if _NAME.fullmatch(name) else "it has an option that there is not"
            raise Wrong(f"{which}; the options are {', '.join(sorted(known))}")
        if not re.fullmatch(known[name].pattern, value):
            raise Wrong(f"its option {name} must be {known[name].must_be}")
