"""Writing into the books. Every fact has one function; a sale is known by its payment's id."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import cast
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.days import at_hour, day_of
from billing.kernel.errors import Conflict, NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import VatMethod
from billing.ledger import rules
from billing.ledger.rules import Held, LedgerAccount, Line, Tax
from billing.ledger.spreading import Service, first_of_next_month
from billing.ledger.tables import LedgerLineRow, LedgerSaleRow

Booked = LedgerSaleRow
"""What other rooms call a sale as the books have it."""

CLOSING_HOUR = 3
"""In Warsaw, on the first of a month, when the books of the month before are closed."""


_MOST_TIMES = 20
"""How often one refund may come home again, or one dispute turn."""


class UnknownSale(NotFound):
    """The books know no sale by this payment."""


class NothingBooked(Conflict):
    """There is no transaction that could be undone."""


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment bought: gross grosz, how its VAT is counted, and the days of service, both included."""

    payment: str
    order: str
    gross: int
    unit_gross: int
    vat_rate_percent: int
    vat_method: VatMethod
    first_day: date
    last_day: date


async def post(
    session: AsyncSession,
    cause: str,
    order: str | None,
    lines: Iterable[Line],
    happened_at: datetime,
    *,
    sale: str | None = None,
    corrects: UUID | None = None,
) -> None:
    """Book one transaction on the Warsaw day it happened (R104). `cause` is unique: booking a fact twice fails."""
    transaction = new_id(happened_at)
    for line in lines:
        if line.amount:
            session.add(
                LedgerLineRow(
                    id=new_id(happened_at),
                    transaction_id=transaction,
                    cause=cause,
                    order_id=order,
                    account=line.account,
                    amount=line.amount,
                    currency="PLN",
                    at=happened_at,
                    booked_on=day_of(happened_at),
                    sale=sale,
                    corrects=corrects,
                )
            )
    await session.flush()


async def book_sale(session: AsyncSession, sale: Sale, captured_at: datetime) -> None:
    """Money was captured and buys service. The sale's day is the Warsaw day of the capture (R104)."""
    tax = Tax(rate_percent=sale.vat_rate_percent, unit_gross=sale.unit_gross, method=sale.vat_method)
    sold_on = day_of(captured_at)
    session.add(
        LedgerSaleRow(
            payment=sale.payment,
            order_id=sale.order,
            gross=sale.gross,
            vat=tax.of(sale.gross),
            unit_gross=sale.unit_gross,
            vat_rate_percent=sale.vat_rate_percent,
            vat_method=sale.vat_method,
            sold_on=sold_on,
            first_day=sale.first_day,
            last_day=max(sale.last_day, sale.first_day),
            close_at=closing_after(max(sold_on, sale.first_day)),
        )
    )
    await post(
        session, f"payment:{sale.payment}", sale.order, rules.sale(sale.gross, tax), captured_at, sale=sale.payment
    )


def closing_after(on: date) -> datetime:
    """When the books of the month of a day are closed."""
    return at_hour(first_of_next_month(on), CLOSING_HOUR)


async def book_refund_owed(
    session: AsyncSession, payment: str, refund: str, amount: int, at: datetime, *, ended_on: date | None = None
) -> None:
    """A refund was decided: the buyer is owed `amount`, and exactly its share of tax and price is undone, at the rate
    and by the method of the sale, on the day of the refund (R104, R105). `payment` is the provider's id of the payment,
    `refund` our public id. `ended_on` is the last day of service when no right of that payment goes on: what is kept
    is earned by then (R114). Raises UnknownSale, RefundExceedsSale."""
    row = await session.get(LedgerSaleRow, payment, with_for_update=True, populate_existing=True)
    if row is None:
        raise UnknownSale("The books know no sale by this payment.", payment=payment)
    lines = rules.refund_owed(await held(session, payment), amount, tax_of(row))
    if ended_on is not None and not (row.ended_on is not None and row.ended_on <= ended_on):
        row.ended_on = ended_on
    await post(session, f"refund_owed:{refund}", row.order_id, lines, at, sale=payment)


async def book_refund_paid(
    session: AsyncSession, order: str, refund: str, amount: int, at: datetime, *, by_bank: bool = False
) -> None:
    """The money has reached the buyer. When it had come home and goes again, it is a new transaction."""
    lines = rules.refund_paid_by_bank(amount) if by_bank else rules.refund_paid(amount)
    await post(session, await _fresh(session, f"refund_paid:{refund}"), order, lines, at)


