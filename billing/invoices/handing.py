"""Handing requests to the invoicing system: each is one document, and marked in the same transaction (R108)."""

from datetime import datetime
from typing import Literal, cast

from sqlalchemy.ext.asyncio import AsyncSession

from billing.checkout import service as checkout
from billing.checkout.service import Order
from billing.invoices import documents, service
from billing.invoices.documents import Corrected, InvoiceDocument, Item, Paid, Seller, Totals
from billing.invoices.rules import Kind, NothingToInvoice
from billing.invoices.service import buyer_in, invoice_id, move
from billing.invoices.tables import InvoiceRow
from billing.kernel.audit import SYSTEM
from billing.kernel.money import VatMethod
from billing.ledger import service as ledger
from billing.ledger.service import Booked
from billing.payments import service as payments

_RETURNED = "refunded before the invoice was made"
_REFUNDED = "zwrot zapłaty"
_WAIVED = "zwrot zapłaty nie doszedł do skutku"
_TRANSFER = 6


async def hand_over(
    session: AsyncSession, seller: Seller, secret: str, at: datetime, limit: int = 100, *, actor: str = SYSTEM
) -> list[InvoiceDocument]:
    """The documents of requests that wait, the nearest due first, handed over by `actor`. A correction waits for the
    invoice it corrects; a request whose money has all gone back in the meantime is refused."""
    found: list[InvoiceDocument] = []
    for waits in await service.waiting(session):
        if len(found) >= limit:
            break
        row = await service.find(session, invoice_id(waits), lock=True)
        if row.state != "requested":
            continue
        corrected = await _corrected(session, row)
        if row.kind == "correction" and corrected is None:
            continue
        if not await _take_amounts(session, row):
            await service.refuse(session, invoice_id(row), _RETURNED, SYSTEM, at)
            continue
        found.append(await document(session, row, seller, secret, corrected))
        move(session, row, "handed_over", at, actor, None)
        row.handed_over_at = at
    await session.flush()
    return found


async def handed_over(session: AsyncSession, seller: Seller, secret: str) -> list[InvoiceDocument]:
    """Once more the documents of what was handed over and is neither issued nor refused: a download may be lost."""
    rows = [row for row in await service.waiting(session) if row.state == "handed_over"]
    return [await document(session, row, seller, secret, await _corrected(session, row)) for row in rows]


async def _take_amounts(session: AsyncSession, row: InvoiceRow) -> bool:
    """An invoice is of what is kept when it is made; answers whether that is anything."""
    if row.kind == "invoice":
        sales = await ledger.sales_of(session, row.order_id, lock=True)
        held = next(held for sale, held in sales if sale.payment == row.payment)
        row.gross, row.vat = held.gross, held.vat
    return row.gross != 0


async def _corrected(session: AsyncSession, row: InvoiceRow) -> Corrected | None:
    if row.corrects is None:
        return None
    first = await session.get_one(InvoiceRow, row.corrects)
    if first.number is None or first.issued_on is None:
        return None
    return Corrected(
        number=first.number, issued_on=first.issued_on, ksef_number=first.ksef_number,
        reason=_REFUNDED if row.gross < 0 else _WAIVED,
    )  # fmt: skip


async def document(
    session: AsyncSession, row: InvoiceRow, seller: Seller, secret: str, corrected: Corrected | None
) -> InvoiceDocument:
    """All that FA(3) needs of one request. Raises NothingToInvoice where it could not be issued as it stands."""
    order = await checkout.read_order(session, row.order_id)
    sale = await session.get_one(Booked, row.payment)
    buyer = buyer_in(row, secret)
    paid = await payments.find_payment(session, row.payment)
    made = InvoiceDocument(
        kind=cast("Kind", row.kind),
        request=invoice_id(row),
        order=row.order_id,
        order_number=str(order.number),
        seller=seller,
        buyer=documents.Buyer(
            kind=buyer.kind, name=buyer.name, address_line_1=buyer.street, address_line_2=buyer.town,
            email=buyer.email, nip=buyer.nip, no_id=None if buyer.nip else 1,
        ),
        sold_on=sale.sold_on,
        issue_by=row.due_on,
        vat_method=cast("VatMethod", sale.vat_method),
        items=(_item(order, sale, row),),
        totals=Totals(net=row.gross - row.vat, vat=row.vat, gross=row.gross),
        payment=Paid(
            paid_on=sale.sold_on,
            form=cast("Literal[2, 6, 7]", documents.PAYMENT_FORMS.get(paid.method if paid else "", _TRANSFER)),
            payment=row.payment,
        ),
        corrected=corrected,
    )  # fmt: skip
    wrong = list(documents.faults(made))
    if wrong:
        raise NothingToInvoice(wrong[0], request=invoice_id(row))
    return made


def _item(order: Order, sale: Booked, row: InvoiceRow) -> Item:
    """One line for all pupils of an order, who all have the same; a part of a price is one piece of that sum."""
    quantity, rest = divmod(abs(row.gross), sale.unit_gross)
    unit = sale.unit_gross
    if rest or not quantity:
        quantity, unit = 1, abs(row.gross)
    return Item(
        name=f"{order.product_name} {sale.first_day.isoformat()} – {sale.last_day.isoformat()}",
        unit="szt.",
        quantity=quantity if row.gross > 0 else -quantity,
        unit_gross=unit,
        gross=row.gross,
        net=row.gross - row.vat,
        vat=row.vat,
        vat_rate_percent=sale.vat_rate_percent,
    )
