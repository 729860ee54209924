"""The books of real sales: tax, refunds in their period, revenue by months, and the proof (R103–R105, R113, R114)."""

from datetime import UTC, date, datetime

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from billing.catalog.values import Catalogue
from billing.kernel.money import VatMethod
from billing.ledger import reports, rules
from billing.ledger import service as ledger
from billing.ledger.proof import BROKEN_ORDERS
from billing.ledger.service import NothingBooked, UnknownSale
from tests.ledger.books import balances, give_back, payment_of, proven
from tests.services.house import House


def with_tax(catalogue: Catalogue, *, method: VatMethod = "per_document", rate: int = 23) -> Catalogue:
    """The catalogue with another way of counting VAT."""
    product, *others = catalogue.products
    prices = tuple(msgspec.structs.replace(price, vat_rate_percent=rate) for price in product.prices)
    order = msgspec.structs.replace(catalogue.order, vat_method=method)
    sold = msgspec.structs.replace(product, prices=prices)
    return msgspec.structs.replace(catalogue, order=order, products=(sold, *others))


@pytest.mark.parametrize(("method", "vat"), [("per_document", 2524), ("per_line", 2523)])
async def test_r103_three_pupils_are_taxed_by_the_one_setting_in_books_order_page_and_finance(
    house: House, method: VatMethod, vat: int
) -> None:
    house.catalogue = with_tax(house.catalogue, method=method)
    await house.family("anna", "p1", "p2", "p3")
    await house.buy("anna", "p1", "p2", "p3")
    assert await balances(house) == {"stripe_clearing": 13497, "vat_output": -vat, "deferred_revenue": vat - 13497}
    assert await house.one("select vat_method from orders") == method
    (letter,) = [told for told in house.letters("anna") if "134,97" in (told.text or "")]
    assert f"25,{vat % 100}" in (letter.text or "").replace("\u00a0", " ")
    await proven(house)


async def test_r104_a_sale_and_its_refund_belong_to_their_own_warsaw_days(house: House) -> None:
    house.stand_at(datetime(2026, 12, 31, 23, 30, tzinfo=UTC))
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    house.stand_at(datetime(2027, 2, 10, 9, tzinfo=UTC))
    await give_back(house, "anna", 1000)
    assert await house.rows("select sold_on from ledger_sale") == [(date(2027, 1, 1),)]
    days = await house.rows("select distinct cause like 'refund%', booked_on from ledger_line order by 2")
    assert [tuple(row) for row in days] == [(False, date(2027, 1, 1)), (True, date(2027, 2, 10))]
    assert (await balances(house, until=date(2027, 1, 31)))["vat_output"] == -841, "January is as it was"
    await proven(house)


