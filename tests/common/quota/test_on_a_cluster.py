"""The quota needs nothing of Redis that a cluster does not have: an account's keys lie in one slot."""

import asyncio

import pytest

from saystream.common.quota import Quota
from saystream.common.redis_client import Client, connect
from tests.clusters import Cluster
from tests.common.quota.crew import LEASE_S, LOWERED_S
from tests.timing import MS, eventually


@pytest.mark.usefixtures("clustered")
@pytest.mark.parametrize("account", ["acme", "other", "{a} third"])
async def test_workers_share_the_places_of_an_account_in_any_slot(whole: Cluster, account: str) -> None:
    def client(block_ms: int) -> Client:
        return connect(whole.url, block_ms=block_ms)

    async with (
        Quota(client, account, 1, "one", LEASE_S, LOWERED_S) as one,
        Quota(client, account, 1, "two", LEASE_S, LOWERED_S) as two,
        asyncio.timeout(10_000 * MS),
    ):
        held = await one.take()
        waiting = asyncio.create_task(two.take())
        await eventually(lambda: two.queued == 1)
        held.give()
        assert not (await waiting).lost
