"""A port that is kept for a server of ours."""

import socket
from collections.abc import Iterator

import pytest

from saystream.compose.ports import KeptPort

HOST = "127.0.0.1"


@pytest.fixture
def port() -> Iterator[KeptPort]:
    kept = KeptPort(beside=10_000)
    yield kept
    kept.close()


def listening(number: int) -> socket.socket:
    """Listen as a server does, Redis among them."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((HOST, number))
    server.listen()
    return server


def is_free(number: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, number))
        except OSError:
            return False
    return True


def test_a_server_of_ours_may_listen_there_again_and_again(port: KeptPort) -> None:
    for number in (port.number, port.number + 10_000) * 2:
        with listening(number), socket.create_connection((HOST, number)):
            pass


def test_nobody_answers_there_before(port: KeptPort) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port.number))


def test_no_other_gets_it_before_it_is_given_back(port: KeptPort) -> None:
    numbers = (port.number, port.number + 10_000)
    assert not any(map(is_free, numbers))
    for number in numbers:
        listening(number).close()
    assert not any(map(is_free, numbers))
    port.close()
    assert all(map(is_free, numbers))


def test_no_two_are_the_same() -> None:
    kept = [KeptPort() for _ in range(300)]
    assert len({port.number for port in kept}) == len(kept)
    for port in kept:
        port.close()
