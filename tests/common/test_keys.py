"""No id can be mistaken for another kind of key, and all that a session needs lies in one slot."""

from hypothesis import given
from hypothesis import strategies as st

from saystream.common.ids import SessionId, TurnId, TurnRef, shard_of
from saystream.common.keys import SHARDS, VOICES, ShardKeys, keys_of

OF_SESSION = (ShardKeys.session, ShardKeys.waiting, ShardKeys.audio, ShardKeys.kept, ShardKeys.cursors)
KINDS = (ShardKeys.turn, ShardKeys.tokens, *OF_SESSION, ShardKeys.control)
ids = st.one_of(
    st.sampled_from(
        ["x", "x:tokens", "tokens:x", "dispatch", "dead", "deadlines", "nothing", "workers", "turn:x", ":"]
    ),
    st.text("atx:.-_", min_size=1, max_size=12),
)
kinds = st.integers(0, len(KINDS) - 1)


def of_shard(keys: ShardKeys) -> tuple[str, ...]:
    """Return the keys of which a shard has one."""
    return keys.dispatch, keys.dead, keys.deadlines, keys.nothing


@given(st.tuples(kinds, ids), st.tuples(kinds, ids))
def test_keys_are_equal_only_for_the_same_kind_and_id(a: tuple[int, str], b: tuple[int, str]) -> None:
    keys = ShardKeys(0)
    assert (KINDS[a[0]](keys, a[1]) == KINDS[b[0]](keys, b[1])) == (a == b)


@given(kinds, ids)
def test_no_id_makes_a_key_of_the_shard_or_of_all(kind: int, text: str) -> None:
    keys = ShardKeys(0)
    assert KINDS[kind](keys, text) not in {*of_shard(keys), SHARDS, VOICES}


@given(kinds, ids, st.integers(0, 16_383))
def test_every_key_carries_the_hash_tag_of_its_shard(kind: int, text: str, shard: int) -> None:
    keys = ShardKeys(shard)
    for key in (KINDS[kind](keys, text), *of_shard(keys)):
        assert key.partition("{")[2].partition("}")[0] == str(shard)


@given(ids, ids, st.integers(1, 16_384))
def test_the_keys_of_a_turn_are_in_its_sessions_shard(session: str, turn: str, shards: int) -> None:
    ref = TurnRef(SessionId(session), TurnId(turn))
    assert keys_of(ref, shards) == keys_of(session, shards) == ShardKeys(shard_of(session, shards))


@given(ids)
def test_all_keys_of_a_session_are_named(session: str) -> None:
    keys = ShardKeys(0)
    assert set(keys.of_session(session)) == {kind(keys, session) for kind in OF_SESSION}
