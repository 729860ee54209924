"""Disputes of payments."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base
from billing.withdrawals.dispute_rules import STATES

_STATES = ", ".join(f"'{state}'" for state in STATES)


class DisputeRow(Base):
    """A payment that its payer's bank argues about. `told` is the provider's own word for its state; `taken_at` is when
    its money was booked as taken: never for a mere inquiry."""

    __tablename__ = "dispute"
    __table_args__ = (
        CheckConstraint(f"state in ({_STATES})", name="state"),
        CheckConstraint("(state = 'open') = (closed_at is null)", name="closed"),
        CheckConstraint("amount > 0", name="amount"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    stripe_dispute: Mapped[str] = mapped_column(unique=True)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payment.id"))
    order_id: Mapped[str] = mapped_column(index=True)
    amount: Mapped[int]
    reason: Mapped[str]
    state: Mapped[str]
    told: Mapped[str]
    opened_at: Mapped[datetime]
    taken_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
