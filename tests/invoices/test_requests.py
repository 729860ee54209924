"""From the page to the number: requests for invoices on a whole house (R106, R107, R109, R110, R111)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest

from billing.app import create_app
from billing.checkout import service as checkout
from billing.cli_invoices import sales_csv
from billing.invoices import handing, selling, service
from billing.invoices.documents import InvoiceDocument, Seller
from billing.invoices.rules import Buyer, NotIssued, TooLateToAsk
from billing.kernel.days import end_of, start_of
from billing.kernel.errors import Conflict
from billing.ledger import service as ledger
from billing.privacy import service as privacy
from tests.ledger.books import give_back, proven
from tests.services.house import House

KSEF = "1111111111-20261210-0200A0B1C2D3-5E"
SELLER = Seller(nip="1111111111", name="Sprzedawca", address="ul. Zmyślona 1, 00-000 Przykładowo")
SECRET = "k" * 32
ANNA = Buyer(kind="consumer", name="Anna Żółć", street="ul. Prosta 1", town="00-001 Warszawa", email="a@example.pl")
FORM = {"name": "Anna Żółć", "street": "ul. Prosta 1", "town": "00-001 Warszawa", "email": "a@example.pl", "nip": ""}


class Visitor:
    """A browser at the order's page."""

    def __init__(self, house: House) -> None:
        app: Any = create_app(house.services)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8080")

    async def opens(self, path: str) -> httpx2.Response:
        return await self.client.get(path, headers={"accept-language": "en"})

    async def sends(self, path: str, **changes: str) -> httpx2.Response:
        return await self.client.post(path, data=FORM | changes, headers={"accept-language": "en"})


@pytest.fixture
async def visitor(house: House) -> AsyncIterator[Visitor]:
    made = Visitor(house)
    async with made.client:
        yield made


async def bought(house: House, *pupils: str, on: date = date(2026, 11, 21)) -> tuple[str, str]:
    """An order that Anna paid that morning: its public id, and its page."""
    house.stand_at(start_of(on) + timedelta(hours=10))
    await house.family("anna", *(pupils or ("p1",)))
    await house.buy("anna", *(pupils or ("p1",)))
    async with house.database.begin() as session:
        (row,) = await checkout.orders_of(session, "anna")
        return checkout.order_id(row), f"/orders/{checkout.order_token(SECRET, row)}"


async def asked(house: House, order: str) -> str:
    async with house.database.begin() as session:
        return service.invoice_id(await service.ask(session, order, ANNA, SECRET, house.now))


async def handed(house: House) -> list[InvoiceDocument]:
    async with house.database.begin() as session:
        return await handing.hand_over(session, SELLER, SECRET, house.now)


async def issued(house: House, invoice: str, *, number: str = "FV/1/2026", ksef: str | None = None) -> None:
    async with house.database.begin() as session:
        path = "ksef" if ksef else "consumer"
        await service.issued(session, invoice, path, number, ksef, date(2026, 12, 10), "finance", house.now)


async def cases(house: House) -> list[tuple[Any, ...]]:
    query = (
        "select about, state, outcome, due_at from finance_case where kind = 'invoice_request' order by opened_at, id"
    )
    return [tuple(row) for row in await house.rows(query)]


async def test_r106_r107_who_asks_in_the_month_of_payment_gets_it_by_the_fifteenth_of_the_next(
    house: House, visitor: Visitor
) -> None:
    order, path = await bought(house)
    assert f"{path}/invoice" in (await visitor.opens(path)).text
    house.stand_at(datetime(2026, 11, 25, 9, tzinfo=UTC))
    form = await visitor.opens(f"{path}/invoice")
    assert form.status_code == 200
    assert "28 February 2027" in form.text
    assert await house.one("select count(*) from invoice") == 0, "I27: opening does nothing"
    answer = await visitor.sends(f"{path}/invoice")
    assert answer.status_code == 200
    assert "15 December 2026" in answer.text
    again = await visitor.sends(f"{path}/invoice", name="Somebody Else")
    assert "15 December 2026" in again.text
    ((about, state, _, due_at),) = await cases(house)
    assert (state, due_at) == ("open", end_of(date(2026, 12, 15)))
    (row,) = await house.rows("select * from invoice")
    assert (row.state, row.due_on, row.gross, row.order_id) == ("requested", date(2026, 12, 15), 4499, order)
    assert b"Anna" not in bytes(row.buyer), "sealed at rest"
    async with house.database.begin() as session:
        assert service.buyer_in(await service.find(session, about), SECRET) == ANNA
    await house.advance(datetime(2026, 12, 14, 9, tzinfo=UTC))
    assert await house.one("select warned_at is not null from finance_case where about = :about", about=about)


