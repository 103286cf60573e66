"""Slots: no more turns than a worker can speak."""

import asyncio

from saystream.workers.slots import Slots


async def test_no_more_are_given_than_there_are() -> None:
    slots = Slots(3)
    assert await slots.reserve(2) == 2
    assert await slots.reserve(2) == 1


async def test_a_request_waits_for_a_slot_to_come_back() -> None:
    slots = Slots(1)
    await slots.reserve(1)
    waiting = asyncio.create_task(slots.reserve(5))
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.give_back()
    assert await waiting == 1


async def test_who_has_waited_longest_comes_first() -> None:
    slots, order = Slots(1), []

    async def take(name: str) -> None:
        for _ in range(2):
            await slots.reserve(1)
            order.append(name)
            await asyncio.sleep(0)  # the others come to ask
            slots.give_back()

    await asyncio.gather(take("a"), take("b"), take("c"))
    assert order == ["a", "b", "c", "a", "b", "c"]


async def test_who_waits_for_a_free_one_leaves_it_free() -> None:
    slots = Slots(1)
    await slots.reserve(1)
    waiting = [asyncio.create_task(slots.free()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    slots.give_back()
    await asyncio.gather(*waiting)
    assert await slots.reserve(5) == 1
