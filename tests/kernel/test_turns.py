"""Questions of one turn are one look-up; nobody is forgotten, whoever goes away and whatever breaks."""

import asyncio
import random
from collections.abc import Mapping

import pytest

from billing.kernel.turns import AT_ONCE, MOST, NotTold, Turns

pytestmark = pytest.mark.anyio


class Registry:
    """A store that answers when it is let: each key with itself and the number of the look-up."""

    def __init__(self) -> None:
        self.looked_up: list[dict[str, int]] = []
        self.under_way = 0
        self.most_under_way = 0
        self.open = asyncio.Event()
        self.fault: BaseException | None = None

    async def look_up(self, keys: Mapping[str, int]) -> dict[str, str]:
        self.looked_up.append(dict(keys))
        number = len(self.looked_up)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.open.wait()
        finally:
            self.under_way -= 1
        if self.fault is not None:
            raise self.fault
        return {key: f"{key}/{number}" for key in keys}


@pytest.fixture
async def registry() -> Registry:
    return Registry()


async def a_moment() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def asked(turns: Turns[str], key: str) -> str:
    told = await turns.ask((key,))
    if isinstance(told, Exception):
        return type(told).__name__
    return told[key]


async def test_all_who_ask_in_one_turn_are_one_look_up_that_says_how_often_each_key_was_asked_for(registry: Registry):
    registry.open.set()
    turns = Turns[str](registry.look_up, 5)
    answers = await asyncio.gather(*(asked(turns, f"k{number % 3}") for number in range(9)))
    assert answers == [f"k{number % 3}/1" for number in range(9)]
    assert registry.looked_up == [{"k0": 3, "k1": 3, "k2": 3}]


async def test_who_asks_while_a_look_up_is_under_way_is_told_by_a_later_one(registry: Registry):
    """An answer rests on what was true after the question: never on a look-up that had begun before."""
    turns = Turns[str](registry.look_up, 5)
    asking: list[asyncio.Task[str]] = []
    for _ in range(AT_ONCE + 2):
        asking.append(asyncio.create_task(asked(turns, "k")))
        await a_moment()
    assert len(registry.looked_up) == AT_ONCE
    registry.open.set()
    assert await asyncio.gather(*asking) == ["k/1", "k/2", "k/3", "k/3"]
    assert registry.most_under_way == AT_ONCE


async def test_a_full_turn_begins_another(registry: Registry):
    registry.open.set()
    turns = Turns[str](registry.look_up, 5)
    await asyncio.gather(*(asked(turns, f"k{number}") for number in range(2 * MOST + 1)))
    assert [len(keys) for keys in registry.looked_up] == [MOST, MOST, 1]


@pytest.mark.parametrize("seed", range(10))
async def test_askers_that_are_cancelled_at_any_moment_take_nothing_with_them(registry: Registry, seed: int):
    """Setting the result of a cancelled future raises: this once hung such a gatherer for good."""
    dice = random.Random(seed)
    turns = Turns[str](registry.look_up, 5)
    asking: dict[asyncio.Task[str], str] = {}
    cancelled: set[asyncio.Task[str]] = set()
    for number in range(200):
        asking[asyncio.create_task(asked(turns, f"k{number}"))] = f"k{number}"
        if dice.random() < 0.3:
            await asyncio.sleep(0)
        if dice.random() < 0.4:
            victim = dice.choice(list(asking))
            if victim.cancel():
                cancelled.add(victim)
        if dice.random() < 0.1:
            registry.open.set()
            await asyncio.sleep(0)
            registry.open.clear()
    registry.open.set()
    done, late = await asyncio.wait(asking, timeout=10)
    assert (len(done), late) == (200, set())
    for task, key in asking.items():
        assert (task.cancelled() and task in cancelled) or task.result().startswith(f"{key}/")
    assert (await asked(turns, "afterwards")).startswith("afterwards/")


async def test_a_turn_nobody_waits_for_any_more_is_not_looked_up_and_the_next_one_is(registry: Registry):
    turns = Turns[str](registry.look_up, 5, at_once=1)
    first = asyncio.create_task(asked(turns, "first"))
    await a_moment()
    gone = [asyncio.create_task(asked(turns, "gone")) for _ in range(3)]
    await a_moment()
    for each in gone:
        each.cancel()
    await a_moment()
    registry.open.set()
    assert (await first, await asked(turns, "next")) == ("first/1", "next/2")
    assert [list(keys) for keys in registry.looked_up] == [["first"], ["next"]]


async def test_all_of_the_askers_of_a_look_up_under_way_may_go_and_its_place_is_free_again(registry: Registry):
    turns = Turns[str](registry.look_up, 5, at_once=1)
    gone = [asyncio.create_task(asked(turns, "gone")) for _ in range(3)]
    await a_moment()
    for each in gone:
        each.cancel()
    later = asyncio.create_task(asked(turns, "later"))
    await a_moment()
    registry.open.set()
    assert await later == "later/2"


@pytest.mark.parametrize("fault", [ValueError("row"), OSError("line"), asyncio.CancelledError()])
async def test_whatever_ends_a_look_up_every_asker_is_told_and_the_next_turn_begins(
    registry: Registry, fault: BaseException
):
    registry.fault = fault
    turns = Turns[str](registry.look_up, 60, at_once=1)
    expected = NotTold.__name__ if isinstance(fault, asyncio.CancelledError) else type(fault).__name__
    for _ in range(2):  # the second turn waits while the first one fails
        under_way = [asyncio.create_task(asked(turns, "k")) for _ in range(20)]
        await a_moment()
        waiting = [asyncio.create_task(asked(turns, "k")) for _ in range(20)]
        await a_moment()
        registry.open.set()
        assert await asyncio.wait_for(asyncio.gather(*under_way, *waiting), 10) == [expected] * 40
        registry.open.clear()
    registry.open.set()
    registry.fault = None
    assert (await asked(turns, "k")).startswith("k/")


async def test_who_has_waited_long_enough_is_told_so_whether_looked_up_or_not(registry: Registry):
    turns = Turns[str](registry.look_up, 0.2, at_once=1)
    under_way = [asyncio.create_task(asked(turns, "under way")) for _ in range(2)]
    await a_moment()
    waiting = [asyncio.create_task(asked(turns, "waiting")) for _ in range(2)]
    await a_moment()
    assert {await each for each in under_way} <= {"NotTold", "TimeoutError"}
    assert {await each for each in waiting} <= {"NotTold", "TimeoutError"}
    registry.open.set()
    assert (await asked(turns, "afterwards")).startswith("afterwards/")
