"""`billing report deferred`: what the books say of a month, or of several (R114)."""

from datetime import UTC, date, datetime

import anyio
import pytest

from billing.kernel.db import Database
from billing.ledger import service as ledger
from billing.ledger.service import Sale
from tests.cli.tool import Ran, billing

SOLD = Sale(
    payment="pi_1", order="ord_1", gross=4499, unit_gross=4499, vat_rate_percent=23, vat_method="per_document",
    first_day=date(2026, 11, 21), last_day=date(2027, 6, 30),
)  # fmt: skip


async def told(database_url: str, *argv: str) -> Ran:
    return await anyio.to_thread.run_sync(lambda: billing("report", "deferred", *argv, DATABASE_URL=database_url))


@pytest.mark.slow
async def test_r114_the_report_tells_days_of_a_month_and_months_of_a_season(
    database: Database, database_url: str
) -> None:
    async with database.begin() as session:
        await ledger.book_sale(session, SOLD, datetime(2026, 11, 21, 9, tzinfo=UTC))
    month = await told(database_url, "--month", "2026-11")
    assert (month.code, month.err) == (0, "")
    first = next(line for line in month.out.splitlines() if "2026-11-21" in line)
    assert [cell.strip() for cell in first.split("│")[1:-1]] == [
        "2026-11-21", "2026-11-21", "36.58", "0.00", "0.16", "36.42",
    ]  # fmt: skip
    season = await told(database_url, "--month", "2026-11", "--to", "2027-06")
    last = next(line for line in season.out.splitlines() if "2027-06-30" in line)
    assert [cell.strip() for cell in last.split("│")[1:-1]][-2:] == ["4.94", "0.00"]


@pytest.mark.slow
async def test_a_month_that_is_none_or_a_season_backwards_is_a_usage_error(database_url: str) -> None:
    for argv in (("--month", "2026-13"), ("--month", "2026-11", "--to", "2026-10"), ()):
        assert (await told(database_url, *argv)).code == 2
