"""Staff who are logged in. Only the hash of a session's token is kept; a session that is over is deleted."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class StaffSessionRow(Base):
    """One log-in of one person: over half an hour after `seen_at`, at `ends_at`, or at log-out."""

    __tablename__ = "staff_session"
    __table_args__ = (
        CheckConstraint("role in ('viewer', 'finance', 'finance_lead', 'auditor', 'admin')", name="role"),
        CheckConstraint("created_at <= seen_at and created_at < ends_at", name="times"),
    )

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    email: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
