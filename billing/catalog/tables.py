"""Every price that was ever announced, and when we learned of it; the database refuses to change the past (R82)."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class PriceHistoryRow(Base):
    """One price window of a catalogue as it was loaded at `remembered_at`; `digest` marks the whole batch."""

    __tablename__ = "price_history"
    __table_args__ = (
        CheckConstraint("gross >= 0", name="gross"),
        CheckConstraint("valid_from < valid_until", name="window"),
        Index("ix_price_history_remembered", "remembered_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    remembered_at: Mapped[datetime]
    digest: Mapped[str]
    catalogue_version: Mapped[str]
    product: Mapped[str]
    season: Mapped[str | None]
    gross: Mapped[int]
    currency: Mapped[str]
    vat_rate_percent: Mapped[int]
    valid_from: Mapped[date]
    valid_until: Mapped[date]
    reduced: Mapped[bool]
