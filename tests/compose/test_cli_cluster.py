"""The commands work on a cluster of several shards as they do on one server, and say what is wrong with an address."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from saystream.common.events import EndOfText, Text
from saystream.common.ids import shard_of
from saystream.common.ledger import Ledger
from saystream.common.redis_client import connect
from saystream.common.request import TurnRequest
from saystream.compose.standin import Behaviour, StandIn
from tests.clusters import Cluster
from tests.compose.cli_process import House, Running, house, objects

SHARDS = 8
SETTINGS = """
[providers.gradium]
url = "{url}"
api_key = "sk-very-secret"

[voices.default]
provider = "gradium"
voice_id = "marker"
"""


class Town:
    """A cluster, a stand-in for the vendor, and a house whose commands use both."""

    def __init__(self, cluster: Cluster, home: House) -> None:
        self.cluster, self.home = cluster, home

    async def run(self, *arguments: str, shards: int = SHARDS, url: str = "") -> tuple[int, str, str]:
        """Run a command to its end; returns its exit code, output and complaints."""
        ended = await asyncio.to_thread(
            self.home.run, *arguments, SAYSTREAM_REDIS_URL=url or self.cluster.url, SAYSTREAM_SHARDS=str(shards)
        )
        return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    with Cluster() as cluster, house() as home:
        await cluster.start()
        async with StandIn(behaviour=Behaviour(speed=20.0, api_keys=frozenset({"sk-very-secret"}))) as standin:
            settings = SETTINGS.format(url=standin.gradium_url)
            await asyncio.to_thread(Path(home.directory, "saystream.toml").write_text, settings)
            yield Town(cluster, home)


async def until_ready(worker: Running) -> None:
    """Read a worker's log up to where it takes turns."""

    def read() -> None:
        assert worker.process.stderr is not None
        while line := worker.process.stderr.readline():
            if b"is ready" in line:
                return
        raise AssertionError("the worker has ended")

    await asyncio.to_thread(read)


@pytest.mark.slow
async def test_every_command_works_on_a_cluster_with_several_shards(town: Town) -> None:
    town.home.environment |= {"SAYSTREAM_REDIS_URL": town.cluster.url, "SAYSTREAM_SHARDS": str(SHARDS)}
    assert shard_of("a", SHARDS) != shard_of("kitchen", SHARDS)
    await open_for_nobody(town, "hall", "hall-1")
    with town.home.start("worker") as worker:
        await until_ready(worker)
        for session in ("a", "kitchen"):
            code, said, complaint = await town.run("say", "-s", session, "--turn", f"{session}-1", "One two three.")
            assert (code, "3 of 3 words spoken" in said) == (0, True), complaint
            code, heard, complaint = await town.run("listen", session, "--from", "beginning", "--until-end")
            assert (code, heard) == (0, "One two three.\n"), complaint
        code, shown, _ = await town.run("inspect", "kitchen-1", "--json")
        assert (code, objects(shown)[0]["state"]) == (0, "done")
        code, shown, _ = await town.run("pool", "--once", "--json")
        assert (code, len(objects(shown)[0]["workers"])) == (0, 1)
        code, shown, _ = await town.run("interrupt", "kitchen")
        assert (code, shown) == (0, "nothing speaks or waits in session kitchen\n")
        letters: list[dict[str, Any]] = []
        while not letters:  # a worker does not give up at once: one that knows the voice might come
            code, shown, _ = await town.run("dead", "list", "--json")
            assert code == 0
            letters = objects(shown)
        [letter] = letters
        assert letter["id"].startswith(f"{shard_of('hall', SHARDS)}:")
        code, shown, _ = await town.run("dead", "redrive", letter["id"])
        assert (code, "redriven" in shown) == (0, True)
        worker.process.terminate()
        assert await asyncio.to_thread(worker.end) == 0
        log = worker.errors()
    assert "has stopped" in log
    assert "sk-very-secret" not in log


async def open_for_nobody(town: Town, session: str, turn: str) -> None:
    """Open a turn of a voice that no worker speaks: it fails."""
    async with contextlib.aclosing(connect(town.cluster.url)) as redis:
        ledger = Ledger(redis, shards=SHARDS)
        request = TurnRequest.check(session=session, turn=turn, voice="unknown-to-the-worker")
        await ledger.open(request)
        await ledger.append(request.ref, 1, [Text("Never said."), EndOfText()])


@pytest.mark.slow
async def test_what_is_wrong_with_an_address_is_said_in_a_sentence(town: Town) -> None:
    async with contextlib.aclosing(connect(town.cluster.url)) as redis:
        await Ledger(redis, shards=SHARDS).greet()
    code, _, complaint = await town.run("dead", "list", shards=3)
    assert (code, "this Redis is used with 8 shards" in complaint) == (1, True)
    member = town.cluster.nodes[0].url
    for command in (["say", "Hello"], ["listen", "kitchen"], ["pool", "--once"], ["worker"]):
        code, _, complaint = await town.run(*command, url=member)
        assert (code, "connect by redis+cluster://" in complaint) == (1, True), command
    single = member.replace("redis://", "redis+sentinel://") + "/mymaster"
    code, _, complaint = await town.run("pool", "--once", url=single)
    assert (code, "no sentinel knows a primary 'mymaster'" in complaint) == (1, True)
