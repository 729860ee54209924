"""Every event that proved genuine, as the bytes it came in, once."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class EventRow(Base):
    """One event. `note` says what came of it, or why it waits for people; `tries` counts claims, so that an event
    that kills its worker is parked like any other poison (I24)."""

    __tablename__ = "stripe_event"
    __table_args__ = (
        CheckConstraint("state in ('new', 'done', 'ignored', 'parked')", name="state"),
        Index("ix_stripe_event_due", "due_at", postgresql_where="state = 'new'"),
        Index("ix_stripe_event_open", "received_at", postgresql_where="state in ('new', 'parked')"),
        Index("ix_stripe_event_received", "received_at"),
        Index("ix_stripe_event_object", "object_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    object_id: Mapped[str | None]
    api_version: Mapped[str | None]
    livemode: Mapped[bool | None]
    account: Mapped[str | None]
    body: Mapped[bytes]
    received_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="new")
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    note: Mapped[str | None]
