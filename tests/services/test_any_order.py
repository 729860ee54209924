"""The same news in any order, any number of times, by any number of workers, or never, ends the same (I01, I02)."""

import asyncio
import itertools
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from billing.sandbox.postgres import EmbeddedPostgres
from tests.services.again import Beginning, begin
from tests.services.house import House
from tests.services.invariants import check, end_state
from webhooks.translate import HANDLED

TWO_DAYS = timedelta(days=2)


async def ordered(house: House) -> None:
    """Three families at Stripe: one waits and pays, one waits in vain, one lets a page run out and pays on the next.
    Nothing of it was heard."""
    await house.world.control("faults", {"webhooks": "drop"})
    urls: dict[str, str] = {}
    for name in ("waits", "vain", "again"):
        await house.family(name, f"{name}-p")
        urls[name] = await house.click(await house.token(name, f"{name}-p"))
    await house.settle(without={"checkout.sweep"})
    house.stand_at(house.now + timedelta(hours=24, minutes=1))
    await house.world.standin.deliver_due()
    urls["again"] = await house.click(await house.token("again", "again-p"))
    for name in ("waits", "vain"):
        await house.pay(await house.click(await house.token(name, f"{name}-p")), "p24", "pending")
        (url,) = (await house.rows("select session_url from orders where account = :name", name=name))[0]
        urls[name] = url
    await house.pay(urls["again"], "card")
    await house.settle_payment(urls["waits"], "succeeded")
    await house.settle_payment(urls["vain"], "failed")


def news(house: House) -> list[bytes]:
    """What Stripe has to say, oldest first."""
    rows = house.world.standin._store.rows("SELECT type, body FROM events ORDER BY seq")
    return [str(body).encode() for kind, body in rows if kind in HANDLED]


async def hear(house: House, told: list[bytes], *, workers: int, chance: random.Random) -> None:
    """The news as it comes in, taken up by workers that may be at it together."""
    handle = next(work for work in house.works if work.name == "webhooks.handle")
    for body in told:
        await house.keep_event(body)
        if chance.random() < 0.4:
            await asyncio.gather(*(handle.run(house.now) for _ in range(workers)))
    await asyncio.gather(*(handle.run(house.now) for _ in range(workers)))


async def come_to(house: House, told: list[bytes], *, workers: int = 1, seed: int = 0) -> dict[str, Any]:
    await hear(house, told, workers=workers, chance=random.Random(seed))
    await house.advance(house.now + TWO_DAYS)
    await check(house)
    return await end_state(house)


@pytest.fixture
async def beginning(house: House, postgres: EmbeddedPostgres, tmp_path: Path) -> Beginning:
    return await begin(house, postgres, tmp_path, ordered)


async def in_order(beginning: Beginning) -> tuple[list[bytes], dict[str, Any]]:
    async with beginning.lived() as house:
        told = news(house)
        return told, await come_to(house, told)


async def orders_and_copies(beginning: Beginning, orders: list[list[int]], seed: int) -> None:
    told, wanted = await in_order(beginning)
    assert [row[2] for row in wanted["orders"]] == ["paid", "failed", "paid"]
    for number, order in enumerate(orders):
        async with beginning.lived() as house:
            heard = [told[place % len(told)] for place in order]
            found = await come_to(house, heard, workers=1 + number % 3, seed=seed + number)
        assert found == wanted, [place % len(told) for place in order]


@pytest.mark.slow
async def test_i01_some_orders_of_all_news_with_copies_end_the_same(beginning: Beginning) -> None:
    chance = random.Random(5)
    await orders_and_copies(beginning, [chance.sample(range(16), 16) for _ in range(3)], seed=5)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_i01_many_orders_of_all_news_with_copies_end_the_same(beginning: Beginning) -> None:
    chance = random.Random(6)
    await orders_and_copies(beginning, [chance.sample(range(16), 16) for _ in range(20)], seed=6)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_i01_every_order_of_the_news_of_one_payment_ends_the_same(beginning: Beginning) -> None:
    told, wanted = await in_order(beginning)
    paid = [body for body in told if b"waits" not in body][:4]
    rest = [body for body in told if body not in paid]
    for number, order in enumerate(itertools.permutations(paid)):
        async with beginning.lived() as house:
            assert await come_to(house, [*order, *rest], workers=2, seed=number) == wanted


@pytest.mark.parametrize("lost", [(0, 1, 2, 3, 4, 5, 6, 7), (1, 3), (0, 2, 4)])
async def test_i02_news_that_never_comes_changes_nothing_once_the_sweep_has_looked(
    beginning: Beginning, lost: tuple[int, ...]
) -> None:
    told, wanted = await in_order(beginning)
    async with beginning.lived() as house:
        heard = [body for place, body in enumerate(told) if place not in lost]
        assert await come_to(house, heard) == wanted
        before = await house.one("select count(*) from audit")
        for work in house.works:
            await work.run(house.now)
        assert await house.one("select count(*) from audit") == before, "I02: a second look changes nothing"


@pytest.mark.parametrize("first", [0, 1])
async def test_i01_whoever_of_two_parents_is_heard_of_first_there_is_one_right_and_one_refund(
    house: House, postgres: EmbeddedPostgres, tmp_path: Path, first: int
) -> None:
    async def both_pay(house: House) -> None:
        await house.world.control("faults", {"webhooks": "drop"})
        await house.family("anna", "p1")
        await house.family("jan", "p1")
        urls = [await house.click(await house.token(parent, "p1")) for parent in ("anna", "jan")]
        for url in urls:
            await house.pay(url)

    beginning = await begin(house, postgres, tmp_path, both_pay)
    async with beginning.lived() as lived:
        told = news(lived)
        heard = told if first == 0 else told[::-1]
        await come_to(lived, heard + told, workers=3)
        assert await lived.rows("select reason, amount, state from refund") == [("duplicate", 4499, "succeeded")]
        assert await lived.one("select count(*) from subscription where state = 'active'") == 1
        kinds = await lived.rows("select kind, state from letter order by 1")
        assert kinds == [("money_returned", "handed_over"), ("order_confirmation", "handed_over")]
