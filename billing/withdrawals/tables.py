"""Declarations of withdrawal. One for each order, by constraint."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base
from billing.withdrawals.rules import CHANNELS, STATES

_CHANNELS = ", ".join(f"'{channel}'" for channel in CHANNELS)
_STATES = ", ".join(f"'{state}'" for state in STATES)


class WithdrawalRow(Base):
    """One declaration, as evidence. Name, contact and reason are sealed, and gone once the buyer is erased (R88).

    `received_at`: when it was confirmed on the page, or entered by staff. `sent_on`: the day that counts. `kept`: the
    grosz that stay for the days used. `refund_id`: of several refunds the last; null where there was none.
    """

    __tablename__ = "withdrawal"
    __table_args__ = (
        CheckConstraint(f"state in ({_STATES})", name="state"),
        CheckConstraint(f"channel in ({_CHANNELS})", name="channel"),
        CheckConstraint("(channel = 'online') = (entered_by is null)", name="entered_by"),
        CheckConstraint("kept >= 0", name="kept"),
        CheckConstraint("state = 'accepted' or (refund_id is null and kept = 0)", name="late_moves_nothing"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), unique=True)
    state: Mapped[str]
    channel: Mapped[str]
    received_at: Mapped[datetime]
    sent_on: Mapped[date]
    last_day: Mapped[date]
    name: Mapped[bytes | None]
    contact: Mapped[bytes | None]
    reason: Mapped[bytes | None]
    refund_id: Mapped[UUID | None] = mapped_column(ForeignKey("refund.id"))
    kept: Mapped[int] = mapped_column(default=0)
    entered_by: Mapped[str | None]