async def book_refund_failed(session: AsyncSession, refund: str, at: datetime) -> None:
    """Money that had gone back came home again: its going is corrected, the buyer is owed it (R75, R76)."""
    await _undo(session, f"refund_paid:{refund}", f"refund_failed:{refund}", at)


async def book_refund_waived(session: AsyncSession, refund: str, at: datetime) -> None:
    """The buyer is not owed this refund after all: what it undid stands again, to the grosz."""
    payment = await _undo(session, f"refund_owed:{refund}", f"refund_waived:{refund}", at)
    row = await session.get_one(LedgerSaleRow, payment, with_for_update=True, populate_existing=True)
    row.close_at = row.close_at or closing_after(day_of(at))


async def book_chargeback(session: AsyncSession, order: str, dispute: str, amount: int, at: datetime) -> None:
    """A bank took the money back (R60)."""
    await post(session, await _fresh(session, f"chargeback:{dispute}"), order, rules.chargeback(amount), at)


async def book_chargeback_reversed(session: AsyncSession, dispute: str, at: datetime) -> None:
    """The dispute was won: what the bank took is back."""
    await _undo(session, f"chargeback:{dispute}", f"chargeback_reversed:{dispute}", at)


async def held(session: AsyncSession, payment: str, until: date | None = None) -> Held:
    """What the books hold of a sale, now or at the end of a day."""
    query = select(LedgerLineRow.account, func.sum(LedgerLineRow.amount)).where(LedgerLineRow.sale == payment)
    if until is not None:
        query = query.where(LedgerLineRow.booked_on <= until)
    found = {account: int(total) for account, total in await session.execute(query.group_by(LedgerLineRow.account))}
    return Held(
        vat=-found.get("vat_output", 0),
        deferred=-found.get("deferred_revenue", 0),
        earned=-found.get("revenue", 0),
    )


async def sales_of(session: AsyncSession, order: str, *, lock: bool = False) -> list[tuple[LedgerSaleRow, Held]]:
    """What was sold with an order, oldest first, and what the books still hold of each."""
    query = select(LedgerSaleRow).where(LedgerSaleRow.order_id == order)
    query = query.order_by(LedgerSaleRow.sold_on, LedgerSaleRow.payment)
    rows = list(await session.scalars(query.with_for_update() if lock else query))
    return [(row, await held(session, row.payment)) for row in rows]


async def balance(session: AsyncSession, account: str) -> int:
    """The balance of a ledger account in grosz; debits are positive."""
    total = await session.scalar(select(func.sum(LedgerLineRow.amount)).where(LedgerLineRow.account == account))
    return int(total or 0)


def tax_of(row: LedgerSaleRow) -> Tax:
    """How the VAT of a sale is counted."""
    return Tax(rate_percent=row.vat_rate_percent, unit_gross=row.unit_gross, method=cast("VatMethod", row.vat_method))


def service_of(row: LedgerSaleRow) -> Service:
    """The days a sale bought."""
    return Service(first_day=row.first_day, last_day=row.last_day, ended_on=row.ended_on)


async def _undo(session: AsyncSession, wrong: str, fact: str, at: datetime) -> str | None:
    """Book the mirror of the last transaction of a cause, naming it; nothing is edited (I09). Answers whose sale it
    belongs to. Raises NothingBooked."""
    done = await _done(session, wrong)
    if not done:
        raise NothingBooked("Nothing was booked that could be undone.", cause=wrong)
    rows = list(await session.scalars(select(LedgerLineRow).where(LedgerLineRow.transaction_id == done[-1])))
    lines = tuple(Line(cast("LedgerAccount", row.account), row.amount) for row in rows)
    await post(
        session, await _fresh(session, fact), rows[0].order_id, rules.reversed_lines(lines), at,
        sale=rows[0].sale, corrects=done[-1],
    )  # fmt: skip
    return rows[0].sale


def _causes(fact: str) -> list[str]:
    """The names under which a fact that may happen again is booked, in order."""
    return [fact, *(f"{fact}:{number}" for number in range(2, _MOST_TIMES))]


async def _done(session: AsyncSession, fact: str) -> list[UUID]:
    """The transactions of a fact so far, oldest first."""
    query = select(LedgerLineRow.cause, LedgerLineRow.transaction_id).where(LedgerLineRow.cause.in_(_causes(fact)))
    found = {row.cause: row.transaction_id for row in await session.execute(query.distinct())}
    return [found[cause] for cause in _causes(fact) if cause in found]


async def _fresh(session: AsyncSession, fact: str) -> str:
    return _causes(fact)[len(await _done(session, fact))]
