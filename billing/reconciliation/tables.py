"""When we looked and what came of it; the provider's account of our money, line by line; what it paid out."""

from datetime import date, datetime
from typing import get_args
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base
from billing.payments.gateway_books import LineKind

_KINDS = ", ".join(f"'{kind}'" for kind in get_args(LineKind))
_SUM = "charged + refunded + disputed - fees + returned + not_ours"


class RunRow(Base):
    """One look at the provider's books. `since` and `until` bound it; the counts are what it came to. `alive_at`: when
    its worker last said that it is still at it."""

    __tablename__ = "reconciliation_run"
    __table_args__ = (
        CheckConstraint("kind in ('recent', 'nightly', 'on_demand')", name="kind"),
        CheckConstraint("state in ('running', 'done', 'failed')", name="state"),
        CheckConstraint("(state = 'running') = (ended_at is null)", name="ended"),
        Index("ix_reconciliation_run_kind", "kind", "started_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime]
    started_at: Mapped[datetime]
    alive_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    compared: Mapped[int] = mapped_column(default=0)
    granted: Mapped[int] = mapped_column(default=0)
    caught_up: Mapped[int] = mapped_column(default=0)
    opened: Mapped[int] = mapped_column(default=0)
    settled: Mapped[int] = mapped_column(default=0)
    not_ours: Mapped[int] = mapped_column(default=0)
    abandoned: Mapped[int] = mapped_column(default=0)
    fault: Mapped[str | None]


class BalanceLineRow(Base):
    """One movement of our money at the provider, in signed grosz. `order_id` is whose it is; `is_foreign` says that it
    is nobody's of ours. A line of neither kind that should have an order is a difference (R112)."""

    __tablename__ = "balance_line"
    __table_args__ = (
        CheckConstraint(f"kind in ({_KINDS})", name="kind"),
        CheckConstraint("net = amount - fee", name="net"),
        CheckConstraint("currency = 'PLN'", name="currency"),
        CheckConstraint("not (is_foreign and order_id is not null)", name="owner"),
        Index("ix_balance_line_charge", "charge_id", postgresql_where="charge_id is not null"),
        Index("ix_balance_line_order", "order_id", postgresql_where="order_id is not null"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    payout_id: Mapped[str | None] = mapped_column(index=True)
    kind: Mapped[str]
    category: Mapped[str]
    amount: Mapped[int]
    fee: Mapped[int]
    net: Mapped[int]
    currency: Mapped[str]
    source_id: Mapped[str | None]
    payment_id: Mapped[str | None]
    charge_id: Mapped[str | None]
    mark: Mapped[str | None]
    order_id: Mapped[str | None]
    is_foreign: Mapped[bool]
    created_at: Mapped[datetime]
    booked_on: Mapped[date] = mapped_column(index=True)
    read_at: Mapped[datetime]


class PayoutRow(Base):
    """Money sent to our bank: the sum of what was charged, refunded, disputed, kept as fees, came back from a payout
    that failed, and is not ours; or there is a difference."""

    __tablename__ = "payout"
    __table_args__ = (
        CheckConstraint(
            "difference = amount - (charged + refunded + disputed - fees + returned + not_ours)", name="sum"
        ),
        CheckConstraint("(closed_at is not null) = (difference = 0)", name="closed"),
        CheckConstraint("currency = 'PLN'", name="currency"),
        Index("ix_payout_open", "created_at", postgresql_where="closed_at is null"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[int]
    currency: Mapped[str]
    state: Mapped[str]
    arrives_on: Mapped[date]
    created_at: Mapped[datetime]
    lines: Mapped[int]
    charged: Mapped[int]
    refunded: Mapped[int]
    disputed: Mapped[int]
    fees: Mapped[int]
    returned: Mapped[int]
    not_ours: Mapped[int]
    difference: Mapped[int]
    read_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
