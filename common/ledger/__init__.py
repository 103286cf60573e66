"""The ledger: who owns a turn, what has been said, and what comes next; all of it in Redis."""

from saystream.common.ledger.ledger import Claim, Cut, Ledger, Opened, Refusal, Snapshot
from saystream.common.ledger.output import Append, Outcome
from saystream.common.ledger.queue import Message
from saystream.common.ledger.tokens import Batch

__all__ = ["Append", "Batch", "Claim", "Cut", "Ledger", "Message", "Opened", "Outcome", "Refusal", "Snapshot"]