async def test_r105_a_refund_keeps_the_rate_of_its_sale_after_the_rate_has_changed(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    house.catalogue = with_tax(house.catalogue, rate=8, method="per_line")
    await house.family("jan", "p2")
    await house.buy("jan", "p2")
    assert (await balances(house))["vat_output"] == -841 - 333
    await give_back(house, "anna", 1000)
    assert (await balances(house))["vat_output"] == -654 - 333, "at 23 %: 3499 of 4499 are kept"
    await give_back(house, "anna", 3499, scope="rest")
    assert (await balances(house))["vat_output"] == -333
    with pytest.raises(DBAPIError, match="frozen"):
        await house.rows_changed("update ledger_sale set vat_rate_percent = 8")
    with pytest.raises(DBAPIError, match="append-only"):
        await house.rows_changed("delete from ledger_sale")
    await proven(house)


async def test_part_refunds_of_one_sale_undo_its_tax_to_the_grosz(house: House) -> None:
    """44.99 in parts that each carry a rounded tax of their own: 3 × 14.99 + 0.02."""
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    for number, amount in enumerate((1499, 1499, 1499, 2)):
        await give_back(house, "anna", amount, scope=str(number))
        await proven(house)
    await house.settle()
    assert await balances(house) == {}, "3 × 280 + 0 is not 841: what is left counts, not each refund alone"
    await proven(house)


async def test_money_that_comes_home_is_owed_again_and_the_correction_names_what_it_corrects(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    refund = await give_back(house, "anna", 4499)
    await house.settle()
    assert await balances(house) == {}
    async with house.database.begin() as session:
        await ledger.book_refund_failed(session, refund.public_id, house.now)
    assert await balances(house) == {"stripe_clearing": 4499, "refunds_payable": -4499}
    async with house.database.begin() as session:
        await ledger.book_refund_paid(session, refund.order, refund.public_id, 4499, house.now, by_bank=True)
    assert await balances(house) == {"stripe_clearing": 4499, "bank": -4499}
    named = await house.rows("""
        select distinct wrong.cause, l.cause from ledger_line l join ledger_line wrong
        on wrong.transaction_id = l.corrects""")
    assert [tuple(row) for row in named] == [(f"refund_paid:{refund.public_id}", f"refund_failed:{refund.public_id}")]
    again = await house.rows("select distinct cause from ledger_line where account = 'bank'")
    assert [tuple(row) for row in again] == [(f"refund_paid:{refund.public_id}:2",)]


async def test_a_refund_that_is_waived_puts_tax_and_price_back(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    sold = await balances(house)
    refund = await give_back(house, "anna", 1499)
    async with house.database.begin() as session:
        await ledger.book_refund_waived(session, refund.public_id, house.now)
    assert await balances(house) == sold
    async with house.database.begin() as session:
        with pytest.raises(NothingBooked):
            await ledger.book_refund_failed(session, "ref_none", house.now)
        with pytest.raises(UnknownSale):
            await ledger.book_refund_owed(session, "pi_none", "ref_none", 1, house.now)


async def test_a_dispute_takes_the_money_and_leaves_the_sale_until_it_is_won(house: House) -> None:
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    sold = await balances(house)
    payment = await payment_of(house, "anna")
    async with house.database.begin() as session:
        await ledger.book_chargeback(session, payment.order_id, "dp_1", 4499, house.now)
    lost = await balances(house)
    assert lost == {"chargebacks": 4499, "vat_output": -841, "deferred_revenue": -3658}
    await proven(house)
    async with house.database.begin() as session:
        await ledger.book_chargeback_reversed(session, "dp_1", house.now)
    assert await balances(house) == sold


async def test_what_stripe_keeps_pays_out_and_what_is_nobodys_needs_no_order(house: House) -> None:
    postings = {
        "fee:1": rules.stripe_fee(99), "payout:1": rules.payout(4400), "stray:1": rules.stray_in(500),
        "stray_out:1": rules.stray_out(500),
    }  # fmt: skip
    async with house.database.begin() as session:
        for cause, lines in postings.items():
            await ledger.post(session, cause, None, lines, house.now)
    assert await balances(house) == {"bank": 4400, "stripe_fees": 99, "stripe_clearing": -4499}
    with pytest.raises(IntegrityError, match="uq_ledger_line_cause_account"):
        async with house.database.begin() as session:
            await ledger.post(session, "fee:1", None, rules.stripe_fee(99), house.now)


async def test_r114_each_month_is_booked_as_it_ended_and_the_year_ends_even(house: House) -> None:
    house.stand_at(datetime(2026, 11, 21, 9, tzinfo=UTC))
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    await house.advance(datetime(2026, 12, 1, 3, tzinfo=UTC))
    assert (await balances(house))["revenue"] == -round(3658 * 10 / 222)
    await house.advance(datetime(2027, 7, 1, 3, tzinfo=UTC))
    assert await balances(house) == {"stripe_clearing": 4499, "vat_output": -841, "revenue": -3658}
    booked = await house.rows("select booked_on from ledger_line where account = 'revenue' order by 1")
    assert [on.isoformat() for (on,) in booked] == [
        "2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30",
    ]  # fmt: skip
    assert await house.one("select close_at from ledger_sale") is None
    await give_back(house, "anna", 1000)
    assert (await balances(house)).get("deferred_revenue", 0) == 0, "what was rendered is undone from revenue"
    await proven(house)


async def test_r114_the_report_is_what_the_books_say_at_the_end_of_each_month(house: House) -> None:
    house.stand_at(datetime(2026, 11, 21, 9, tzinfo=UTC))
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    await house.family("jan", "p2", "p3")
    await house.buy("jan", "p2", "p3")
    await house.advance(datetime(2026, 12, 20, 9, tzinfo=UTC))
    await give_back(house, "jan", 1500)
    await house.advance(datetime(2027, 2, 3, 9, tzinfo=UTC))
    await give_back(house, "anna", 4000, ended_on=date(2027, 2, 3))
    await house.advance(datetime(2027, 7, 2, 9, tzinfo=UTC))
    async with house.database.begin() as session:
        days = await reports.deferred(session, date(2026, 11, 1), date(2027, 7, 31))
        months = await reports.by_month(session, date(2026, 11, 1), date(2027, 7, 31))
    for month in months:
        books = await balances(house, until=month.last)
        assert month.deferred == -books.get("deferred_revenue", 0), month
    net = 3658 + 8998 - 1683
    assert (sum(day.sold for day in days), days[-1].deferred) == (net, 0)
    assert sum(day.earned + day.undone for day in days) == net
    assert next(day for day in days if day.first == date(2027, 2, 3)).undone > 0
    await proven(house)


async def test_r114_months_that_nobody_closed_are_closed_as_they_were_even_after_a_later_refund(house: House) -> None:
    house.stand_at(datetime(2026, 11, 21, 9, tzinfo=UTC))
    await house.family("anna", "p1")
    await house.buy("anna", "p1")
    await house.advance(datetime(2027, 1, 5, 9, tzinfo=UTC), without=("ledger.close",))
    await give_back(house, "anna", 4499, ended_on=date(2027, 1, 5))
    await house.advance(datetime(2027, 1, 6, tzinfo=UTC))
    assert (await balances(house, until=date(2026, 12, 31)))["revenue"] == -round(3658 * 41 / 222)
    await house.advance(datetime(2027, 2, 2, tzinfo=UTC))
    assert await balances(house) == {}
    await proven(house)


async def test_r113_a_fact_without_its_booking_and_a_booking_without_its_fact_are_found(house: House) -> None:
    await house.family("anna", "p1")
    await house.family("jan", "p2")
    await house.buy("anna", "p1")
    await house.buy("jan", "p2")
    await proven(house)
    anna, jan = await payment_of(house, "anna"), await payment_of(house, "jan")
    await house.rows_changed("update payment set amount = 4500 where order_id = :order", order=anna.order_id)
    async with house.database.begin() as session:
        await ledger.book_refund_paid(session, jan.order_id, "ref_never", 4499, house.now)
    assert {row.order_id for row in await house.rows(BROKEN_ORDERS)} == {anna.order_id, jan.order_id}
