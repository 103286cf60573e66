"""Commands as bytes and replies as answers, without I/O."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis
from redis.exceptions import NoScriptError

from saystream.common.errors import RedisUnavailable
from saystream.common.redis_client.errors import elsewhere, is_passing, unavailable

Part = str | bytes | int
Command = Sequence[Part]

pack: Callable[[Command], bytes] = cast(Any, hiredis.pack_command)  # its annotation allows one part only
_MULTI, _EXEC, _ASKING = pack(("MULTI",)), pack(("EXEC",)), pack(("ASKING",))

#: So much of the time of a round trip replicas may take; the rest is for the way, and for a busy machine.
_WAIT_SHARE = 0.5


class Batch:
    """Commands that go to one server in one round trip; more than one of them are a transaction.

    A transaction, because a server that is short of memory, say, refuses all of it or nothing: no later entry of a
    stream can be there without an earlier one.

    Args:
        commands: at least one.
        replicas: so many replicas have to acknowledge all that the server has written until then: this batch, and what
            a refused repeat in it has written before.
        timeout_s: how long the round trip may take; a part of it is for the replicas.

    Attributes:
        packed: the bytes to send.
        count: replies that come.
    """

    __slots__ = ("_commands", "_replicas", "count", "packed")

    def __init__(self, commands: Sequence[Command], replicas: int = 0, timeout_s: float = 0.0) -> None:
        self._commands, self._replicas = len(commands), replicas
        if self._commands == 1:
            self.packed, self.count = pack(tuple(commands[0])), 1
        else:
            self.packed = b"".join([_MULTI, *[pack(tuple(command)) for command in commands], _EXEC])
            self.count = self._commands + 2
        if replicas:
            # An answer that comes after the time-out would be none; and 0 would wait for ever.
            self.packed += pack(("WAIT", replicas, max(1, int(timeout_s * _WAIT_SHARE * 1000))))
            self.count += 1

    def asking(self) -> bytes:
        """Return the bytes for a server that is about to get the slot; one more reply comes, in front."""
        return _ASKING + self.packed

    def answers(self, replies: list[Any]) -> list[Any]:
        """Return each command's reply; an error of Redis stands in the place of its reply.

        Raises:
            RedisUnavailable: the server cannot do it now, or too few replicas have acknowledged it.
            Elsewhere: another server has the keys; nothing has been carried out.
            ResponseError: the transaction was refused.
        """
        acknowledged = replies.pop() if self._replicas else 0
        answers = replies if self._commands == 1 else _executed(replies)
        for answer in answers:
            if isinstance(answer, Exception):
                _check(answer)
        if self._replicas and not _never_ran(answers):
            _check_acknowledged(acknowledged, self._replicas)
        return answers


def _executed(replies: list[Any]) -> list[Any]:
    """Return EXEC's replies; if there are none, raise the reason, which stands where a command was to be queued."""
    executed: list[Any] | Exception = replies[-1]
    if not isinstance(executed, Exception):
        return executed
    reasons = [reply for reply in replies if isinstance(reply, Exception)]
    for reason in reasons:
        _check(reason)
    raise reasons[0]


def _check(error: Exception) -> None:
    """Raise what is no refusal of the command itself."""
    if other := elsewhere(error):
        raise other from error
    if is_passing(error):
        raise unavailable(error) from error


def _never_ran(answers: list[Any]) -> bool:
    return len(answers) == 1 and isinstance(answers[0], NoScriptError)


def _check_acknowledged(acknowledged: object, replicas: int) -> None:
    if isinstance(acknowledged, Exception):  # the server has become a replica between the commands and WAIT
        raise unavailable(acknowledged) from acknowledged
    if not isinstance(acknowledged, int) or acknowledged < replicas:
        raise RedisUnavailable(f"Redis does not answer: {acknowledged} of {replicas} replicas have acknowledged")
