"""The journal, and what was sold. The database refuses to change either, and a sum that is not zero."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base
from billing.ledger.rules import ACCOUNTS

_ACCOUNTS = ", ".join(f"'{account}'" for account in ACCOUNTS)


class LedgerLineRow(Base):
    """One side of one transaction. `cause` names the fact it books, so that no fact is booked twice; `sale` the payment
    whose sale it belongs to; `corrects` the transaction that it undoes, for nothing is ever edited (I09)."""

    __tablename__ = "ledger_line"
    __table_args__ = (
        UniqueConstraint("cause", "account"),
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("currency = 'PLN'", name="currency"),
        CheckConstraint(f"account in ({_ACCOUNTS})", name="account"),
        Index("ix_ledger_line_order", "order_id", "account"),
        Index("ix_ledger_line_sale", "sale", "account", postgresql_where="sale is not null"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(index=True)
    cause: Mapped[str]
    order_id: Mapped[str | None]
    account: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str]
    at: Mapped[datetime]
    booked_on: Mapped[date] = mapped_column(index=True)
    sale: Mapped[str | None]
    corrects: Mapped[UUID | None]


class LedgerSaleRow(Base):
    """What one payment bought, as tax and books need it for years (R105). Only `ended_on` (the right ended early) and
    `close_at` (when its revenue is booked next) ever change; days are Warsaw days and the last one is included."""

    __tablename__ = "ledger_sale"
    __table_args__ = (
        CheckConstraint("gross > 0 and vat >= 0 and vat <= gross and unit_gross > 0", name="amounts"),
        CheckConstraint("vat_method in ('per_document', 'per_line')", name="vat_method"),
        CheckConstraint("first_day <= last_day", name="days"),
        Index("ix_ledger_sale_close_at", "close_at", postgresql_where="close_at is not null"),
    )

    payment: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(index=True)
    gross: Mapped[int]
    vat: Mapped[int]
    unit_gross: Mapped[int]
    vat_rate_percent: Mapped[int]
    vat_method: Mapped[str]
    sold_on: Mapped[date] = mapped_column(index=True)
    first_day: Mapped[date]
    last_day: Mapped[date]
    ended_on: Mapped[date | None]
    close_at: Mapped[datetime | None]
