"""The process dies, or the answer is lost, at every single point of a story; then all goes on as if it had not.

The story: two parents order for one pupil and both pay, a third family hears of the end of its free period, a page is
opened twice. For n = 1, 2, 3 … the n-th call to Stripe, letter or unit of work breaks, until the story ends unbroken.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from billing.checkout.placing import NotForSale
from billing.kernel.days import at_hour
from billing.kernel.db import Database
from billing.kernel.errors import BillingError
from billing.sandbox.postgres import EmbeddedPostgres
from tests.services.again import Beginning, begin
from tests.services.cutting import Cut, Died, Fragile, LostAnswer, When, cut_wire, cutting, sound
from tests.services.house import House
from tests.services.invariants import check

TELLING = at_hour(date(2026, 9, 21), 8)
MOST_TRIES = 12

Breaking = Callable[[House, Cut], AbstractAsyncContextManager[Database]]
"""The database on which the story is lived, and which the cut may break."""

either_way = pytest.mark.parametrize("when", ["before", "after"])
"""Broken before it is done, or after."""


async def prepare(house: House) -> None:
    """Three parents; the letter about the end of one free period is about to be due."""
    await house.family("anna", "p1")
    await house.family("jan", "p1")
    await house.family("ewa", "p2")
    await house.advance(TELLING - timedelta(minutes=1))


@pytest.fixture
async def beginning(house: House, postgres: EmbeddedPostgres, tmp_path: Path) -> Beginning:
    return await begin(house, postgres, tmp_path, prepare)


async def again_and_again(house: House, do: Callable[[], Awaitable[Any]]) -> Any:
    """As long as it breaks, somebody comes back a little later."""
    for _ in range(MOST_TRIES):
        try:
            return await do()
        except NotForSale:
            return None
        except (Died, BillingError, DBAPIError):
            house.stand_at(house.now + timedelta(seconds=20))
    raise AssertionError("it never works again")


async def live(house: House, cut: Cut, breaking: Breaking) -> None:
    """The story, on parts that break once; then three quiet days."""
    async with breaking(house, cut) as database:
        fragile = Fragile(house, cut, database)
        tokens = [await house.token(parent, "p1") for parent in ("anna", "jan")]
        urls: list[str] = []
        for token in tokens:
            shown = await house.offer(token)
            click = partial(house.click, token, shown=shown, gateway=fragile.gateway, database=fragile.database)
            urls.append(await again_and_again(house, click))
        assert len(set(urls)) == 2
        await asyncio.gather(*(house.pay(url) for url in urls))
        for step in (timedelta(0), timedelta(minutes=2), timedelta(hours=2), timedelta(days=3)):
            await again_and_again(house, partial(house.advance, TELLING + step))


async def is_as_if_nothing_had_been(house: House, cut: Cut) -> None:
    where = f"{cut.at} {cut.when} {cut.hit}"
    await check(house, had_doubts=True)
    rights = await house.rows("select pupil, state from subscription")
    assert [tuple(row) for row in rights] == [("p1", "active")], where
    refunds = await house.rows("select reason, amount, state from refund")
    assert [tuple(row) for row in refunds] == [("duplicate", 4499, "succeeded")], where
    letters = Counter([tuple(row) for row in await house.rows("select kind, state from letter")])
    assert letters[("order_confirmation", "handed_over")] == 1, where
    assert letters[("money_returned", "handed_over")] == 1, where
    assert ("trial_ending", "handed_over") in letters, where
    copies = Counter(letter.headers["Message-ID"] for letter in house.letters())
    assert max(copies.values()) <= 2, where
    assert sum(count > 1 for count in copies.values()) <= (1 if "mailer" in cut.hit or "commit" in cut.hit else 0), (
        where
    )
    store = house.world.standin._store
    assert len(store.all_of("charge")) == 2, where
    assert len(store.all_of("refund")) == 1, where
    assert await house.one("select bound_reason from trial where pupil = 'p2'") == "told", where


async def every_point(
    beginning: Beginning, when: When, fault: Callable[[], BaseException], breaking: Breaking, *,
    nights: bool = False, step: int = 1,
) -> int:  # fmt: skip
    """Break at one point after another, or at every so many; answers where the last one was."""
    number = 1
    while True:
        async with beginning.lived(nights=nights) as house:
            cut = Cut(number, when, fault)
            await live(house, cut, breaking)
            await is_as_if_nothing_had_been(house, cut)
            if not cut.hit:
                return number - step
        number += step


@pytest.mark.slow
@pytest.mark.timeout(900)
@either_way
async def test_i14_i15_i18_an_answer_lost_at_any_call_changes_nothing_in_the_end(
    beginning: Beginning, when: When
) -> None:
    assert await every_point(beginning, when, LostAnswer, sound) >= 8


@pytest.mark.slow
@pytest.mark.timeout(1800)
@either_way
async def test_f01_f03_i22_a_process_that_dies_at_any_call_or_commit_changes_nothing_in_the_end(
    beginning: Beginning, when: When
) -> None:
    assert await every_point(beginning, when, Died, cutting) >= 30


@pytest.mark.slow
@pytest.mark.timeout(1800)
@either_way
async def test_f14_i22_a_commit_whose_answer_is_lost_is_done_or_not_and_never_twice(
    beginning: Beginning, when: When
) -> None:
    assert await every_point(beginning, when, LostAnswer, cut_wire, step=1 if when == "after" else 5) >= 30


@pytest.mark.slow
@pytest.mark.timeout(900)
@either_way
async def test_f01_f03_i02_so_it_is_where_the_looks_of_every_night_go_on_beside(
    beginning: Beginning, when: When
) -> None:
    assert await every_point(beginning, when, Died, cutting, nights=True, step=30) >= 100


async def test_the_story_by_itself_comes_to_its_end(beginning: Beginning) -> None:
    async with beginning.lived() as house:
        cut = Cut(0, "before", Died)
        await live(house, cut, cutting)
        await is_as_if_nothing_had_been(house, cut)
        assert cut.count >= 30
