"""How a step reaches its script: the keys and arguments that all of them share."""

from typing import Any

import orjson

from saystream.common.ids import shard_of
from saystream.common.keys import ShardKeys
from saystream.common.ledger.scripts import Argument, Script
from saystream.common.redis_client import Client


class Steps:
    """Runs the ledger's scripts; see ``shared.lua`` for what all of them are given."""

    def __init__(self, redis: Client, shards: int) -> None:
        self.redis, self.shards = redis, shards

    def keys(self, session: str) -> ShardKeys:
        """Return the keys of a session's shard."""
        return ShardKeys(shard_of(session, self.shards))

    async def take(
        self, script: Script, ref: tuple[str, str], *args: Argument, replicated: bool = False
    ) -> dict[str, Any]:
        """Take a step.

        Args:
            script: which.
            ref: session and turn; the turn is empty if the step is about the session.
            args: what this step is given beside.
            replicated: whether it counts as done only when replicas have it, too.
        """
        session, turn = ref
        keys = self.keys(session)
        declared = [
            *(keys.dispatch, keys.dead, keys.deadlines),
            *(keys.session(session), keys.waiting(session), keys.audio(session)),
            *(keys.kept(session), keys.cursors(session)),
            *(keys.turn(turn), keys.tokens(turn), keys.nothing),
        ]
        given = [keys.turn(""), keys.tokens(""), session, turn, *args]
        reply = await script(self.redis, declared, given, replicated=replicated)
        answer: dict[str, Any] = orjson.loads(reply)
        return answer
