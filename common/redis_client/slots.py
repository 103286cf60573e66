"""Which slot of a cluster a command belongs to."""

from binascii import crc_hqx

from saystream.common.redis_client.batch import Command, Part

SLOTS = 16_384

#: Commands whose key is not their first argument.
_SECOND = frozenset({"XINFO", "XGROUP", "OBJECT", "MEMORY", "DEBUG"})
_SCRIPTS = frozenset({"EVAL", "EVALSHA"})
_READS = frozenset({"XREAD", "XREADGROUP"})
#: Commands that are about a server; any one does.
_KEYLESS = frozenset(
    "CLIENT CLUSTER COMMAND CONFIG DBSIZE FLUSHALL FLUSHDB INFO KEYS LATENCY PING ROLE SCAN SCRIPT SLOWLOG TIME".split()
)


def key_of(command: Command) -> Part | None:
    """Return the first key of a command, or None if it has none; all keys of one command lie in one slot."""
    name = str(command[0]).upper()
    if name in _SCRIPTS:
        return command[3] if int(command[2]) else None
    if name in _READS:
        return command[command.index("STREAMS") + 1]
    if name in _KEYLESS or len(command) < 2:
        return None
    return command[2 if name in _SECOND else 1]


def slot_of_key(key: Part) -> int:
    """Return a key's slot; only what stands in its first braces counts, if anything does."""
    name = key if isinstance(key, bytes) else str(key).encode()
    start = name.find(b"{") + 1
    end = name.find(b"}", start) if start else 0
    return crc_hqx(name[start:end] if end > start else name, 0) % SLOTS


def slot_of(command: Command) -> int | None:
    """Return the slot of a command, or None if any server will do."""
    key = key_of(command)
    return None if key is None else slot_of_key(key)
