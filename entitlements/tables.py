"""The facts on which every answer rests: accounts, their pupils, the pupils' grants, the schools' blocks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base

_REF = r"~ '^[A-Za-z0-9._:-]{1,64}$'"


class AccountRow(Base):
    """An account that may be asked about. Who it belongs to is another room's knowledge."""

    __tablename__ = "entitlement_account"
    __table_args__ = (CheckConstraint(f"account {_REF}", name="account"),)

    account: Mapped[str] = mapped_column(primary_key=True)


class PupilRow(Base):
    """A pupil and the school whose blocks apply; null: none is known."""

    __tablename__ = "entitlement_pupil"
    __table_args__ = (
        CheckConstraint(f"pupil {_REF}", name="pupil"),
        CheckConstraint(f"school {_REF}", name="school"),
        Index("ix_entitlement_pupil_school", "school", postgresql_where="school is not null"),
    )

    pupil: Mapped[str] = mapped_column(primary_key=True)
    school: Mapped[str | None]


class LinkRow(Base):
    """An account has a pupil; the pupil's rights are the account's while this row stands (R1, R3)."""

    __tablename__ = "entitlement_link"
    __table_args__ = (Index("ix_entitlement_link_pupil", "pupil"),)

    account: Mapped[str] = mapped_column(ForeignKey("entitlement_account.account"), primary_key=True)
    pupil: Mapped[str] = mapped_column(ForeignKey("entitlement_pupil.pupil"), primary_key=True)
    linked_at: Mapped[datetime]
    notice_pending: Mapped[bool] = mapped_column(server_default="false")


class BlockRow(Base):
    """A school blocks a feature for its pupils since an instant (R12)."""

    __tablename__ = "entitlement_block"

    school: Mapped[str] = mapped_column(primary_key=True)
    feature: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]


class GrantRow(Base):
    """A right of a pupil over [since, until). `origin` is the public id of what gave it; one origin may give many."""

    __tablename__ = "entitlement_grant"
    __table_args__ = (
        CheckConstraint(f"pupil {_REF}", name="pupil"),
        CheckConstraint("source in ('trial', 'paid', 'sponsored', 'granted', 'grace')", name="source"),
        CheckConstraint("cardinality(features) > 0", name="features"),
        CheckConstraint("since <= until", name="interval"),
        CheckConstraint("bound or source = 'trial'", name="bound"),
        CheckConstraint(
            "end_reason in ('withdrawn', 'refunded', 'disputed', 'payment_failed', 'sponsorship_ended')",
            name="end_reason",
        ),
        CheckConstraint("end_reason is null or (bound and until is not null)", name="closed"),
        Index("ix_entitlement_grant_pupil", "pupil"),
        Index("ix_entitlement_grant_origin", "origin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    pupil: Mapped[str]
    source: Mapped[str]
    origin: Mapped[str]
    features: Mapped[list[str]] = mapped_column(ARRAY(Text))
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    bound: Mapped[bool] = mapped_column(server_default="true")
    end_reason: Mapped[str | None]
    created_at: Mapped[datetime]
