"""How a real part is broken for a test: a script's source, or a method of a class."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from saystream.common.ledger import scripts
from saystream.common.script import Script

Break = Callable[[pytest.MonkeyPatch], None]


def lua(patch: pytest.MonkeyPatch, right: str, wrong: str, *names: str) -> None:
    """Change the ledger's scripts (of some names) wherever ``right`` stands in them."""
    changed = 0
    for script in {id(item): item for item in vars(scripts).values() if isinstance(item, Script)}.values():
        if right not in script.source or (names and script.name not in names):
            continue
        source = script.source.replace(right, wrong)
        patch.setattr(script, "source", source)
        patch.setattr(script, "digest", hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
        changed += 1
    assert changed, f"no script has {right!r} any more: the variant must be broken otherwise"


def method(patch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Callable[..., Any]) -> None:
    """Replace a method; ``wrong`` gets the right one as its first argument."""
    right = getattr(owner, name)

    def broken(*args: Any, **kwargs: Any) -> Any:
        return wrong(right, *args, **kwargs)

    patch.setattr(owner, name, broken)
