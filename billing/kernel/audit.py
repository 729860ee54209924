"""Who did what, when, to what, and why: append-only, one row per state change, in that change's transaction (I17)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base
from billing.kernel.ids import new_id

SYSTEM = "system"


class AuditRow(Base):
    """One act. The database refuses UPDATE and DELETE."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject", "subject", "at"), Index("ix_audit_account", "account", "at"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    account: Mapped[str | None]
    before: Mapped[str | None]
    after: Mapped[str | None]
    reason: Mapped[str | None]
    facts: Mapped[dict[str, Any]]


def record(
    session: AsyncSession,
    at: datetime,
    action: str,
    subject: str,
    *,
    actor: str = SYSTEM,
    account: str | None = None,
    before: str | None = None,
    after: str | None = None,
    reason: str | None = None,
    **facts: Any,
) -> None:
    """Note one act. `subject` is a public id (`ord_…`); `before` and `after` are states where a state changed."""
    session.add(
        AuditRow(
            id=new_id(at),
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            account=account,
            before=before,
            after=after,
            reason=reason,
            facts=facts,
        )
    )
