"""Requests for invoices and for their corrections. One open or issued invoice for each payment, by unique index."""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.invoices.rules import KINDS, PATHS, STATES
from billing.kernel.db import Base

WAIVED: Final = ":waived"
"""Stands behind a refund that was waived, where a correction was asked for by that."""


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


class InvoiceRow(Base):
    """One document to issue, or issued. `buyer` is sealed, and gone once refused; `gross` and `vat` are what was handed
    over, in grosz; a correction names the invoice it `corrects` and the refund, or its waiver, that asked (R110)."""

    __tablename__ = "invoice"
    __table_args__ = (
        CheckConstraint(f"kind in ({_listed(KINDS)})", name="kind"),
        CheckConstraint(f"state in ({_listed(STATES)})", name="state"),
        CheckConstraint(f"path in ({_listed(PATHS)})", name="path"),
        CheckConstraint(
            "(state = 'issued') = (path is not null and number is not null and issued_on is not null)", name="issued"
        ),
        CheckConstraint("path is null or (path = 'ksef') = (ksef_number is not null)", name="ksef_number"),
        CheckConstraint("(kind = 'correction') = (corrects is not null)", name="corrects"),
        CheckConstraint("(state = 'refused') = (buyer is null)", name="buyer"),
        Index("uq_invoice_payment", "payment", unique=True, postgresql_where="kind = 'invoice' and state <> 'refused'"),
        Index("ix_invoice_waiting", "due_on", postgresql_where="state in ('requested', 'handed_over')"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    order_id: Mapped[str] = mapped_column(index=True)
    payment: Mapped[str]
    state: Mapped[str]
    buyer_kind: Mapped[str]
    buyer: Mapped[bytes | None]
    asked_at: Mapped[datetime]
    due_on: Mapped[date]
    gross: Mapped[int]
    vat: Mapped[int]
    handed_over_at: Mapped[datetime | None]
    path: Mapped[str | None]
    number: Mapped[str | None]
    ksef_number: Mapped[str | None] = mapped_column(unique=True)
    issued_on: Mapped[date | None]
    corrects: Mapped[UUID | None] = mapped_column(ForeignKey("invoice.id"))
    refund: Mapped[str | None] = mapped_column(unique=True)
