"""Every Redis key that saystream uses; nobody else spells one.

The kind stands before the id, so that no id can be mistaken for another kind's key (a turn named ``x:tokens``
beside the tokens of ``x``). The braces are Redis Cluster's hash tag: all keys of one shard lie in one slot.

Two kinds live for ever: `SHARDS`, on which all processes have agreed, and the dispatch streams, in which the workers'
group lives (there is one a shard, and what is in it goes when its turn ends). Everything else expires.
"""

from dataclasses import dataclass
from urllib.parse import quote

from saystream.common.errors import InvalidInput
from saystream.common.ids import TurnRef, shard_of

#: String: how many shards there are; written by the first worker, or by the first producer that opens a turn.
SHARDS = "saystream:shards"
#: Sorted set: the names of the voices that workers speak, and until when each counts, by the clock of Redis (ms).
VOICES = "saystream:voices"
#: The consumer group of the dispatch streams.
GROUP = "workers"
#: Hash: what each worker last reported of itself. Sorted set: when that was.
REPORTS, REPORTED = "saystream:{reports}:said", "saystream:{reports}:at"


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """The keys of one shard.

    ``dispatch``: stream of turns that are ready. ``dead``: stream of turns that failed on every attempt.
    ``deadlines``: sorted set of turns that have not begun and must begin in time; the score is the time (ms).
    ``nothing`` never exists: see ``shared.lua`` for what a key that is always missing is good for.
    """

    shard: int

    @property
    def prefix(self) -> str:
        return f"saystream:{{{self.shard}}}:"

    @property
    def dispatch(self) -> str:
        return self.prefix + "dispatch"

    @property
    def dead(self) -> str:
        return self.prefix + "dead"

    @property
    def deadlines(self) -> str:
        return self.prefix + "deadlines"

    @property
    def nothing(self) -> str:
        return self.prefix + "nothing"

    def turn(self, turn: str) -> str:
        """Hash: request, state, attempt, owner, times, cause of end, how far it was played."""
        return f"{self.prefix}turn:{turn}"

    def tokens(self, turn: str) -> str:
        """Stream of token events; the entry id is the token's number."""
        return f"{self.prefix}tokens:{turn}"

    def session(self, session: str) -> str:
        """Hash: the turn that speaks, the number of the last turn."""
        return f"{self.prefix}session:{session}"

    def waiting(self, session: str) -> str:
        """List of turns opened behind the one that speaks."""
        return f"{self.prefix}waiting:{session}"

    def audio(self, session: str) -> str:
        """Stream: the session's output."""
        return f"{self.prefix}audio:{session}"

    def kept(self, session: str) -> str:
        """List of the ended turns that are still in the output, oldest first: what trimming goes by."""
        return f"{self.prefix}kept:{session}"

    def cursors(self, session: str) -> str:
        """Hash: where listeners with a name last said they are, and when."""
        return f"{self.prefix}cursors:{session}"

    def of_session(self, session: str) -> tuple[str, ...]:
        """Return all keys of a session but those of its turns."""
        keys = (self.session, self.waiting, self.audio, self.kept, self.cursors)
        return tuple(key(session) for key in keys)

    def control(self, worker: str) -> str:
        """Stream whose entries wake a worker's token reader."""
        return f"{self.prefix}control:{worker}"


@dataclass(frozen=True, slots=True)
class QuotaKeys:
    """The keys of one vendor account's quota; its name is a section of the settings and may hold any letter.

    ``state``: hash of the limit's own. ``held``, ``waiting``, ``patience``: sorted sets of places and those in line.
    """

    account: str

    def __post_init__(self) -> None:
        if not self.account:  # empty braces are no hash tag
            raise InvalidInput("a vendor account needs a name")

    @property
    def prefix(self) -> str:
        return f"saystream:quota:{{{quote(self.account, safe='')}}}:"

    @property
    def all(self) -> tuple[str, str, str, str]:
        """State, held, waiting, patience: what every step of the quota touches."""
        return f"{self.prefix}state", f"{self.prefix}held", f"{self.prefix}waiting", f"{self.prefix}patience"

    @property
    def granted(self) -> str:
        """The prefix of streams, one a worker, whose entries name places that it has been granted."""
        return f"{self.prefix}granted:"

    def refusal(self, refusal: str) -> str:
        """String: a refusal of the vendor that is known."""
        return f"{self.prefix}refusal:{refusal}"


def keys_of(ref: TurnRef | str, shards: int) -> ShardKeys:
    """Return the keys of the shard that a session, or a turn's session, lives in."""
    return ShardKeys(shard_of(ref if isinstance(ref, str) else ref.session, shards))
