"""Real servers that stand in for one another: a primary that sentinels watch, and a cluster; with means to break them.

They live in a private directory, on the loopback address, and end with the test even if that is killed. What has to
notice a failure does so after a second at most: a failover takes 1 to 3 s.
"""

import contextlib
import itertools
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis.exceptions import ResponseError

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client import Part, call, connect
from saystream.common.redis_client.slots import SLOTS, slot_of_key
from saystream.compose import lifeline
from saystream.compose.ports import KeptPort
from saystream.compose.redis_server import ServerBinary, choose
from tests.timing import MS, eventually

HOST = "127.0.0.1"
NAME = "mymaster"
#: How long servers may take to get ready, and to take over.
START_S, FAILOVER_S = 30_000 * MS, 30_000 * MS
#: Where a member of a cluster listens for the others, above its own port.
_BUS = 10_000
_NODE_TIMEOUT_MS = 1000


class Node:
    """One server: of data, or a sentinel. It can be killed, started again, frozen and thawed."""

    def __init__(self, folder: Path, arguments: Sequence[str] = (), *, sentinel: str = "") -> None:
        self._kept_port = KeptPort(beside=_BUS)
        self.port, self.pid = self._kept_port.number, 0
        self.folder, self.url = folder / str(self.port), f"redis://{HOST}:{self.port}"
        self.folder.mkdir()
        if sentinel:
            config = self.folder / "sentinel.conf"
            config.write_text(f"port {self.port}\nbind {HOST}\ndir {self.folder}\n{sentinel}")
            self._arguments = [str(config), "--sentinel"]
        else:
            self._arguments = ["--port", str(self.port), "--bind", HOST, "--dir", str(self.folder), "--save", ""]
            self._arguments += ["--appendonly", "no", "--repl-diskless-sync-delay", "0", *arguments]
        self._keepers: list[subprocess.Popen[bytes]] = []

    def __repr__(self) -> str:
        return f"<Node at {self.port}, process {self.pid}>"

    def start(self, *arguments: str) -> None:
        """Start it; returns at once."""
        server = choose(None)
        assert isinstance(server, ServerBinary)
        command = [sys.executable, "-I", "-S", lifeline.__file__, str(os.getpid()), str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            keeper = subprocess.Popen(
                [*command, str(server.path), *self._arguments, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._keepers.append(keeper)
        assert keeper.stdout is not None
        self.pid = int(keeper.stdout.readline())

    def close(self) -> None:
        """End it for good."""
        for keeper in self._keepers:
            assert keeper.stdin is not None
            assert keeper.stdout is not None
            keeper.stdin.close()
            keeper.wait()
            keeper.stdout.close()
        self._kept_port.close()

    def kill(self) -> None:
        """End it with no chance to say so."""
        os.kill(self.pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still, with its connections open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    async def ask(self, *command: Part) -> Any:
        """Run a command, here and nowhere else."""
        async with contextlib.aclosing(connect(self.url, timeout_s=2000 * MS)) as redis:
            return await call(redis, *command)

    async def says(self, *command: Part) -> Any:
        """Run a command; None while the server cannot be asked."""
        try:
            return await self.ask(*command)
        except (RedisUnavailable, ResponseError):
            return None

    async def info(self, section: str) -> dict[str, Any]:
        """Return what the server says of itself; nothing while it cannot be asked."""
        return await self.says("INFO", section) or {}

    async def is_replicated_by(self, replicas: Sequence["Node"]) -> None:
        """Wait until all that is written here is there, too. This empties it.

        A link that is up is not enough: a primary keeps the first writes back until the replica acknowledges what it
        has loaded, which it may do a second later. If the primary ends before, they are lost.
        """
        for replica in replicas:
            await eventually(replica._is_linked, START_S)
        await self.ask("FLUSHALL")
        offset = (await self.info("replication"))["master_repl_offset"]
        for replica in replicas:
            await eventually(partial(replica._has, offset), START_S)

    async def _is_linked(self) -> bool:
        return (await self.info("replication")).get("master_link_status") == "up"

    async def _has(self, offset: int) -> bool:
        return int((await self.info("replication")).get("slave_repl_offset", 0)) >= offset


class _Ensemble:
    """Servers that belong together. Use as a context manager, after which none is left; `start` makes them ready."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="saystream-")
        self.folder = Path(self._folder.name)
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.close()
        self._folder.cleanup()


class Sentinels(_Ensemble):
    """A primary, two replicas, and three sentinels."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: list[Node] = []
        self.sentinels: list[Node] = []
        self.url = ""

    async def start(self) -> None:
        """Start them; returns when each knows the others."""
        self.servers = [Node(self.folder) for _ in range(3)]
        self.nodes += self.servers
        primary, *replicas = self.servers
        primary.start()
        for replica in replicas:
            replica.start("--replicaof", HOST, str(primary.port))
        await primary.is_replicated_by(replicas)
        # They would find each other and the replicas by themselves, but that takes them seconds.
        rules = [
            f"sentinel monitor {NAME} {HOST} {primary.port} 2",
            f"sentinel down-after-milliseconds {NAME} {_NODE_TIMEOUT_MS}",
            f"sentinel failover-timeout {NAME} 2000",
            f"sentinel parallel-syncs {NAME} 2",
            *(f"sentinel known-replica {NAME} {HOST} {replica.port}" for replica in replicas),
        ]
        ids = [secrets.token_hex(20) for _ in range(3)]
        self.sentinels = [Node(self.folder, sentinel="\n") for _ in ids]
        self.nodes += self.sentinels
        for own, sentinel in zip(ids, self.sentinels, strict=True):
            others = [(other, node.port) for other, node in zip(ids, self.sentinels, strict=True) if other != own]
            known = [f"sentinel known-sentinel {NAME} {HOST} {port} {other}" for other, port in others]
            config = sentinel.folder / "sentinel.conf"
            config.write_text("\n".join([config.read_text(), f"sentinel myid {own}", *rules, *known, ""]))
            sentinel.start()
        self.url = f"redis+sentinel://{','.join(f'{HOST}:{node.port}' for node in self.sentinels)}/{NAME}"
        for sentinel in self.sentinels:
            await eventually(partial(self._sees_all, sentinel), START_S)

    async def primary(self) -> Node:
        """Return who the primary is, as most sentinels say."""
        ports = [await self._port(sentinel) for sentinel in self.sentinels]
        port = max(set(ports), key=ports.count)
        return next(node for node in self.servers if node.port == port)

    async def failed_over(self, former: Node) -> Node:
        """Wait until all sentinels name another primary, and that takes writes; returns it."""

        async def agreed() -> Node | None:
            ports = {await self._port(sentinel) for sentinel in self.sentinels}
            if len(ports) > 1 or former.port in ports:
                return None
            new = await self.primary()
            return new if (await new.info("replication")).get("role") == "master" else None

        node = await eventually(agreed, FAILOVER_S)
        assert node is not None
        return node

    async def _port(self, sentinel: Node) -> int:
        reply = await sentinel.says("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return int(reply[1]) if reply else 0

    async def _sees_all(self, sentinel: Node) -> bool:
        reply = await sentinel.says("SENTINEL", "MASTER", NAME)
        if not reply:
            return False
        known = dict(zip(reply[::2], reply[1::2], strict=True))
        replicas = await sentinel.says("SENTINEL", "REPLICAS", NAME) or []
        well = [row for row in replicas if dict(zip(row[::2], row[1::2], strict=True))[b"flags"] == b"slave"]
        return known[b"flags"] == b"master" and known[b"num-other-sentinels"] == b"2" and len(well) == 2


class Cluster(_Ensemble):
    """Three masters with a third of the slots each, and a replica for each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.url = ""
        self._ids: dict[Node, str] = {}

    async def start(self) -> None:
        """Start them; returns when they take commands, in two seconds at least: no master takes any earlier."""
        arguments = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout"]
        arguments += [str(_NODE_TIMEOUT_MS), "--cluster-replica-validity-factor", "0"]
        arguments += ["--cluster-require-full-coverage", "no", "--cluster-allow-replica-migration", "no"]
        self.nodes = [Node(self.folder, arguments) for _ in range(6)]
        self._ids = {node: secrets.token_hex(20) for node in self.nodes}
        # They would get to know each other by being told to meet, but that takes them seconds.
        for node in self.nodes:
            lines = [self._line(other, myself=other is node) for other in self.nodes]
            (node.folder / "nodes.conf").write_text("\n".join([*lines, "vars currentEpoch 3 lastVoteEpoch 0", ""]))
            node.start()
        self.url = f"redis+cluster://{','.join(f'{HOST}:{node.port}' for node in self.nodes[:3])}"
        for node in self.nodes:
            await eventually(partial(self._is_well, node), START_S)
        for master in self.nodes[:3]:
            await master.is_replicated_by(await self.replicas_of(master))

    async def master_of(self, slot: int) -> Node:
        """Return who has a slot, as those that can be asked say."""
        ports = [port for node in self.nodes if (port := await self._port(node, slot))]
        return self._at(max(set(ports), key=ports.count))

    async def masters(self) -> list[Node]:
        """Return the masters, in the order of the thirds of the slots that they began with."""
        return [await self.master_of(_third(number)[0]) for number in range(3)]

    async def replicas_of(self, master: Node) -> list[Node]:
        """Return the replicas of a master."""
        rows = await master.ask("CLUSTER", "REPLICAS", self._ids[master])
        names = {row.decode().split()[0] for row in rows}
        return [node for node in self.nodes if self._ids[node] in names]

    async def failed_over(self, former: Node, slot: int) -> Node:
        """Wait until all other members say that another one has the slot, and it takes commands; returns it."""
        others = [node for node in self.nodes if node is not former]

        async def agreed() -> int:
            ports = {port for node in others if (port := await self._port(node, slot)) is not None}
            return ports.pop() if len(ports) == 1 and former.port not in ports else 0

        new = self._at(await eventually(agreed, FAILOVER_S))
        await eventually(lambda: self._is_well(new), FAILOVER_S)
        return new

    @contextlib.asynccontextmanager
    async def moving(self, slot: int, to: Node) -> AsyncIterator["Move"]:
        """Move a slot to another master; meanwhile its keys can be moved. What is left of them goes in the end."""
        source = await self.master_of(slot)
        await to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self._ids[source])
        await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self._ids[to])
        move = Move(slot, source, to)
        yield move
        await move.all_keys()
        for node in (to, source, *[node for node in await self.masters() if node not in (to, source)]):
            await node.ask("CLUSTER", "SETSLOT", slot, "NODE", self._ids[to])

    def _line(self, node: Node, *, myself: bool) -> str:
        number = self.nodes.index(node)
        flags = "myself," * myself + ("master" if number < 3 else "slave")
        master = "-" if number < 3 else self._ids[self.nodes[number - 3]]
        slots = " {}-{}".format(*_third(number)) if number < 3 else ""
        address = f"{HOST}:{node.port}@{node.port + _BUS}"
        return f"{self._ids[node]} {address} {flags} {master} 0 0 {number % 3 + 1} connected{slots}"

    async def _is_well(self, node: Node) -> bool:
        return b"cluster_state:ok" in (await node.says("CLUSTER", "INFO") or b"")

    async def _port(self, node: Node, slot: int) -> int | None:
        """Return the port of who has a slot, as one member says; None while it cannot be asked."""
        raw = await node.says("CLUSTER", "SLOTS") or []
        return next((int(row[2][1]) for row in raw if row[0] <= slot <= row[1]), None)

    def _at(self, port: int) -> Node:
        return next(node for node in self.nodes if node.port == port)


class Move:
    """A slot on its way from one master to another."""

    def __init__(self, slot: int, source: Node, to: Node) -> None:
        self.slot, self.source, self.to = slot, source, to

    async def keys(self, *keys: str) -> None:
        """Move some keys."""
        await self.source.ask("MIGRATE", HOST, self.to.port, "", 0, 5000, "KEYS", *keys)

    async def all_keys(self) -> None:
        """Move whatever is there."""
        while keys := await self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 100):
            await self.keys(*(key.decode() for key in keys))


def _third(number: int) -> tuple[int, int]:
    return number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1


def keys_in(slots: Iterable[int]) -> list[str]:
    """Return a key for each slot."""
    wanted, found = list(slots), dict[int, str]()
    for number in itertools.count():
        if found.keys() >= set(wanted):
            break
        found.setdefault(slot_of_key(f"key:{number}"), f"key:{number}")
    return [found[slot] for slot in wanted]
