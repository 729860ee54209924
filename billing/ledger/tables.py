"""The journal. The database refuses UPDATE and DELETE, and a transaction that does not sum to zero."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class LedgerLineRow(Base):
    """One side of one transaction. `cause` names the fact it books, so that no fact is booked twice."""

    __tablename__ = "ledger_line"
    __table_args__ = (
        UniqueConstraint("cause", "account"),
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("currency = 'PLN'", name="currency"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(index=True)
    cause: Mapped[str]
    order_id: Mapped[str] = mapped_column(index=True)
    account: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str]
    at: Mapped[datetime]
    booked_on: Mapped[date] = mapped_column(index=True)
