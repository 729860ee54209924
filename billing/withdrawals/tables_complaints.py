"""The register of complaints (R80)."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class ComplaintRow(Base):
    """One complaint: when it came in, what it says and what was answered, both sealed, and how it ended."""

    __tablename__ = "complaint"
    __table_args__ = (
        CheckConstraint("outcome in ('accepted', 'refused', 'accepted_by_law')", name="outcome"),
        CheckConstraint("(outcome is null) = (ended_at is null)", name="ended"),
        CheckConstraint("outcome is not null or answer is null", name="answer"),
        Index("ix_complaint_waiting", "received_on", postgresql_where="outcome is null"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[str | None] = mapped_column(index=True)
    account: Mapped[str | None] = mapped_column(index=True)
    received_on: Mapped[date]
    text: Mapped[bytes | None]
    registered_by: Mapped[str]
    registered_at: Mapped[datetime]
    outcome: Mapped[str | None]
    answer: Mapped[bytes | None]
    answered_by: Mapped[str | None]
    ended_at: Mapped[datetime | None]
