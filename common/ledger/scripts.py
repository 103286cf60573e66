"""The ledger's Lua scripts: loaded from their files, run by their digest."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from saystream.common.redis_client import Client, call_raw
from saystream.common.states import NEXT

Argument = str | bytes | int


def _table_of_states() -> str:
    rows = ", ".join(
        f"{state} = {{{', '.join(f'{following} = true' for following in sorted(NEXT[state]))}}}" for state in NEXT
    )
    return f"local NEXT = {{{rows}}}\n"


class Script:
    """One Lua script.

    Args:
        name: its file, without ``.lua``, in this folder.
        shared: whether it stands on ``shared.lua`` and the table of states.
    """

    def __init__(self, name: str, *, shared: bool = True) -> None:
        folder = files(__package__)
        parts = [_table_of_states(), (folder / "shared.lua").read_text("utf-8")] if shared else []
        self.name = name
        self.source = "".join([*parts, (folder / f"{name}.lua").read_text("utf-8")])
        self.digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Client, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run the script; a server that does not know it yet (restarted, failed over, flushed) is given its source."""
        try:
            return await call_raw(redis, "EVALSHA", self.digest, len(keys), *keys, *args)
        except NoScriptError:
            return await call_raw(redis, "EVAL", self.source, len(keys), *keys, *args)


OPEN = Script("open")
CLAIM = Script("claim")
FINISH = Script("finish")
RELEASE = Script("release")
INTERRUPT = Script("interrupt")
LEAVE = Script("leave", shared=False)
