"""Evidence that somebody agreed to be charged again (R64, R66, R92)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class RenewalConsentRow(Base):
    """One consent to one price for one pupil and interval, gross in grosz. Append-only, by trigger."""

    __tablename__ = "renewal_consent"
    __table_args__ = (
        CheckConstraint("unit_gross > 0", name="unit_gross"),
        CheckConstraint("currency = 'PLN'", name="currency"),
        CheckConstraint("interval in ('month', 'year')", name="interval"),
        CheckConstraint("channel in ('order_page', 'renewal_page')", name="channel"),
        Index("ix_renewal_consent_order_id", "order_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[str]
    unit_gross: Mapped[int]
    currency: Mapped[str]
    interval: Mapped[str]
    text_hash: Mapped[str]
    version: Mapped[str]
    locale: Mapped[str]
    channel: Mapped[str]
    at: Mapped[datetime]
