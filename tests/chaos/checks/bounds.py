"""Promise 7: a stuck part is bounded: when all has ended, nothing is left that somebody would have to clear away."""

import re
from collections.abc import Iterator

from saystream.common.keys import SHARDS, ShardKeys
from tests.chaos.case import Case, Promise, Violation
from tests.chaos.evidence import FinalKey, Pending, Place, VendorStreams

#: How many shards there are, and the empty streams of turns that are ready, are there for ever.
_FOR_EVER = re.compile(f"{re.escape(SHARDS)}|{re.escape(ShardKeys(0).dispatch).replace('0', '[0-9]+')}")
_WAITING = re.compile(re.escape(ShardKeys(0).waiting("")).replace("0", "[0-9]+"))


def check(case: Case) -> Iterator[Violation]:
    """Find what a run has left behind."""
    for session, sentence in _left(case):
        yield Violation(Promise.BOUNDED, session, "", sentence)


def _left(case: Case) -> Iterator[tuple[str, str]]:
    evidence = case.evidence
    for key in evidence.of(FinalKey):
        if key.ttl_ms < 0 and not _FOR_EVER.fullmatch(key.name):
            yield "", f"the key {key.name} ({key.type}, {key.length}) never expires"
        if waiting := _WAITING.match(key.name):
            yield key.name[waiting.end() :], f"{key.length} turns wait at the end"
    for message in evidence.of(Pending):
        holder = f"in the hands of {message.worker}" if message.worker else "taken by nobody"
        yield "", f"the message {message.message} of turn {message.turn or '(ended)'} is {holder} at the end"
    for place in evidence.of(Place):
        what = "waited for" if place.waiting else "held"
        yield "", f"the place {place.place} of {place.account} is {what} at the end"
    for streams in evidence.of(VendorStreams):
        if streams.open:
            yield "", f"{streams.open} streams of speech at {streams.vendor} are open at the end"
