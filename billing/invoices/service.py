"""Asking for an invoice, and what became of it. A request waits as a case until the invoice is issued or refused."""

from datetime import date, datetime
from typing import Literal, cast
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.checkout import service as checkout
from billing.invoices import rules
from billing.invoices.rules import Buyer, BuyerKind, Kind, NothingToInvoice, Path, State, TooLateToAsk, UnknownRequest
from billing.invoices.tables import WAIVED, InvoiceRow
from billing.kernel import audit
from billing.kernel.days import day_of, end_of
from billing.kernel.ids import new_id, parse, public
from billing.kernel.outbox import Message
from billing.kernel.sealing import seal, unseal
from billing.ledger import service as ledger
from billing.ledger.rules import Held
from billing.ledger.service import Booked

PREFIX = "inv"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the buyer of an order may ask today: of which `sale`, of which the books still hold so much; or the
    request that was `asked` already (R106)."""

    state: Literal["open", "asked", "too_late", "nothing"]
    sale: Booked | None = None
    held: Held | None = None
    asked: InvoiceRow | None = None

    @property
    def last_day(self) -> date | None:
        """The last day on which that is or was possible."""
        return None if self.sale is None else rules.last_day_to_ask(self.sale.sold_on)


def invoice_id(row: InvoiceRow) -> str:
    """The public id."""
    return public(PREFIX, row.id)


async def standing(session: AsyncSession, order: str, at: datetime, *, lock: bool = False) -> Standing:
    """What the page about an order's invoice says; a payment of which nothing is kept needs none. With `lock`, whoever
    asks for the same order at once waits."""
    kept = [(sale, held) for sale, held in await ledger.sales_of(session, order, lock=lock) if held.gross > 0]
    asked = {row.payment: row for row in await of_order(session, order) if row.kind == "invoice"}
    standing_rows = [row for row in asked.values() if row.state != "refused"]
    unasked = [(sale, held) for sale, held in kept if sale.payment not in {row.payment for row in standing_rows}]
    in_time = [(sale, held) for sale, held in unasked if _is_in_time(sale, at)]
    if in_time:
        sale, held = in_time[0]
        return Standing(state="open", sale=sale, held=held)
    if standing_rows:
        return Standing(state="asked", asked=standing_rows[-1])
    return Standing(state="too_late", sale=unasked[-1][0]) if unasked else Standing(state="nothing")


def _is_in_time(sale: Booked, at: datetime) -> bool:
    return day_of(at) <= rules.last_day_to_ask(sale.sold_on)


async def ask(session: AsyncSession, order: str, buyer: Buyer, secret: str, at: datetime) -> InvoiceRow:
    """Take on a request for the oldest payment that has none, with its due day and a case that waits for it. Asked
    again when nothing is left to ask for, the last request is answered.

    Raises TooLateToAsk after the end of the third month after the payment's (R106), NothingToInvoice.
    """
    now = await standing(session, order, at, lock=True)
    if now.state == "asked" and now.asked is not None:
        return now.asked
    if now.state == "too_late":
        raise TooLateToAsk("The time to ask for an invoice is over.", last_day=str(now.last_day))
    sale, held = now.sale, now.held
    if sale is None or held is None:
        raise NothingToInvoice("Nothing is kept for this order.")
    row = InvoiceRow(
        id=new_id(at), kind="invoice", order_id=order, payment=sale.payment, state="requested", buyer_kind=buyer.kind,
        buyer=seal(secret, sale.payment, msgspec.json.encode(buyer)), asked_at=at,
        due_on=rules.due_on(sale.sold_on, day_of(at)), gross=held.gross, vat=held.vat,
    )  # fmt: skip
    await _open(session, row, at)
    return row


async def _open(session: AsyncSession, row: InvoiceRow, at: datetime) -> None:
    session.add(row)
    await session.flush()
    audit.record(
        session, at, "invoice.requested", invoice_id(row), after="requested", order=row.order_id, kind=row.kind
    )
    account = (await checkout.read_order(session, row.order_id)).account
    await cases.open_case(
        session, "invoice_request", invoice_id(row), at, order=row.order_id, account=account,
        due_at=end_of(row.due_on), paper=row.kind, due_on=row.due_on.isoformat(), buyer_kind=row.buyer_kind,
        refund=row.refund,
    )  # fmt: skip


def buyer_in(row: InvoiceRow, secret: str) -> Buyer:
    """Whom the invoice names. Raises UnknownRequest for one that was refused, and so forgotten."""
    if row.buyer is None:
        raise UnknownRequest("The buyer of a refused request is not kept.")
    return msgspec.json.decode(unseal(secret, row.payment, row.buyer), type=Buyer)


async def find(session: AsyncSession, invoice: str, *, lock: bool = False) -> InvoiceRow:
    """The request of a public id. Raises UnknownRequest."""
    row = await session.get(InvoiceRow, parse(PREFIX, invoice), with_for_update=lock, populate_existing=lock)
    if row is None:
        raise UnknownRequest("There is no such request for an invoice.")
    return row


async def of_order(session: AsyncSession, order: str) -> list[InvoiceRow]:
    """Every request about an order, oldest first."""
    query = select(InvoiceRow).where(InvoiceRow.order_id == order).order_by(InvoiceRow.asked_at, InvoiceRow.id)
    return list(await session.scalars(query))


async def waiting(session: AsyncSession) -> list[InvoiceRow]:
    """What is neither issued nor refused, the nearest due first (R107)."""
    query = select(InvoiceRow).where(InvoiceRow.state.in_(("requested", "handed_over")))
    return list(await session.scalars(query.order_by(InvoiceRow.due_on, InvoiceRow.asked_at, InvoiceRow.id)))


def move(session: AsyncSession, row: InvoiceRow, to: State, at: datetime, actor: str, reason: str | None) -> None:
    """One edge of the table, with its audit row (I17)."""
    before = cast("State", row.state)
    row.state = rules.move(before, to)
    audit.record(
        session, at, "invoice.moved", invoice_id(row), actor=actor, before=before, after=to, reason=reason,
        order=row.order_id,
    )  # fmt: skip


async def issued(
    session: AsyncSession, invoice: str, path: Path, number: str, ksef_number: str | None, issued_on: date, actor: str,
    at: datetime,
) -> InvoiceRow:  # fmt: skip
    """The invoicing system says that it is issued: by a number of KSeF, or on one of the two documented other ways
    (R109). What was refunded since the hand-over asks for a correction. Raises UnknownRequest, NotIssued, Conflict."""
    row = await find(session, invoice, lock=True)
    rules.checked_issue(cast("BuyerKind", row.buyer_kind), path, number, ksef_number)
    move(session, row, "issued", at, actor, None)
    number = number.strip()
    row.path, row.number, row.ksef_number, row.issued_on = path, number, ksef_number, issued_on
    await session.flush()
    await cases.close_about(session, "invoice_request", invoice, "issued", at, number)
    return row


async def refuse(session: AsyncSession, invoice: str, reason: str, actor: str, at: datetime) -> InvoiceRow:
    """No invoice will be made; the buyer's data are not kept for it, and its corrections have nothing to correct."""
    row = await find(session, invoice, lock=True)
    move(session, row, "refused", at, actor, reason)
    row.buyer = None
    await session.flush()
    await cases.close_about(session, "invoice_request", invoice, "refused", at, reason)
    for other in await corrections_of(session, row.id):
        if other.state == "requested":
            await refuse(session, invoice_id(other), reason, actor, at)
    return row


