"""Who wants to be told, and what each is told of: a row for every event and endpoint, committed with its cause."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class EndpointRow(Base):
    """One receiver. `secret` is sealed, and for a day after a rotation `old_secret` too: both sign.

    `busy_until`: somebody delivers to it now, and nobody else does. `failing_since`: since then not one answer has
    come; it is left alone until `quiet_until`.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint("state in ('enabled', 'disabled')", name="state"),
        CheckConstraint("(state = 'disabled') = (disabled_reason is not null)", name="disabled"),
        CheckConstraint("(old_secret is null) = (old_until is null)", name="old"),
        CheckConstraint("(failing_since is null) = (failures = 0)", name="failing"),
        CheckConstraint("cardinality(events) > 0", name="events"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    state: Mapped[str] = mapped_column(default="enabled")
    disabled_reason: Mapped[str | None]
    secret: Mapped[bytes]
    old_secret: Mapped[bytes | None]
    old_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    busy_until: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    quiet_until: Mapped[datetime | None]


class DeliveryRow(Base):
    """One event for one endpoint, as the very bytes that are sent on every try. `tries` counts claims, so that one that
    kills its worker ends like any other (I24). `account` is whom it names, so that it goes when the account does."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        CheckConstraint("state in ('pending', 'delivered', 'failed')", name="state"),
        CheckConstraint("(state = 'delivered') = (delivered_at is not null)", name="delivered"),
        Index("ix_webhook_delivery_due", "endpoint_id", "due_at", postgresql_where="state = 'pending'"),
        Index("ix_webhook_delivery_over", "created_at", postgresql_where="state <> 'pending'"),
        Index("ix_webhook_delivery_account", "account", postgresql_where="account is not null"),
    )

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoint.id", ondelete="CASCADE"), primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str]
    account: Mapped[str | None]
    body: Mapped[bytes]
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="pending")
    due_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    last_try_at: Mapped[datetime | None]
    status: Mapped[int | None]
    fault: Mapped[str | None]
    delivered_at: Mapped[datetime | None]


class MarkRow(Base):
    """Up to which piece of entitlement news all were told; whoever tells holds the lock of the one row."""

    __tablename__ = "webhook_mark"
    __table_args__ = (CheckConstraint("is_only", name="is_only"),)

    is_only: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    seq: Mapped[int]
