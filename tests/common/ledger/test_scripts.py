"""The scripts carry the same table as `states`, and go on after a server has forgotten them."""

import re

import pytest

from saystream.common.ids import FENCE
from saystream.common.ledger import scripts
from saystream.common.ledger.scripts import Script
from saystream.common.redis_client import call
from saystream.common.states import FINAL, NEXT, State
from tests.common.stage import Stage

LIST_TABLE = """
local pairs_of_states = {}
for from, row in pairs(NEXT) do
  table.insert(pairs_of_states, {from, ''})
  for to in pairs(row) do table.insert(pairs_of_states, {from, to}) end
end
return pairs_of_states
"""


def name_of(script: Script) -> str:
    return script.name


@pytest.mark.parametrize("script", scripts.STEPS, ids=name_of)
async def test_the_lua_table_of_states_is_the_python_one(stage: Stage, script: Script) -> None:
    table = script.source.splitlines()[0]
    found = {(a.decode(), b.decode()) for a, b in await call(stage.redis, "EVAL", f"{table}\n{LIST_TABLE}", 0)}
    rows = {(state.value, "") for state in NEXT}
    assert found == rows | {(state.value, to.value) for state, following in NEXT.items() for to in following}


@pytest.mark.parametrize("script", scripts.STEPS, ids=name_of)
def test_the_lua_fence_is_the_python_one(script: Script) -> None:
    assert re.findall(r"^local FENCE = (\d+)", script.source, re.MULTILINE) == [str(FENCE)]


async def test_the_digest_is_the_servers_own(stage: Stage) -> None:
    for script in (*scripts.STEPS, scripts.LATE, scripts.LEAVE):
        assert await call(stage.redis, "SCRIPT LOAD", script.source) in (script.digest, script.digest.encode())


async def test_every_step_goes_on_when_the_server_has_forgotten_the_scripts(stage: Stage) -> None:
    async def forget() -> None:
        await call(stage.redis, "SCRIPT FLUSH")

    await forget()
    await stage.open("t")
    message = await stage.take()
    await forget()
    claim = await stage.claim(message)
    await forget()
    await stage.ledger.release(claim)
    claim = await stage.claim(await stage.take())
    await forget()
    await stage.ledger.finish(claim, 1, State.DONE, 0, 0)
    await stage.open("u")
    await forget()
    assert len(await stage.ledger.interrupt("s")) == 1
    await forget()
    await stage.queue.leave()


async def test_a_step_runs_by_its_digest_once_the_server_knows_it(stage: Stage) -> None:
    await stage.open("t")
    await call(stage.redis, "CONFIG RESETSTAT")
    await stage.open("u")
    statistics = await call(stage.redis, "INFO", "commandstats")
    assert statistics["cmdstat_evalsha"]["calls"] == 1
    assert "cmdstat_eval" not in statistics


def test_final_states_are_those_that_nothing_follows() -> None:
    assert set(NEXT) == set(State)
    assert {State.DONE, State.FAILED, State.INTERRUPTED, State.EXPIRED} == FINAL
    assert all(NEXT[state] for state in set(State) - FINAL)


def test_every_state_can_be_reached_and_can_come_to_an_end() -> None:
    reached = {State.WAITING, State.READY}  # where `open` puts a turn
    for _ in State:
        reached |= {to for state in reached for to in NEXT[state]}
    assert reached == set(State)
    ending = set(FINAL)
    for _ in State:
        ending |= {state for state, following in NEXT.items() if following & ending}
    assert ending == set(State)
