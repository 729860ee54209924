"""The sales of a month as the tax office wants them listed: each row with exactly one JPK marker, and the ledger's sums
(R104, R111)."""

from datetime import date
from typing import cast

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.invoices.rules import MARKERS, Marker, Path
from billing.invoices.tables import WAIVED, InvoiceRow
from billing.ledger import reports
from billing.ledger.reports import Movement


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """A sale, what a refund took back of one, or what its waiver put back, on its day. `number` is that of KSeF, or the
    paper's own; `awaits` says that a correction of an invoice has been asked for and is not issued yet."""

    on: date
    order: str
    payment: str
    cause: str
    rate_percent: int
    net: int
    vat: int
    gross: int
    marker: Marker
    number: str | None
    awaits: bool = False


async def sold_in(session: AsyncSession, first: date, last: date) -> list[Sold]:
    """Every sale and every refund booked from the first to the last day, in order."""
    papers = await _papers(session)
    return [_entry(found, papers) for found in await reports.sold_in(session, first, last)]


async def _papers(session: AsyncSession) -> dict[str, InvoiceRow]:
    """Invoices and corrections that are not refused, by the payment, the refund or the waiver that asked for each."""
    rows = await session.scalars(select(InvoiceRow).where(InvoiceRow.state != "refused"))
    return {row.refund or row.payment: row for row in rows}


def _entry(found: Movement, papers: dict[str, InvoiceRow]) -> Sold:
    kind, _, fact = found.cause.partition(":")
    invoice = _issued(papers.get(found.payment))
    refund = fact.partition(":")[0]
    asked = papers.get(refund + WAIVED if kind == "refund_waived" else refund)
    paper = invoice if kind == "payment" else _issued(asked)
    shown = paper or invoice
    return Sold(
        on=found.on,
        order=found.order,
        payment=found.payment,
        cause=found.cause,
        rate_percent=found.rate_percent,
        net=found.net,
        vat=found.vat,
        gross=found.net + found.vat,
        marker=MARKERS[cast("Path", shown.path) if shown else None],
        number=(paper.ksef_number or paper.number) if paper else None,
        awaits=kind != "payment" and asked is not None and paper is None,
    )


def _issued(row: InvoiceRow | None) -> InvoiceRow | None:
    return row if row is not None and row.state == "issued" else None
