"""Buyers, and staff, at the very same time: one right, one refund, books that agree (I11, I13, I25, F39, R77)."""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Iterable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from billing.checkout.placing import NotForSale
from billing.kernel.errors import BillingError
from billing.kernel.ids import new_id
from billing.kernel.tokens import token_hash
from billing.sandbox.postgres import EmbeddedPostgres
from billing.sandbox.stripe import checkout_flow
from billing.withdrawals import goodwill
from billing.withdrawals.goodwill import StaffReason
from tests.histories.comparing import complaints
from tests.histories.direct import books_of
from tests.histories.reducer import Order
from tests.histories.stories import Story
from tests.histories.village import FOUND, LINK, TOKEN, Village, village

ROUNDS = 500
PARTS = 4
BUYERS = 8
PRICE = 4499


def token(number: int, buyer: int) -> str:
    return f"h{number}b{buyer}".ljust(32, "x")


async def gather_people(made: Village, rounds: Iterable[int]) -> None:
    """Eight accounts for each child, each with a link."""
    at, numbers = made.house.now, list(rounds)
    accounts = [f"h{n}a{buyer}" for n in numbers for buyer in range(BUYERS)]
    pupils = [f"h{n}p0" for n in numbers for _ in range(BUYERS)]
    links = [
        {"id": new_id(at), "hash": token_hash(token(n, buyer)), "account": f"h{n}a{buyer}", "pupils": [f"h{n}p0"],
         "at": at, "until": at.replace(year=at.year + 1)}
        for n in numbers for buyer in range(BUYERS)
    ]  # fmt: skip
    async with made.house.database.begin() as session:
        given: dict[str, Any] = {"accounts": accounts, "pupils": pupils}
        await session.execute(
            text(FOUND), {**given, "schools": [f"h{n}s" for n in numbers for _ in range(BUYERS)], "at": at}
        )
        await session.execute(text(LINK), {**given, "at": at})
        await session.execute(text(TOKEN), links)


async def buy(made: Village, number: int, buyer: int, shown: str) -> str:
    """Click and pay at once; answers what came of it."""
    try:
        url = await made.house.click(token(number, buyer), shown=shown)
    except NotForSale as fault:
        return str(fault.sale.refusal)
    page: Any = made.store.get(url.rpartition("/")[2].partition("?")[0])
    name = page["metadata"]["order"]
    made.orders[name] = Order(name, f"h{number}a{buyer}", (f"h{number}p0",), PRICE, made.house.now)
    with made.store.transaction():
        checkout_flow.pay(books_of(made.standin), page, "blik", "succeeded")
    return "paid"


async def one_round(made: Village, number: int, chance: Random, shown: str) -> None:
    """Eight at once; or two at once, and six more while those are being judged."""
    first = BUYERS if chance.random() < 0.2 else 2
    came = list(await asyncio.gather(*(buy(made, number, buyer, shown) for buyer in range(first))))
    made.listen()
    news: list[Awaitable[Any]] = [made.house.keep_event(body) for body in made.post.pop(made.tick, [])]
    await asyncio.gather(*news)
    handle = next(work for work in made.works if work.name == "webhooks.handle")
    late: list[Awaitable[Any]] = [buy(made, number, buyer, shown) for buyer in range(first, BUYERS)]
    workers: list[Awaitable[Any]] = [handle.run(made.house.now) for _ in range(3)]
    mixed = [*late, *workers]
    chance.shuffle(mixed)
    came += [each for each in await asyncio.gather(*mixed) if isinstance(each, str)]
    assert set(came) <= {"paid", "already_covered"}, came
    assert "paid" in came


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("part", range(PARTS))
async def test_i11_i25_f39_eight_buyers_at_once_for_one_pupil_leave_one_right_and_whole_refunds(
    postgres: EmbeddedPostgres, part: int
) -> None:
    rounds, chance = range(part * ROUNDS // PARTS, (part + 1) * ROUNDS // PARTS), Random(part)
    gc.collect()
    stories = [Story(number=number, pupils=1, steps=()) for number in rounds]
    async with village(postgres, f"race_{part}", stories, part, 0) as made:
        await gather_people(made, rounds)
        shown = await made.house.offer(token(rounds[0], 0))
        for number in rounds:
            await one_round(made, number, chance, shown)
        for span in (timedelta(0), timedelta(hours=1), timedelta(hours=25)):
            made._pass(span)
            await made._settle(everything=True)
        assert await complaints(made) == []
        rights = Counter([row.pupil for row in await made.house.rows("select pupil from subscription")])
        assert set(rights.values()) == {1}
        assert len(rights) == len(rounds)
        paid = await made.house.one("select count(*) from payment")
        returned = await made.house.rows("select reason, amount, state from refund")
        assert Counter(map(tuple, returned)) == {("duplicate", PRICE, "succeeded"): paid - len(rounds)}


@pytest.mark.usefixtures("quiet")
async def test_r77_i13_of_twenty_refunds_of_60_percent_at_once_one_is_made(postgres: EmbeddedPostgres) -> None:
    reasons: tuple[StaffReason, ...] = ("goodwill", "non_conformity", "sponsor_overlap", "school_block")
    async with village(postgres, "race_refunds", [Story(number=0, pupils=1, steps=())], 0, 0) as made:
        await gather_people(made, [0])
        assert await buy(made, 0, 0, await made.house.offer(token(0, 0))) == "paid"
        made._pass(timedelta(hours=1))
        await made._settle(everything=True)
        (order,) = made.orders

        async def staff(number: int) -> Any:
            async with made.house.database.begin() as session:
                return await goodwill.propose(
                    session, order, PRICE * 60 // 100, reasons[number % 4], f"staff:{number}", "asked", made.house.now
                )

        came = await asyncio.gather(*(staff(number) for number in range(20)), return_exceptions=True)
        assert [each for each in came if isinstance(each, BaseException) and not isinstance(each, BillingError)] == []
        await made._settle(everything=True)
        assert len(made.store.all_of("refund")) == 1
        assert await made.house.rows("select amount, state from refund") == [(PRICE * 60 // 100, "succeeded")]
        assert len({each.refund.id for each in came if not isinstance(each, BaseException)}) == 1
