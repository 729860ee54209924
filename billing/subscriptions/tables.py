"""Paid rights, and what stands at the provider behind renewing ones. No two rights that count overlap for one pupil and
product, by exclusion constraint (I11)."""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base

_UNTOLD: Final = "kind = 'season_pass' and state = 'active' and end_planned_at is null"


class SubscriptionRow(Base):
    """One pupil's paid right over [since, until). The exclusion constraint stands in the migration.

    Of a renewing right, `until` is what is paid through, `grace_until` how long it is left on for a payment that is
    awaited (null: not a moment), and state and both ends follow the renewal, in the same transaction.
    `end_planned_at`: when letters about the end of a season pass were planned.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        CheckConstraint("kind in ('season_pass', 'renewing', 'sponsored')", name="kind"),
        CheckConstraint(
            "state in ('active', 'past_due', 'paused', 'ended', 'withdrawn', 'refunded', 'disputed')", name="state"
        ),
        CheckConstraint("since < until", name="interval"),
        Index("ix_subscription_pupil", "pupil"),
        CheckConstraint("(kind = 'renewing') = (renewal_id is not null)", name="renewal"),
        CheckConstraint("grace_until is null or grace_until > until", name="grace"),
        Index("ix_subscription_running", "until", postgresql_where="state = 'active'"),
        Index("ix_subscription_renewal", "renewal_id", postgresql_where="renewal_id is not null"),
        Index("ix_subscription_untold", "until", postgresql_where=_UNTOLD),
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
    ended_at: Mapped[datetime | None]
    renewal_id: Mapped[UUID | None] = mapped_column(ForeignKey("renewal.id"))
    is_renewal_on: Mapped[bool] = mapped_column(default=False)
    is_paused: Mapped[bool] = mapped_column(default=False)
    grace_until: Mapped[datetime | None]
    end_planned_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class RenewalRow(Base):
    """One renewing subscription: what one order agreed to, for one or more pupils, and how it stands at the provider.

    Every amount is what the buyer accepted (I16), in grosz. `period_start` to `period_end` is the last period that is
    paid, `charge_at` when the provider means to charge next, unless told not to. What people want (`is_renewal_on`,
    `is_paused`, `unit_gross`, `pupils`) is written first and pushed to the provider after: `revision` counts what is
    wanted, `pushed` how much of that the provider has.
    """

    __tablename__ = "renewal"
    __table_args__ = (
        CheckConstraint(
            "state in ('new', 'active', 'past_due', 'paused', 'ended', 'withdrawn', 'refunded', 'disputed')",
            name="state",
        ),
        CheckConstraint("interval in ('month', 'year')", name="interval"),
        CheckConstraint("unit_gross > 0", name="unit_gross"),
        CheckConstraint("currency = 'PLN'", name="currency"),
        CheckConstraint("period_start < period_end", name="period"),
        CheckConstraint("is_renewal_on = (off_reason is null) and is_renewal_on = (off_at is null)", name="off"),
        CheckConstraint("pushed <= revision", name="pushed"),
        Index("ix_renewal_push_at", "push_at", postgresql_where="push_at is not null"),
        Index("ix_renewal_check_at", "check_at", postgresql_where="check_at is not null"),
        Index("ix_renewal_guard_at", "guard_at", postgresql_where="guard_at is not null"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(index=True)
    account: Mapped[str | None] = mapped_column(index=True)
    product: Mapped[str]
    product_name: Mapped[str]
    features: Mapped[list[str]] = mapped_column(ARRAY(Text))
    pupils: Mapped[list[str]] = mapped_column(ARRAY(Text))
    interval: Mapped[str]
    unit_gross: Mapped[int]
    grace_days: Mapped[int]
    notice_days: Mapped[int]
    currency: Mapped[str]
    state: Mapped[str]
    provider_id: Mapped[str | None] = mapped_column(unique=True)
    provider_customer: Mapped[str | None]
    provider_method: Mapped[str | None] = mapped_column(index=True)
    period_start: Mapped[datetime | None]
    period_end: Mapped[datetime | None]
    charge_at: Mapped[datetime | None]
    is_renewal_on: Mapped[bool] = mapped_column(default=True)
    off_reason: Mapped[str | None]
    off_at: Mapped[datetime | None]
    is_paused: Mapped[bool] = mapped_column(default=False)
    paused_at: Mapped[datetime | None]
    past_due_since: Mapped[datetime | None]
    grace_on: Mapped[date | None]
    grace_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=0)
    pushed: Mapped[int] = mapped_column(default=0)
    push_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    check_at: Mapped[datetime | None]
    checks: Mapped[int] = mapped_column(default=0)
    guard_at: Mapped[datetime | None]
    cleared_for: Mapped[datetime | None]
    created_at: Mapped[datetime]


class RenewalInvoiceRow(Base):
    """What the provider asked for, once for each of its invoices; a paid one gave a period or went back (I12)."""

    __tablename__ = "renewal_invoice"
    __table_args__ = (
        CheckConstraint("state in ('draft', 'open', 'paid', 'void', 'uncollectible')", name="state"),
        CheckConstraint("fate in ('kept', 'given_back')", name="fate"),
        CheckConstraint("covers_from < covers_until", name="period"),
        CheckConstraint("fate is null or state = 'paid'", name="fate_is_paid"),
        Index("ix_renewal_invoice_renewal", "renewal_id"),
    )

    provider_id: Mapped[str] = mapped_column(primary_key=True)
    renewal_id: Mapped[UUID] = mapped_column(ForeignKey("renewal.id"))
    state: Mapped[str]
    reason: Mapped[str]
    amount: Mapped[int]
    quantity: Mapped[int]
    covers_from: Mapped[datetime]
    covers_until: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    made_at: Mapped[datetime]
    fate: Mapped[str | None]
    payment_id: Mapped[str | None] = mapped_column(unique=True)


class RenewalChangeRow(Base):
    """A change of the interval, or one pupil more, as it was shown and accepted: `amount` is charged, to the grosz."""

    __tablename__ = "renewal_change"
    __table_args__ = (
        CheckConstraint("state in ('shown', 'accepted', 'done', 'refused')", name="state"),
        CheckConstraint("interval in ('month', 'year')", name="interval"),
        Index("uq_renewal_change_accepted", "renewal_id", unique=True, postgresql_where="state = 'accepted'"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    renewal_id: Mapped[UUID] = mapped_column(ForeignKey("renewal.id"), index=True)
    pupil: Mapped[str | None]
    product: Mapped[str]
    product_name: Mapped[str]
    interval: Mapped[str]
    unit_gross: Mapped[int]
    quantity: Mapped[int]
    amount: Mapped[int]
    prorated_at: Mapped[datetime]
    state: Mapped[str]
    invoice_id: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class RenewalToldRow(Base):
    """The buyer was told of a coming charge: `days` before it, which day, which amount (R65)."""

    __tablename__ = "renewal_told"
    __table_args__ = (UniqueConstraint("renewal_id", "charge_at", "days", "unit_gross"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    renewal_id: Mapped[UUID] = mapped_column(ForeignKey("renewal.id"))
    charge_at: Mapped[datetime]
    days: Mapped[int]
    unit_gross: Mapped[int]
    handed_over_at: Mapped[datetime]