async def test_r106_the_last_day_is_the_last_day_and_after_it_a_text_says_so(house: House, visitor: Visitor) -> None:
    order, path = await bought(house)
    house.stand_at(end_of(date(2027, 2, 28)) - timedelta(seconds=1))
    assert 'name="nip"' in (await visitor.opens(f"{path}/invoice")).text
    house.stand_at(end_of(date(2027, 2, 28)))
    for answer in (await visitor.opens(f"{path}/invoice"), await visitor.sends(f"{path}/invoice")):
        assert answer.status_code == 410
        assert "28 February 2027" in answer.text
        assert "third month" in answer.text
    with pytest.raises(TooLateToAsk):
        await asked(house, order)
    assert await house.one("select count(*) from invoice") == 0


async def test_r107_who_asks_in_a_later_month_gets_it_within_fifteen_days(house: House) -> None:
    order, _ = await bought(house)
    house.stand_at(datetime(2027, 1, 10, 12, tzinfo=UTC))
    await asked(house, order)
    assert await house.one("select due_on from invoice") == date(2027, 1, 25)


@pytest.mark.parametrize("locale", ["pl", "uk", "en"])
async def test_the_page_names_every_fault_beside_its_field_and_keeps_what_was_written(
    house: House, visitor: Visitor, locale: str
) -> None:
    _, path = await bought(house)
    empty = await visitor.sends(f"{path}/invoice", name="", street="", town="x", email="no", nip="1", lang=locale)
    assert empty.status_code == 400
    for field in ("name", "street", "town", "email", "nip"):
        assert f'id="{field}-error"' in empty.text
    assert f'lang="{locale}"' in empty.text
    assert "<script" not in empty.text
    kept = await visitor.sends(f"{path}/invoice", town="x", lang=locale)
    assert 'value="Anna Żółć"' in kept.text
    assert await house.one("select count(*) from invoice") == 0


async def test_nobody_asks_without_the_link_or_before_there_is_money(house: House, visitor: Visitor) -> None:
    await house.family("anna", "p1")
    await house.click(await house.token("anna", "p1"))
    async with house.database.begin() as session:
        (row,) = await checkout.orders_of(session, "anna")
        path = f"/orders/{checkout.order_token(SECRET, row)}"
    assert "nothing to invoice" in (await visitor.opens(f"{path}/invoice")).text
    await visitor.sends(f"{path}/invoice")
    assert await house.one("select count(*) from invoice") == 0


async def test_eight_clicks_at_once_make_one_request(house: House) -> None:
    order, _ = await bought(house)
    made = await asyncio.gather(*(asked(house, order) for _ in range(8)))
    assert len(set(made)) == 1
    assert len(await cases(house)) == 1


async def test_r108_r109_handed_over_once_and_issued_only_by_its_number(house: House) -> None:
    order, _ = await bought(house, "p1", "p2", "p3")
    invoice = await asked(house, order)
    (document,) = await handed(house)
    assert await handed(house) == []
    assert (document.totals.gross, document.totals.vat, document.items[0].quantity) == (13497, 2524, 3)
    assert (document.buyer.no_id, document.buyer.name, document.payment.form) == (1, "Anna Żółć", 7)
    state = "select state from invoice"
    assert await house.one(state) == "handed_over", "R109: no answer yet, so not issued"
    async with house.database.begin() as session:
        with pytest.raises(NotIssued):
            await service.issued(session, invoice, "ksef", "FV/1", None, date(2026, 12, 10), "finance", house.now)
    assert await house.one(state) == "handed_over"
    await issued(house, invoice, ksef=KSEF)
    assert await house.one(state) == "issued"
    assert [(row[1], row[2]) for row in await cases(house)] == [("closed", "issued")]
    async with house.database.begin() as session:
        with pytest.raises(Conflict):
            await service.refuse(session, invoice, "changed my mind", "finance", house.now)
    moves = await house.rows("select before, after from audit where action like 'invoice.%' order by at, id")
    assert {tuple(row) for row in moves} == {
        (None, "requested"), ("requested", "handed_over"), ("handed_over", "issued")
    }  # fmt: skip
    assert len(moves) == 3


