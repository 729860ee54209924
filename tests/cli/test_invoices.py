"""`billing invoices`: the operator hands requests over, notes what was issued, and lists a month (R107, R109, R111)."""

import json
from datetime import UTC, datetime

import anyio
import msgspec
import pytest
from sqlalchemy import text

from billing.invoices import service
from billing.invoices.rules import Buyer
from billing.kernel.db import Database
from billing.ledger import service as ledger
from tests.cli.test_reports import SOLD
from tests.cli.tool import GIVEN, Ran, billing
from tests.migrations.test_guards import order

ORDER = "ord_00000000000000000000000001"
KSEF = "1111111111-20261210-0200A0B1C2D3-5E"
BUYER = Buyer(
    kind="company", name="Firma", street="ul. Prosta 1", town="00-001 Warszawa", email="f@e.pl", nip="5260001246"
)
AT = datetime(2026, 11, 21, 9, tzinfo=UTC)


async def told(database_url: str, *argv: str) -> Ran:
    return await anyio.to_thread.run_sync(lambda: billing("invoices", *argv, DATABASE_URL=database_url))


@pytest.mark.slow
async def test_from_the_queue_to_the_number_and_into_the_month(database: Database, database_url: str) -> None:
    async with database.begin() as session:
        await session.execute(text(order(1, state="paid")))
        await ledger.book_sale(session, msgspec.structs.replace(SOLD, order=ORDER), AT)
        await service.ask(session, ORDER, BUYER, GIVEN["BILLING_SECRET_KEY"], AT)
    queue = await told(database_url, "waiting")
    assert (queue.code, "2026-12-15" in queue.out, "requested" in queue.out) == (0, True, True)
    handed = await told(database_url, "hand-over")
    document = json.loads(handed.out)
    assert (document["buyer"]["nip"], document["totals"]["gross"]) == ("5260001246", 4499)
    issue = ("issued", document["request"], "--number", "FV/1", "--on", "2026-12-10", "--path")
    refused = await told(database_url, *issue, "consumer")
    assert refused.code == 1
    assert "KSeF" in refused.err
    assert (await told(database_url, *issue, "ksef", "--ksef-number", KSEF)).code == 0
    month = await told(database_url, "sales", "--month", "2026-11")
    assert f"44,99;KSEF;{KSEF};" in month.out
    assert (await told(database_url, "refuse", document["request"], "--reason", "no")).code == 1, "R110"
