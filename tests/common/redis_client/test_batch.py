"""What goes over the wire, and what the replies mean."""

from typing import Any

import pytest
from redis.exceptions import (
    AskError,
    ExecAbortError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
)

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client.batch import Batch, Command
from saystream.common.redis_client.errors import Elsewhere, elsewhere

GET: Command = ("GET", "k")
MOVED, ASK = MovedError("1 h:1"), AskError("1 h:1")
ABORTED = ExecAbortError("Transaction discarded because of previous errors.")
WRONG = ResponseError("wrong number of arguments")


def batch(commands: int, replicas: int = 0) -> Batch:
    return Batch([GET] * commands, replicas, 1.0)


def test_one_command_goes_alone_and_more_are_a_transaction() -> None:
    assert (batch(1).packed.count(b"MULTI"), batch(1).count) == (0, 1)
    assert (batch(2).packed.count(b"MULTI"), batch(2).count) == (1, 4)
    assert batch(2).asking().startswith(b"*1\r\n$6\r\nASKING")


def test_wait_stands_behind_the_commands_and_ends_before_the_round_trip_does() -> None:
    assert batch(2, replicas=3).packed.endswith(b"EXEC\r\n*3\r\n$4\r\nWAIT\r\n$1\r\n3\r\n$3\r\n500\r\n")
    assert Batch([GET], 1, 0.0).packed.endswith(b"$1\r\n1\r\n$1\r\n1\r\n")


@pytest.mark.parametrize(
    ("replies", "commands", "answers"),
    [
        ([b"a"], 1, [b"a"]),
        ([WRONG], 1, [WRONG]),
        ([b"OK", b"QUEUED", b"QUEUED", [b"a", WRONG]], 2, [b"a", WRONG]),
    ],
)
def test_each_command_has_its_reply_or_its_error(replies: list[Any], commands: int, answers: list[Any]) -> None:
    assert batch(commands).answers(replies) == answers


@pytest.mark.parametrize(
    ("replies", "commands", "error"),
    [
        ([MOVED], 1, Elsewhere),
        ([ASK], 1, Elsewhere),
        ([b"OK", b"QUEUED", ASK, ABORTED], 2, Elsewhere),
        ([b"OK", b"QUEUED", b"QUEUED", MOVED], 2, Elsewhere),
        ([ReadOnlyError("READONLY You can't write")], 1, RedisUnavailable),
        ([ResponseError("CLUSTERDOWN Hash slot not served")], 1, RedisUnavailable),
        ([ResponseError("TRYAGAIN Multiple keys request during rehashing of slot")], 1, RedisUnavailable),
        (
            [ResponseError("Script attempted to access a non local key in a cluster node script: 1")],
            1,
            RedisUnavailable,
        ),
        ([b"OK", ResponseError("OOM command not allowed"), b"QUEUED", ABORTED], 2, RedisUnavailable),
        ([b"OK", b"QUEUED", b"QUEUED", [b"a", ReadOnlyError("READONLY")]], 2, RedisUnavailable),
        ([b"OK", b"QUEUED", WRONG, ABORTED], 2, ResponseError),
    ],
)
def test_what_the_server_does_not_do_is_an_error(replies: list[Any], commands: int, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        batch(commands).answers(replies)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (MOVED, (1, "h", 1, True)),
        (ASK, (1, "h", 1, False)),
        (ResponseError("MOVED 5 10.0.0.1:7000"), (5, "10.0.0.1", 7000, True)),
        (ResponseError("ASK 5 ::1:7000"), (5, "::1", 7000, False)),
        (ResponseError("MOVED 5 :7000"), (5, "", 7000, True)),
        (ResponseError("MOVED 5 ?:7000"), (5, "", 7000, True)),  # a cluster of names, and this one has none
        (AskError("5 ?:7000"), (5, "", 7000, False)),
    ],
)
def test_whichever_redis_py_reads_it_the_other_server_is_understood(
    error: Exception, place: tuple[int, str, int, bool]
) -> None:
    other = elsewhere(error)
    assert other is not None
    assert (other.slot, other.host, other.port, other.for_good) == place


@pytest.mark.parametrize("acknowledged", [0, 1, ResponseError("WAIT cannot be used with replica instances.")])
@pytest.mark.parametrize("reply", [b"a", WRONG])
def test_too_few_replicas_make_it_unknown_even_where_the_server_refused_a_repeat(reply: Any, acknowledged: Any) -> None:
    with pytest.raises(RedisUnavailable):
        batch(1, replicas=2).answers([reply, acknowledged])


def test_enough_replicas_make_it_known() -> None:
    assert batch(1, replicas=2).answers([b"a", 2]) == [b"a"]
    assert batch(2, replicas=1).answers([b"OK", b"QUEUED", b"QUEUED", [b"a", b"b"], 3]) == [b"a", b"b"]


def test_a_script_that_the_server_does_not_know_needs_no_replicas() -> None:
    unknown = NoScriptError("No matching script")
    assert batch(1, replicas=1).answers([unknown, 0]) == [unknown]
