"""Letters: what must be written to whom, once. Unique by (account, kind, about); of a trial, `about` is D (I18)."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base
from billing.notices.kinds import AWAITED


class LetterRow(Base):
    """One letter.

    planned: waits for its time or another try. handed_over: the mail server took it, or the app showed it. bounced: the
    address cannot be reached. dropped: its premise is gone, for the reason in `fault`. parked: given up after too many
    tries. `sending_since` is set while the mail server has it: found set, it may have been taken (I18).
    `is_paced`: it has its slot in the pace of the domain it goes to (R27).
    `facts` are ids only; what was sent is kept without the secrets of its links.
    """

    __tablename__ = "letter"
    __table_args__ = (
        UniqueConstraint("account", "kind", "about"),
        CheckConstraint("state in ('planned', 'handed_over', 'bounced', 'dropped', 'parked')", name="state"),
        CheckConstraint("(state = 'handed_over') = (handed_over_at is not null)", name="handed_over"),
        Index("ix_letter_due", "due_at", "id", postgresql_where="state = 'planned'"),
        Index("ix_letter_awaited", "due_at", "id", postgresql_where=f"state = 'planned' and {AWAITED}"),
        Index("ix_letter_trouble", "state", "id", postgresql_where="state in ('parked', 'bounced')"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account: Mapped[str]
    kind: Mapped[str]
    about: Mapped[str]
    day: Mapped[date | None]
    pupils: Mapped[list[str]] = mapped_column(ARRAY(Text))
    facts: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default="planned")
    due_at: Mapped[datetime]
    is_paced: Mapped[bool] = mapped_column(default=False)
    tries: Mapped[int] = mapped_column(default=0)
    sending_since: Mapped[datetime | None]
    doubts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    handed_over_at: Mapped[datetime | None]
    fault: Mapped[str | None]
    message_id: Mapped[str | None]
    server_answer: Mapped[str | None]
    subject: Mapped[str | None]
    text: Mapped[str | None]
    html: Mapped[str | None]
    attachments: Mapped[dict[str, Any]]


class PaceRow(Base):
    """When the next letter may go to a receiving domain (R27)."""

    __tablename__ = "mail_pace"

    domain: Mapped[str] = mapped_column(primary_key=True)
    free_at: Mapped[datetime]
