"""Where the key of a command stands, and which slot it lies in."""

import pytest

from saystream.common.keys import QuotaKeys, ShardKeys
from saystream.common.redis_client.batch import Command
from saystream.common.redis_client.slots import key_of, slot_of, slot_of_key
from tests.clusters import Cluster

KEYS: list[tuple[Command, object]] = [
    (("GET", "k"), "k"),
    (("XADD", b"k", "*", "a", "b"), b"k"),
    (("xrange", "k", "-", "+"), "k"),
    (("XREAD", "COUNT", 1, "BLOCK", 5, "STREAMS", "k", "l", "0", "0"), "k"),
    (("XREADGROUP", "GROUP", "g", "w", "STREAMS", "k", ">"), "k"),
    (("XINFO", "STREAM", "k"), "k"),
    (("XINFO", "CONSUMERS", "k", "g"), "k"),
    (("XGROUP", "CREATE", "k", "g", "0"), "k"),
    (("EVALSHA", "digest", 2, "k", "l", "arg"), "k"),
    (("EVAL", "source", "1", "k"), "k"),
    (("EVAL", "source", 0, "arg"), None),
    (("INFO", "server"), None),
    (("PING",), None),
    (("CONFIG", "GET", "maxmemory-policy"), None),
]


@pytest.mark.parametrize(("command", "key"), KEYS, ids=[str(command[0]) for command, _ in KEYS])
def test_the_key_of_a_command_is_found(command: Command, key: object) -> None:
    assert key_of(command) == key
    assert slot_of(command) == (None if key is None else slot_of_key("k"))


KEYS_OF_EVERY_KIND = [
    "foo",
    "{user1000}.following",
    "foo{}{bar}",
    "foo{{bar}}zap",
    "foo{bar}{zap}",
    "{",
    "}{a}",
    "",
    "ä",
]


async def test_slots_are_those_of_redis(whole: Cluster) -> None:
    for key in KEYS_OF_EVERY_KIND:
        assert slot_of_key(key) == slot_of_key(key.encode()) == await whole.nodes[0].ask("CLUSTER", "KEYSLOT", key)


def test_all_of_a_shard_or_of_an_account_lies_in_one_slot() -> None:
    keys = ShardKeys(5)
    of_shard = [keys.dispatch, keys.dead, keys.turn("t"), keys.tokens("t"), keys.session("s"), keys.audio("s")]
    assert len({slot_of_key(key) for key in of_shard}) == 1
    assert len({slot_of_key(key) for key in (*QuotaKeys("a}{b").all, QuotaKeys("a}{b").granted + "w")}) == 1
