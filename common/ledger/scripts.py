"""The ledger's Lua scripts."""

from saystream.common.script import Argument, Script, read
from saystream.common.states import NEXT

__all__ = ["CLAIM", "FINISH", "INTERRUPT", "LEAVE", "OPEN", "RELEASE", "Argument", "Script"]


def _table_of_states() -> str:
    rows = ", ".join(
        f"{state} = {{{', '.join(f'{following} = true' for following in sorted(NEXT[state]))}}}" for state in NEXT
    )
    return f"local NEXT = {{{rows}}}\n"


_SHARED = (_table_of_states(), read(__package__, "shared"))

OPEN = Script(__package__, "open", on=_SHARED)
CLAIM = Script(__package__, "claim", on=_SHARED)
FINISH = Script(__package__, "finish", on=_SHARED)
RELEASE = Script(__package__, "release", on=_SHARED)
INTERRUPT = Script(__package__, "interrupt", on=_SHARED)
LEAVE = Script(__package__, "leave")
