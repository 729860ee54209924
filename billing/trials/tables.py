"""Trials, and the memory that one was used."""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base

_WAITING: Final = "bound_at is null and pupil is not null and converted_at is null and staff_since is null"


class TrialRow(Base):
    """One pupil's trial of one season. `pupil` is null while nobody is linked; the keyed hash remembers (R18, R19)."""

    __tablename__ = "trial"
    __table_args__ = (
        UniqueConstraint("season", "pupil_hash"),
        CheckConstraint("starts_at < ends_at", name="interval"),
        CheckConstraint("bound_reason in ('told', 'converted', 'nobody_linked', 'staff')", name="bound_reason"),
        CheckConstraint("(bound_at is null) = (bound_reason is null)", name="bound"),
        Index("ix_trial_pupil", "pupil"),
        Index("ix_trial_told_by", "told_by", "id", postgresql_where=_WAITING),
        Index("ix_trial_season_ends", "season_ends", postgresql_where="ended_at is not null"),
        Index("ix_trial_unlinked", "ends_at", postgresql_where="bound_at is null and pupil is null"),
        Index(
            "ix_trial_staff",
            "id",
            postgresql_where="staff_since is not null and bound_at is null and converted_at is null",
        ),
        Index("ix_trial_unannounced", "ends_at", postgresql_where="ended_at is null and bound_at is not null"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    season: Mapped[str]
    season_ends: Mapped[date]
    pupil: Mapped[str | None]
    pupil_hash: Mapped[bytes]
    starts_at: Mapped[datetime]
    reverts_on: Mapped[date]
    ends_at: Mapped[datetime]
    told_by: Mapped[datetime]
    tell_from: Mapped[datetime]
    bound_at: Mapped[datetime | None]
    bound_reason: Mapped[str | None]
    converted_at: Mapped[datetime | None]
    prolongations: Mapped[int] = mapped_column(default=0)
    staff_since: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ToTellRow(Base):
    """A trial whose letters, which name its present day, are still to be planned from `tell_from` on. It stands apart
    from the trial, so that to plan them rewrites neither the trial nor any of its index entries.

    Who writes here holds the lock of the trial's row.
    """

    __tablename__ = "trial_to_tell"
    __table_args__ = (Index("ix_trial_to_tell_tell_from", "tell_from", "trial"),)

    trial: Mapped[UUID] = mapped_column(ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True)
    tell_from: Mapped[datetime]
