"""Matters that wait for people. One open at most for each (kind, about), by constraint."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.cases.rules import KINDS
from billing.kernel.db import Base

_KINDS = ", ".join(f"'{kind}'" for kind in KINDS)


class CaseRow(Base):
    """One matter. `about` is the public id of its subject; `facts` hold what a person needs to decide, no names. An
    account that is erased is taken off by the database, and the matter stays (R88)."""

    __tablename__ = "finance_case"
    __table_args__ = (
        CheckConstraint(f"kind in ({_KINDS})", name="kind"),
        CheckConstraint("state in ('open', 'proposed', 'closed')", name="state"),
        CheckConstraint("(state = 'closed') = (closed_at is not null)", name="closed"),
        CheckConstraint("(state = 'open') = (outcome is null)", name="outcome"),
        UniqueConstraint("kind", "about"),
        Index("ix_finance_case_waiting", "due_at", postgresql_where="state <> 'closed'"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    about: Mapped[str]
    order_id: Mapped[str | None] = mapped_column(index=True)
    account: Mapped[str | None] = mapped_column(ForeignKey("account.account", ondelete="SET NULL"), index=True)
    facts: Mapped[dict[str, Any]]
    state: Mapped[str]
    opened_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    proposed_by: Mapped[str | None]
    closed_by: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    warned_at: Mapped[datetime | None]
