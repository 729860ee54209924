"""What we asked of the provider, what it took, and what it gave back. The guards stand here, not in the code."""

from datetime import date, datetime
from typing import Any, get_args
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base
from billing.payments.rules import Reason, RefundStanding

_REASONS = ", ".join(f"'{reason}'" for reason in get_args(Reason))
_STANDINGS = ", ".join(f"'{standing}'" for standing in get_args(RefundStanding))


class IntentRow(Base):
    """One call we mean to make, committed before it is made (I14). One open attempt for each target at a time (I15)."""

    __tablename__ = "provider_intent"
    __table_args__ = (
        CheckConstraint("state in ('new', 'done', 'refused', 'unknown')", name="state"),
        CheckConstraint("(state = 'done') = (provider_id is not null)", name="done_has_id"),
        CheckConstraint("attempt >= 1 and tries >= 0", name="counts"),
        UniqueConstraint("kind", "target", "attempt"),
        Index("uq_provider_intent_open", "kind", "target", unique=True, postgresql_where="state in ('new', 'unknown')"),
        Index("ix_provider_intent_unsettled", "created_at", postgresql_where="state in ('new', 'unknown')"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    target: Mapped[str] = mapped_column(index=True)
    attempt: Mapped[int]
    key: Mapped[str] = mapped_column(unique=True)
    request: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default="new")
    provider_id: Mapped[str | None] = mapped_column(unique=True)
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    fault: Mapped[str | None]


class PaymentRow(Base):
    """Money captured for an order. `refund_reserved` counts every refund that is not failed (R77, I13)."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("refund_reserved >= 0 and refund_reserved <= amount", name="refunds_bounded"),
        CheckConstraint("amount_refunded >= 0 and amount_refunded <= amount", name="refunded_bounded"),
        Index("ix_payment_order", "order_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    intent_id: Mapped[UUID | None] = mapped_column(ForeignKey("provider_intent.id"))
    stripe_payment_intent: Mapped[str] = mapped_column(unique=True)
    stripe_charge: Mapped[str] = mapped_column(unique=True)
    amount: Mapped[int]
    currency: Mapped[str]
    method: Mapped[str]
    captured_at: Mapped[datetime]
    amount_refunded: Mapped[int] = mapped_column(default=0)
    refund_reserved: Mapped[int] = mapped_column(default=0)
    receipt_url: Mapped[str | None]
    recorded_at: Mapped[datetime]


NOT_BACK = "state in ('new', 'pending', 'unknown', 'failed', 'canceled')"
"""Refunds whose money is still owed: under way, or waiting for people (R76)."""


class RefundRow(Base):
    """Money to give back, why, and who said so (R79); at most one for each (order, reason, scope) (I13).

    `due_at` is when to send it or to ask about it again; `legal_due_on` is the last day on which it may go (R76);
    `warned_at` is when somebody was last warned of that day.
    """

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint(f"reason in ({_REASONS})", name="reason"),
        CheckConstraint(f"state in ({_STANDINGS})", name="state"),
        CheckConstraint("amount > 0", name="amount"),
        UniqueConstraint("order_id", "reason", "scope"),
        Index("ix_refund_payment", "payment_id"),
        Index("ix_refund_due", "due_at", postgresql_where="state in ('new', 'pending', 'unknown')"),
        Index("ix_refund_legal_due", "legal_due_on", postgresql_where=NOT_BACK),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payment.id"))
    order_id: Mapped[str]
    reason: Mapped[str]
    scope: Mapped[str] = mapped_column(default="")
    amount: Mapped[int]
    state: Mapped[str] = mapped_column(default="new")
    approved_by: Mapped[str]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    legal_due_on: Mapped[date]
    warned_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    settled_at: Mapped[datetime | None]
    stripe_refund: Mapped[str | None] = mapped_column(unique=True)
    fault: Mapped[str | None]


class EarlyNewsRow(Base):
    """An object of the provider that is about a payment we do not know: read again once we do. `stripe_payment` is
    the payment's or the charge's id there."""

    __tablename__ = "early_news"
    __table_args__ = (CheckConstraint("kind in ('refund', 'dispute')", name="kind"),)

    object_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    stripe_payment: Mapped[str] = mapped_column(index=True)
    due_at: Mapped[datetime]
