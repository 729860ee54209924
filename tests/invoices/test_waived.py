"""A refund that is not owed after all: the papers say again what the books hold (R75, R110, R111)."""

from datetime import UTC, date, datetime

from billing.invoices import selling
from billing.invoices.selling import Sold
from billing.payments import refunds
from billing.payments.facts import RefundFacts
from billing.withdrawals import service as withdrawals
from tests.invoices.test_requests import KSEF, asked, bought, handed, issued
from tests.ledger.books import give_back, proven
from tests.services.house import House
from tests.services.refunding import decide, refund_outcome

OTHER = "1111111111-20270110-0200A0B1C2D3-5E"


async def invoiced(house: House) -> None:
    """An order whose invoice is issued."""
    order, _ = await bought(house)
    invoice = await asked(house, order)
    await handed(house)
    await issued(house, invoice, ksef=KSEF)


async def came_home(house: House) -> None:
    """What had gone back to the buyer is at Stripe again, days later."""
    query = "select id, stripe_refund, created_at from refund"
    (row,) = await house.rows(query)
    async with house.database.begin() as session:
        refund = await refunds.read_refund(session, row.id)
        facts = RefundFacts(
            refund_id=row.stripe_refund, state="failed", payment_id=refund.payment_id, charge_id=None,
            amount=refund.amount, currency="PLN", reference=refund.public_id, created_at=row.created_at,
        )  # fmt: skip
        assert await withdrawals.apply_refund(session, facts, house.now) == "failed"
    await house.settle()


async def waive(house: House) -> None:
    for person in ("ewa", "jan"):
        await decide(house, "dismissed", person)
    await house.settle()


async def sold(house: House, first: date, last: date) -> list[Sold]:
    async with house.database.begin() as session:
        return await selling.sold_in(session, first, last)


async def papers_and_books(house: House) -> None:
    """All papers of the one order together are what the books hold of it."""
    papers = await house.rows("select sum(gross)::bigint, sum(vat)::bigint from invoice where state <> 'refused'")
    books = """select -sum(amount) filter (where account in ('vat_output', 'deferred_revenue', 'revenue'))::bigint,
        -sum(amount) filter (where account = 'vat_output')::bigint from ledger_line"""
    assert [tuple(row) for row in papers] == [tuple(row) for row in await house.rows(books)]
    await proven(house)


async def test_r110_a_correction_of_a_refund_that_is_waived_is_corrected_by_another(house: House) -> None:
    await invoiced(house)
    await give_back(house, "anna", 1000)
    await house.settle()
    (correction,) = await handed(house)
    await issued(house, correction.request, number="FK/1/2026", ksef=KSEF.replace("A0", "A1"))
    await house.advance(datetime(2027, 1, 10, 9, tzinfo=UTC))
    await came_home(house)
    await waive(house)
    rows = await house.rows("select gross, vat, state from invoice order by kind desc, gross")
    assert [tuple(row) for row in rows] == [
        (4499, 841, "issued"), (-1000, -187, "issued"), (1000, 187, "requested")
    ]  # fmt: skip
    await papers_and_books(house)
    (waived,) = await sold(house, date(2027, 1, 1), date(2027, 1, 31))
    assert (waived.gross, waived.marker, waived.number, waived.awaits) == (1000, "KSEF", None, True)
    (document,) = await handed(house)
    assert document.corrected is not None
    assert (document.corrected.number, document.corrected.reason) == (
        "FV/1/2026",
        "zwrot zapłaty nie doszedł do skutku",
    )
    assert (document.totals.gross, document.items[0].quantity) == (1000, 1)
    await issued(house, document.request, number="FK/2/2027", ksef=OTHER)
    (waived,) = await sold(house, date(2027, 1, 1), date(2027, 1, 31))
    assert (waived.gross, waived.number, waived.awaits) == (1000, OTHER, False)
    month = await sold(house, date(2026, 11, 1), date(2026, 11, 30))
    assert [(row.gross, row.number) for row in month] == [(4499, KSEF), (-1000, KSEF.replace("A0", "A1"))]


async def test_r110_what_an_invoice_left_out_for_a_refund_that_is_waived_is_put_on_it(house: House) -> None:
    order, _ = await bought(house)
    invoice = await asked(house, order)
    await refund_outcome(house, "failed")
    await give_back(house, "anna", 1000)
    await handed(house)
    await issued(house, invoice, ksef=KSEF)
    await house.settle()
    await papers_and_books(house)
    await waive(house)
    rows = await house.rows("select gross from invoice order by kind desc, gross")
    assert [gross for (gross,) in rows] == [3499, 1000]
    await papers_and_books(house)


async def test_r111_a_refund_that_never_went_and_is_waived_awaits_no_correction(house: House) -> None:
    await invoiced(house)
    await refund_outcome(house, "failed")
    await give_back(house, "anna", 1000)
    await house.settle()
    await waive(house)
    assert await house.one("select count(*) from invoice") == 1, "no paper ever said that it went"
    await papers_and_books(house)
    month = await sold(house, date(2026, 11, 1), date(2026, 11, 30))
    assert [(row.gross, row.number, row.awaits) for row in month] == [
        (4499, KSEF, False), (-1000, None, False), (1000, None, False)
    ]  # fmt: skip
