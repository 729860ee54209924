from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from billing.catalog.history import lowest_remembered
from billing.catalog.service import load, remember_prices, remembered
from billing.catalog.values import BadCatalogue, Catalogue
from billing.kernel.db import Database
from tests.catalog.samples import SEASON, price, priced

AUTUMN = datetime(2026, 9, 1, 8, tzinfo=UTC)


async def remember(database: Database, catalogue: Catalogue, at: datetime) -> bool:
    async with database.begin() as session:
        return await remember_prices(session, catalogue, at)


async def test_r82_every_price_is_remembered_once_however_often_the_service_starts(database: Database) -> None:
    assert await remember(database, load(), AUTUMN)
    assert not await remember(database, load(), AUTUMN + timedelta(days=1))
    async with database.begin() as session:
        batches = await remembered(session)
    assert [batch.at for batch in batches] == [AUTUMN]
    assert {(key, price) for key, price in batches[0].prices} == {
        (product.key, price) for product in load().products for price in product.prices
    }


@pytest.mark.parametrize(
    "change", ["UPDATE price_history SET gross = 1", "DELETE FROM price_history", "TRUNCATE price_history"]
)
async def test_r82_the_database_refuses_to_change_the_past(database: Database, change: str) -> None:
    await remember(database, load(), AUTUMN)
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.begin() as session:
            await session.execute(text(change))


async def test_r83_a_catalogue_that_forgot_a_dip_before_its_reduction_is_refused(database: Database) -> None:
    dip, reduced = date(2026, 10, 25), date(2026, 11, 10)
    honest = priced(
        price(4499, date(2026, 6, 1), dip),
        price(3999, dip, date(2026, 10, 28)),
        price(4499, date(2026, 10, 28), date(2027, 6, 1)),
    )
    await remember(database, honest, AUTUMN)
    forgetful = priced(
        price(4499, date(2026, 6, 1), date(2027, 6, 1)), price(4299, reduced, date(2026, 11, 20), reduced=True)
    )
    november = datetime(2026, 11, 9, 8, tzinfo=UTC)
    with pytest.raises(BadCatalogue, match="3999"):
        await remember(database, forgetful, november)
    remembering = priced(*honest.product(SEASON).prices, price(3499, reduced, date(2026, 11, 20), reduced=True))
    assert await remember(database, remembering, november)


async def test_r83_a_price_that_was_planned_but_never_came_does_not_count(database: Database) -> None:
    planned = priced(
        price(4499, date(2026, 6, 1), date(2026, 10, 25)),
        price(3999, date(2026, 10, 25), date(2027, 6, 1)),
    )
    await remember(database, planned, AUTUMN)
    dropped = priced(price(4499, date(2026, 6, 1), date(2027, 6, 1)))
    await remember(database, dropped, datetime(2026, 10, 1, 8, tzinfo=UTC))
    async with database.begin() as session:
        batches = await remembered(session)
    at = datetime(2026, 11, 9, 8, tzinfo=UTC)
    assert lowest_remembered(batches, SEASON, "2026/27", date(2026, 11, 10), at) == 4499


async def test_starting_several_processes_at_once_remembers_once(database: Database) -> None:
    import asyncio

    news = await asyncio.gather(*(remember(database, load(), AUTUMN) for _ in range(6)))
    assert sorted(news) == [False] * 5 + [True]
