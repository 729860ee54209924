"""Paid rights. No two that count overlap for one pupil and product, by exclusion constraint (I11)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class SubscriptionRow(Base):
    """One pupil's paid right over [since, until). The exclusion constraint stands in the migration."""

    __tablename__ = "subscription"
    __table_args__ = (
        CheckConstraint("kind in ('season_pass', 'renewing', 'sponsored')", name="kind"),
        CheckConstraint(
            "state in ('active', 'past_due', 'paused', 'ended', 'withdrawn', 'refunded', 'disputed')", name="state"
        ),
        CheckConstraint("since < until", name="interval"),
        Index("ix_subscription_pupil", "pupil"),
        Index("ix_subscription_running", "until", postgresql_where="state = 'active'"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str]
    pupil: Mapped[str]
    account: Mapped[str | None] = mapped_column(index=True)
    product: Mapped[str]
    features: Mapped[list[str]] = mapped_column(ARRAY(Text))
    since: Mapped[datetime]
    until: Mapped[datetime]
    order_id: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