async def corrections_of(session: AsyncSession, key: UUID) -> list[InvoiceRow]:
    """The corrections asked for of an invoice, oldest first."""
    query = select(InvoiceRow).where(InvoiceRow.corrects == key).order_by(InvoiceRow.asked_at, InvoiceRow.id)
    return list(await session.scalars(query))


async def on_refund(session: AsyncSession, message: Message, at: datetime) -> None:
    """Money of an order that was handed over for an invoice has gone back: a correction of the difference (R110)."""
    for row in await of_order(session, message.facts["order"]):
        if row.kind == "invoice" and row.state in {"handed_over", "issued"}:
            await correct(session, row, message.facts["refund"], at)


async def on_waived(session: AsyncSession, message: Message, at: datetime) -> None:
    """A refund is not owed after all: what the papers lack of its order is put on them by a correction (R110)."""
    for row in await of_order(session, message.facts["order"]):
        if row.kind == "invoice" and row.state in {"handed_over", "issued"}:
            await correct(session, row, message.facts["refund"], at, is_waived=True)


async def correct(
    session: AsyncSession, row: InvoiceRow, refund: str, at: datetime, *, is_waived: bool = False
) -> InvoiceRow | None:
    """Ask for a correction down to what the books still hold of the sale, or up to it where the refund was waived; None
    where the papers say so already."""
    held = next(
        held for sale, held in await ledger.sales_of(session, row.order_id, lock=True) if sale.payment == row.payment
    )
    papers = [row, *(other for other in await corrections_of(session, row.id) if other.state != "refused")]
    gross, vat = sum(paper.gross for paper in papers) - held.gross, sum(paper.vat for paper in papers) - held.vat
    if (-gross if is_waived else gross) <= 0:
        return None
    today = day_of(at)
    made = InvoiceRow(
        id=new_id(at), kind=cast("Kind", "correction"), order_id=row.order_id, payment=row.payment, state="requested",
        buyer_kind=row.buyer_kind, buyer=row.buyer, asked_at=at, due_on=rules.due_on(today, today), gross=-gross,
        vat=-vat, corrects=row.id, refund=refund + WAIVED if is_waived else refund,
    )  # fmt: skip
    await _open(session, made, at)
    return made
