"""While `up` runs, the other commands just work; when it has ended, nothing of it is left."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.compose.cli_process import House, house, objects
from tests.servers import MakeRedis


@pytest.fixture
def home() -> Iterator[House]:
    with house() as made:
        yield made


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_up_and_all_that_it_started(home: House, number: signal.Signals, code: int) -> None:
    with home.start("up") as running:
        shown = [running.line()]
        while "Ctrl-C" not in shown[-1]:
            shown.append(running.line())
        assert any(line.strip().startswith('saystream say --session kitchen "') for line in shown)
        (url,) = (line.split()[1] for line in shown if line.strip().startswith("Redis"))
        with redis.Redis.from_url(url) as client:
            server = client.info("server")["process_id"]
        assert home.run("say", "--voice", "marker", "Just works.").returncode == 0
        running.process.send_signal(number)
        assert running.end() == code
        assert running.errors() == ""
    assert not is_running(server)
    assert list(home.directory.iterdir()) == []


def test_killing_up_leaves_nothing_that_misleads_the_other_commands(home: House) -> None:
    with home.start("up", "--json") as running:
        running.object()
    assert (home.directory / "saystream.json").exists()
    failed = home.run("say", "hi")
    assert failed.returncode == 2
    assert "there is no Redis" in failed.stderr
    with home.up():
        assert home.run("say", "--voice", "marker", "hi").returncode == 0


def test_a_second_up_is_reached_by_its_url(home: House) -> None:
    with home.up() as first, home.start("up") as second:
        shown = [second.line()]
        while "Ctrl-C" not in shown[-1]:
            shown.append(second.line())
        (command,) = (line for line in shown if line.strip().startswith("saystream interrupt"))
        _, _, _, url, session = command.split()
        assert url != first["redis_url"]
        assert (
            home.run("interrupt", "--redis", url, session).stdout == f"nothing speaks or waits in session {session}\n"
        )
        second.process.send_signal(signal.SIGTERM)
        assert second.end() == 0


@pytest.mark.parametrize("command", [("up", "--json"), ("demo", "--speed", "1")], ids=["up", "demo"])
def test_the_end_of_its_own_redis_is_said_and_ends_all_of_it(home: House, command: tuple[str, ...]) -> None:
    with home.start(*command) as running:
        running.line()
        [socket] = home.directory.glob("saystream-*/redis.sock")
        with redis.Redis(unix_socket_path=str(socket)) as client:
            server = client.info("server")["process_id"]
        os.kill(server, signal.SIGKILL)
        assert running.end() == 1
        said = running.errors()
    assert "redis-server has ended" in said.replace("valkey-", "redis-")
    assert "The end of its log:" in said
    assert "Traceback" not in said
    assert [path.name for path in home.directory.iterdir() if path.name != "demo.wav"] == []


def test_the_end_of_a_redis_that_was_given_is_waited_out(home: House, make_redis: MakeRedis) -> None:
    server = make_redis(port=0)
    with home.start("up", "--json", "--redis", f"redis://127.0.0.1:{server.port}") as running:
        running.object()
        os.kill(server.pid, signal.SIGKILL)
        assert running.process.stderr is not None
        assert b"Redis does not answer" in running.process.stderr.readline()
        server.stop()
        server.start()
        assert home.run("say", "--voice", "marker", "Back again.").returncode == 0
        running.process.terminate()
        assert running.end() == 0


def test_nobody_but_its_owner_may_read_where_up_is(home: House) -> None:
    with home.up():
        assert (home.directory / "saystream.json").stat().st_mode & 0o777 == 0o600


def test_the_voices_of_the_settings_are_spoken_too(home: House) -> None:
    write_voice(home.directory / "saystream.toml", "butler")
    with home.up() as said:
        assert said["voices"] == ["butler", "default", "fishaudio", "kugelaudio", "marker", "narrator"]


def write_voice(path: Path, name: str) -> None:
    path.write_text(
        f"""
        [providers.gradium]
        url = "ws://127.0.0.1:1/"
        api_key = "none"
        min = 0
        [voices.{name}]
        provider = "gradium"
        voice_id = "marker"
        """
    )


def test_up_uses_a_redis_that_was_given(home: House, redis_url: str) -> None:
    with home.up("--redis", redis_url) as said:
        assert said["redis_url"] == redis_url
        (opened, end) = objects(home.run("say", "--json", "--voice", "marker", "Here.").stdout)
        with redis.Redis.from_url(redis_url) as client:
            assert any(opened["turn"].encode() in key for key in client.scan_iter())
        assert end["reason"] == "done"


def test_a_worker_beside_a_stand_in_speaks_and_drains(home: House, redis_url: str) -> None:
    with home.start("standin", "--port", "0", "--json", "--speed", "20") as standin:
        vendor = standin.object()
        (home.directory / "saystream.toml").write_text(
            f"""
            redis_url = "{redis_url}"
            [providers.gradium]
            url = "{vendor["gradium_url"]}"
            api_key = "{vendor["api_key"]}"
            [voices.default]
            provider = "gradium"
            voice_id = "marker"
            """
        )
        with home.start("worker") as worker:
            with home.start("say", "--session", "s", "--json", "Word " * 100) as saying:
                with home.start("listen", "s", "--from", "beginning", "--json") as listening:
                    listening.until(lambda event: event["event"] == "audio")
                worker.process.send_signal(signal.SIGTERM)
                assert saying.until(lambda event: event["event"] == "end")["words_spoken"] == 100
                assert worker.end() == 0
            assert "is ready" in worker.errors()
        standin.process.send_signal(signal.SIGINT)
        assert standin.end() == 130