async def test_r110_a_refund_of_an_invoiced_order_asks_for_a_correction_of_just_that(house: House) -> None:
    order, _ = await bought(house)
    invoice = await asked(house, order)
    await handed(house)
    await issued(house, invoice)
    for number, amount in enumerate((1000, 3499)):
        await give_back(house, "anna", amount, scope=str(number))
        await house.settle()
        house.stand_at(house.now + timedelta(hours=1))
    rows = await house.rows("select gross, vat, state, corrects is not null from invoice where kind = 'correction'")
    assert [tuple(row) for row in rows] == [(-1000, -187, "requested", True), (-3499, -654, "requested", True)]
    assert sorted(row[1] for row in await cases(house)) == ["closed", "open", "open"]
    first, second = await handed(house)
    assert first.corrected is not None
    assert (first.corrected.number, first.totals.gross, second.totals.vat) == ("FV/1/2026", -1000, -654)
    assert await house.one("select sum(gross) from invoice") == await house.one("select sum(vat) from invoice") == 0
    await proven(house)


async def test_r110_a_correction_waits_until_the_invoice_it_corrects_has_its_number(house: House) -> None:
    order, _ = await bought(house)
    invoice = await asked(house, order)
    await handed(house)
    await give_back(house, "anna", 1000)
    await house.settle()
    assert await handed(house) == []
    await issued(house, invoice)
    (document,) = await handed(house)
    assert document.kind == "correction"


async def test_what_went_back_before_the_hand_over_is_not_on_the_invoice_and_needs_no_correction(house: House) -> None:
    order, _ = await bought(house)
    await asked(house, order)
    await give_back(house, "anna", 1000)
    (document,) = await handed(house)
    await house.settle()
    assert (document.totals.gross, document.totals.vat) == (3499, 654)
    assert await house.one("select count(*) from invoice where kind = 'correction'") == 0


async def test_a_request_whose_money_all_went_back_is_refused_and_forgets_the_buyer(house: House) -> None:
    order, _ = await bought(house)
    await asked(house, order)
    await give_back(house, "anna", 4499)
    assert await handed(house) == []
    assert await house.rows("select state, buyer from invoice") == [("refused", None)]
    assert [(row[1], row[2]) for row in await cases(house)] == [("closed", "refused")]


async def test_r111_each_row_of_a_month_has_one_marker_and_the_sums_are_the_ledgers(house: House) -> None:
    order, _ = await bought(house)
    await house.family("jan", "p2")
    await house.buy("jan", "p2")
    await house.family("ewa", "p3")
    await house.buy("ewa", "p3")
    await give_back(house, "ewa", 1234)
    invoice = await asked(house, order)
    await handed(house)
    await issued(house, invoice, ksef=KSEF)
    await give_back(house, "anna", 999)
    await house.advance(datetime(2026, 12, 2, tzinfo=UTC))
    await give_back(house, "jan", 4499)
    month = (date(2026, 11, 1), date(2026, 11, 30))
    async with house.database.begin() as session:
        rows = await selling.sold_in(session, *month)
        assert await ledger.balance(session, "revenue") < 0, "the month was closed, and that is no sale"
    assert sorted((row.gross, row.marker, row.number, row.awaits) for row in rows) == [
        (-1234, "DI", None, False), (-999, "KSEF", None, True), (4499, "DI", None, False), (4499, "DI", None, False),
        (4499, "KSEF", KSEF, False),
    ]  # fmt: skip
    in_books = """select coalesce(-sum(amount), 0) from ledger_line where account = any(:accounts)
        and booked_on between '2026-11-01' and '2026-11-30'"""
    assert sum(row.vat for row in rows) == await house.one(in_books, accounts=["vat_output"])
    assert sum(row.net for row in rows) == await house.one(in_books, accounts=["deferred_revenue", "revenue"])
    text = sales_csv(rows)
    assert text.startswith("\ufeffdate;order")
    assert text.splitlines()[-1] == "sum;;;;;" + ";".join(
        f"{total // 100},{total % 100:02d}" for total in (
            sum(row.net for row in rows), sum(row.vat for row in rows), sum(row.gross for row in rows)
        )
    ) + ";;;"  # fmt: skip
    async with house.database.begin() as session:
        (later,) = await selling.sold_in(session, date(2026, 12, 1), date(2026, 12, 31))
    assert (later.gross, later.on) == (-4499, date(2026, 12, 2)), "R104: in its own period"
    assert msgspec.structs.astuple(later)


async def test_r91_a_person_is_given_the_own_requests_and_nobody_elses(house: House) -> None:
    order, _ = await bought(house)
    await asked(house, order)
    async with house.database.begin() as session:
        given = await privacy.collect(session, "anna", SECRET)
    ((told,),) = [entry["invoices"] for entry in given["orders"]]
    assert (told["kind"], told["state"], told["buyer"]) == ("invoice", "requested", None), "another address than Anna's"
    await house.rows_changed("update account set email = 'a@example.pl' where account = 'anna'")
    async with house.database.begin() as session:
        given = await privacy.collect(session, "anna", SECRET)
    assert given["orders"][0]["invoices"][0]["buyer"]["name"] == "Anna Żółć"
