"""Staff and requests for invoices: whom they name, handing them over, the documents, and who may (R107, R108, R117)."""

from datetime import timedelta

import httpx2
import msgspec
import pytest
from litestar import Litestar

from billing.invoices import service
from billing.invoices.documents import InvoiceDocument
from billing.invoices.rules import Buyer
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from tests.finance.conftest import SECRET, browser, let_in
from tests.finance.test_acts import send, table
from tests.finance.world import World

PATH = "/finance/invoices"
ANNA = Buyer(
    kind="company", name="Sklep Anny", street="ul. Prosta 1", town="00-001 Warszawa", email="sklep@example.pl",
    nip="1111111111",
)  # fmt: skip


@pytest.fixture
async def asked(database: Database, world: World, clock: FixedClock) -> str:
    """Anna has asked for an invoice: its public id."""
    async with database.begin() as session:
        return service.invoice_id(await service.ask(session, world.order, ANNA, SECRET, clock.now()))


async def test_r107_staff_see_who_asked_for_an_invoice_until_when_and_that_they_looked_is_noted(
    clerk: httpx2.AsyncClient, asked: str, database: Database, clock: FixedClock
) -> None:
    page = (await clerk.get(PATH)).text
    assert asked in page
    assert "Sklep Anny" in page
    assert "2026-10-15" in page
    assert "po terminie" not in page
    link = page.partition('href="/finance/cases/')[2].partition('"')[0]
    seen = (await clerk.get(f"/finance/cases/{link}")).text
    for fact in ("Sklep Anny", "ul. Prosta 1, 00-001 Warszawa", "sklep@example.pl", "1111111111"):
        assert fact in seen
    looks = await table(database, "select subject, actor from audit where action = 'finance.viewed'")
    assert sorted(looks) == [(link, "staff:s-finance"), ("finance:invoices", "staff:s-finance")]
    assert "Sklep" not in str(await table(database, "select * from audit")), "R86: who asked is sealed"
    clock.move(clock.now() + timedelta(days=60))
    clerk.cookies.set("staff", await let_in(database, clock, "finance"))
    assert "po terminie" in (await clerk.get(PATH)).text


async def test_r108_requests_are_handed_over_once_by_name_and_their_documents_can_be_had_again(
    clerk: httpx2.AsyncClient, asked: str, database: Database
) -> None:
    assert (await clerk.get(f"{PATH}.ndjson")).content == b""
    for said in ("Przekazano. Dokumenty", "Nie było czego przekazać"):
        assert (await send(clerk, PATH)).headers["location"] == PATH
        assert said in (await clerk.get(PATH)).text
    moved = "select actor, before, after from audit where action = 'invoice.moved'"
    assert await table(database, moved) == [("staff:s-finance", "requested", "handed_over")]
    for _ in range(2):
        answer = await clerk.get(f"{PATH}.ndjson")
        (line,) = answer.content.splitlines()
        made = msgspec.json.decode(line, type=InvoiceDocument)
        assert (made.request, made.buyer.nip, made.totals.gross) == (asked, "1111111111", 4499)
        assert answer.headers["content-disposition"].endswith('.ndjson"')
    case = (await clerk.get(PATH)).text.partition('href="/finance/cases/')[2].partition('"')[0]
    issue = {"outcome": "issued", "path": "offline", "number": "FV/1/2026", "reason": "wystawiono"}
    assert (await send(clerk, f"/finance/cases/{case}", **issue)).status_code == 303
    assert (await clerk.get(f"{PATH}.ndjson")).content == b""
    assert "Żadna prośba o fakturę nie czeka" in (await clerk.get(PATH)).text


async def test_r117_a_viewer_sees_the_requests_and_can_neither_hand_over_nor_take_the_documents(
    app: Litestar, database: Database, clock: FixedClock, asked: str
) -> None:
    async with browser(app) as viewer:
        viewer.cookies.set("staff", await let_in(database, clock, "viewer"))
        page = (await viewer.get(PATH)).text
        assert asked in page
        assert "Przekaż do systemu" not in page
        assert (await send(viewer, PATH)).status_code == 403
        assert (await viewer.get(f"{PATH}.ndjson")).status_code == 403
    assert await table(database, "select state from invoice") == [("requested",)]
