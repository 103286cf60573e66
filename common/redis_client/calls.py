"""The ways to ask: one command, one whose reply is left as it is, several in a transaction."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from saystream.common.redis_client.batch import Command, Part
from saystream.common.redis_client.client import Client
from saystream.common.redis_client.slots import slot_of

#: redis-py's readers of replies, by command.
_READERS = Redis(protocol=2).response_callbacks


async def call(redis: Client, *command: Part, **parsing: Any) -> Any:
    """Run one command; ``parsing`` is what redis-py's reader of its reply wants to know.

    Raises:
        RedisUnavailable: no answer in time. A command that writes may or may not have been carried out.
        ResponseError: redis-py's, where Redis refuses the command.
    """
    name = str(command[0])
    reply = await call_raw(redis, *name.split(), *command[1:])
    reader = _READERS.get(name)
    return reader(reply, **parsing) if reader else reply


async def call_raw(redis: Client, *command: Part, replicated: bool = False) -> Any:
    """Run one command and return its reply as it is, lists of bytes and all: for loops whose every round trip counts.

    Args:
        replicated: whether the client's number of replicas has to acknowledge it.

    Raises:
        RedisUnavailable: no answer in time, or too few replicas. A command that writes may have been carried out.
        ResponseError: redis-py's, where Redis refuses the command.
    """
    [reply] = await redis.run([command], replicated, slot_of(command) if redis.divided else None)
    if isinstance(reply, Exception):
        raise reply
    return reply


async def call_all(redis: Client, commands: Sequence[Command], *, replicated: bool = False) -> list[Any]:
    """Run commands in one round trip; where Redis refuses one, the answer holds the error there.

    They are one transaction; in a cluster, one for each slot, side by side. Replies are as they are, lists of bytes and
    all.

    Args:
        replicated: whether the client's number of replicas has to acknowledge them.

    Raises:
        RedisUnavailable: no answer in time, or too few replicas. Of each transaction all has been carried out, or none.
        ResponseError: redis-py's, where Redis refuses a transaction.
    """
    if not commands:
        return []
    if not redis.divided:
        return await redis.run(commands, replicated)
    slots: dict[int | None, list[int]] = {}
    for place, command in enumerate(commands):
        slots.setdefault(slot_of(command), []).append(place)
    if len(slots) == 1:
        return await redis.run(commands, replicated, *slots)
    parts = [redis.run([commands[place] for place in places], replicated, slot) for slot, places in slots.items()]
    # None is cancelled because another one fails: what it writes would be in the dark then, for nothing.
    outcomes = await asyncio.gather(*parts, return_exceptions=True)
    answers: list[Any] = [None] * len(commands)
    for places, outcome in zip(slots.values(), outcomes, strict=True):
        if isinstance(outcome, BaseException):
            raise outcome
        for place, answer in zip(places, outcome, strict=True):
            answers[place] = answer
    return answers
