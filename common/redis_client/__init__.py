"""Connections to Redis with our own rules: no silent retries, a time-out on every round trip.

redis-py's defaults repeat a write whose reply was lost (two entries where there should be one) and let a dead
connection hang for about a minute. Repeating is our decision, made where the id makes it harmless. Nor does redis-py
keep the time: its time-out for sending goes through `asyncio.wait_for`, which before Python 3.12 may swallow a
cancellation and makes a task for each command.

Which server is asked changes with a failover or a move of slots: the next call after a failed one finds out. A `Wire`
does not follow; it ends.
"""

from saystream.common.redis_client.address import without_password
from saystream.common.redis_client.batch import Command, Part
from saystream.common.redis_client.calls import call, call_all, call_raw
from saystream.common.redis_client.client import Client, connect
from saystream.common.redis_client.errors import translated
from saystream.common.redis_client.wire import Wire

__all__ = [
    "Client", "Command", "Part", "Wire", "call", "call_all", "call_raw", "connect", "translated",
    "without_password",
]  # fmt: skip
