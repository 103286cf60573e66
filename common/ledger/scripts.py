"""The ledger's Lua scripts."""

from saystream.common.script import Argument, Script, read
from saystream.common.states import NEXT

__all__ = [
    "CLAIM", "CURSOR", "EXPIRE", "FINISH", "INTERRUPT", "KEEP", "LATE", "LEAVE", "LOOK", "OPEN", "PASS_ON", "PLAYED",
    "RELEASE", "RENEW", "STEPS", "Argument", "Script",
]  # fmt: skip


def _table_of_states() -> str:
    rows = ", ".join(
        f"{state} = {{{', '.join(f'{following} = true' for following in sorted(NEXT[state]))}}}" for state in NEXT
    )
    return f"local NEXT = {{{rows}}}\n"


_SHARED = (_table_of_states(), *(read(__package__, name) for name in ("shared", "trim", "ending")))


def _step(name: str) -> Script:
    return Script(__package__, name, on=_SHARED)


OPEN = _step("open")
CLAIM = _step("claim")
FINISH = _step("finish")
RELEASE = _step("release")
PASS_ON = _step("pass_on")
INTERRUPT = _step("interrupt")
EXPIRE = _step("expire")
PLAYED = _step("played")
CURSOR = _step("cursor")
KEEP = _step("keep")
LOOK = _step("look")
#: Every step; each stands on what they share.
STEPS = (OPEN, CLAIM, FINISH, RELEASE, PASS_ON, INTERRUPT, EXPIRE, PLAYED, CURSOR, KEEP, LOOK)

LATE = Script(__package__, "late")
LEAVE = Script(__package__, "leave")
RENEW = Script(__package__, "renew")
