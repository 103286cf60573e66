"""Lua scripts: loaded from the files beside the modules that use them, run by their digest."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from saystream.common.redis_client import Client, call_raw

Argument = str | bytes | int


def read(package: str, name: str) -> str:
    """Return a script's source; the name is its file's, without ``.lua``."""
    return (files(package) / f"{name}.lua").read_text("utf-8")


class Script:
    """One Lua script.

    Args:
        package: whose folder it lies in.
        name: its file, without ``.lua``.
        on: sources that stand in front of it.
    """

    def __init__(self, package: str, name: str, *, on: Sequence[str] = ()) -> None:
        self.name = name
        self.source = "".join([*on, read(package, name)])
        self.digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self, redis: Client, keys: Sequence[str], args: Sequence[Argument], *, replicated: bool = False
    ) -> Any:
        """Run the script; a server that does not know it yet (restarted, failed over, flushed) is given its source.

        Args:
            replicated: whether the client's number of replicas has to acknowledge what it writes.
        """
        call = (len(keys), *keys, *args)
        try:
            return await call_raw(redis, "EVALSHA", self.digest, *call, replicated=replicated)
        except NoScriptError:
            return await call_raw(redis, "EVAL", self.source, *call, replicated=replicated)
