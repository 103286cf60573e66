"""Parts that break promise 7: they leave something behind."""

from typing import Any

import pytest

from saystream.common.ledger import Ledger
from saystream.common.quota import Lease
from saystream.workers.connection import Connection
from tests.chaos.variants.breaking import lua, method


def lets_nothing_expire(patch: pytest.MonkeyPatch) -> None:
    """What the scripts write stays for ever."""
    lua(patch, "redis.call('PEXPIRE', key, retention_ms)", "redis.call('EXISTS', key)")

    async def keep(right: Any, self: Ledger, refs: Any) -> None:
        pass

    method(patch, Ledger, "keep", keep)


def never_acknowledges(patch: pytest.MonkeyPatch) -> None:
    """The message of a turn that has ended stays in its worker's hands."""
    lua(patch, "redis.call('XACK', DISPATCH, 'workers', message)\n    redis.call('XDEL', DISPATCH, message)", "")


def keeps_its_place(patch: pytest.MonkeyPatch) -> None:
    """A place in the vendor account's quota is not given back."""

    def give(right: Any, self: Lease) -> None:
        pass

    method(patch, Lease, "give", give)


def leaves_streams_open(patch: pytest.MonkeyPatch) -> None:
    """The vendor is not told that a turn was interrupted."""

    def cancel(right: Any, self: Connection, stream: Any) -> None:
        pass

    method(patch, Connection, "cancel", cancel)
