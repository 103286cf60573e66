"""The ledger: who owns a turn, what has been said, and what comes next; all of it in Redis."""

from saystream.common.ledger.answers import Claim, Cut, DeadLetter, Heard, Opened, Refusal, Snapshot
from saystream.common.ledger.bounds import Bounds
from saystream.common.ledger.ledger import Ledger
from saystream.common.ledger.output import Append, Outcome
from saystream.common.ledger.queue import Message
from saystream.common.ledger.tokens import Batch

__all__ = [
    "Append", "Batch", "Bounds", "Claim", "Cut", "DeadLetter", "Heard", "Ledger", "Message", "Opened", "Outcome",
    "Refusal", "Snapshot",
]  # fmt: skip
